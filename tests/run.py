"""Run what must be green before a merge: linters, types, migrations, every test; `up.py test` is its door."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from fnmatch import fnmatch
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
BUDGET = 23 * 60  # seconds that everything should take, of the 30 minutes that CI has; the faults 8 of them
AT_ONCE = 3  # stages, on two cores: some mostly wait, and stand in the queue beside those that use the CPU
MEMORY = Path("/dev/shm")
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
# Faults that use most of the CPU; the others mostly wait.
BUSIEST = ("test_races", "test_crash_trials", "test_crash_points")
ON_ONE = re.compile(r"/test_(views_|matrix|once_routes|access)")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
GET_CHROMIUM = (
    "`apt install chromium` (Debian, Ubuntu), `brew install --cask chromium` (macOS), or set GR_CHROMIUM to a path"
)


class Stage(NamedTuple):
    """Something to run: the arguments after `python -m`, and the database when it is not SQLite."""

    name: str
    argv: tuple[str, ...]
    database: str = ""


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


def halves() -> tuple[list[str], list[str]]:
    """Return the test files in two lists of about equal weight, so that both of two cores have work."""
    files = sorted((ROOT / "tests").rglob("test_*.py"), key=lambda path: (-path.stat().st_size, path))
    names = [path.relative_to(ROOT).as_posix() for path in files if path.parent.name != "faults"]
    return names[::4] + names[3::4], names[1::4] + names[2::4]


def faults(pytest: tuple[str, ...]) -> list[Stage]:
    """Return the tests that inject faults in five stages: two that mostly wait, then three that use the CPU."""
    found = sorted((ROOT / "tests/faults").glob("test_*.py"))
    busy = {path.stem: path.relative_to(ROOT).as_posix() for path in found}
    alone = [[busy.pop(name)] for name in BUSIEST]
    waiting = list(busy.values())
    return [
        Stage(f"faults, part {part}", (*pytest, "-p", "no:cacheprovider", "--durations", "10", *files))
        for part, files in enumerate([waiting[::2], waiting[1::2], *alone], 1)
    ]


def stages(arguments: list[str]) -> list[list[Stage]]:
    """Return what to run, in groups that come one after the other; with arguments only pytest and they."""
    pytest = ("pytest", "-o", "faulthandler_timeout=400")
    if arguments == ["--portable"]:
        quick = (*pytest, "-m", "not slow", *portable())
        return [[Stage("ruff", ("ruff", "check", "."))], [Stage("portable tests", quick)]]
    if arguments:
        return [[Stage("pytest", (*pytest, *arguments))]]
    fast = (*pytest, "-q", "-p", "no:cacheprovider", "-m", "not slow and not browser and not fault")
    on_sqlite = [Stage(f"fast tests, half {half}", (*fast, *files)) for half, files in enumerate(halves(), 1)]
    slow = (*pytest, "-p", "no:cacheprovider", "--durations", "10", "-m", "(slow or browser) and not fault")
    others = [[name for name in half if not name.startswith(("tests/journeys", "tests/browser"))] for half in halves()]
    url = os.environ.get("GR_TEST_DATABASE_URL", "")
    parts = urlsplit(url)
    urls = [parts._replace(path=f"{parts.path}_{half}").geturl() for half in (1, 2)]
    # pages and routes show what the same queries find on both: they are looked at on one
    on_postgres = [
        Stage(f"{one.name}, on PostgreSQL", tuple(part for part in one.argv if not ON_ONE.search(part)), own)
        for one, own in zip(on_sqlite, urls, strict=True)
    ]
    return [
        [
            Stage("ruff", ("ruff", "check", ".")),
            Stage("mypy", ("mypy",)),
            Stage("migrations", ("django", "makemigrations", "--check", "--dry-run", "--settings", "rollout.settings")),
        ],
        _mixed(
            [Stage("browser", (*slow, "tests/browser")), Stage("journeys", (*slow, "tests/journeys")), *faults(pytest)],
            [
                *on_sqlite,
                *(on_postgres if url else []),
                *(Stage(f"other slow tests, half {half}", (*slow, *files)) for half, files in enumerate(others, 1)),
            ],
        ),
    ]


def _mixed(waiting: list[Stage], busy: list[Stage]) -> list[Stage]:
    """Return two that mostly wait, then one of each in turn."""
    pairs = zip_longest(waiting[2:], busy)
    return [*waiting[:2], *(stage for pair in pairs for stage in reversed(pair) if stage)]


def environment(stage: Stage, browser: str | None) -> dict[str, str]:
    """Return an environment in which no real installation is touched."""
    own = {
        "DJANGO_SECRET_KEY": "only-for-tests",
        "GR_VAR": str(ROOT / "var" / "test"),
        "DATABASE_URL": "sqlite://:memory:",
    }
    if browser:
        own["GR_CHROMIUM"] = browser
    if stage.database:
        own["GR_SUITE_DATABASE_URL"] = stage.database
    if stage.name.startswith("fast") and MEMORY.is_dir():
        own["TMPDIR"] = str(MEMORY)  # what they fsync needs no disk; the faults cut the power of real ones
    return {**os.environ, **own}


def run(group: list[Stage], browser: str | None) -> list[tuple[bool, str]]:
    """Run a group's stages, some at the same time; return for each whether it was green, and a line of the report.

    A stage that runs alone is seen while it runs, the others when they have ended.
    """
    report, running, waiting = [], {}, list(group)
    with tempfile.TemporaryDirectory() as folder:
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                stage = waiting.pop(0)
                print(f"== {stage.name}", flush=True)
                log = Path(folder, str(len(waiting)))
                argv, env = [sys.executable, "-m", *stage.argv], environment(stage, browser)
                with log.open("wb") as out:
                    to = {"stdout": out, "stderr": subprocess.STDOUT} if len(group) > 1 else {}
                    running[subprocess.Popen(argv, cwd=ROOT, env=env, **to)] = (stage, log, time.monotonic())
            pid, status, used = os.wait4(-1, 0)
            process = next(process for process in running if process.pid == pid)
            process.returncode = os.waitstatus_to_exitcode(status)
            stage, log, began = running.pop(process)
            if len(group) > 1:
                print(f"\n== {stage.name}\n{log.read_text(errors='replace')}", flush=True)
            good, took, cpu = process.returncode == 0, time.monotonic() - began, used.ru_utime + used.ru_stime
            report.append((good, f"{'ok    ' if good else 'FAILED'} {took:6.1f} s, CPU {cpu:6.1f} s  {stage.name}"))
    return report


def main(arguments: list[str]) -> int:
    """Run every stage, also after one failed; print the times; return 0 when all of it was green.

    More time than there is, is told, and fails nothing: what else a machine does is no property of the code.
    """
    browser = chromium()
    if browser is None and arguments != ["--portable"]:
        print(f"NO CHROMIUM: browser tests will be skipped. Get it: {GET_CHROMIUM}", flush=True)
        if "chromium" in os.environ.get("GR_TEST_REQUIRE", "").split(","):
            return 1
    began = time.monotonic()
    report = [line for group in stages(arguments) for line in run(group, browser)]
    total = time.monotonic() - began
    print("\n".join([*(line for _, line in report), f"       {total:6.1f} s  in all (limit {BUDGET} s)"]))
    if total > BUDGET:
        print(f"TOO SLOW: {total - BUDGET:.0f} s over the limit; see which stage it was, and make its tests cheaper")
    return 0 if all(good for good, _ in report) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
