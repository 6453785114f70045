"""The table of moves is whole, and its named sets say what they promise."""

import re
from pathlib import Path

import pytest

from rollout import states
from rollout.states import RolloutState as R
from rollout.states import RunState, StepState

ROOM = Path(states.__file__).parent


def test_every_rollout_state_can_be_reached() -> None:
    reached = {R.DRAFT, *(to for targets in states.ROLLOUT_MOVES.values() for to in targets)}
    assert reached == set(R)


def test_every_state_is_known_by_the_table_that_moves_it() -> None:
    for kind, known in (("rollout", R), ("run", RunState), ("step", StepState)):
        named = {*states.MOVES[kind], *(to for targets in states.MOVES[kind].values() for to in targets)}
        assert named <= set(known)


def test_no_move_leads_out_of_a_final_state_but_the_rollback_of_a_success() -> None:
    assert {state for state in states.FINAL if states.ROLLOUT_MOVES.get(state)} == {R.SUCCEEDED}


def test_open_active_and_final_states_are_all_states_and_share_none() -> None:
    sets = (states.OPEN, states.ACTIVE, states.FINAL)
    assert sorted(state for one in sets for state in one) == sorted(R)


def test_nothing_that_was_rolled_back_is_rolled_back_again() -> None:
    assert not {R.ROLLED_BACK, R.ROLLED_BACK_UNHEALTHY, R.ROLLING_BACK} & states.ROLLBACK_FROM


def test_a_run_that_ended_stays_so() -> None:
    assert not any(states.RUN_MOVES.get(state) for state in states.RUN_FINAL)


def test_only_a_start_and_a_break_glass_queue_a_rollout() -> None:
    moves = re.compile(r"move\(\s*\w+,\s*R\.QUEUED")
    assert {path.name for path in ROOM.rglob("*.py") if moves.search(path.read_text())} == {"actions.py", "glass.py"}


@pytest.mark.parametrize("before", [R.DRAFT, R.VALIDATING, R.REJECTED, R.EXPIRED, R.CANCELLED])
def test_nothing_runs_without_an_approval_or_a_break_glass(before: str) -> None:
    assert not states.allowed("rollout", before, R.QUEUED)
    assert not states.allowed("rollout", before, R.RUNNING)


def test_a_label_is_written_in_small_letters() -> None:
    assert states.label(R.ROLLED_BACK_UNHEALTHY) == "rolled back unhealthy"
