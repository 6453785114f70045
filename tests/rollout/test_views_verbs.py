"""The buttons of the rollout page: who, with which proof, and what is kept when it is refused."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals.models import Decision
from monitoring.models import AuditEntry
from rollout.models import Rollout, Run, Target
from tests import factories
from tests.base import PASSWORD
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


def url(verb: str, rollout: Rollout) -> str:
    return reverse(f"rollout_{verb}", args=[rollout.pk])


def decision(rollout: Rollout, **changed: str) -> dict[str, str]:
    values = {"kind": "APPROVE", "duty": "approver", "digest": rollout.digest, "reason": "looked at it"}
    return {**values, **changed}


def test_an_approval_binds_the_digest_and_tells_whether_the_difference_was_opened(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    ann = browser(cast["ann"])
    ann.get(url("difference", waiting))
    answer = ann.post(url("decide", waiting), decision(waiting))
    made = Decision.objects.get()
    assert answer.url == waiting.get_absolute_url()
    assert (made.digest, made.duty, made.diff_opened, made.user) == (waiting.digest, "approver", True, cast["ann"])


def test_a_page_cannot_claim_that_the_difference_was_opened(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    browser(cast["abe"]).get(url("difference", waiting))
    browser(cast["ann"]).post(url("decide", waiting), decision(waiting, diff_opened="1"))
    assert Decision.objects.get().diff_opened is False


def test_a_stale_proof_takes_the_password_in_the_same_form(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    client = browser(cast["ann"], stale=True)
    assert 'name="password"' in client.get(waiting.get_absolute_url()).content.decode()
    client.post(url("decide", waiting), decision(waiting, password=PASSWORD))
    assert Decision.objects.count() == 1


def test_a_proof_that_ends_in_a_moment_is_asked_for_again_before_it_is_too_late(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    client = browser(cast["ann"])
    views_world.stop_clock(monkeypatch, factories.later(290))
    assert 'name="password"' in client.get(waiting.get_absolute_url()).content.decode()


@pytest.mark.parametrize("password", ["", "wrong"])
def test_a_wrong_password_decides_nothing_and_keeps_what_was_typed(target: Target, cast: Cast, password: str) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["ann"], stale=True).post(url("decide", waiting), decision(waiting, password=password))
    assert answer.status_code == 422
    assert Decision.objects.count() == 0
    assert "looked at it" in answer.content.decode()


def test_another_digest_than_the_frozen_one_is_refused_with_409(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["ann"]).post(url("decide", waiting), decision(waiting, digest="0" * 64))
    assert answer.status_code == 409 and Decision.objects.count() == 0


@pytest.mark.parametrize("reason", ["", "\u2060\u200b\u200b\u200b\u200b\u200b"])
def test_a_rejection_needs_a_reason(target: Target, cast: Cast, reason: str) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["ann"]).post(url("decide", waiting), decision(waiting, kind="REJECT", reason=reason))
    assert answer.status_code == 422 and "A rejection needs a reason" in answer.content.decode()


def test_a_rejection_ends_the_rollout(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    browser(cast["ann"]).post(url("decide", waiting), decision(waiting, kind="REJECT", reason="the migration locks"))
    assert factories.fresh(waiting).state == "REJECTED"


def test_an_approval_can_be_taken_back(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.decide(waiting, cast["ann"], "approver")
    browser(cast["ann"]).post(url("decide", waiting), decision(waiting, kind="REVOKE", duty=""))
    assert list(Decision.objects.values_list("kind", flat=True)) == ["APPROVE", "REVOKE"]


def test_the_requester_cannot_approve_his_own_by_a_forged_form(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["rita"]).post(url("decide", waiting), decision(waiting))
    assert answer.status_code == 403 and Decision.objects.count() == 0


def test_a_start_without_signatures_is_a_409_that_names_what_is_missing(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.decide(waiting, cast["ann"], "approver")
    answer = browser(cast["olaf"]).post(url("start", waiting))
    assert answer.status_code == 409
    assert "Sign-offs are missing: ops, deploy-operator." in answer.content.decode()


def test_a_start_queues_the_deploy_run(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    browser(cast["olaf"]).post(url("start", approved), {"digest": approved.digest})
    assert factories.fresh(approved).state == "QUEUED"
    assert Run.objects.get(rollout=approved).started_by == cast["olaf"]


@pytest.mark.parametrize("seen", [{}, {"digest": ""}, {"digest": "e" * 64}])
def test_a_start_that_does_not_name_the_digest_that_stands_is_refused(
    target: Target, cast: Cast, seen: dict[str, str]
) -> None:
    approved = factories.make_approved(target, cast)
    answer = browser(cast["olaf"]).post(url("start", approved), seen)
    assert answer.status_code == 409 and "What you saw is not what is to be signed any more" in answer.content.decode()
    assert factories.fresh(approved).state == "APPROVED"


def test_a_start_with_a_stale_proof_asks_for_the_password(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    client = browser(cast["olaf"], stale=True)
    assert client.post(url("start", approved), {"digest": approved.digest}).status_code == 422
    assert factories.fresh(approved).state == "APPROVED"
    client.post(url("start", approved), {"password": PASSWORD, "digest": approved.digest})
    assert factories.fresh(approved).state == "QUEUED"


def test_an_abort_takes_reason_and_password_in_one_form(target: Target, cast: Cast) -> None:
    run = views_world.started(factories.make_approved(target, cast), cast["olaf"])
    values = {"why": "the wrong release", "password": PASSWORD}
    browser(cast["tom"], stale=True).post(url("abort", run.rollout), values)
    run.refresh_from_db()
    assert (run.abort_requested, run.abort_by, run.abort_why) == (True, "tom", "the wrong release")


def test_a_wrong_password_at_3_am_keeps_the_reason_and_shows_the_form_again(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    values = {"why": "hashes are slow", "password": "wrong"}
    answer = browser(cast["olaf"], stale=True).post(url("rollback", approved), values)
    html = answer.content.decode()
    assert answer.status_code == 422 and "This is not your password" in html
    assert "hashes are slow" in html and factories.fresh(approved).state == "WATCHING"


def test_one_person_with_a_reason_rolls_back(target: Target, cast: Cast, tmp_path: Path) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    browser(cast["tom"]).post(url("rollback", approved), {"why": "hashes are slow"})
    run = approved.runs.get(kind="rollback")
    assert factories.fresh(approved).state == "ROLLING_BACK" and run.reason == "hashes are slow"


@pytest.mark.parametrize("verb", ["rollback", "abort", "accept"])
def test_an_approver_is_told_which_roles_could(target: Target, cast: Cast, verb: str) -> None:
    approved = factories.make_approved(target, cast)
    answer = browser(cast["ann"]).post(url(verb, approved), {"why": "hashes are slow"})
    assert answer.status_code == 403 and "deploy-operator" in answer.content.decode()


def test_accepting_what_needs_no_decision_is_refused(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    assert browser(cast["tom"]).post(url("accept", approved), {"why": "it is fine"}).status_code == 409


def test_a_waiting_rollout_can_be_given_up(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    browser(cast["rita"]).post(url("cancel", waiting), {"why": "not needed any more"})
    assert factories.fresh(waiting).state == "CANCELLED"


def test_a_verb_is_never_a_get(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    assert browser(cast["olaf"]).get(url("rollback", waiting)).status_code == 405


def test_tuning_out_of_bounds_is_refused_with_the_bound(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    answer = browser(cast["rita"]).post(url("tune", draft), {"accepted": "on", "p95.limit": "9000"})
    assert answer.status_code == 409 and "a number from 100 to 3000" in answer.content.decode()


def test_the_defaults_are_no_tuning(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    browser(cast["rita"]).post(url("tune", draft), {"accepted": "on", "p95.limit": "2000.0"})
    assert factories.fresh(draft).tuning == {} and factories.fresh(draft).monitoring_accepted


def test_tuning_a_waiting_rollout_voids_its_signatures(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    browser(cast["rita"]).post(url("tune", waiting), {"accepted": "on", "p95.limit": "1500"})
    assert factories.fresh(waiting).state == "DRAFT" and factories.fresh(waiting).tuning == {"p95.limit": "1500"}


def test_a_rollback_is_reviewed_by_another_person_once(target: Target, cast: Cast, tmp_path: Path) -> None:
    approved = factories.make_approved(target, cast)
    run = views_world.rolled_back(approved, cast["olaf"], tmp_path)
    note = {"why": "it was right: p95 had doubled"}
    assert browser(cast["olaf"]).post(url("review", approved), note).status_code == 409
    browser(cast["tom"]).post(url("review", approved), note)
    run.refresh_from_db()
    assert run.reviewed_by == "Tom" and AuditEntry.objects.filter(action="run.reviewed").get().actor_name == "tom"
    assert browser(cast["mia"]).post(url("review", approved), note).status_code == 409
