"""What an admin accepts goes away: pulse signs again and /readyz is green; what he did not accept does not."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from approvals.ledger import Refused
from monitoring import anchors, audit, audit_verify, canonical, chain_watch, checkpoints, signing
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
def ada(cast: dict[str, User]) -> User:
    """Let the first three of six entries be signed; return an admin."""
    write(3)
    checkpoints.Notary(()).look(NOW)
    write(3)
    return cast["ada"]


def accept(user: User) -> str:
    return audit_care.accept(user=user, why=WHY, by=actor(user), now=later(1))


def entry(seq: int) -> AuditEntry:
    return AuditEntry.objects.get(seq=seq)


def edit(*seqs: int, **columns: Any) -> None:
    for one in AuditEntry.objects.filter(seq__in=seqs):
        forger.edit(one, **(columns or {"why": "x"}))


def ready() -> chain_watch.Held:
    """Return what a process says that has just started, after as many looks as it takes."""
    watch = chain_watch.ChainWatch(start=lambda work: work())
    watch.look(later(5))
    return watch.look(later(5))


def is_signed_again() -> bool:
    checkpoints.Notary(()).look(later(200))
    return Checkpoint.objects.order_by("-seq").values_list("seq", flat=True)[0] == audit.head()[0]


BREAKS: dict[str, Callable[[], object]] = {
    "the newest entry was taken out": lambda: forger.remove(entry(6)),
    "the head's hash was edited": lambda: forger.edit(AuditHead.objects.get(), hash="a" * 64),
    "the head's number was raised": lambda: forger.edit(AuditHead.objects.get(), seq=9),
    "the head's number was raised very far": lambda: forger.edit(AuditHead.objects.get(), seq=10**9),
    "an entry below the anchor was edited": lambda: edit(2),
    "an entry below the anchor was taken out": lambda: forger.remove(entry(2)),
    "the newest entry was edited, its hash too": lambda: edit(6, hash="a" * 64),
    "the file is gone": lambda: (anchors.path().unlink(), edit(5)),
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_accepted_is_signed_and_ready_again_and_told_for_ever(ada: User, what: str) -> None:
    BREAKS[what]()
    assert not ready().ok or not is_signed_again()
    accept(ada)
    assert ready().problems == () and is_signed_again()
    write(150)
    assert ready().problems == () and is_signed_again() and not audit_verify.verify_database().ok
    with pytest.raises(Refused, match="nothing to accept"):
        accept(ada)


def test_a_break_before_anything_was_signed_is_accepted(cast: dict[str, User]) -> None:
    write(3)
    edit(2)
    checkpoints.Notary(()).look(NOW)
    assert not Checkpoint.objects.exists()
    accept(cast["ada"])
    assert is_signed_again() and ready().ok and anchors.last() == anchors.Point(*audit.head())


def test_a_file_that_is_begun_anew_knows_all_that_was_signed_by_whichever_key(cast: dict[str, User]) -> None:
    write(3)
    checkpoints.Notary(()).look(NOW)
    signing.make(checkpoints.next_file())
    checkpoints.Notary(()).look(NOW)
    write(3)
    anchors.path().unlink()
    edit(6)
    accept(cast["ada"])
    assert is_signed_again() and AuditEntry.objects.filter(action="audit.anchors_begun").exists()
    assert [one[:3] for one in audit_verify.verify_database().problems] == ["#6:"]


def test_more_breaks_than_are_kept_in_words_are_accepted_in_an_entry_that_stays_small(ada: User) -> None:
    write(400)
    edit(*range(6, 110), 300)
    said = accept(ada)
    told = AuditEntry.objects.get(action="audit.break_accepted").body
    data = json.loads(told)["data"]
    assert "105 breaks" in said and "and 100 more" in said
    assert (data["breaks"], len(data["broken"])) == (105, 100) and len(told) < 20_000
    assert ready().problems == () and is_signed_again()


def test_a_break_in_words_that_have_no_end_and_no_utf8_is_told_shortly(ada: User) -> None:
    edit(5, why="x" * 10_000 + "\u202e")
    accept(ada)
    assert len(AuditEntry.objects.get(action="audit.break_accepted").body) < 2000 and ready().ok


def test_a_database_that_was_set_back_and_is_broken_too_is_accepted_at_once(ada: User) -> None:
    edit(5)
    anchors.append(anchors._line("accepted", back_to=6, seq=20, hash="a" * 64, at="x", why="y"))
    assert anchors.refusal()
    said = accept(ada)
    assert "after #6, up to #20, is given up" in said and "a break: #5: why shows" in said
    assert anchors.refusal() == "" and ready().problems == () and is_signed_again()


@pytest.mark.parametrize("seq", [7, 10**9])
def test_an_entry_beyond_the_head_is_to_be_removed_first(ada: User, seq: int) -> None:
    there = entry(6)
    there.pk, there.seq, there.hash = None, seq, "f" * 64
    AuditEntry.objects.bulk_create([there])
    with pytest.raises(Refused, match=rf"beyond the head of the audit, #6, .*: #{seq}\. Remove these rows"):
        accept(ada)
    assert not AuditEntry.objects.filter(action="audit.break_accepted").exists()
    forger.remove(AuditEntry.objects.get(seq=seq))
    assert is_signed_again() and ready().ok


def test_a_head_that_was_set_below_its_entries_is_to_be_put_right(ada: User) -> None:
    forger.edit(AuditHead.objects.get(), seq=4, hash=entry(4).hash)
    with pytest.raises(Refused, match=r"head of the audit, #4, .*: #5, #6. .*put its head row right"):
        accept(ada)


LATER: dict[str, Callable[[], object]] = {
    "another entry": lambda: edit(4),
    "the same entry again": lambda: edit(5, old="y"),
    "an entry after what was accepted": lambda: edit(8),
    "one more is taken out before": lambda: forger.remove(entry(4)),
    "the entry that accepts": lambda: edit(7),
    "what was there before, with its hash": lambda: edit(4, body="{}", hash=hashlib.sha256(b"{}").hexdigest()),
}


@pytest.mark.parametrize("how", LATER)
@pytest.mark.parametrize("broken", [lambda: edit(5), lambda: forger.remove(entry(5))], ids=["edited", "taken out"])
def test_what_is_edited_after_that_is_no_part_of_what_was_accepted(
    ada: User, broken: Callable[[], None], how: str
) -> None:
    broken()
    accept(ada)
    write(2)
    assert ready().ok
    if how == "the same entry again" and not AuditEntry.objects.filter(seq=5).exists():
        edit(6, old="y")
    else:
        LATER[how]()
    assert not ready().ok
    accept(ada)
    assert ready().ok and is_signed_again()


@pytest.mark.parametrize(("more", "ok"), [((), True), ((4,), False), (range(4, 130), False)])
def test_what_an_older_version_accepted_in_words_alone_stays_accepted(ada: User, more: Sequence[int], ok: bool) -> None:
    write(130)
    edit(2, *more)
    with audit.turn():
        data = {"back_to": 6, "broken": ["#2: why shows 'x', the hashed body says 'because'"]}
        audit.append(action=chain_watch.ACCEPTED, by=actor(ada), subject=anchors.ABOUT, data=data, now=NOW)
    assert ready().ok is ok


@pytest.mark.parametrize("at", [4, 6, 9])
def test_who_writes_an_acceptance_over_an_entry_has_accepted_nothing(ada: User, at: int) -> None:
    """He tells all that is wrong up to there, and links it to what comes after; that one then is what does not hold."""
    write(4)
    edit(2)
    over, data = entry(at), {"breaks_sha256": chain_watch.passed().breaks.sha256, "back_to": 2, "broken": []}
    body = {**json.loads(over.body), "action": chain_watch.ACCEPTED, "data": data}
    text = canonical.dumps(body)
    digest = hashlib.sha256(text.encode()).hexdigest()
    forger.edit(over, action=chain_watch.ACCEPTED, body=text, hash=digest)
    forger.edit(entry(at + 1), prev=digest)
    assert not ready().ok and ready().problems[0].startswith(f"#{at + 1}: ")


def test_an_acceptance_that_is_no_text_is_looked_at_all_the_same(ada: User) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps no such text")
    edit(2)
    edit(6, action=chain_watch.ACCEPTED)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_auditentry SET body = CAST(x'ff' AS TEXT) WHERE seq = 6")
    assert not ready().ok


def test_what_was_accepted_and_then_put_right_is_no_break(ada: User) -> None:
    edit(5)
    accept(ada)
    edit(5, why="because")
    assert ready().ok and audit_verify.verify_database().ok
