"""Run what must be green before a merge: linters, types, migrations, every test; `up.py test` is its door."""

import os
import shutil
import subprocess
import sys
import time
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUDGET = 12 * 60  # seconds for everything
# What must also run where no server runs (macOS, Windows): arithmetic, formats, archive, artifacts.
PORTABLE = (
    "tests/monitoring/test_canonical*.py",
    "tests/monitoring/test_gate*.py",
    "tests/monitoring/test_verdict*.py",
    "tests/monitoring/test_cadence*.py",
    "tests/monitoring/test_simulat*.py",
    "tests/approvals/test_rules*.py",
    "tests/rollout/test_states*.py",
    "tests/rollout/test_plan*.py",
    "tests/rollout/test_component*.py",
    "tests/rollout/test_artifact*.py",
    "tests/rollout/test_archive*.py",
    "tests/rollout/archive/test_*.py",
)
ON_POSTGRES = "fast tests on PostgreSQL"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
GET_CHROMIUM = (
    "`apt install chromium` (Debian, Ubuntu), `brew install --cask chromium` (macOS), or set GR_CHROMIUM to a path"
)


def chromium() -> str | None:
    """Return the browser that the browser tests drive, or None."""
    named = os.environ.get("GR_CHROMIUM")
    return next(filter(None, map(shutil.which, [named] if named else BROWSERS)), None)


def portable() -> list[str]:
    """Return the portable test files, and say in one line how many are left out."""
    every = {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    chosen = sorted(name for name in every if any(fnmatch(name, pattern) for pattern in PORTABLE))
    print(f"SKIPPED: {len(every) - len(chosen)} of {len(every)} test files need a server platform (Linux)", flush=True)
    return chosen


def stages(arguments: list[str]) -> list[tuple[str, list[str]]]:
    """Return name and argv of everything to run; with arguments only pytest and they."""
    pytest = ["pytest", "-o", "faulthandler_timeout=240"]
    if arguments == ["--portable"]:
        return [("ruff", ["ruff", "check", "."]), ("portable tests", [*pytest, "-m", "not slow", *portable()])]
    if arguments:
        return [("pytest", [*pytest, *arguments])]
    fast = [*pytest, "-q", "-m", "not slow and not browser"]
    return [
        ("ruff", ["ruff", "check", "."]),
        ("mypy", ["mypy"]),
        ("migrations", ["django", "makemigrations", "--check", "--dry-run", "--settings", "rollout.settings"]),
        ("fast tests", fast),
        *([(ON_POSTGRES, fast)] if os.environ.get("GR_TEST_DATABASE_URL") else []),
        ("slow tests", [*pytest, "--durations", "10", "-m", "slow or browser"]),
    ]


def environment(stage: str, browser: str | None) -> dict[str, str]:
    """Return an environment in which no real installation is touched."""
    own = {
        "DJANGO_SECRET_KEY": "only-for-tests",
        "GR_VAR": str(ROOT / "var" / "test"),
        "DATABASE_URL": "sqlite://:memory:",
    }
    if browser:
        own["GR_CHROMIUM"] = browser
    if stage == ON_POSTGRES:
        own["GR_SUITE_DATABASE_URL"] = os.environ["GR_TEST_DATABASE_URL"]
    return {**os.environ, **own}


def main(arguments: list[str]) -> int:
    """Run every stage, also after one failed; print the times; return 0 when all of it was green in time."""
    browser = chromium()
    if browser is None and arguments != ["--portable"]:
        print(f"NO CHROMIUM: browser tests will be skipped. Get it: {GET_CHROMIUM}", flush=True)
        if "chromium" in os.environ.get("GR_TEST_REQUIRE", "").split(","):
            return 1
    began, report, failed = time.monotonic(), [], False
    for name, argv in stages(arguments):
        print(f"== {name}", flush=True)
        start = time.monotonic()
        env = environment(name, browser)
        code = subprocess.run([sys.executable, "-m", *argv], cwd=ROOT, env=env, check=False).returncode
        failed = failed or code != 0
        report.append(f"{'ok    ' if code == 0 else 'FAILED'} {time.monotonic() - start:6.1f} s  {name}")
    total = time.monotonic() - began
    print("\n".join([*report, f"       {total:6.1f} s  in all (limit {BUDGET} s)"]))
    return 1 if failed or total > BUDGET else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
