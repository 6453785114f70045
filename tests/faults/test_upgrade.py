"""A new version finds rollouts of an older one in every state: it goes on with each, or parks it, and repeats nothing.

The fixtures stand in tests/fixtures/upgrades, a folder a version, made by make.py with that version's own code.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollout import states
from rollout.states import RolloutState as R

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "upgrades"
VERSIONS = ("before_durable", "durable")
# place of the fixture -> where its rollout stands when the present code has gone on as far as it goes
GOES_ON = {
    "validate-queued": R.WAITING,
    "validate-claimed": R.WAITING,
    "validate-started": R.WAITING,
    "queued": R.WATCHING,
    "claimed-bare": R.WATCHING,
    "claimed": R.WATCHING,
    "started": R.WATCHING,
    "started-backup": R.WATCHING,
    "exited": R.WATCHING,
    "between": R.WATCHING,
    "watching": R.WATCHING,
    "exited-failed": R.ROLLED_BACK,
    "rolling-back": R.ROLLED_BACK,
    "rolling-back-exited": R.ROLLED_BACK,
}
PARKED = {
    "started-opaque": R.UNKNOWN,
    "rolling-back-opaque": R.UNKNOWN,
    "unknown.older": R.UNKNOWN,
    "unknown": R.VALIDATING,  # queued behind the unknown one
    "unknown-beside.older": R.UNKNOWN,
    "unknown-beside": R.VALIDATING,  # the same; where it was let begin, one of the two had to go
    "unknown-again": R.UNKNOWN,
    "not-restored": R.NOT_RESTORED,
}
BEFORE = {"before_durable": {"unknown-beside": R.DRAFT}}
PATIENT = (R.DRAFT, R.WAITING, R.APPROVED)
Played = dict[str, Any]


@pytest.fixture(scope="module", params=VERSIONS)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Return what the present code made of a version's fixture, in an installation of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    argv = [sys.executable, "-m", "tests.fixtures.upgrades.play", request.param, str(folder)]
    done = subprocess.run(argv, cwd=ROOT, env=plain(), capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-4000:]
    yield {"version": request.param, **json.loads(done.stdout.splitlines()[-1])}


def plain() -> dict[str, str]:
    """Return an environment that says nothing about this machine's installation."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("GR_", "DJANGO_", "DATABASE_"))}


def test_every_rollout_that_was_under_way_goes_on_or_is_parked(played: Played) -> None:
    expected = GOES_ON | PARKED | BEFORE.get(played["version"], {})
    found = {place: played["rollouts"][place]["after"] for place in expected}
    assert found == expected, {
        place: played["rollouts"][place] for place in expected if found[place] != expected[place]
    }
    assert played["raised"] == {}


def test_what_was_final_or_waits_for_people_is_as_it_was(played: Played) -> None:
    still = {place: one for place, one in played["rollouts"].items() if place not in GOES_ON | PARKED}
    assert {one["before"] for one in still.values()} == states.FINAL | set(PATIENT)
    assert [place for place, one in still.items() if one["before"] != one["after"]] == []


def test_no_command_that_was_started_is_started_again(played: Played) -> None:
    assert set(played["started_now"]) & set(played["started_before"]) == set()
    assert len(set(played["started_now"])) == len(played["started_now"])


def test_no_step_that_was_done_is_done_again(played: Played) -> None:
    done = {f"run{run}-step{number}" for run, number in played["done_before"]}
    assert {token.rpartition("-")[0] for token in played["started_now"]} & done == set()


def test_an_effect_of_which_nobody_knows_is_not_repeated(played: Played) -> None:
    parked = {place for place, one in played["rollouts"].items() if one["after"] == R.UNKNOWN}
    assert parked >= {"started-opaque", "rolling-back-opaque"}
    assert played["started_in"].keys().isdisjoint(parked)


def test_the_audit_verifies_over_the_migration(played: Played) -> None:
    assert played["audit"] == []


def test_the_guards_of_the_audit_stand_again(played: Played) -> None:
    assert played["guards"] == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_fixture_has_a_rollout_in_every_state(version: str) -> None:
    facts = json.loads((FIXTURES / version / "files.json").read_text())["facts"]
    assert {one["state"] for one in facts["rollouts"].values()} == set(R)
