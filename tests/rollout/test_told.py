"""What commands come from is what the audit told: a configuration or a backup that somebody wrote starts nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from approvals.models import SignOff
from monitoring import canonical
from monitoring.models import AuditEntry
from rollout import actions, backups, borne, component, engine, freezing, loading, second_admin, told
from rollout.models import Backup, Configuration, Rollout, Run, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, TOML, actor, asker, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
WEIGHTY = TOML.replace('"show"', '"refuse"')
HARMLESS = TOML.replace("title =", "# another line\ntitle =", 1)


def put(target: Target, text: str, folder: str = "", **changed: str) -> None:
    """Write another configuration in force into the database, with a digest that fits."""
    live = target.component.live
    digest = component.sha256_of(text, live.gates_text)
    forger.edit(live, text=text, sha256=digest, base_dir=folder or live.base_dir, **changed)


def problems(target: Target) -> str:
    return "; ".join(told.configuration_problems(target.component))


@pytest.fixture
def loaded(target: Target, tmp_path: Path, cast: Cast) -> Callable[[str], Configuration]:
    """Return a function that loads another text as ada does."""
    place = Path(target.component.live.base_dir)

    def load(text: str) -> Configuration:
        factories.write_component(place, text=text)
        return loading.load(place / "component.toml", by=actor(cast["ada"], "shell"), now=NOW).configuration

    return load


def test_the_first_configuration_is_as_told(target: Target) -> None:
    assert problems(target) == ""


def test_a_harmless_change_is_as_told(target: Target, loaded: Callable[[str], Configuration]) -> None:
    loaded(HARMLESS)
    assert target.component.live.text == HARMLESS and problems(target) == ""


def test_one_that_waits_changes_nothing(target: Target, loaded: Callable[[str], Configuration]) -> None:
    assert loaded(WEIGHTY).state == "PENDING" and problems(target) == ""


def test_one_that_a_second_admin_confirmed_is_as_told(
    target: Target, loaded: Callable[[str], Configuration], cast: Cast
) -> None:
    factories.confirm(loaded(WEIGHTY), asker=asker(cast["ari"]))
    assert target.component.live.text == WEIGHTY and problems(target) == ""


@pytest.mark.parametrize("confirmed", [0, 1])
def test_the_same_text_from_two_directories_is_the_one_that_was_confirmed(
    target: Target, loaded: Callable[[str], Configuration], cast: Cast, tmp_path: Path, confirmed: int
) -> None:
    here = loaded(WEIGHTY)
    elsewhere = factories.write_component(tmp_path / "elsewhere", text=WEIGHTY)
    there = loading.load(elsewhere, by=actor(cast["ada"], "shell"), now=NOW).configuration
    factories.confirm((here, there)[confirmed], asker=asker(cast["ari"]))
    assert problems(target) == ""
    put(target, WEIGHTY, folder=(there, here)[confirmed].base_dir)
    assert "stands elsewhere" in problems(target)


def test_one_that_was_refused_and_came_again_is_as_told(
    target: Target, loaded: Callable[[str], Configuration], cast: Cast
) -> None:
    second_admin.refuse(loaded(WEIGHTY), why="not now", asker=asker(cast["ari"]))
    factories.confirm(loaded(WEIGHTY), asker=asker(cast["ari"]))
    assert problems(target) == ""


def test_one_that_waits_and_was_put_in_force_in_the_database_is_not(
    target: Target, loaded: Callable[[str], Configuration]
) -> None:
    waiting, live = loaded(WEIGHTY), target.component.live
    forger.edit(live, state="PAST")
    forger.edit(waiting, state="LIVE")
    assert "is not the one that came into force by #" in problems(target)


def test_one_that_is_past_does_not_come_back(target: Target, loaded: Callable[[str], Configuration]) -> None:
    first = target.component.live
    forger.edit(loaded(HARMLESS), state="PAST")
    forger.edit(first, state="LIVE")
    assert "is not the one that came into force by #" in problems(target)


def test_a_text_that_was_edited_alone_is_not(target: Target) -> None:
    forger.edit(target.component.live, text=HARMLESS)
    assert "is not the one that came into force by #" in problems(target)


def test_the_same_text_elsewhere_is_not(target: Target) -> None:
    put(target, TOML, folder="/elsewhere")
    assert "stands elsewhere than #" in problems(target)


def test_a_configuration_without_an_entry_is_not(target: Target) -> None:
    forger.remove(AuditEntry.objects.get(action=told.LOADED))
    assert "no entry of the audit tells" in problems(target)


def test_an_entry_that_was_edited_is_told(target: Target) -> None:
    forger.edit(AuditEntry.objects.get(action=told.LOADED), body="{}")
    assert "the sha256 of the body is not the hash" in problems(target)


def test_what_was_edited_is_mended_by_loading_the_file_again(
    target: Target, loaded: Callable[[str], Configuration]
) -> None:
    forger.edit(target.component.live, text=HARMLESS)
    loaded(TOML)
    assert problems(target) == ""


def test_a_validate_run_by_a_configuration_that_nobody_loaded_runs_nothing(
    target: Target, cast: Cast, fake: FakeRunner
) -> None:
    rollout = factories.make_draft(target, cast["rita"])
    put(target, HARMLESS)
    engine.advance(actions.submit(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW).pk)
    assert fake.started == [] and "is not the one that came into force" in fresh(rollout).state_why


@pytest.fixture
def succeeded(target: Target, cast: Cast, fake: FakeRunner) -> Rollout:
    """Return a rollout whose deploy is watched, with a backup that the audit tells of."""
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="watch")
    return fresh(run.rollout)


@pytest.fixture
def backup(target: Target) -> Backup:
    return factories.make_backup(target)


def roll_back(rollout: Rollout, backup: Backup, cast: Cast, fake: FakeRunner) -> Run:
    """Click a rollback, let its run begin, and return it."""
    before = len(fake.started)
    run = actions.roll_back(
        rollout, user=cast["tom"], why="wrong", by=actor(cast["tom"]), now=NOW, backup=Backup.objects.get(pk=backup.pk)
    )
    engine.advance(run.pk)
    assert (len(fake.started) > before) is (Run.objects.get(pk=run.pk).state == "RUNNING")
    return Run.objects.get(pk=run.pk)


def test_a_rollback_by_a_person_goes_by_what_the_audit_told(
    succeeded: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    assert roll_back(succeeded, backup, cast, fake).state == "RUNNING"


def test_a_rollback_by_a_configuration_that_nobody_loaded_runs_nothing(
    succeeded: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    put(succeeded.target, HARMLESS)
    with pytest.raises(Refused, match="Load the file again first"):
        roll_back(succeeded, backup, cast, fake)
    assert fresh(succeeded).state == "WATCHING"


def test_a_rollback_whose_configuration_is_edited_under_way_runs_nothing_more(
    succeeded: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    run = drive(roll_back(succeeded, backup, cast, fake), fake, stop_at="stop")
    put(succeeded.target, HARMLESS)
    fake.succeed()
    begun = len(fake.started)
    engine.advance(run.pk)
    assert (len(fake.started), Run.objects.get(pk=run.pk).state) == (begun, "FAILED")


def test_a_backup_of_another_target_is_not_restored(backup: Backup, target: Target) -> None:
    assert list(told.backup_problems(backup, target=target)) == []
    other = Target.objects.exclude(pk=target.pk).get()
    assert "no entry of the audit tells of the backup" in "".join(told.backup_problems(backup, target=other))


def test_a_rollback_to_a_backup_that_nobody_took_runs_nothing(
    succeeded: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    forger.edit(backup, sha256="c" * 64)
    assert roll_back(succeeded, backup, cast, fake).state == "FAILED"


def test_a_rollback_by_itself_goes_by_no_manifest_that_was_swapped(
    succeeded: Rollout, cast: Cast, fake: FakeRunner
) -> None:
    document = freezing.signed(succeeded) | {"target": freezing.signed(succeeded)["target"] | {"root": "/elsewhere"}}
    text, digest = canonical.dumps(document), freezing.plan.digest(document)
    forger.edit(succeeded, manifest=text, digest=digest)
    forger.edit(SignOff.objects.get(), manifest=text, digest=digest)
    assert freezing.is_intact(fresh(succeeded))
    Run.objects.update(state="FAILED")
    rollout = fresh(succeeded)
    run = Run.objects.create(rollout=rollout, target=rollout.target, kind="rollback", state="RUNNING", created_at=NOW)
    assert "its digest is not what #" in borne.why_not(factories.told(run))


@pytest.mark.parametrize("when", ["before the breach", "while it stops"])
def test_a_rollback_by_itself_goes_by_the_manifest_that_its_deploy_began_with(
    succeeded: Rollout, target: Target, cast: Cast, fake: FakeRunner, when: str
) -> None:
    rejected = factories.make_waiting(Target.objects.get(environment__name="staging"), cast["rita"], "1.0.9")
    factories.decide(rejected, cast["ann"], "approver", kind="REJECT")
    other = {name: getattr(fresh(rejected), name) for name in ("manifest", "digest", "sign_off_id")}
    deploy = drive(succeeded.runs.get(kind="deploy"), fake)
    run = None if when == "before the breach" else drive(breach(deploy), fake, stop_at="stop")
    forger.edit(fresh(succeeded), **other)
    begun = len(fake.started)
    if run is None:
        run = breach(deploy)
    else:
        fake.succeed()
    drive(run, fake)
    assert (len(fake.started), fresh(succeeded).state) == (begun, "NOT_RESTORED")


def breach(deploy: Run) -> Run:
    """Let a gate of the watch break, and return the rollback that begins."""
    factories.decide_watches("BREACHED")
    engine.advance(deploy.pk)
    return Run.objects.get(kind="rollback")


@pytest.fixture
def retired(succeeded: Rollout, loaded: Callable[[str], Configuration], cast: Cast, fake: FakeRunner) -> Rollout:
    """Return a rollout whose target left the configuration, as a second admin confirmed."""
    factories.decide_watches("PASSED")
    drive(succeeded.runs.get(kind="deploy"), fake)
    production, staging = TOML.index("[environments.production]"), TOML.index("[environments.staging]")
    factories.confirm(loaded(TOML[:production] + TOML[staging:]), asker=asker(cast["ari"]))
    assert fresh(succeeded).target.retired
    return fresh(succeeded)


def test_a_target_that_left_the_configuration_is_rolled_back_by_what_was_in_force(
    retired: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    assert roll_back(retired, backup, cast, fake).state == "RUNNING"


def test_a_target_that_left_the_configuration_is_reached_by_no_text_that_was_edited(
    retired: Rollout, backup: Backup, cast: Cast, fake: FakeRunner
) -> None:
    past = Configuration.objects.get(state="PAST")
    forger.edit(past, text=past.text.replace("./env/production", "/elsewhere"))
    with pytest.raises(Refused, match="which declares the target, came into force"):
        roll_back(retired, backup, cast, fake)


def test_a_past_configuration_that_nobody_loaded_declares_nothing(target: Target, cast: Cast) -> None:
    live = target.component.live
    made = {
        "component": target.component,
        "text": live.text.replace("[environments.production]", "[environments.live]"),
        "state": "PAST",
    }
    digest = component.sha256_of(made["text"], live.gates_text)
    told_so = {"sha256": digest, "gates_text": live.gates_text, "base_dir": live.base_dir, "loaded_at": NOW}
    Configuration.objects.create(**made, **told_so)
    forger.edit(target.environment, name="live")
    assert "which declares the target, came into force" in "".join(told.target_problems(fresh_target(target)))


def fresh_target(target: Target) -> Target:
    return Target.objects.get(pk=target.pk)


def test_no_backup_is_taken_by_a_configuration_that_nobody_loaded(target: Target, cast: Cast, fake: FakeRunner) -> None:
    put(target, HARMLESS)
    with pytest.raises(Refused, match="load the file again"):
        backups.take(target, by=actor(cast["ada"]), now=NOW, say=print)
    assert fake.started == []


@pytest.mark.parametrize("edit", [{"action": "x"}, {"subject_id": "0"}, {"subject_kind": "x"}])
def test_an_entry_that_one_edited_column_hides_is_missed(
    target: Target, loaded: Callable[[str], Configuration], cast: Cast, edit: dict[str, str]
) -> None:
    first = target.component.live
    factories.confirm(made := loaded(WEIGHTY), asker=asker(cast["ari"]))
    forger.edit(AuditEntry.objects.get(action=told.CONFIRMED), **edit)
    forger.edit(made, state="PAST")
    forger.edit(first, state="LIVE")
    assert f"{next(iter(edit))} shows" in problems(target)


def text_of(waiting: Configuration) -> dict[str, str]:
    """Return what puts the configuration that waits in the place of another one, with a digest that fits."""
    text = WEIGHTY.replace('smoke = ["true"]', 'smoke = ["/bin/sh", "-c", "id"]')
    return {"text": text, "sha256": component.sha256_of(text, waiting.gates_text)}


@pytest.mark.parametrize(
    "edit",
    [
        text_of,
        lambda waiting: {"text": text_of(waiting)["text"]},
        lambda waiting: {"difference": "nothing of note"},
        lambda waiting: {"loaded_by": "ari"},
        lambda waiting: {"base_dir": str(Path(waiting.base_dir).parent)},
    ],
)
def test_what_waits_is_confirmed_only_as_it_was_loaded(
    loaded: Callable[[str], Configuration], cast: Cast, edit: Callable[[Configuration], dict[str, str]]
) -> None:
    cast["ari"].groups.add(*cast["ada"].groups.all())
    waiting = loaded(WEIGHTY)
    forger.edit(waiting, **edit(waiting))
    second = cast["ada"] if waiting.loaded_by == "ari" else cast["ari"]
    with pytest.raises(Refused):
        factories.confirm(waiting, asker=asker(second))
    assert not Configuration.objects.filter(state="LIVE", text=waiting.text).exists()


def test_a_confirmation_of_what_nobody_loaded_puts_nothing_in_force(
    target: Target, loaded: Callable[[str], Configuration], cast: Cast
) -> None:
    factories.confirm(loaded(WEIGHTY), asker=asker(cast["ari"]))
    for entry in AuditEntry.objects.filter(action="configuration.loaded"):
        forger.remove(entry)
    assert "was loaded" in problems(target)
