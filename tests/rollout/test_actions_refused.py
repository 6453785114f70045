"""Each single refusal of the verbs that stop and undo; found by removing them one by one (bench/guards.py)."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from rollout import actions, attempted, locking
from rollout.models import Backup, Rollout, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh

pytestmark = pytest.mark.django_db
WHY = "because it must be"


def who(user: User) -> dict[str, Any]:
    return {"user": user, "by": actor(user), "now": NOW}


@pytest.fixture
def done(target: Target, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> Rollout:
    """Return a rollout that succeeded, and changed something."""
    monkeypatch.setattr(attempted, "may_have_changed", lambda rollout: True)
    monkeypatch.setattr(attempted, "is_shown_or_told", lambda rollout: True)
    return factories.put_in(factories.make_draft(target, cast["rita"]), R.SUCCEEDED, started_at=NOW)


@pytest.mark.parametrize("verb", [actions.abort, actions.roll_back, actions.accept, actions.cancel])
def test_a_verb_needs_a_reason(done: Rollout, cast: dict[str, User], verb: Any) -> None:
    with pytest.raises(actions.Refused, match="Give a reason"):
        verb(done, why=" no ", **who(cast["olaf"]))


@pytest.mark.parametrize("verb", [locking.lock, locking.unlock])
def test_a_lock_needs_a_reason(target: Target, cast: dict[str, User], verb: Any) -> None:
    with pytest.raises(actions.Refused, match="Give a reason"):
        verb(target, why=" no ", **who(cast["olaf"]))


def test_a_rollback_is_not_aborted(done: Rollout, cast: dict[str, User]) -> None:
    Run.objects.create(rollout=done, target=done.target, kind="rollback", state="RUNNING", created_at=NOW)
    with pytest.raises(actions.Refused, match="There is no run to abort"):
        actions.abort(done, why=WHY, **who(cast["olaf"]))


def test_an_abort_is_asked_for_once(target: Target, cast: dict[str, User]) -> None:
    run = actions.start(factories.make_approved(target, cast), **who(cast["olaf"]))
    actions.abort(fresh(run.rollout), why=WHY, **who(cast["olaf"]))
    with pytest.raises(actions.Refused, match="asked for already"):
        actions.abort(fresh(run.rollout), why=WHY, **who(cast["tom"]))
    run.refresh_from_db()
    assert (run.abort_by, run.abort_requested) == ("olaf", True)


def test_without_a_backup_nothing_is_rolled_back(done: Rollout, cast: dict[str, User]) -> None:
    with pytest.raises(actions.Refused, match="no verified backup"):
        actions.roll_back(done, why=WHY, **who(cast["olaf"]))


def backup_of(rollout: Rollout, **changed: Any) -> Backup:
    known = {"sha256": "c" * 64, "size": 10, "release_version": "1.0.0", "created_at": NOW, "path": "/nowhere/x.zip"}
    run = Run.objects.create(rollout=rollout, target=rollout.target, kind="deploy", state="SUCCEEDED", created_at=NOW)
    return Backup.objects.create(target=rollout.target, run=run, **{**known, **changed})


def test_a_backup_that_was_removed_is_not_gone_back_to(done: Rollout, cast: dict[str, User]) -> None:
    gone = backup_of(done, removed_at=NOW, removed_why="removed by retention")
    with pytest.raises(actions.Refused, match="was removed by retention; name another one"):
        actions.roll_back(done, why=WHY, backup=gone, **who(cast["olaf"]))


def test_below_a_newer_change_nothing_is_rolled_back(done: Rollout, cast: dict[str, User]) -> None:
    newer = factories.make_draft(done.target, cast["rita"], "1.2.0")
    factories.put_in(factories.begun(newer), R.FAILED, started_at=factories.later(60))
    with pytest.raises(actions.Refused, match=rf"Rollout {newer.pk} \(1.2.0\) changed .* roll that one back first"):
        actions.roll_back(done, why=WHY, backup=backup_of(done), **who(cast["olaf"]))


def test_what_is_not_watched_is_not_accepted(done: Rollout, cast: dict[str, User]) -> None:
    Run.objects.create(rollout=done, target=done.target, kind="deploy", state="RUNNING", created_at=NOW)
    waits = factories.put_in(done, R.WATCHING, needs_decision="it saw too little")
    with pytest.raises(actions.Refused, match="does not wait for a decision"):
        actions.accept(waits, why=WHY, **who(cast["olaf"]))


def test_an_abort_is_of_its_own_run_only(target: Target, cast: dict[str, User]) -> None:
    staging = target.component.targets.get(environment__name="staging")
    release = factories.make_release(target.component, cast["rita"])
    runs = []
    for place in (target, staging):
        draft = factories.make_draft(place, cast["rita"], release=release)
        runs.append(actions.submit(draft, **who(cast["rita"])))
    actions.abort(fresh(runs[0].rollout), why=WHY, **who(cast["olaf"]))
    assert list(Run.objects.order_by("pk").values_list("abort_requested", flat=True)) == [True, False]


def test_a_run_that_ended_while_it_was_looked_at_is_not_aborted(
    target: Target, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, turn = actions.start(factories.make_approved(target, cast), **who(cast["olaf"])), actions.audit.turn

    def end_first() -> Any:
        Run.objects.filter(pk=run.pk).update(state="SUCCEEDED")
        return turn()

    monkeypatch.setattr(actions.audit, "turn", end_first)
    with pytest.raises(actions.Refused, match="or the run has just ended"):
        actions.abort(fresh(run.rollout), why=WHY, **who(cast["olaf"]))
