"""Faults of the catalogue that have a name, each as a trial of the crash harness: 3, 4, 11 and 13."""

import random
from pathlib import Path

import pytest

from tests.faults.harness.client import harness, told
from tests.faults.harness.spec import DRIVERS
from tests.faults.scale import FULL, seed

AT_WORK = "command tests.faults.harness.target.act:before#1"
SWITCHED = "command tests.faults.harness.target.act:after#1"
CLAIMED = "worker rollout.models:Effect.save:after#1"
BEFORE_LOCK = "worker rollout.engine._start:before"
ASKS = "command rollout.steps.probe.run:before#1"
RECORDS = "worker rollout.engine._keep:before#1"

KNOWN = {
    "a worker dies while its command runs, and three deliveries come at once": [f"{AT_WORK}!worker"],
    "a worker dies, then the runner, and the command runs on": [f"{AT_WORK}!worker", "time#60!runner"],
    "the command is killed, its runner sees it": [f"{AT_WORK}!self"],
    "the command is killed after it changed the target": [f"{SWITCHED}!self"],
    "command and runner are killed": [f"{AT_WORK}!runner+command"],
    "everything is killed while the command runs": [f"{AT_WORK}!all"],
    "everything is killed after the target was changed": [f"{SWITCHED}!all"],
    "the probe that asks is lost, too": [f"{AT_WORK}!runner+command", f"{ASKS}!runner+command"],
    "a delivery is stopped before it takes the lock, and goes on when the run is over": [f"{BEFORE_LOCK}#1!stop"],
    "a delivery is stopped before the last step": [f"{BEFORE_LOCK}#2!stop"],
    "a delivery is stopped inside its claim": [f"{CLAIMED}!stop"],
    "a delivery is stopped before it records what the others record": [f"{RECORDS}!stop"],
    "the command is stopped, its runner dies": [f"{AT_WORK}!stop", "time#80!runner"],
}


@pytest.mark.parametrize("what", KNOWN)
def test_nothing_is_doubled_or_lost_when(what: str, tmp_path: Path) -> None:
    drivers = DRIVERS if FULL else [random.Random(f"{what}{seed()}").choice(DRIVERS)]
    _replay([" ; ".join([f"failing {driver} seed=1 workers=3", *KNOWN[what]]) for driver in drivers], tmp_path)


def test_messages_that_come_ten_times_change_nothing(tmp_path: Path) -> None:
    _replay(["failing resumable seed=1 workers=10", "deploy opaque seed=4 workers=10"], tmp_path)


def _replay(lines: list[str], folder: Path) -> None:
    path = folder / "lines.txt"
    path.write_text("\n".join(lines))
    report = harness().ask("replay", "--lines", path)
    assert report["trials"] == len(lines)
    assert report["found"] == {}, told(report)
