"""A run is what it was opened as: who, where, which release and archive; and undoes what its own deploy did."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings

from monitoring.models import AuditEntry
from rollout import actions, engine
from rollout.intent import Intent
from rollout.models import Effect, Environment, Rollout, Run, Step, Target
from tests import factories
from tests.approvals import forger
from tests.base import make_user
from tests.factories import NOW, TOML, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.rollout.test_edited_rows import Cast, started, state

pytestmark = pytest.mark.django_db
GOLDEN = TOML.replace("[component]", "[component]\nrequires_golden = true").replace(
    'logging = ["true"]', 'logging = ["true"]\ngolden = ["true"]'
)
SHOW = 'unmatched_author = "show"'
ALONE = TOML.replace(SHOW, f"{SHOW}\ndistinct = false\napprovers = 1\nrequired_within = {{}}")


def breached(deploy: Run, cast: Cast) -> Run:
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    return Run.objects.get(kind="rollback")


def asked_for(deploy: Run, cast: Cast) -> Run:
    rollout, olaf = fresh(deploy.rollout), cast["olaf"]
    return actions.roll_back(rollout, user=olaf, why="It looks wrong to me.", by=actor(olaf), now=NOW)


def another_kind(deploy: Run) -> None:
    forger.edit(deploy.steps.get(kind="backup"), kind="backupx")


def no_success(deploy: Run) -> None:
    forger.edit(deploy.steps.get(kind="backup"), state="FAILED")


def another_deploy(deploy: Run) -> None:
    facts = {"target": deploy.target, "kind": "deploy", "state": "SUCCEEDED", "host_id": deploy.host_id}
    made = Run.objects.create(rollout=fresh(deploy.rollout), created_at=NOW, **facts)
    Step.objects.create(run=made, number=1, kind="backup", title="x", state="SUCCEEDED")


@pytest.mark.parametrize("start", [breached, asked_for])
@pytest.mark.parametrize("trick", [another_kind, no_success, another_deploy])
def test_nobody_brings_an_older_backup_in_by_rows_of_the_deploy(
    target: Target, cast: Cast, fake: FakeRunner, start: Callable, trick: Callable
) -> None:
    older = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    own = fresh(deploy.rollout).backup
    forger.edit(fresh(deploy.rollout), backup_id=older.pk)
    trick(deploy)
    rollback = drive(start(deploy, cast), fake)
    assert (rollback.restores, state(rollback)[1]) == (own, "ROLLED_BACK")


@pytest.mark.parametrize("start", [breached, asked_for])
def test_nor_where_the_entry_of_its_own_was_edited(
    target: Target, cast: Cast, fake: FakeRunner, start: Callable
) -> None:
    older = factories.make_backup(target, "/older.zip", sha256="c" * 64)
    deploy = drive(started(target, cast), fake)
    forger.edit(fresh(deploy.rollout), backup_id=older.pk)
    factories.decide_watches("BREACHED")
    forger.edit(AuditEntry.objects.get(action="backup.taken", body__contains=f'"run":{deploy.pk}'), subject_label="x")
    begun = len(fake.started)
    if start is asked_for:
        drive(asked_for(deploy, cast), fake)
    else:
        engine.advance(deploy.pk)
    assert fake.started[begun:] == [] and state(deploy)[1] != "ROLLED_BACK"


@pytest.mark.parametrize("start", [breached, asked_for])
@pytest.mark.parametrize("environment", ["production", "staging"])
def test_only_the_backup_that_the_deploy_took_is_restored_where_nobody_named_one(
    target: Target, cast: Cast, fake: FakeRunner, start: Callable, environment: str
) -> None:
    deploy = drive(started(target, cast), fake)
    later = factories.make_backup(Target.objects.get(environment__name=environment), "/later.zip", sha256="e" * 64)
    own = fresh(deploy.rollout).backup
    forger.edit(fresh(deploy.rollout), backup_id=later.pk)
    rollback = drive(start(deploy, cast), fake)
    assert (rollback.restores, state(rollback)[1]) == (own, "ROLLED_BACK")


def test_a_backup_that_is_said_to_be_of_another_version_is_not_restored(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    backup = fresh(deploy.rollout).backup
    assert backup
    forger.edit(backup, release_version="6.6.6")
    restores_nothing(asked_for(deploy, cast), fake)


def restores_nothing(rollback: Run, fake: FakeRunner) -> None:
    begun = len(fake.started)
    drive(rollback, fake)
    assert (fake.started[begun:], state(rollback)[1]) == ([], "NOT_RESTORED")


def switched_by_row(deploy: Run) -> None:
    """Write that the switch was tried, and of what an older backup would be brought back."""
    older = factories.make_backup(deploy.target, "/older.zip", sha256="c" * 64)
    forger.edit(fresh(deploy.rollout), backup_id=older.pk)
    step = deploy.steps.get(kind="switch")
    forger.edit(step, attempt=1)
    Effect.objects.create(step=step, attempt=1, what="x", intended_at=NOW)


def test_a_failure_undoes_nothing_that_only_rows_say_was_begun(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="preflight")
    switched_by_row(deploy)
    fake.fail("no room")
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")
    assert fresh(deploy.rollout).state_why.startswith("What was begun: ")


def test_an_abort_undoes_nothing_that_only_rows_say_was_begun(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy, olaf = drive(started(target, cast), fake, stop_at="preflight"), cast["olaf"]
    switched_by_row(deploy)
    actions.abort(fresh(deploy.rollout), user=olaf, why="It looks wrong to me.", by=actor(olaf), now=NOW)
    engine.advance(deploy.pk)
    fake.end_cancelled()
    engine.advance(deploy.pk)
    assert state(deploy) == ("UNKNOWN", "UNKNOWN")


@pytest.fixture
def queued(target: Target, cast: Cast) -> Run:
    rollout = factories.make_approved(target, cast)
    return actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def test_an_abort_that_nobody_asked_for_ends_no_queued_run(queued: Run) -> None:
    forger.edit(queued, abort_requested=True, abort_by="ann", abort_why="I, ann, say so")
    engine.advance(queued.pk)
    assert state(queued) == ("RUNNING", "RUNNING")


def test_a_queued_run_whose_rows_tell_of_more_has_nothing_to_undo(queued: Run, cast: Cast) -> None:
    switched_by_row(queued)
    actions.abort(fresh(queued.rollout), user=cast["olaf"], why="Not today, please.", by=actor(cast["olaf"]), now=NOW)
    engine.advance(queued.pk)
    assert state(queued) == ("CANCELLED", "DRAFT")


def test_a_validate_run_proves_the_archive_for_which_it_was_opened(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    rollout = factories.make_draft(target, cast["rita"])
    archive = rollout.release.archive
    assert archive
    run = actions.submit(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    engine.advance(run.pk)
    forger.edit(archive, sha256="d" * 64)
    drive(run, fake)
    assert fake.kinds == ["preflight"]
    assert "the release archive is not the one" in fresh(rollout).state_why


def other_target(rollout: Rollout) -> None:
    forger.edit(rollout, target_id=Target.objects.exclude(pk=rollout.target_id).get().pk)


def other_release(rollout: Rollout) -> None:
    made = factories.make_release(rollout.target.component, rollout.requester, "1.0.1")
    forger.edit(rollout, release_id=made.pk)


def other_version(rollout: Rollout) -> None:
    forger.edit(rollout.release, version="6.6.6")


def other_state(rollout: Rollout) -> None:
    forger.edit(rollout, state="UNKNOWN")


@pytest.mark.parametrize("edit", [other_target, other_release, other_version, other_state])
def test_a_run_goes_no_further_for_a_rollout_that_was_edited(
    target: Target, cast: Cast, fake: FakeRunner, edit: Callable
) -> None:
    deploy = drive(started(target, cast), fake, stop_at="migrate")
    edit(fresh(deploy.rollout))
    fake.succeed()
    begun = len(fake.started)
    engine.advance(deploy.pk)
    assert len(fake.started) == begun and state(deploy)[0] == "UNKNOWN"


def test_nobody_else_is_made_the_one_who_started_a_run(target: Target, cast: Cast, fake: FakeRunner) -> None:
    deploy = drive(started(target, cast), fake, stop_at="stage")
    forger.edit(deploy, started_by_id=cast["ann"].pk)
    fake.succeed()
    engine.advance(deploy.pk)
    assert "somebody else started it" in fresh(deploy.rollout).state_why


@pytest.fixture
def other(target: Target, tmp_path: Path) -> Target:
    text = TOML.replace('name = "dhash"', 'name = "other"').replace("8103", "8203").replace("8102", "8202")
    return factories.load(factories.write_component(tmp_path / "other", text=text)).targets.get(
        environment=target.environment
    )


def swap(target: Target, other: Target) -> None:
    """Give two components each the other's name, and one the target of the other."""
    mine, theirs = target.component, other.component
    for component, name in ((mine, "between"), (theirs, "dhash"), (mine, "other")):
        forger.edit(component, name=name)
    forger.edit(other, environment_id=Environment.objects.create(name="elsewhere").pk)
    forger.edit(target, component_id=theirs.pk)


@pytest.mark.parametrize("kind", ["validate", "rollback"])
def test_a_run_touches_no_other_component_that_took_the_name_of_its_own(
    target: Target, other: Target, cast: Cast, fake: FakeRunner, kind: str
) -> None:
    if kind == "validate":
        run = actions.submit(
            factories.make_draft(target, cast["rita"]), user=cast["rita"], by=actor(cast["rita"]), now=NOW
        )
        engine.advance(run.pk)
    else:
        run = drive(asked_for(drive(started(target, cast), fake), cast), fake, stop_at="verify")
    swap(target, other)
    fake.succeed()
    begun = len(fake.started)
    drive(run, fake)
    assert [Intent.read(folder).target.root for folder in fake.started[begun:]] == []


@pytest.mark.parametrize("text", [GOLDEN, ALONE])
def test_one_person_on_two_seats_deploys(
    text: str, tmp_path: Path, settings: LazySettings, cast: Cast, fake: FakeRunner
) -> None:
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    component = factories.load(factories.write_component(tmp_path / "dhash", text=text))
    rollout = factories.make_waiting(component.targets.get(environment__name="production"), cast["rita"])
    both = make_user("both", "approver", "deploy-operator")
    duties = {GOLDEN: {"mia": "media-eng", "abe": "approver", "olaf": "deploy-operator"}, ALONE: {"both": "approver"}}
    for name, duty in duties[text].items():
        factories.decide(rollout, {**cast, "both": both}[name], duty)
    run = actions.start(fresh(rollout), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    assert state(drive(run, fake))[1] == "WATCHING"


def test_a_run_acts_on_the_host_that_the_configuration_names(target: Target, cast: Cast) -> None:
    rollout = factories.make_approved(target, cast)
    forger.edit(Target.objects.get(pk=target.pk), host_id="other")
    run = actions.start(fresh(rollout), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    assert run.host_id == "local"


@pytest.mark.parametrize("by", ["a person", "the system"])
def test_a_rollback_acts_on_the_host_of_its_deploy(target: Target, cast: Cast, fake: FakeRunner, by: str) -> None:
    deploy = drive(started(target, cast), fake)
    forger.edit(Target.objects.get(pk=target.pk), host_id="other")
    rollback = asked_for(deploy, cast) if by == "a person" else breached(deploy, cast)
    assert rollback.host_id == "local"


def test_what_the_system_undoes_it_undoes_where_its_deploy_was_opened(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    deploy = drive(started(target, cast), fake)
    in_force, place = target.component.live, "[environments.production]"
    forger.edit(in_force, text=in_force.text.replace(place, f'{place}\nruns_on = "b"'))
    assert Target.objects.get(pk=target.pk).declared.runs_on == "b"
    assert breached(deploy, cast).host_id == "local"
