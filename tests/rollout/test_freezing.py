"""What is signed is frozen, and any change of what it rests on voids it by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from approvals.models import Person
from monitoring import canonical
from rollout import actions, drafting, evidence, freezing, loading
from rollout.models import Release, Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, decide, fresh, later
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(target: Target, cast: dict[str, User]) -> Rollout:
    """Return a rollout whose manifest is frozen."""
    return factories.make_waiting(target, cast["rita"])


def replace_archive(rollout: Rollout, cast: dict, folder: Path) -> None:
    factories.bring_archive(rollout.release, cast["rita"], b"other bytes")


def tune(rollout: Rollout, cast: dict, folder: Path) -> None:
    rita = cast["rita"]
    changes = {"p95.limit": "1500"}
    drafting.tune(fresh(rollout), changes=changes, accepted=True, user=rita, by=actor(rita), now=NOW)


def change_runbook(rollout: Rollout, cast: dict, folder: Path) -> None:
    path = factories.write_component(folder)
    (folder / "runbooks" / "rollback.md").write_text("# Roll back\n\nAnother way.\n")
    factories.load(path)


def change_port(rollout: Rollout, cast: dict, folder: Path) -> None:
    factories.load(factories.write_component(folder, text=factories.TOML.replace("8103", "8203")))


def retire(rollout: Rollout, cast: dict, folder: Path) -> None:
    factories.load(factories.write_component(folder, text=without_production()))


def without_production() -> str:
    begin, end = factories.TOML.index("[environments.production]"), factories.TOML.index("[environments.staging]")
    return factories.TOML[:begin] + factories.TOML[end:]


def change_commit(rollout: Rollout, cast: dict, folder: Path) -> None:
    Release.objects.filter(pk=rollout.release_id).update(commit="d" * 40)


def deploy_past(rollout: Rollout, cast: dict, folder: Path) -> None:
    Target.objects.filter(pk=rollout.target_id).update(live_version="1.0.9")


def add_link(rollout: Rollout, cast: dict, folder: Path) -> None:
    url = "https://github.com/example-org/dhash/actions/runs/2"
    rita = cast["rita"]
    evidence.link(rollout.release, kind="ci_ubuntu", url=url, user=rita, by=actor(rita), now=NOW)


CHANGES: dict[str, tuple[Callable[..., None], str]] = {
    "the archive": (replace_archive, "evidence, release"),
    "the tuning": (tune, "gates, tuning"),
    "a runbook": (change_runbook, "runbooks"),
    "the configuration": (change_port, "configuration, target"),
    "the commit": (change_commit, "release"),
    "what is live": (deploy_past, "plan, previous_version"),
    "a link": (add_link, "links"),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_change_voids_the_sign_off_and_names_the_part(
    waiting: Rollout, cast: dict, tmp_path: Path, change: str
) -> None:
    act, parts = CHANGES[change]
    act(waiting, cast, tmp_path / "dhash")
    freezing.recheck(fresh(waiting), now=NOW)
    rollout = fresh(waiting)
    assert rollout.state == R.DRAFT
    assert rollout.state_why == f"changed after the sign-off was opened: {parts}"


def test_a_target_that_is_no_longer_declared_voids_the_sign_off(waiting: Rollout, cast: dict, tmp_path: Path) -> None:
    loading_pending(tmp_path, cast)
    freezing.recheck(fresh(waiting), now=NOW)
    assert fresh(waiting).state == R.DRAFT


def loading_pending(tmp_path: Path, cast: dict) -> None:
    """Load a configuration without production, and let a second admin confirm it."""
    path = factories.write_component(tmp_path / "dhash", text=without_production())
    made = loading.load(path, by=actor(cast["ada"], "shell"), now=NOW)
    if made.state == "pending":
        factories.confirm(made.configuration, asker=factories.asker(cast["ari"]))


def test_without_a_change_nothing_is_void(waiting: Rollout) -> None:
    assert freezing.recheck(waiting, now=NOW) == ()


def test_a_requester_who_renames_himself_voids_nobodys_signature(waiting: Rollout, cast: dict) -> None:
    decide(waiting, cast["ann"], "approver")
    Person.objects.filter(user=cast["rita"]).update(printed_name="Rita Rossi")
    assert freezing.changed(fresh(waiting)) == () and freezing.recheck(fresh(waiting), now=NOW) == ()


def test_a_manifest_of_an_older_version_holds_its_requester_by_name(waiting: Rollout, cast: dict) -> None:
    document = {**freezing.signed(waiting), "requester": "Rita"}
    waiting.manifest = canonical.dumps(document)
    assert freezing.changed(waiting) == ()
    Person.objects.filter(user=cast["rita"]).update(printed_name="Rita Rossi")
    waiting.requester.refresh_from_db()
    assert freezing.changed(waiting) == ("requester",)


def test_a_change_after_an_approval_is_seen_at_the_next_decision(waiting: Rollout, cast: dict) -> None:
    decide(waiting, cast["ann"], "approver")
    factories.bring_archive(waiting.release, cast["rita"], b"other bytes")
    with pytest.raises(Refused, match="changed after the sign-off was opened: evidence, release"):
        decide(waiting, cast["abe"], "approver")


def test_a_change_after_the_approval_is_seen_at_the_start(target: Target, cast: dict) -> None:
    approved = factories.make_approved(target, cast)
    change_commit(approved, cast, Path())
    with pytest.raises(Refused, match=r"The sign-offs are void: .*release"):
        actions.start(fresh(approved), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    assert fresh(approved).state == R.DRAFT


def test_a_change_between_click_and_start_is_seen(target: Target, cast: dict, fake: FakeRunner) -> None:
    approved = factories.make_approved(target, cast)
    run = actions.start(approved, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    change_commit(approved, cast, Path())
    drive(run, fake)
    assert fresh(approved).state_why == "changed since it was signed: release"


def test_decisions_over_a_void_manifest_do_not_count_for_the_next(waiting: Rollout, cast: dict) -> None:
    decide(waiting, cast["ann"], "approver")
    change_commit(waiting, cast, Path())
    freezing.recheck(fresh(waiting), now=NOW)
    again = factories.freeze(waiting)
    decide(again, cast["abe"], "approver")
    assert fresh(again).state == R.WAITING


def test_a_manifest_without_required_evidence_is_not_frozen(target: Target, cast: dict, tmp_path: Path) -> None:
    text = factories.TOML.replace('["release_archive"]', '["release_archive", "backup"]')
    path = factories.write_component(tmp_path / "dhash", text=text)
    made = loading.load(path, by=actor(cast["ada"], "shell"), now=NOW)
    factories.confirm(made.configuration, asker=factories.asker(cast["ari"]))
    with pytest.raises(Refused, match="Still missing: Backup"):
        factories.make_waiting(target, cast["rita"])


def validating(target: Target, cast: dict, fake: FakeRunner) -> Any:
    rita = cast["rita"]
    run = actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)
    return drive(run, fake, stop_at="rehearse")


def test_a_configuration_that_changed_during_the_validation_is_validated_again(
    target: Target, cast: dict, fake: FakeRunner, tmp_path: Path
) -> None:
    run = validating(target, cast, fake)
    path = factories.write_component(tmp_path / "dhash", text=factories.TOML.replace("8103", "8203"))
    factories.load(path, now=later(5))
    drive(run, fake)
    assert fresh(run.rollout).state_why == "The configuration was changed while this was validated; submit it again."


def test_evidence_is_not_replaced_during_the_validation(target: Target, cast: dict, fake: FakeRunner) -> None:
    run = validating(target, cast, fake)
    with pytest.raises(Refused, match="is on its way"):
        factories.bring_archive(run.rollout.release, cast["rita"], b"other bytes")


def test_a_newer_rollout_takes_the_place_of_one_that_was_being_validated(
    target: Target, cast: dict, fake: FakeRunner
) -> None:
    run = validating(target, cast, fake)
    newer = factories.make_draft(target, cast["rita"], "1.2.0")
    drive(run, fake)
    older = fresh(run.rollout)
    assert (older.state, older.superseded_by, older.sign_off.state) == (R.SUPERSEDED, newer, "SUPERSEDED")


def test_a_quorum_that_nobody_could_form_is_refused_at_submit(target: Target, cast: dict) -> None:
    cast["abe"].groups.clear()
    rita = cast["rita"]
    draft = factories.make_draft(target, rita)
    with pytest.raises(Refused, match="could never be complete: nobody is left who could consent as ops"):
        actions.submit(draft, user=rita, by=actor(rita), now=NOW)
    assert fresh(draft).state == R.DRAFT and not draft.runs.exists()


def test_a_quorum_that_became_impossible_while_it_was_validated_is_not_opened(
    target: Target, cast: dict, fake: FakeRunner
) -> None:
    rita = cast["rita"]
    run = actions.submit(factories.make_draft(target, rita), user=rita, by=actor(rita), now=NOW)
    cast["abe"].groups.clear()
    drive(run, fake)
    assert fresh(run.rollout).state == R.DRAFT
    assert "cannot be opened" in fresh(run.rollout).state_why
