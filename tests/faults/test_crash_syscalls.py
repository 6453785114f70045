"""Fault 2: SIGKILL at each system call that changes the disk, of the real runner and of the real driver."""

import fcntl
import json
import os
import random
import re
import shutil
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from rollout import detached, runner
from tests.conftest import lacks
from tests.faults.scale import count, seed

ROOT = Path(__file__).resolve().parents[2]
CALLS = ("write", "fsync", "rename", "symlink", "mkdir", "unlink", "rmdir")
OLD, NEW = "releases/0001-1.0.0", "releases/0002-1.1.0"
CONTENT = {"app.py": "print('new')\n", "web/index.html": "<h1>new</h1>\n" * 500}
KILLED = 137
# stage and switch, as the two steps do it; the driver needs nothing of a target but its root
DEPLOY = f"""
import sys
from pathlib import Path
from types import SimpleNamespace
from rollout.drivers.release_dir import ReleaseDir
target = SimpleNamespace(root_path=Path(sys.argv[1]))
if ReleaseDir().live(target) != "{NEW}":
    ReleaseDir().stage(target, Path(sys.argv[2]), "{NEW}", log=print)
ReleaseDir().switch(target, "{NEW}", log=print)
"""


@pytest.fixture(autouse=True)
def strace() -> None:
    """Skip loudly where there is no strace."""
    if shutil.which("strace") is None:
        lacks("strace", "strace is not on the PATH")


def traced(
    argv: Sequence[str], log: Path, *, kill: tuple[str, int] | None = None, **more: object
) -> tuple[int, Counter[str]]:
    """Run a command under strace; return its exit code (137: it was killed) and how often it made each call."""
    set_ = ",".join(f"?{call},?{call}at,?{call}at2" if call not in ("write", "fsync") else call for call in CALLS)
    options = ["-f", "-qq", "-o", str(log), "-e", f"trace={set_}"]
    if kill is not None:
        call, number = kill
        options += ["-e", f"inject={call}:signal=SIGKILL:when={number}"]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["strace", *options, *argv], env=environment, capture_output=True, **more)  # type: ignore[call-overload]
    code = KILLED if done.returncode == -9 else int(done.returncode)
    return code, Counter(re.findall(r"^\d+ +(\w+)\(", log.read_text(), re.MULTILINE))


def some(calls: Counter[str]) -> list[tuple[str, int]]:
    """Return each call with its number, or a sample."""
    every = [(call, number) for call, often in sorted(calls.items()) for number in range(1, often + 1)]
    sample = random.Random(seed()).sample(every, min(len(every), count(4, len(every))))
    print("killed at", sample)
    return sample


def place(folder: Path) -> list[str]:
    """Make a target whose old release is live, with an archive of the new one; return the command that deploys it."""
    root, archive = folder / "root", folder / "release.zip"
    (root / OLD).mkdir(parents=True)
    (root / "current").symlink_to(OLD)
    with zipfile.ZipFile(archive, "w") as new:
        for name, text in CONTENT.items():
            new.writestr(name, text)
    return [sys.executable, "-c", DEPLOY, str(root), str(archive)]


def require_whole(root: Path) -> None:
    """See that whatever has a release's name is the whole release, and that the link leads to one."""
    shown = [one for one in (root / "releases").iterdir() if not one.name.startswith(".")]
    for release in shown:
        if release.name in NEW:
            assert {name: (release / name).read_text() for name in CONTENT} == CONTENT
    assert str((root / "current").readlink()) in (OLD, NEW)
    assert (root / "current").resolve() in [one.resolve() for one in shown]


def test_a_release_is_staged_and_switched_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    code, calls = traced(place(tmp_path / "whole"), tmp_path / "log")
    assert code == 0
    for call, number in some(calls):
        folder = tmp_path / f"{call}-{number}"
        folder.mkdir()
        argv = place(folder)
        code, _ = traced(argv, tmp_path / "log", kill=(call, number))
        assert code in (KILLED, 0)  # strace counts by thread, so that not each has as many calls
        require_whole(folder / "root")
        done = subprocess.run(argv, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        require_whole(folder / "root")
        assert str((folder / "root" / "current").readlink()) == NEW


def run_one(folder: Path, *, kill: tuple[str, int] | None = None) -> tuple[int, Counter[str]]:
    """Let the real runner run a command that leaves a mark, as `TargetLock.start` starts it."""
    folder.mkdir()
    command = {"argv": ["touch", str(folder / "mark")], "cwd": "/", "env": {}, "timeout_s": 60, "ballast": ""}
    detached.write(folder / detached.COMMAND, command)
    lock = detached.open_lock(folder / "target.lock")
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        argv = [sys.executable, "-I", str(detached.__file__), str(folder), str(lock)]
        return traced(argv, folder / "log", kill=kill, pass_fds=[lock])
    finally:
        os.close(lock)


def test_the_runner_leaves_nothing_from_which_a_wrong_conclusion_could_be_drawn(tmp_path: Path) -> None:
    code, calls = run_one(tmp_path / "whole")
    assert code == 0
    for call, number in some(calls):
        folder = tmp_path / f"{call}-{number}"
        run_one(folder, kill=(call, number))
        ended, happened = runner.read_exit(folder), (folder / "mark").exists()
        assert not happened or runner.was_started(folder), "it happened, and nobody said before that it might"
        assert ended is None or (happened and ended["code"] == 0), "an end was recorded of what did not happen"
        for document in folder.glob("*.json"):
            json.loads(document.read_text())
        assert not runner.is_held(folder / "target.lock")
