"""Whatever people do, and in whatever order: no run begins without valid consent, and none is refused that has it.

`Machine` does it to the real ledger and actions, over a database; `World` in oracle.py is told the same and shares no
code. 2,000 steps here; GR_FAULTS=full takes 200,000 (about an hour alone), GR_FAULT_TRIALS another number.
"""

from pathlib import Path

import pytest
from django.conf import LazySettings
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.approvals.consent_machine import Machine, prepare
from tests.approvals.glass_machine import GlassMachine
from tests.faults import scale

EXAMPLES, LENGTH = 10, 50


@pytest.mark.slow
@pytest.mark.undoes
@pytest.mark.django_db
def test_no_run_begins_without_valid_consent(
    tmp_path: Path, settings: LazySettings, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    Machine.targets, Machine.users = prepare(tmp_path / "components")
    Machine.steps = Machine.begun = Machine.refused = 0
    wanted, first = scale.count(2000, 200_000), scale.seed()
    rounds = 0
    while Machine.steps < wanted:
        play(first + rounds)
        rounds += 1
    with capsys.disabled():
        counts = f"{Machine.steps} steps, {Machine.begun} runs begun, {GlassMachine.broke} of them past the sign-off"
        print(f"\n{counts}, {Machine.refused} refusals, first seed {first}")
    assert Machine.begun > wanted // 250 and Machine.refused > wanted // 20


def play(number: int) -> None:
    """Play some games with one seed."""
    chosen = seed(number)(type("Game", (GlassMachine,), {}))
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=LENGTH,
        deadline=None,
        phases=[Phase.generate],  # a failure is printed as it was found: to make it shorter takes minutes
        database=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    run_state_machine_as_test(chosen, settings=how)
