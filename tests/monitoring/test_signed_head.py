"""The newest checkpoint as a page shows it: good, forged, or none."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.models import QuerySet

from monitoring import checks, guards, signed_head
from monitoring.models import AuditEntry, Checkpoint

from .effects import later
from .signed import house, notary, write

pytestmark = pytest.mark.django_db


@pytest.fixture
def signed(settings: LazySettings, tmp_path: Path) -> Checkpoint:
    """Return a checkpoint over three entries."""
    house(settings, tmp_path)
    write(3)
    notary().look(later(0))
    return Checkpoint.objects.get()


def test_without_a_checkpoint_there_is_nothing_to_show() -> None:
    write()
    assert signed_head.look() is None


def test_a_checkpoint_holds_when_its_key_signed_its_entry(signed: Checkpoint) -> None:
    seen = signed_head.look()
    assert seen is not None
    assert (seen.seq, seen.key, seen.holds) == (signed.seq, signed.key, True)


@pytest.mark.parametrize(
    "changed", [{"signature": "0" * 128}, {"body": "{}"}, {"body": "no JSON"}, {"key": "f" * 64}, {"signature": "x"}]
)
def test_a_checkpoint_that_was_edited_does_not_hold(signed: Checkpoint, changed: dict[str, str]) -> None:
    guards.remove(connection, checks.checkpoint_guard())
    QuerySet.update(Checkpoint.objects.all(), **changed)
    seen = signed_head.look()
    assert seen is not None and not seen.holds


def test_a_checkpoint_over_another_entry_does_not_hold(signed: Checkpoint) -> None:
    guards.remove(connection, checks.audit_guard())
    AuditEntry.objects.filter(seq=signed.seq).update(hash="f" * 64)
    seen = signed_head.look()
    assert seen is not None and not seen.holds
