"""The harness can fail: an engine that was broken on purpose is caught, each time in words that name the harm."""

from pathlib import Path

import pytest

from tests.faults.harness.client import harness

AT_WORK = "command tests.faults.harness.target.act:before#1"
SWITCHED = "command tests.faults.harness.target.act:after#1"
# what is broken -> the trial that brings it to light, the findings of which one must show it
BROKEN = {
    "no_lock": (f"deploy resumable seed={{}} workers=3 ; {AT_WORK}!stop", {"overlap", "duplicate", "lost"}),
    "no_inheritance": (
        f"deploy probeable seed={{}} workers=3 ; {AT_WORK}!stop ; time#1!runner",
        {"overlap", "duplicate"},
    ),
    "no_swap": ("failing opaque seed={} workers=6", {"audit", "duplicate", "lost", "raised"}),
    "no_question": (f"deploy opaque seed={{}} workers=3 ; {SWITCHED}!runner+command", {"duplicate", "unflagged"}),
    "no_journal": ("deploy probeable seed={} workers=3", {"lost"}),
    "no_audit": ("deploy probeable seed={} workers=3", {"audit"}),
    "no_recovery": (f"deploy resumable seed={{}} workers=3 ; {AT_WORK}!all", {"stuck"}),
    "optimism": (f"deploy resumable seed={{}} workers=3 ; {AT_WORK}!all", {"lost"}),
    "twice": ("validate resumable seed={} workers=3", {"duplicate", "overlap"}),
}
PATIENCE = 40


@pytest.mark.parametrize("what", BROKEN)
def test_the_harness_notices(what: str, tmp_path: Path) -> None:
    line, expected = BROKEN[what]
    lines = tmp_path / "lines.txt"
    lines.write_text("\n".join(line.format(seed) for seed in range(PATIENCE)))
    report = harness().ask("replay", "--lines", lines, "--broken", what)
    assert expected & set(report["found"]), report
