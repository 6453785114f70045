"""Sign-ins reach the audit, and a sign-in is a proof like a password re-entry."""

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.urls import reverse

from approvals import stepup
from approvals.models import StepUpGuard
from monitoring.models import AuditEntry
from tests.base import PASSWORD, Client

Cast = dict[str, User]


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-seq")[0]


def sign_in(client: Client, name: str, password: str = PASSWORD) -> None:
    client.post(reverse("login"), {"username": name, "password": password, "next": "/people/"}, REMOTE_ADDR="192.0.2.7")


def test_a_sign_in_is_audited_with_address(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    assert (last().action, last().actor_id, last().actor_name) == ("user.signed_in", cast["ann"].pk, "ann")
    assert '"address":"192.0.2.7"' in last().person


def test_a_sign_in_counts_as_recent_proof(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    assert stepup.KEY in client.session


def test_a_sign_out_is_audited(client: Client, cast: Cast) -> None:
    client.force_login(cast["ann"])
    client.post(reverse("logout"))
    assert (last().action, last().subject_id) == ("user.signed_out", str(cast["ann"].pk))


@pytest.mark.django_db
def test_a_sign_out_of_nobody_is_not_audited(client: Client) -> None:
    client.post(reverse("logout"))
    assert not AuditEntry.objects.exists()


def test_a_failed_sign_in_is_audited_under_the_account(client: Client, cast: Cast) -> None:
    sign_in(client, "ann", "guess")
    assert (last().action, last().actor_id, last().actor_name) == ("user.sign_in_failed", None, "ann")
    assert last().subject_id == str(cast["ann"].pk)


def test_what_was_typed_into_the_wrong_field_is_not_kept(client: Client, cast: Cast) -> None:
    sign_in(client, "my secret password", "ann")
    assert last().actor_name == "unknown account"
    assert "secret" not in last().body + last().person


def test_a_sign_out_leaves_no_proof_behind(client: Client, cast: Cast) -> None:
    sign_in(client, "ann")
    client.post(reverse("logout"))
    assert stepup.KEY not in client.session


def guess(client: Client, name: str, times: int = 5) -> None:
    for _ in range(times):
        sign_in(client, name, "guess")


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_after_five_wrong_passwords_the_right_one_is_not_looked_at(client: Client, cast: Cast) -> None:
    guess(client, "ann")
    answer = client.post(reverse("login"), {"username": "ann", "password": PASSWORD})
    assert not is_in(client) and b"Too many wrong passwords. Try again after" in answer.content
    assert (last().action, last().subject_id) == ("user.sign_in_throttled", str(cast["ann"].pk))


def test_fifteen_minutes_later_one_may_sign_in(client: Client, cast: Cast) -> None:
    guess(client, "ann")
    StepUpGuard.objects.update(since=F("since") - stepup.WINDOW)
    sign_in(client, "ann")
    assert is_in(client)


def test_a_sign_in_forgets_the_wrong_ones_before_it(client: Client, cast: Cast) -> None:
    for _ in range(2):
        guess(client, "ann", 4)
        sign_in(client, "ann")
    assert is_in(client)


def test_guesses_at_the_sign_in_keep_nobody_who_is_in_from_confirming(client: Client, cast: Cast) -> None:
    guess(Client(), "ann")
    client.force_login(cast["ann"])
    assert client.post(reverse("confirm"), {"password": PASSWORD}).status_code == 302
    assert client.session[stepup.KEY]


def test_guesses_at_the_confirmation_keep_nobody_from_signing_in(client: Client, cast: Cast) -> None:
    inside = Client()
    inside.force_login(cast["ann"])
    for _ in range(6):
        inside.post(reverse("confirm"), {"password": "guess"})
    sign_in(client, "ann")
    assert is_in(client)


def test_a_confirmation_forgets_no_guesses_at_the_sign_in(client: Client, cast: Cast) -> None:
    inside = Client()
    inside.force_login(cast["ann"])
    guess(client, "ann")
    inside.post(reverse("confirm"), {"password": PASSWORD})
    sign_in(client, "ann")
    assert not is_in(client)


def test_the_guesses_at_one_account_do_not_block_another(client: Client, cast: Cast) -> None:
    guess(client, "ann")
    sign_in(client, "abe")
    assert is_in(client)


def test_a_name_that_is_no_account_answers_like_one(client: Client, cast: Cast) -> None:
    def said(name: str) -> list[str]:
        fields = {"username": name, "password": "guess"}
        answers = [client.post(reverse("login"), fields).context["form"] for _ in range(6)]
        # without the time, because a minute may pass in between
        return [str(form.non_field_errors()[0]).partition(" after ")[0] for form in answers]

    assert said("ann") == said("nobody")
    assert "nobody" not in str(StepUpGuard.objects.values_list())


def test_names_that_are_no_account_are_forgotten_again(client: Client, cast: Cast) -> None:
    guess(client, "nobody")
    StepUpGuard.objects.update(since=F("since") - stepup.WINDOW)
    guess(client, "nobody else", 1)
    assert StepUpGuard.objects.filter(user=None).count() == 2  # the other name, and the address


def test_one_address_cannot_try_one_password_on_every_account(client: Client, cast: Cast) -> None:
    for number in range(stepup.WRONG_TRIES_OF_ADDRESS):
        sign_in(client, f"nobody {number}", "guess")
    sign_in(client, "ann")
    assert not is_in(client) and last().action == "user.sign_in_throttled"
    client.post(reverse("login"), {"username": "ann", "password": PASSWORD}, REMOTE_ADDR="192.0.2.8")
    assert is_in(client)


def test_right_passwords_from_one_address_are_not_counted(client: Client, cast: Cast) -> None:
    for name in ("ann", "abe", "olaf"):
        sign_in(client, name)
        client.post(reverse("logout"))
    assert set(StepUpGuard.objects.values_list("tries", flat=True)) == {0}


def test_the_admin_site_has_no_sign_in_of_its_own(client: Client, cast: Cast) -> None:
    assert client.get("/admin/login/?next=/admin/").headers["Location"] == "/login/?next=/admin/"
    assert client.post("/admin/login/", {"username": "ada", "password": PASSWORD}).status_code == 302
    assert not is_in(client)


def test_an_admin_whose_account_is_no_staff_is_told_so_instead_of_sent_around(client: Client, cast: Cast) -> None:
    User.objects.filter(pk=cast["ada"].pk).update(is_staff=False)
    client.force_login(cast["ada"])
    answer = client.get("/admin/", follow=True)
    assert answer.status_code == 403
