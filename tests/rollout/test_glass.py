"""Break-glass: who may start without the complete sign-off, what must hold all the same, what is left behind."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, connection, transaction

from approvals.append_only import AppendOnlyError
from approvals.ledger import Refused
from approvals.models import SignOff
from monitoring import guards
from monitoring.models import AuditEntry, Incident, Notice
from rollout import actions, engine, glass_record, guarded, locking
from rollout.models import Artifact, BreakGlass, Freeze, Rollout, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, break_glass, fresh, later
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    """Return a rollout that one of three has approved."""
    rollout = factories.make_waiting(target, cast["rita"])
    factories.decide(rollout, cast["ann"], "approver")
    return fresh(rollout)


@pytest.mark.parametrize("name", ["olaf", "abe"])
def test_an_operator_or_ops_breaks_the_glass(waiting: Rollout, cast: Cast, name: str) -> None:
    glass = break_glass(waiting, cast[name])
    assert (fresh(waiting).state, glass.run.kind, glass.run.state) == (R.QUEUED, "deploy", "QUEUED")


def test_another_role_does_not(waiting: Rollout, cast: Cast) -> None:
    for name in ("rita", "ann", "mia", "tom", "aud", "ada", "otto"):
        with pytest.raises(PermissionDenied):
            break_glass(waiting, cast[name])
    assert not BreakGlass.objects.exists()


def test_a_token_or_the_system_does_not(waiting: Rollout, cast: Cast) -> None:
    doors: tuple[Any, ...] = ("api", "system")
    for via in doors:
        with pytest.raises(Refused, match="token can never"):
            break_glass(waiting, cast["olaf"], by=actor(cast["olaf"], via))


def test_nobody_breaks_it_in_the_name_of_another(waiting: Rollout, cast: Cast) -> None:
    with pytest.raises(Refused, match="another person's name"):
        break_glass(waiting, cast["olaf"], by=actor(cast["abe"]))


def test_the_password_was_entered_a_moment_ago(waiting: Rollout, cast: Cast) -> None:
    for proved in (None, NOW - timedelta(minutes=6), NOW + timedelta(minutes=2)):
        with pytest.raises(Refused, match="password again"):
            break_glass(waiting, cast["olaf"], authenticated_at=proved)


def test_two_reasons_are_written(waiting: Rollout, cast: Cast) -> None:
    for changed, said in (
        ({"why_now": "soon"}, "both reasons"),
        ({"why_safe": "   "}, "both reasons"),
        ({"why_safe": "Uploads FAIL for every customer since 11:40 "}, "two reasons"),
    ):
        with pytest.raises(Refused, match=said):
            break_glass(waiting, cast["olaf"], **changed)


def test_it_binds_the_digest_that_was_seen(waiting: Rollout, cast: Cast) -> None:
    with pytest.raises(Refused, match="not what is to be signed any more"):
        break_glass(waiting, cast["olaf"], digest_seen="0" * 64)
    assert fresh(waiting).state == R.WAITING


def test_only_what_waits_for_its_sign_off_is_started_so(waiting: Rollout, cast: Cast) -> None:
    for state in set(R) - {R.WAITING, R.APPROVED}:
        factories.put_in(waiting, state)
        with pytest.raises(Refused, match="Only what was validated"):
            break_glass(waiting, cast["olaf"])


def test_a_rejection_is_not_passed_over(waiting: Rollout, cast: Cast) -> None:
    factories.decide(waiting, cast["abe"], "", "REJECT")
    with pytest.raises(Refused, match="Only what was validated"):
        break_glass(waiting, cast["olaf"])


def test_an_expired_sign_off_is_not_passed_over(waiting: Rollout, cast: Cast) -> None:
    with pytest.raises(Refused, match="has expired"):
        break_glass(waiting, cast["olaf"], now=NOW + timedelta(days=1))


def test_a_clock_that_was_set_back_passes_nothing_over(waiting: Rollout, cast: Cast) -> None:
    with pytest.raises(Refused, match="expired or rejected"):
        break_glass(waiting, cast["olaf"], now=NOW - timedelta(minutes=2), authenticated_at=NOW - timedelta(minutes=2))


def test_a_manifest_that_no_longer_holds_is_not_passed_over(waiting: Rollout, cast: Cast) -> None:
    Artifact.objects.update(sha256="d" * 64)
    with pytest.raises(Refused, match="evidence"):
        break_glass(waiting, cast["olaf"])
    assert fresh(waiting).state == R.DRAFT


def test_a_lock_is_not_passed_over(waiting: Rollout, cast: Cast) -> None:
    locking.lock(waiting.target, user=cast["tom"], why="disk is being changed", by=actor(cast["tom"]), now=NOW)
    with pytest.raises(Refused, match="locked by tom"):
        break_glass(waiting, cast["olaf"])


@pytest.mark.parametrize("state", [R.UNKNOWN, R.NOT_RESTORED])
def test_an_outcome_that_nobody_knows_is_not_passed_over(waiting: Rollout, cast: Cast, state: str) -> None:
    older = factories.make_draft(waiting.target, cast["rita"], "1.0.9")
    factories.put_in(older, state)
    factories.put_in(waiting, R.WAITING, superseded_by=None)
    SignOff.objects.filter(pk=waiting.sign_off_id).update(state="OPEN")
    with pytest.raises(Refused, match="decide that first"):
        break_glass(waiting, cast["olaf"])


def frozen(target: Target, cast: Cast) -> None:
    span = {"starts_at": later(-60), "ends_at": later(6000)}
    Freeze.objects.create(component=target.component, environment=None, reason="Black Friday", by=cast["ada"], **span)


def test_a_freeze_is_passed_over_and_named(target: Target, cast: Cast, fake: FakeRunner) -> None:
    approved = factories.make_approved(target, cast)
    frozen(target, cast)
    glass = break_glass(approved, cast["olaf"])
    assert glass.missing == [] and "Black Friday" in glass.passed[0]
    engine.advance(glass.run_id)
    assert fresh(approved).state == R.RUNNING


def test_what_lacks_nothing_is_started_in_the_normal_way(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    with pytest.raises(Refused, match="in the normal way"):
        break_glass(approved, cast["olaf"])
    assert (fresh(approved).state, SignOff.objects.get().state) == (R.APPROVED, "COMPLETE")


def test_who_may_start_nothing_by_the_policy_breaks_no_glass(waiting: Rollout, cast: Cast) -> None:
    policy = {**waiting.sign_off.policy, "starter_groups": ["ops"]}
    SignOff._base_manager.filter(pk=waiting.sign_off_id).update(policy=policy)
    with pytest.raises(Refused, match="starting needs one of the roles ops"):
        break_glass(waiting, cast["olaf"])


def test_the_record_tells_who_had_approved_and_what_was_missing(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    assert [(one["name"], one["duty"]) for one in glass.approved] == [("Ann", "approver")]
    assert glass.missing == ["ops", "deploy-operator"]
    assert (glass.digest, glass.due_at) == (waiting.digest, NOW + timedelta(hours=24))
    assert glass.decision.meaning.startswith("I start dhash 1.1.0 to production with digest")


def test_the_record_tells_what_part_the_person_had_in_the_release(waiting: Rollout, cast: Cast) -> None:
    cast["rita"].groups.add(Group.objects.get(name="ops"))
    assert break_glass(waiting, cast["rita"]).duties == ["requester", "uploader"]


def test_the_sign_off_is_closed_as_bypassed(waiting: Rollout, cast: Cast) -> None:
    break_glass(waiting, cast["olaf"])
    assert fresh(waiting).sign_off.state == "BYPASSED"
    with pytest.raises(Refused, match="Nothing can be decided"):
        factories.decide(waiting, cast["abe"], "approver")


def test_an_incident_is_opened(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    incident = Incident.objects.get()
    assert (incident.severity, incident.pk) == ("P1", glass.incident_id)
    assert "uploads fail" in incident.summary and "an hour" in incident.summary


def test_every_channel_is_told_at_the_highest_loudness(waiting: Rollout, cast: Cast, settings: Any) -> None:
    settings.GR_SLACK_WEBHOOK_URL = "https://slack.example.com/x"
    live = waiting.target.component.live
    routes = '\n[[notifications.routes]]\nchannel = "slack"\nevents = ["incident_closed"]\n'
    type(live).objects.filter(pk=live.pk).update(text=live.text + routes)
    Rollout.objects.filter(pk=waiting.pk).update(manifest=waiting.manifest)
    told = break_glass(waiting, cast["olaf"])
    rows = Notice.objects.filter(event="glass_broken")
    assert {(one.channel, one.severity) for one in rows} == {("slack", "critical")}
    assert told.digest in rows[0].body


def test_the_audit_holds_both_reasons_and_what_was_missing(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    entry = AuditEntry.objects.get(action="rollout.glass_broken")
    for word in (glass.digest, glass.why_now, glass.why_safe, "deploy-operator", '"name":"Ann"'):
        assert word in entry.body


def test_the_run_is_backed_up_and_watched_as_any_other(waiting: Rollout, cast: Cast, fake: FakeRunner) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    drive(run, fake)
    assert fresh(waiting).state == R.WATCHING
    assert {"preflight", "backup", "watch"} <= set(run.steps.values_list("kind", flat=True))


def test_a_break_glass_that_was_not_used_in_time_begins_nothing(
    waiting: Rollout, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    monkeypatch.setattr(engine.timezone, "now", lambda: NOW + timedelta(days=1))
    engine.advance(run.pk)
    assert (fresh(waiting).state, Run.objects.get(pk=run.pk).state) == (R.DRAFT, "CANCELLED")
    assert "not used in time" in fresh(waiting).state_why


def test_evidence_that_is_replaced_after_the_click_begins_nothing(
    waiting: Rollout, cast: Cast, fake: FakeRunner
) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    Artifact.objects.update(sha256="d" * 64)
    engine.advance(run.pk)
    assert "changed since it was signed" in fresh(waiting).state_why


def test_a_starter_who_lost_the_role_after_the_click_begins_nothing(
    waiting: Rollout, cast: Cast, fake: FakeRunner
) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    cast["olaf"].groups.clear()
    engine.advance(run.pk)
    assert fresh(waiting).state == R.DRAFT


def test_a_lock_after_the_click_lets_it_wait(waiting: Rollout, cast: Cast, fake: FakeRunner) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    locking.lock(waiting.target, user=cast["tom"], why="disk is being changed", by=actor(cast["tom"]), now=NOW)
    engine.advance(run.pk)
    assert fresh(waiting).state == R.QUEUED


def test_a_sign_off_that_somebody_made_live_again_begins_nothing(
    waiting: Rollout, cast: Cast, fake: FakeRunner
) -> None:
    run = break_glass(waiting, cast["olaf"]).run
    SignOff.objects.filter(pk=waiting.sign_off_id).update(state="OPEN")
    engine.advance(run.pk)
    assert fresh(waiting).state == R.DRAFT


def test_an_act_that_was_edited_in_the_database_begins_nothing(waiting: Rollout, cast: Cast, fake: FakeRunner) -> None:
    glass = break_glass(waiting, cast["olaf"])
    forger.edit(glass.decision, reason="all is well")
    engine.advance(glass.run_id)
    assert fresh(waiting).state == R.DRAFT and "The database was edited" in fresh(waiting).state_why


@pytest.mark.parametrize(("column", "value"), [("why_safe", "somebody looked at it"), ("missing", "[]")])
def test_a_record_that_was_edited_in_the_database_begins_nothing(
    waiting: Rollout, cast: Cast, fake: FakeRunner, column: str, value: str
) -> None:
    glass = break_glass(waiting, cast["olaf"])
    forger.edit(glass, **{column: value})
    engine.advance(glass.run_id)
    assert fresh(waiting).state == R.DRAFT
    assert "the audit does not tell of this break-glass" in fresh(waiting).state_why


def test_of_two_at_once_one_loses(waiting: Rollout, cast: Cast) -> None:
    break_glass(waiting, cast["olaf"])
    with pytest.raises(Refused):
        break_glass(waiting, cast["abe"])
    assert (BreakGlass.objects.count(), Run.objects.filter(kind="deploy").count()) == (1, 1)


def test_a_start_at_the_same_moment_wins_or_loses_whole(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    frozen(target, cast)
    break_glass(approved, cast["abe"])
    Freeze.objects.all().delete()
    with pytest.raises((Refused, actions.ConflictError)):
        actions.start(approved, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    assert Run.objects.filter(kind="deploy").count() == 1


def test_the_record_is_not_edited(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    for column in ("why_now", "digest", "printed_name", "missing"):
        with pytest.raises(AppendOnlyError):
            BreakGlass.objects.filter(pk=glass.pk).update(**{column: "x"})
        with pytest.raises(Exception, match="append-only"), transaction.atomic():
            BreakGlass._base_manager.filter(pk=glass.pk).update(**{column: "x"})


def test_the_database_keeps_what_was_recorded(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        BreakGlass._base_manager.filter(pk=glass.pk)._raw_delete("default")


def test_the_database_asks_for_two_reasons(waiting: Rollout, cast: Cast) -> None:
    glass = break_glass(waiting, cast["olaf"])
    staging = waiting.target.component.targets.get(environment__name="staging")
    other = factories.freeze(factories.make_draft(staging, cast["rita"], release=waiting.release))
    run = factories.fresh(waiting).runs.get()
    run.pk, run.rollout = None, other
    run.save(force_insert=True)
    factories.decide(other, cast["ann"], "approver")
    glass.decision = other.sign_off.decisions.get()
    glass.pk, glass.run, glass.sign_off, glass.why_safe = None, run, other.sign_off, ""
    glass._state.adding = True
    with pytest.raises(IntegrityError, match="glass_has_two_reasons"), transaction.atomic():
        glass.save()


def test_its_document_can_be_told_from_a_normal_start(waiting: Rollout, cast: Cast) -> None:
    assert glass_record.documents(waiting) == []
    glass = break_glass(waiting, cast["olaf"])
    (document,) = glass_record.documents(waiting)
    assert (document["name"], document["digest"], document["reviews"]) == ("Olaf", glass.digest, [])


def test_a_guard_that_is_missing_is_reported() -> None:
    guards.remove(connection, guarded.all_guards()[0])
    assert {one.id for one in guarded.guards_stand(None, ["default"])} == {"rollout.E008"}
    guarded.install_guards(using="default")
    assert guarded.guards_stand(None, ["default"]) == []
