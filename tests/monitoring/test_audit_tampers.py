"""Every kind of tampering is caught, given one checkpoint that left the house: 300 here, 10,000 with GR_FAULTS=full."""

import os
import random

import pytest

from monitoring import audit_export, checkpoints, signing, verify
from monitoring.models import Checkpoint

from .effects import later
from .signed import house, notary, write
from .tampering import KINDS, History

TRIALS = 10_000 if os.environ.get("GR_FAULTS") == "full" else 300
EACH = TRIALS // len(KINDS)
MADE: list[History] = []


@pytest.fixture
def honest(db, settings, tmp_path) -> History:
    """Return a history of some forty entries, eight checkpoints, and a key that was rotated in the middle."""
    if not MADE:
        MADE.append(make(settings, tmp_path))
    return MADE[0].copy()


def make(settings, tmp_path) -> History:
    house(settings, tmp_path)
    clerk, stolen = notary(), None
    for part in range(8):
        write(4 + part % 3, action=f"test.part{part}", at=part)
        if part == 4:
            stolen = signing.load(checkpoints.key_file())
            signing.make(checkpoints.next_file())
        clerk.look(later(100 * part))
    assert stolen is not None
    return History([list(row) for row in audit_export.rows()], kept(), stolen)


def kept() -> list[verify.Signed]:
    return [(one.body, one.signature) for one in Checkpoint.objects.order_by("seq")]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_it_is_caught(honest: History, kind: str) -> None:
    missed = []
    for seed in range(EACH):
        dice = random.Random(f"{kind} {seed}")
        outside = dice.choice(honest.signed)
        at = dice.randrange(verify.number_of(outside[0]))  # an entry that this checkpoint covers
        tampered = honest.copy()
        KINDS[kind](tampered, at, dice)
        if not tampered.problems(outside):
            missed.append((seed, at, tampered.log))
    assert missed == []


def test_the_honest_history_holds_against_each_of_its_checkpoints(honest: History) -> None:
    assert [honest.problems(one) for one in honest.signed] == [[] for _ in honest.signed]


def test_what_is_newer_than_all_that_left_the_house_is_told_as_not_established(honest: History) -> None:
    outside = honest.signed[3]
    reached, tampered = verify.number_of(outside[0]), honest.copy()
    tampered.write(reached, why="rewritten")
    tampered.rows[reached][4]["why"] = "rewritten"
    tampered.link(reached)
    tampered.sign(reached, None)
    assert tampered.problems(outside) == []  # nobody could know
    result = verify.verify_entries([tuple(row) for row in tampered.rows], named=[reached])
    told = verify.limits(result, outside=[reached], key_known=True)
    assert f"#{reached + 1} to #{len(honest.rows)}" in told[0]
