"""The probe, as the runner starts it: it says what the disk shows, and passes no fence."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rollout import component
from rollout.drivers import fence
from rollout.intent import Intent, Outcome
from tests import factories

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("release_dir", "answer"), [("releases/0001-1.0.0", "done"), ("releases/0002-1.1.0", "not_done")]
)
def test_it_says_whether_the_link_was_switched(tmp_path: Path, release_dir: str, answer: str) -> None:
    path = factories.write_component(tmp_path)
    gates = (tmp_path / "quality-gates-config.json").read_text()
    target = component.parse(path.read_text(), gates_text=gates, base=tmp_path).target("production")
    folder = tmp_path / "probe1"
    folder.mkdir()
    intent = Intent(
        token="run1-step6-try1",
        epoch=1,
        run_kind="deploy",
        step_kind="switch",
        title="Switch",
        target=target,
        params={"release_dir": release_dir},
        backups="",
        scratch="",
    )
    replace(intent, effect=False).write(folder)
    done = subprocess.run([sys.executable, "-m", "rollout.steps.probe", str(folder)], cwd=ROOT, check=False)
    outcome = Outcome.read(folder)
    assert outcome is not None
    assert done.returncode == 0
    assert outcome.facts == {"answer": answer, "live": "releases/0001-1.0.0"}
    assert not (target.root_path / fence.FILE).exists()
