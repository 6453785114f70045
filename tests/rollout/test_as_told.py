"""A row that says something else than the audit leaves no run without an end, and lets none that was over go on."""

from pathlib import Path

import pytest

from approvals.ledger import Refused
from monitoring import audit
from monitoring.models import AuditEntry, Incident
from rollout import actions, commands, endings, engine, loading, states, transitions
from rollout.models import Configuration, Rollout, Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, TOML, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.rollout.test_edited_rows import Cast, started, state
from tests.rollout.test_opened import asked_for, breached
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db


def submitted(rollout: Rollout, cast: Cast) -> Run:
    return actions.submit(fresh(rollout), user=cast["rita"], by=actor(cast["rita"]), now=NOW)


def under_way(kind: str, target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return a run of a kind with a step at work."""
    if kind == "validate":
        return drive(submitted(factories.make_draft(target, cast["rita"]), cast), fake, stop_at="backup")
    if kind == "early deploy":
        return drive(started(target, cast), fake, stop_at="preflight")
    deploy = drive(started(target, cast), fake, stop_at="check" if kind == "late deploy" else "")
    return deploy if kind == "late deploy" else drive(asked_for(deploy, cast), fake, stop_at="restore")


ENDS = {
    "validate": ("FAILED", "DRAFT"),
    "early deploy": ("FAILED", "FAILED"),
    "late deploy": ("UNKNOWN", "UNKNOWN"),
    "rollback": ("FAILED", "NOT_RESTORED"),
}


@pytest.mark.parametrize("to", ["DRAFT", "SUCCEEDED", "UNKNOWN"])
@pytest.mark.parametrize("kind", ENDS)
def test_a_run_whose_rollout_was_written_to_stand_elsewhere_ends(
    target: Target, cast: Cast, fake: FakeRunner, kind: str, to: str
) -> None:
    run = under_way(kind, target, cast, fake)
    forger.edit(fresh(run.rollout), state=to)
    fake.succeed()
    engine.advance(run.pk)
    assert state(run) == ENDS[kind]


@pytest.mark.parametrize("kind", ["deploy", "rollback"])
def test_a_failed_step_ends_a_run_whose_rollout_was_written_to_stand_elsewhere(
    target: Target, cast: Cast, fake: FakeRunner, kind: str
) -> None:
    run = under_way("late deploy" if kind == "deploy" else kind, target, cast, fake)
    forger.edit(fresh(run.rollout), state="DRAFT")
    fake.fail()
    engine.advance(run.pk)
    assert state(run) == ("FAILED", "ROLLING_BACK" if kind == "deploy" else "NOT_RESTORED")


def test_a_deploy_that_was_written_as_another_kind_is_parked(target: Target, cast: Cast, fake: FakeRunner) -> None:
    run = under_way("late deploy", target, cast, fake)
    forger.edit(run, kind="validate")
    fake.succeed()
    engine.advance(run.pk)
    assert state(run) == ("UNKNOWN", "UNKNOWN")


def test_a_deploy_under_way_that_was_written_as_queued_is_parked(target: Target, cast: Cast, fake: FakeRunner) -> None:
    run = under_way("late deploy", target, cast, fake)
    forger.edit(run, state="QUEUED")
    engine.advance(run.pk)
    assert state(run) == ("UNKNOWN", "UNKNOWN")


def test_a_validate_run_that_failed_is_not_woken(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollout = factories.make_draft(target, cast["rita"])
    failed = drive(submitted(rollout, cast), fake, fail_at="rehearse")
    submitted(rollout, cast)
    forger.edit(failed, state="QUEUED")
    engine.advance(failed.pk)
    assert state(failed) == ("FAILED", "VALIDATING")
    assert Incident.objects.get(severity="P0").title == f"Run {failed.pk} does not go on: it is failed"


def test_a_rollback_that_failed_is_not_woken(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollback = drive(asked_for(drive(started(target, cast), fake), cast), fake, fail_at="start")
    stood = state(rollback)
    forger.edit(rollback, state="QUEUED")
    begun = len(fake.started)
    engine.advance(rollback.pk)
    assert (state(rollback), len(fake.started)) == (stood, begun)


def test_a_deploy_that_was_over_is_rolled_back_by_no_step_that_a_row_says_is_at_work(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    factories.decide_watches("PASSED")
    drive(deploy, fake)
    forger.edit(deploy, state="RUNNING")
    forger.edit(deploy.steps.get(kind="watch"), state="RUNNING")
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    assert state(deploy) == ("SUCCEEDED", "SUCCEEDED") and not Run.objects.filter(kind="rollback").exists()


def test_an_abort_of_a_deploy_that_was_written_as_another_kind_parks_it(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    run, olaf = under_way("late deploy", target, cast, fake), cast["olaf"]
    actions.abort(fresh(run.rollout), user=olaf, why="It looks wrong.", by=actor(olaf), now=NOW)
    forger.edit(Run.objects.get(pk=run.pk), kind="validate")
    engine.advance(run.pk)
    assert state(run) == ("UNKNOWN", "UNKNOWN")


def test_nothing_comes_after_a_step_that_failed(target: Target, cast: Cast, fake: FakeRunner) -> None:
    failed = drive(submitted(factories.make_draft(target, cast["rita"]), cast), fake, fail_at="rehearse")
    forger.edit(failed, state="RUNNING")
    forger.edit(fresh(failed.rollout), state="VALIDATING")
    engine.advance(failed.pk)
    assert state(failed) == ("FAILED", "DRAFT")


def test_a_deploy_that_was_written_to_be_of_another_rollout_is_parked_with_its_own(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    run = under_way("late deploy", target, cast, fake)
    own, other = fresh(run.rollout), factories.make_draft(target, cast["rita"], "1.2.0")
    forger.edit(run, rollout_id=other.pk)
    fake.succeed()
    engine.advance(run.pk)
    assert (fresh(own).state, state(run), fresh(other).state) == ("UNKNOWN", ("UNKNOWN", "UNKNOWN"), "DRAFT")


@pytest.mark.parametrize(
    ("kind", "ends"), [("validate", "DRAFT"), ("early deploy", "UNKNOWN"), ("late deploy", "UNKNOWN")]
)
def test_a_run_whose_opening_was_taken_out_ends(
    target: Target, cast: Cast, fake: FakeRunner, kind: str, ends: str
) -> None:
    run = under_way(kind, target, cast, fake)
    forger.edit(AuditEntry.objects.get(action=f"run.{run.kind}.opened", subject_id=str(run.pk)), action="x")
    fake.succeed()
    engine.advance(run.pk)
    assert state(run)[1] == ends


@pytest.mark.parametrize("kind", ["early deploy", "queued"])
def test_a_queued_run_that_nobody_opened_ends_alone(target: Target, cast: Cast, fake: FakeRunner, kind: str) -> None:
    own = under_way(kind, target, cast, fake) if kind != "queued" else queued(target, cast)
    made = Run.objects.create(
        rollout=own.rollout, target=target, kind="deploy", state="QUEUED", host_id=own.host_id, created_at=NOW
    )
    stood = state(own)
    with audit.turn():  # else it waits for the target, and nothing is asked
        subject = transitions.subject_of(made)
        audit.append(action="run.abort_requested", by=audit.SYSTEM, subject=subject, now=NOW)
    engine.advance(made.pk)
    assert (Run.objects.get(pk=made.pk).state, state(own)) == ("CANCELLED", stood)


def queued(target: Target, cast: Cast) -> Run:
    return actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def test_a_rollback_whose_deploy_was_moved_away_goes_by_no_manifest(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(fresh(deploy.rollout), backup_id=None)
    rollback = breached(deploy, cast)
    other = factories.make_draft(Target.objects.get(environment__name="staging"), cast["rita"], "1.2.0")
    forger.edit(deploy, rollout_id=other.pk)
    forger.edit(AuditEntry.objects.get(action="run.deploy.opened"), subject_id="0")
    begun = len(fake.started)
    drive(rollback, fake)
    assert (len(fake.started), state(rollback)[1]) == (begun, "NOT_RESTORED")


def test_a_rollback_works_with_no_backup_that_a_row_says_it_took(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(fresh(deploy.rollout), backup_id=None)
    rollback = breached(deploy, cast)
    forger.edit(rollback, restores_id=None)
    rollback = Run.objects.get(pk=rollback.pk)
    factories.make_backup(target, "/other.zip", run=rollback)
    assert commands.backup_of(rollback) is None


def test_a_person_who_rolls_back_without_a_configuration_ends_nothing(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Configuration.objects.get(), text="no TOML")
    with pytest.raises(Refused, match="Load the file again first"):
        asked_for(deploy, cast)
    assert state(deploy) == ("RUNNING", "WATCHING")


@pytest.mark.parametrize("edit", [{"text": "no TOML"}, {"state": "PAST"}])
def test_a_breach_rolls_back_where_the_configuration_cannot_be_read(
    target: Target, cast: Cast, fake: FakeRunner, edit: dict[str, str]
) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Configuration.objects.get(), **edit)
    rollback = drive(breached(deploy, cast), fake)
    assert state(rollback) == ("SUCCEEDED", "ROLLED_BACK")


def test_the_page_with_the_red_button_needs_no_configuration(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Configuration.objects.get(), text="no TOML")
    page = browser(cast["olaf"]).get(fresh(deploy.rollout).get_absolute_url()).content.decode()
    assert "The configuration in force cannot be read" in page and 'popovertarget="sheet-rollback"' in page


def test_the_page_of_a_step_that_nobody_saw_end_needs_no_configuration(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    run = drive(started(target, cast), fake, stop_at="switch")
    endings.unknown(run, run.steps.get(kind="switch"), why="its runner was lost", now=NOW)
    forger.edit(Configuration.objects.get(), text="no TOML")
    page = browser(cast["olaf"]).get(fresh(run.rollout).get_absolute_url()).content.decode()
    assert "nobody saw how it ended" in page and 'popovertarget="sheet-settle"' in page


def test_a_page_that_needs_the_configuration_says_how_to_get_it_back(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    forger.edit(Configuration.objects.get(), text="no TOML")
    client = browser(cast["rita"])
    client.raise_request_exception = False
    page = client.get(draft.get_absolute_url())
    assert page.status_code == 500 and "manage.py load_component FILE" in page.content.decode()


def test_a_component_without_a_configuration_has_a_page_on_which_the_next_one_is_confirmed(
    target: Target, cast: Cast
) -> None:
    live = target.component.live
    forger.edit(live, state="PAST")
    factories.write_component(Path(live.base_dir), text=TOML.replace('"show"', '"refuse"'))
    loading.load(Path(live.base_dir) / "component.toml", by=actor(cast["ada"], "shell"), now=NOW)
    page = browser(cast["ari"]).get(f"/components/{live.component.name}/").content.decode()
    assert "Put in force" in page and "load its component.toml again" in page


def test_a_run_that_the_anchor_file_stops_before_a_step_asks_nothing_about_that_step(
    target: Target, cast: Cast, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = under_way("late deploy", target, cast, fake)
    fake.succeed()
    monkeypatch.setattr("monitoring.anchors.refusal", lambda: "The audit ends at #3, but the file knows #9.")
    engine.advance(run.pk)
    page = browser(cast["olaf"]).get(fresh(run.rollout).get_absolute_url()).content.decode()
    assert not run.steps.filter(state=states.StepState.UNKNOWN).exists()
    assert "nobody saw how it ended" not in page and "or its anchor file, tells" in page
