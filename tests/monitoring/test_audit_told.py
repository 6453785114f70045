"""What is told of the chain while others append, and of entries beside those that somebody edited."""

import pytest

from monitoring import audit, audit_told
from monitoring.models import AuditEntry, AuditHead
from monitoring.verify import GENESIS
from tests.approvals import forger
from tests.monitoring.signed import write

pytestmark = pytest.mark.django_db


def test_what_is_appended_while_the_chain_is_read_is_no_break(monkeypatch: pytest.MonkeyPatch) -> None:
    write(3)
    heads = iter([(2, audit.head()[1])])  # as it is seen by who read the entries a moment later than the head
    real = audit.head
    monkeypatch.setattr(audit, "head", lambda: next(heads, None) or real())
    assert audit_told.broken_since(0, GENESIS) == []


def test_what_stands_beyond_the_head_is_a_break() -> None:
    write(3)
    seq = audit.head()[0]
    forger.edit(AuditHead.objects.get(), seq=seq - 1)
    assert audit_told.broken_since(0, GENESIS) == [f"the head of the audit is #{seq - 1}, but its last entry is #{seq}"]


def test_what_the_others_tell_is_sound_beside_one_that_was_edited() -> None:
    write(3)
    entries = list(AuditEntry.objects.order_by("seq"))
    forger.edit(entries[2], why="x")
    kind, ids = entries[0].subject_kind, {one.subject_id for one in entries}
    assert [one["seq"] for one in audit_told.sound_about(kind, ids)] == [1, 2]


def test_an_entry_that_the_chain_does_not_go_on_from_is_not_sound() -> None:
    write(3)
    entries = list(AuditEntry.objects.order_by("seq"))
    forger.edit(entries[1], prev="0" * 64)
    kind, ids = entries[0].subject_kind, {one.subject_id for one in entries}
    assert [one["seq"] for one in audit_told.sound_about(kind, ids)] == [3]


def test_people_are_told_once_what_to_do_about_breaks() -> None:
    write(3)
    for one in AuditEntry.objects.all():
        forger.edit(one, why="x")
    for found in (audit_told.broken_from(1), audit_told.told(AuditEntry.objects.all())[1]):
        assert [one.count("`manage.py audit verify`") for one in found] == [1, 0, 0]
        assert "`manage.py audit accept`" in found[0]
    assert "manage.py" not in "".join(audit_told.broken_since(0, GENESIS))


def test_where_nothing_is_broken_there_is_nothing_to_do() -> None:
    write(3)
    assert (audit_told.broken_from(1), audit_told.told(AuditEntry.objects.all())[1]) == ([], [])
