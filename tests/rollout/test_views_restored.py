"""The card about a rollback tells when the copy of what was left is unchecked, or missing."""

import pytest

from rollout.models import Run, Step
from rollout.views import restored


def undo_step(state: str, outcome: dict) -> restored.Restored:
    """Return the card of a rollback run whose undo step ended so."""
    run = Run(pk=1, kind="rollback", state="SUCCEEDED", reason="a gate breached")
    step = Step(run=run, number=3, kind="backup", title="Undo", state=state, params={"undo": True}, outcome=outcome)
    run._prefetched_objects_cache = {"steps": [step]}
    made = restored.restored("ROLLED_BACK", [run], [], by="Tom")
    assert made is not None
    return made


@pytest.mark.parametrize(
    ("state", "outcome", "warning"),
    [
        ("SUCCEEDED", {"facts": {"path": "/b/undo/x.zip", "sha256": "a" * 64}}, ""),
        ("SUCCEEDED", {"facts": {"path": "", "warning": "no room for a copy"}}, "no room for a copy"),
        ("FAILED", {"sentence": "its runner was lost"}, "its runner was lost"),
    ],
)
def test_the_warning_is_told(state: str, outcome: dict, warning: str) -> None:
    assert undo_step(state, outcome).undo_warning == warning
