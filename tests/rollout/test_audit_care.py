"""What an admin may do for the audit: accept a database that was set back, rotate the key, replace a lost one."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction

from approvals.ledger import Refused
from monitoring import anchors, audit, audit_verify, chain_watch, checkpoints, guards, signing
from monitoring.models import AuditEntry, AuditHead, Checkpoint
from rollout import audit_care
from tests.approvals import forger
from tests.factories import NOW, actor, later
from tests.monitoring.signed import house, write

pytestmark = pytest.mark.django_db
WHY = "an old copy was put back by the hosting team"


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path: Path) -> None:
    house(settings, tmp_path)


@pytest.fixture
def signed(cast: dict[str, User]) -> dict[str, User]:
    """Let three entries be signed; return the cast."""
    write(3)
    checkpoints.Notary(()).look(NOW)
    return cast


def do(verb: str, user: User, why: str = WHY) -> str:
    return str(getattr(audit_care, verb)(user=user, why=why, by=actor(user), now=later(1)))


def cut() -> None:
    for model in (AuditEntry, Checkpoint):
        guards.remove(connection, guards.Guard(model=model))
        model.objects.filter(seq__gt=1).delete()
    AuditHead.objects.update(seq=1, hash=AuditEntry.objects.get().hash)


@pytest.mark.parametrize("verb", ["accept", "rotate_key", "key_lost"])
def test_it_is_for_admins(signed: dict[str, User], verb: str) -> None:
    with pytest.raises(PermissionDenied):
        do(verb, signed["otto"])


def test_a_person_is_erased_where_seven_years_are_over_and_not_before(cast: dict[str, User]) -> None:
    rita = cast["rita"]
    for years in (1, 8):
        with transaction.atomic():
            at = NOW - timedelta(days=366 * years)
            audit.append(action="x", by=actor(rita), subject=anchors.ABOUT, now=at)
    said = audit_care.erase_person(user=cast["ada"], of="rita", why=WHY, by=actor(cast["ada"]), now=NOW)
    named = AuditEntry.objects.filter(action="x").order_by("at").values_list("actor_name", flat=True)
    assert said.startswith("1 entries") and list(named) == ["", "rita"] and audit_verify.verify_database().ok


def test_only_an_account_or_its_number_can_be_erased(cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="no account 'nobody'"):
        audit_care.erase_person(user=cast["ada"], of="nobody", why=WHY, by=actor(cast["ada"]), now=NOW)


@pytest.mark.parametrize("verb", ["accept", "rotate_key", "key_lost"])
def test_it_needs_a_reason(signed: dict[str, User], verb: str) -> None:
    with pytest.raises(Refused, match="Give a reason"):
        do(verb, signed["ada"], why=" no ")


def test_a_database_that_agrees_needs_no_acceptance(signed: dict[str, User]) -> None:
    with pytest.raises(Refused, match="nothing to accept"):
        do("accept", signed["ada"])


def test_an_accepted_database_deploys_again(signed: dict[str, User]) -> None:
    cut()
    assert anchors.refusal()
    do("accept", signed["ada"])
    assert anchors.refusal() == "" and AuditEntry.objects.get(action="audit.set_back_accepted").why == WHY


@pytest.fixture
def broken(signed: dict[str, User]) -> dict[str, User]:
    """Take an entry out behind what the anchor file knows, so that pulse signs no more; return the cast."""
    write(3)
    forger.remove(AuditEntry.objects.get(seq=5))
    checkpoints.Notary(()).look(later(100))
    assert Checkpoint.objects.count() == 1
    return signed


def test_a_broken_chain_that_is_accepted_is_signed_again(broken: dict[str, User]) -> None:
    do("accept", broken["ada"])
    checkpoints.Notary(()).look(later(200))
    assert Checkpoint.objects.count() == 2 and anchors.last() == anchors.Point(*audit.head())


def test_what_was_broken_stands_in_the_entry_that_accepts_it_and_is_found_ever_after(broken: dict[str, User]) -> None:
    do("accept", broken["ada"])
    entry = json.loads(AuditEntry.objects.get(action="audit.break_accepted").body)
    assert "#5" in entry["data"]["broken"][0] and entry["why"] == WHY
    assert any("#5" in problem for problem in audit_verify.verify_database().problems)


def test_a_break_is_accepted_once(broken: dict[str, User]) -> None:
    do("accept", broken["ada"])
    with pytest.raises(Refused, match="nothing to accept"):
        do("accept", broken["ada"])


def test_a_new_key_waits_for_pulse(signed: dict[str, User]) -> None:
    do("rotate_key", signed["ada"])
    assert AuditEntry.objects.filter(action="audit.key_rotation_asked").exists()
    checkpoints.Notary(()).look(later(2))
    assert checkpoints.in_force() == signing.load(checkpoints.key_file()).key  # type: ignore[union-attr]
    assert Checkpoint.objects.count() == 2 and audit_verify.verify_database().ok


def test_two_keys_do_not_wait_at_once(signed: dict[str, User]) -> None:
    do("rotate_key", signed["ada"])
    with pytest.raises(Refused, match="waits already"):
        do("rotate_key", signed["ada"])


def test_a_key_that_is_there_is_not_lost(signed: dict[str, User]) -> None:
    with pytest.raises(Refused, match="There is a key"):
        do("key_lost", signed["ada"])


def test_after_a_lost_key_the_new_one_signs_and_the_chain_holds_here(signed: dict[str, User]) -> None:
    checkpoints.key_file().unlink()
    do("key_lost", signed["ada"])
    checkpoints.Notary(()).look(later(100))
    assert Checkpoint.objects.count() == 2 and audit_verify.verify_database().ok


def test_without_the_word_of_the_anchor_file_it_does_not(signed: dict[str, User]) -> None:
    checkpoints.key_file().unlink()
    do("key_lost", signed["ada"])
    checkpoints.Notary(()).look(later(100))
    anchors.path().unlink()
    result = audit_verify.verify_database()
    assert "did not announce it" in result.problems[0]


def test_a_break_that_was_accepted_keeps_nobody_from_being_ready_and_a_new_one_does(broken: dict[str, User]) -> None:
    do("accept", broken["ada"])
    assert chain_watch.ChainWatch().look(later(2)).ok
    write(2)
    forger.edit(AuditEntry.objects.order_by("-seq")[1], why="x")
    assert not chain_watch.ChainWatch().look(later(3)).ok
