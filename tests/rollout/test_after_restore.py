"""A restored database tells of the past: what stands in it makes nothing happen on a target by itself."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from monitoring import anchors, audit, checkpoints, signing
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import actions, after_restore, engine, own_restore
from rollout.models import Configuration, Rollout, Run, Target
from rollout.own_archive import Archive
from rollout.own_backup import AUDIT_KEY
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive
from tests.monitoring.signed import house, write
from tests.rollout.test_own_archive import make

pytestmark = pytest.mark.django_db
LATER = NOW + timedelta(days=1)


def settle() -> str:
    facts = {"taken_at": NOW.isoformat(), "host": "elsewhere"}
    archive = Archive(path=Path("own.zip"), sha256="a" * 64, facts=facts, members={})
    return "\n".join(after_restore.settle(archive, by=SYSTEM, now=LATER))


@pytest.fixture
def watched(target: Target, cast: dict[str, User], fake: FakeRunner) -> Run:
    """Return a deploy that was watched when the backup was taken."""
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    return drive(run, fake)


def test_a_breach_in_a_restored_watch_asks_a_person(watched: Run) -> None:
    settle()
    factories.decide_watches("BREACHED", "p95 above 2000 ms")
    engine.advance(watched.pk)
    rollout = fresh(watched.rollout)
    assert (rollout.state, rollout.needs_decision) == (R.WATCHING, "p95 above 2000 ms")


def test_an_abort_that_was_asked_for_before_the_backup_is_not_done_after_it(
    watched: Run, cast: dict[str, User]
) -> None:
    olaf = cast["olaf"]
    actions.abort(fresh(watched.rollout), user=olaf, why="It looks wrong.", by=actor(olaf), now=NOW)
    said = settle()
    engine.advance(watched.pk)
    assert fresh(watched.rollout).state == R.WATCHING
    assert "olaf had asked to abort it: abort it again" in said
    assert AuditEntry.objects.filter(action="run.abort_withdrawn", subject_id=str(watched.pk)).exists()
    actions.abort(fresh(watched.rollout), user=olaf, why="It still does.", by=actor(olaf), now=NOW)
    engine.advance(watched.pk)
    assert fresh(watched.rollout).state == R.ROLLING_BACK


def test_a_restored_watch_ends_well_as_any_other(watched: Run) -> None:
    settle()
    factories.decide_watches("PASSED", "all well")
    engine.advance(watched.pk)
    assert Rollout.objects.get().state == R.SUCCEEDED


def test_an_approval_that_was_given_before_the_backup_counts_no_more(target: Target, cast: dict[str, User]) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    factories.decide(rollout, cast["ann"], "approver")
    said = settle()
    rollout = fresh(rollout)
    assert (rollout.state, rollout.sign_off and rollout.sign_off.state) == (R.DRAFT, "SUPERSEDED")
    assert "was waiting for sign-offs; it is a draft again" in said


def test_what_the_anchor_file_knows_beyond_the_backup_is_given_up_in_words(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(3)
    here = audit.head()[0]
    monkeypatch.setattr(anchors, "last", lambda: anchors.Point(here + 7, "ab" * 32))
    settle()
    told = json.loads(AuditEntry.objects.get(action="installation.restored").body)["data"]
    assert (told["back_to"], told["given_up"], told["given_up_hash"]) == (here, here + 7, "ab" * 32)


@pytest.fixture
def own_key(settings, tmp_path: Path) -> Archive:
    """Return an archive with a key of checkpoints."""
    house(settings, tmp_path)
    return make(tmp_path, names=("database/db.sqlite3", f"keys/{AUDIT_KEY}"))


def test_the_key_of_the_checkpoints_comes_back_where_there_is_none(own_key: Archive) -> None:
    assert own_restore._key(own_key, f"keys/{AUDIT_KEY}") == []
    assert stat.S_IMODE(checkpoints.key_file().stat().st_mode) == 0o400


def test_another_key_that_is_here_is_not_overwritten(own_key: Archive) -> None:
    signing.make(checkpoints.key_file())
    before = checkpoints.key_file().read_bytes()
    (said,) = own_restore._key(own_key, f"keys/{AUDIT_KEY}")
    assert "another key" in said and checkpoints.key_file().read_bytes() == before


def test_whoever_restores_without_keys_is_told_that_nothing_is_signed(db: None, settings, tmp_path: Path) -> None:
    house(settings, tmp_path)
    write(1)
    checkpoints.Notary(()).look(NOW)
    assert own_restore._lost_key() == []
    checkpoints.key_file().unlink()
    assert "manage.py audit key_lost" in own_restore._lost_key()[0]


def test_a_configuration_that_cannot_be_read_stops_no_restore(target: Target) -> None:
    Configuration.objects.update(text="[component")
    assert "is live, on the target is not known" in settle()
