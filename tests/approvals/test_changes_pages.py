"""The pages of changes: who sees them, who answers there, and what each of the two admins hands over."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals import changes, handover, ledger, stepup
from approvals.models import Change, ChangeAnswer, Person
from tests.base import PASSWORD, Client, make_user

from .people_world import asker, password_proposed, proposed

Cast = dict[str, User]


@pytest.fixture
def change(cast: Cast) -> Change:
    """Return a change that waits: ada proposes that ann is triage."""
    return proposed(cast["ada"], cast["ann"], "triage", now=timezone.now())


def page(change: Change) -> str:
    return reverse("change", args=[change.pk])


def answer(client: Client, user: User, change: Change, what: str, **more: str) -> int:
    client.force_login(user)
    return client.post(reverse("change_answer", args=[change.pk]), {"answer": what, **more}).status_code


def roles_of(user: User) -> frozenset[str]:
    return ledger.current_roles(user, "dhash")


@pytest.mark.parametrize(
    ("name", "status"),
    [("ada", 200), ("ari", 200), ("aud", 200), ("ann", 403), ("abe", 403), ("rita", 403), ("otto", 403)],
)
def test_changes_are_for_admins_and_auditors(
    client: Client, cast: Cast, change: Change, name: str, status: int
) -> None:
    client.force_login(cast[name])
    assert [client.get(url).status_code for url in (reverse("change_list"), page(change))] == [status, status]


def test_the_second_admin_confirms(client: Client, cast: Cast, change: Change) -> None:
    assert answer(client, cast["ari"], change, "confirm") == 302
    assert roles_of(cast["ann"]) == {"triage"}


@pytest.mark.parametrize("what", ["confirm", "refuse"])
@pytest.mark.parametrize(
    ("name", "status"), [("ada", 409), ("aud", 403), ("ann", 403), ("abe", 403), ("otto", 403), ("eve", 403)]
)
def test_nobody_else_answers(client: Client, cast: Cast, change: Change, what: str, name: str, status: int) -> None:
    make_user("eve", "admin")
    User.objects.get(username="eve").person.__class__.objects.filter(user__username="eve").update(components=["player"])
    assert answer(client, User.objects.get(username=name), change, what, why="x") == status
    assert roles_of(cast["ann"]) == {"approver"} and not ChangeAnswer.objects.exists()


def test_an_answer_needs_a_recent_password(client: Client, cast: Cast, change: Change) -> None:
    client.force_login(cast["ari"])
    session = client.session
    session[stepup.KEY] = (timezone.now() - timedelta(minutes=6)).isoformat()
    session.save()
    sent = client.post(reverse("change_answer", args=[change.pk]), {"answer": "confirm"})
    assert sent.url.startswith(reverse("confirm")) and not ChangeAnswer.objects.exists()


@pytest.mark.parametrize("what", ["", "approve", "withdraw"])
def test_what_is_no_answer_of_his_does_nothing(client: Client, cast: Cast, change: Change, what: str) -> None:
    assert answer(client, cast["ari"], change, what) == 409
    assert not ChangeAnswer.objects.exists()


def test_a_refusal_keeps_what_was_written(client: Client, cast: Cast, change: Change) -> None:
    answer(client, cast["ari"], change, "refuse", why="not before the audit")
    client.force_login(cast["ari"])
    assert "not before the audit" in client.get(page(change)).content.decode()


def test_the_proposer_withdraws(client: Client, cast: Cast, change: Change) -> None:
    assert answer(client, cast["ada"], change, "withdraw") == 302
    assert ChangeAnswer.objects.get().kind == "WITHDRAWN"


def test_the_proposer_is_told_why_he_cannot_confirm(client: Client, cast: Cast, change: Change) -> None:
    client.force_login(cast["ada"])
    text = client.get(page(change)).content.decode()
    assert "another admin has to confirm it" in text and 'value="confirm"' not in text


def test_a_stale_change_offers_no_confirmation(client: Client, cast: Cast, change: Change) -> None:
    User.objects.filter(pk=cast["ann"].pk).update(email="other@example.com")
    client.force_login(cast["ari"])
    text = client.get(page(change)).content.decode()
    assert "was changed meanwhile" in text and 'value="confirm"' not in text and 'value="refuse"' in text


def test_the_difference_is_shown_in_words(client: Client, cast: Cast, change: Change) -> None:
    client.force_login(cast["ari"])
    text = client.get(page(change)).content.decode()
    assert "approver" in text and "triage" in text and "new on call" in text


def test_a_person_who_cannot_be_confirmed_by_anybody_is_explained(client: Client, cast: Cast, change: Change) -> None:
    User.objects.filter(pk=cast["ari"].pk).update(is_active=False)
    client.force_login(cast["ada"])
    assert "manage.py add_admin USER --as ada" in client.get(page(change)).content.decode()


def test_the_second_admin_finds_it_on_the_dashboard_and_in_the_inbox(
    client: Client, cast: Cast, change: Change
) -> None:
    client.force_login(cast["ari"])
    for place in ("dashboard", "inbox"):
        assert f'href="{page(change)}"' in client.get(reverse(place)).content.decode()


@pytest.mark.parametrize("name", ["ada", "ann", "aud", "abe"])
def test_it_waits_for_nobody_else(client: Client, cast: Cast, change: Change, name: str) -> None:
    client.force_login(cast[name])
    assert page(change) not in client.get(reverse("inbox")).content.decode()


@pytest.fixture
def handed(cast: Cast) -> Change:
    """Return a confirmed change: ann chooses a new password; ada proposed, ari confirmed."""
    made = password_proposed(cast["ada"], cast["ann"], now=timezone.now())
    changes.confirm(made, asker=asker(cast["ari"], timezone.now()))
    return made


@pytest.mark.parametrize(("name", "code", "link"), [("ada", True, False), ("ari", False, True), ("aud", False, False)])
def test_each_of_the_two_sees_his_half_and_nobody_else_any(
    client: Client, cast: Cast, handed: Change, name: str, code: bool, link: bool
) -> None:
    client.force_login(cast[name])
    text = client.get(page(handed)).content.decode()
    assert (handover.code_of(handed) in text, handover.token_of(handed) in text) == (code, link)


def test_a_person_chooses_and_signs_in(client: Client, handed: Change) -> None:
    url = reverse("choose_password", args=[handover.token_of(handed)])
    assert client.get(url).status_code == 200
    own = "a password of my own"
    sent = client.post(url, {"code": handover.code_of(handed), "password": own, "again": own})
    assert sent.url == reverse("login") and client.login(username="ann", password=own)
    assert client.get(url).status_code == 404


@pytest.mark.parametrize(
    ("password", "again"), [("short", "short"), (PASSWORD, "another"), ("ann@example.com", "ann@example.com")]
)
def test_a_password_that_is_no_good_is_refused(client: Client, handed: Change, password: str, again: str) -> None:
    url = reverse("choose_password", args=[handover.token_of(handed)])
    sent = client.post(url, {"code": handover.code_of(handed), "password": password, "again": again})
    assert sent.status_code == 200 and not User.objects.get(username="ann").has_usable_password()


def test_the_key_of_a_proposal_leads_to_the_one_change(client: Client, cast: Cast) -> None:
    client.force_login(cast["ada"])
    url = reverse("person", args=[cast["tom"].pk])
    key = re.findall(r'name="once" value="([^"]+)"', client.get(url).content.decode())[0]
    values = {"part": "password", "why": "forgot it", "once": key}
    assert [client.post(url, values).url for _ in "ab"] == [page(Change.objects.get())] * 2


def test_two_who_print_one_name_are_told_apart(client: Client, cast: Cast, change: Change) -> None:
    Person.objects.filter(user=cast["ada"]).update(printed_name="Ari")
    client.force_login(cast["ari"])
    shown = '<bdi>Ari</bdi> <span class="muted">ada</span>'
    assert all(shown in client.get(url).content.decode() for url in (reverse("change_list"), page(change)))


@pytest.mark.parametrize(("name", "told"), [("ari", True), ("ann", False)])
def test_only_of_an_admin_it_is_said_that_he_cannot_confirm_his_own_change(
    client: Client, cast: Cast, name: str, told: bool
) -> None:
    about = proposed(cast["ada"], cast[name], "triage", now=timezone.now())
    client.force_login(cast["ada"])
    assert ("nobody can confirm this" in client.get(page(about)).content.decode()) is told
