"""What the tests of checkpoints, anchors and tampering share: a house with a key, a notary, and entries."""

from pathlib import Path

from django.db import transaction

from monitoring import anchors, audit, checkpoints
from monitoring.models import AuditEntry, Checkpoint

from .effects import RITA, ROLLOUT, later

PROMPT = ("decided.",)


def house(settings: object, folder: Path) -> None:
    """Let key and anchor file stand in a folder of the test."""
    settings.GR_AUDIT_KEY_FILE = folder / "keys" / "audit.pem"  # type: ignore[attr-defined]
    settings.GR_ANCHOR_FILE = folder / "anchors.jsonl"  # type: ignore[attr-defined]


def write(number: int = 1, action: str = "test.done", at: float = 0) -> AuditEntry:
    """Append entries and return the last one."""
    for _ in range(number):
        with transaction.atomic():
            entry = audit.append(action=action, by=RITA, subject=ROLLOUT, why="because", now=later(at))
    return entry


def notary() -> checkpoints.Notary:
    """Return a notary that has just started."""
    return checkpoints.Notary(PROMPT)


def signed() -> list[int]:
    """Return the numbers of the entries that are signed, oldest first."""
    return list(Checkpoint.objects.order_by("seq").values_list("seq", flat=True))


def lines() -> list[str]:
    """Return the kinds of the lines of the anchor file."""
    return [next(iter(told)) for told in anchors._lines()]
