"""The pages of components, targets and configurations."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals import stepup
from approvals.models import Person
from monitoring.models import AuditEntry
from rollout import loading
from rollout.models import Backup, Configuration, Freeze, Release, Target
from tests import factories
from tests.approvals import forger
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
PAGE = "/components/dhash/"


def pending(target: Target, by: User) -> Configuration:
    """Return a configuration that changes the policy and waits."""
    path = factories.Path(target.component.live.base_dir) / "component.toml"
    path.write_text(path.read_text().replace('unmatched_author = "show"', "approvers = 3"))
    return loading.load(path, by=factories.actor(by), now=timezone.now()).configuration


def put_in_force(user: User, waiting: Configuration, page: str | None = None) -> Any:
    """Answer with what a page says that was seen; with the page as it is now where none is given."""
    client = browser(user)
    page = client.get(PAGE).content.decode() if page is None else page
    found = re.search(r'name="seen" value="([0-9a-f]{64})"', page)
    values = {"answer": "confirm", **({"seen": found[1]} if found else {})}
    return client.post(reverse("configuration_confirm", args=[waiting.pk]), values)


@pytest.mark.parametrize("name", ["rita", "ann", "olaf", "mia", "tom", "aud", "ada"])
def test_every_role_reads_the_pages(cast: Cast, target: Target, name: str) -> None:
    client = browser(cast[name])
    assert [client.get(url).status_code for url in ("/components/", PAGE, "/runbooks/", "/history/")] == [200] * 4


def test_a_person_without_a_role_is_told_which_role_could(cast: Cast, target: Target) -> None:
    answer = browser(cast["otto"]).get(PAGE)
    assert answer.status_code == 403
    assert "release-owner" in answer.content.decode()


def test_nobody_reads_without_signing_in(client, target: Target) -> None:
    assert client.get(PAGE).headers["Location"].startswith("/login/")


def test_a_component_that_is_unknown_is_not_found(cast: Cast, target: Target) -> None:
    assert browser(cast["aud"]).get("/components/player/").status_code == 404


def test_the_policy_and_the_gates_are_said_in_words(cast: Cast, target: Target) -> None:
    page = browser(cast["aud"]).get(PAGE).content.decode()
    assert "Two from approver or ops must approve." in page
    assert "At least one of them must be ops." in page
    assert "more than 2 failed checks in a row" in page


def test_a_lock_shows_its_reason_and_who_set_it(cast: Cast, target: Target) -> None:
    client = browser(cast["tom"])
    client.post(reverse("target_lock", args=[target.pk]), {"why": "disk is being replaced"})
    page = client.get(PAGE).content.decode()
    assert "disk is being replaced" in page
    assert AuditEntry.objects.get(action="target.locked").actor_name == "tom"


def test_an_unlock_needs_a_reason(cast: Cast, target: Target) -> None:
    client = browser(cast["tom"])
    client.post(reverse("target_lock", args=[target.pk]), {"why": "disk is being replaced"})
    answer = client.post(reverse("target_unlock", args=[target.pk]), {"why": ""})
    target.refresh_from_db()
    assert (answer.status_code, target.locked) == (409, True)


def test_locking_twice_is_refused_and_the_typed_reason_is_given_back(cast: Cast, target: Target) -> None:
    client = browser(cast["tom"])
    client.post(reverse("target_lock", args=[target.pk]), {"why": "disk is being replaced"})
    answer = client.post(reverse("target_lock", args=[target.pk]), {"why": "my own good reason"})
    assert answer.status_code == 409
    assert "is locked already" in answer.content.decode() and "my own good reason" in answer.content.decode()


def test_only_those_who_may_stop_may_lock(cast: Cast, target: Target) -> None:
    answer = browser(cast["ann"]).post(reverse("target_lock", args=[target.pk]), {"why": "because I want"})
    assert (answer.status_code, "deploy-operator or ops or triage" in answer.content.decode()) == (403, True)


def test_who_is_limited_to_another_component_cannot_lock(cast: Cast, target: Target) -> None:
    Person.objects.filter(user=cast["tom"]).update(components=["player"])
    assert (
        browser(cast["tom"]).post(reverse("target_lock", args=[target.pk]), {"why": "because I want"}).status_code
        == 404
    )


def test_a_lock_is_not_set_by_a_link(cast: Cast, target: Target) -> None:
    assert browser(cast["tom"]).get(reverse("target_lock", args=[target.pk])).status_code == 405


def test_a_freeze_is_shown_on_its_target(cast: Cast, target: Target) -> None:
    now = timezone.now()
    Freeze.objects.create(
        component=target.component,
        starts_at=now,
        ends_at=now + timedelta(hours=1),
        reason="end of quarter",
        by=cast["ada"],
    )
    assert browser(cast["aud"]).get(PAGE).content.decode().count("end of quarter") == 2


def test_a_waiting_configuration_shows_its_difference(cast: Cast, target: Target) -> None:
    pending(target, cast["ada"])
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "patch-add" in page and "+approvers = 3" in page and "Put in force" in page


def test_a_configuration_that_waits_beside_an_edited_one_says_why(cast: Cast, target: Target) -> None:
    forger.edit(target.component.live, text=factories.TOML.replace('"show"', '"refuse"'))
    pending(target, cast["ada"])
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "What is in force was edited in the database" in page and "It touches policy" not in page


def test_whoever_confirms_a_policy_that_nobody_could_satisfy_is_told_so(cast: Cast, target: Target) -> None:
    pending(target, cast["ada"])
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "Nobody could satisfy its policy" in page and "could consent as approver" in page


def test_who_loaded_a_configuration_is_not_offered_to_confirm_it(cast: Cast, target: Target) -> None:
    pending(target, cast["ada"])
    page = browser(cast["ada"]).get(PAGE).content.decode()
    assert "another admin has to confirm" in page and "Put in force" not in page


def test_a_second_admin_puts_a_configuration_in_force(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    put_in_force(cast["ari"], waiting)
    waiting.refresh_from_db()
    assert (waiting.state, waiting.confirmed_by, target.component.spec.policy.approvers) == ("LIVE", "ari", 3)


FORGED = '--- component.toml (in force)\n+++ component.toml (loaded)\n@@ -1 +1 @@\n-title = "dhash"\n+title = "Dhash"'


def test_the_difference_that_is_shown_is_not_what_somebody_wrote_into_the_row(cast: Cast, target: Target) -> None:
    forger.edit(pending(target, cast["ada"]), difference=FORGED)
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "+approvers = 3" in page and "Dhash" not in page


def test_what_was_shown_with_another_text_is_not_put_in_force(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    forger.edit(waiting, text=waiting.text.replace("approvers = 3", 'unmatched_author = "refuse"'))
    page = browser(cast["ari"]).get(PAGE).content.decode()
    forger.edit(waiting, text=waiting.text)
    answer = put_in_force(cast["ari"], waiting, page)
    assert answer.status_code == 409
    assert "another difference than the one that you were shown" in answer.content.decode()


def test_beside_a_history_that_was_edited_the_whole_text_is_shown_and_not_offered(cast: Cast, target: Target) -> None:
    pending(target, cast["ada"])
    forger.edit(AuditEntry.objects.filter(action="configuration.loaded").earliest("seq"), hash="0" * 64)
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "below is the whole text" in page and "+[environments.staging]" in page and "Put in force" not in page


def test_nobody_puts_in_force_what_he_does_not_say_that_he_read(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    answer = put_in_force(cast["ari"], waiting, page="")
    assert answer.status_code == 409 and target.component.spec.policy.approvers == 2


def test_a_configuration_that_cannot_be_read_any_more_is_shown_and_not_offered(cast: Cast, target: Target) -> None:
    forger.edit(pending(target, cast["ada"]), text="[component")
    page = browser(cast["ari"]).get(PAGE).content.decode()
    assert "It cannot be read, so nobody can put it in force" in page and "Put in force" not in page


def test_a_refused_configuration_leaves_the_old_one_in_force(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    browser(cast["ari"]).post(reverse("configuration_confirm", args=[waiting.pk]), {"answer": "refuse"})
    assert target.component.spec.policy.approvers == 2


def test_the_admin_who_loaded_it_is_refused_even_when_he_posts(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    answer = browser(cast["ada"]).post(reverse("configuration_confirm", args=[waiting.pk]), {"answer": "confirm"})
    assert answer.status_code == 409
    assert target.component.spec.policy.approvers == 2


def test_confirming_asks_for_the_password_first(cast: Cast, target: Target) -> None:
    waiting = pending(target, cast["ada"])
    client = browser(cast["ari"])
    session = client.session
    del session[stepup.KEY]  # the sign-in was a while ago
    session.save()
    answer = client.post(reverse("configuration_confirm", args=[waiting.pk]), {"answer": "confirm"})
    waiting.refresh_from_db()
    assert answer.headers["Location"].startswith("/confirm/?next=") and waiting.state == "PENDING"


def test_a_backup_is_shown_with_its_proof(cast: Cast, target: Target) -> None:
    now = timezone.now()
    Backup.objects.create(
        target=target,
        path="/b/dhash_production_20261123_120000.zip",
        sha256="c" * 64,
        size=4711,
        release_version="1.0.0",
        created_at=now,
        verified_at=now,
        rehearsed_at=now,
        rehearsal_s=0.8,
    )
    page = browser(cast["aud"]).get(PAGE).content.decode()
    assert "dhash_production_20261123_120000.zip" in page and "in 800 ms" in page and "c" * 64 in page


def test_the_pages_take_the_same_queries_however_much_there_is(cast: Cast, target: Target) -> None:
    client = browser(cast["rita"])
    factories.make_draft(target, cast["rita"])  # what belongs to rollouts is only asked where there are some
    few = [queries(client, url) for url in ("/components/", PAGE)]
    for number in range(8):
        factories.make_draft(target, cast["rita"], f"2.0.{number}")
        Backup.objects.create(
            target=target,
            path=f"/b/{number}.zip",
            sha256="c" * 64,
            size=1,
            release_version="1",
            created_at=timezone.now(),
        )
    assert [queries(client, url) for url in ("/components/", PAGE)] == few
    assert Release.objects.count() == 9
