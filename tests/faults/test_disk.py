"""Faults 8 and 9: a disk that is full, fails, or is read-only. Outcomes are recorded, nothing stays half done."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest
from django.conf import LazySettings

from approvals.ledger import Refused
from rollout import actions, engine, places
from rollout.models import Rollout, Target
from rollout.states import RunState as N
from tests import factories
from tests.factories import NOW, actor
from tests.fakes import FakeRunner
from tests.faults import disks, scale

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0
EX_IOERR = 74
DISK_MIB = 200
# What strace calls them: writes and syncs of artifacts, and of the database.
WRITES, SYNCS, PAGES, COMMITS = "write", "fsync", "pwrite64", "fdatasync"


class Hand:
    """A process that uses the disk, a fork for each piece of work."""

    def __init__(self, var: Path, log: Path) -> None:
        env = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DJANGO_SETTINGS_MODULE": "rollout.settings",
            "DJANGO_SECRET_KEY": "only-for-tests",
            "DJANGO_ALLOWED_HOSTS": "testserver",
            "GR_VAR": str(var),
            "GR_RUN_DIR": str(var / "run"),
            "GR_BACKUPS": str(var / "backups"),
            "EMAIL_URL": "memorymail://",
        }
        self.errors = log.open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.faults.disk_hand"],
            cwd=ROOT,
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            start_new_session=True,
        )
        self.left = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.errors.close()

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while b"\n" not in self.left:
            if not select.select([self.process.stdout], [], [], PATIENCE_S)[0]:
                raise AssertionError(f"no answer: {self.complaint()}")
            self.left += os.read(self.process.stdout.fileno(), 1 << 16)
        line, _, self.left = self.left.partition(b"\n")
        told: dict[str, Any] = json.loads(line)
        return told

    def complaint(self) -> str:
        self.errors.seek(0)
        return self.errors.read().decode()[-2000:]

    def do(self, order: str, *, tracer: Callable[[int], "Tracer"] | None = None) -> dict[str, Any]:
        """Do a piece of work, under a tracer when one is given, and return its answer with how it `ended`."""
        self.say(f"{order}\n")
        pid = self.hear()["pid"]
        with tracer(pid) if tracer else contextlib.nullcontext():
            self.say("g")
            told = self.hear()
            return told if "ended" in told else {**told, **self.hear()}


class Tracer:
    """strace, holding one process: it makes the Nth of some calls fail."""

    def __init__(self, pid: int, log: Path, inject: str) -> None:
        calls = inject.partition(":")[0]
        argv = ["strace", "-y", "-o", str(log), "-e", f"trace={calls}", "-e", f"inject={inject}", "-p", str(pid)]
        self.process = subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)

    def __enter__(self) -> Self:
        assert self.process.stderr is not None
        said = self.process.stderr.readline().decode()
        assert "attached" in said, said
        return self

    def __exit__(self, *_: object) -> None:
        self.process.wait(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


@dataclass
class House:
    """A filled installation on a disk of its own."""

    hand: Hand
    token: str
    folder: Path

    def path_of(self, line: str) -> str:
        """Return the file that a line of strace names."""
        return line.partition("<")[2].partition(">")[0]

    def fail(self, calls: str, error: str, number: int) -> tuple[dict[str, Any], list[str]]:
        """Bring a file while the Nth of some calls fails; return the answer, and the calls from the failed one on."""
        log = self.folder / "strace.log"
        log.unlink(missing_ok=True)
        inject = f"{calls}:error={error}:when={number}"
        told = self.hand.do(f"upload {self.token}", tracer=lambda pid: Tracer(pid, log, inject))
        lines = log.read_text().splitlines()
        first = next((at for at, line in enumerate(lines) if "(INJECTED)" in line), len(lines))
        return told, lines[first:]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Return an installation on a small disk in memory."""
    disks.require("strace")
    folder = tmp_path_factory.mktemp("disk")
    with disks.tmpfs(folder / "var", DISK_MIB) as var, Hand(var, folder / "hand.log") as hand:
        token = hand.do("fill")["token"]
        with contextlib.closing(sqlite3.connect(var / "db.sqlite3")) as other:
            # as other processes do: so that the write-ahead log is not made anew, and checkpointed, by every trial
            other.execute("SELECT count(*) FROM monitoring_audithead").fetchone()
            yield House(hand, token, folder)


def assert_whole(house: House) -> None:
    found = house.hand.do("look")
    assert {**found, "brought": 0} == {"torn": [], "left": [], "brought": 0, "audit": [], "ended": 0}, found


def up_to_the_end(house: House, calls: str, error: str) -> Iterator[tuple[int, dict[str, Any], list[str]]]:
    """Let the 1st, 2nd, … call fail, one trial each, until there is none left to fail."""
    step = scale.count(5, 1) if calls == PAGES else 1
    for number in range(1, 400, step):
        told, rest = house.fail(calls, error, number)
        if not rest:
            return
        yield number, told, rest
    raise AssertionError("there is no end of it")


# Failing calls: artifacts and database


@pytest.mark.parametrize("calls", [WRITES, PAGES])
def test_a_full_disk_at_any_write_is_a_clean_error_and_leaves_nothing_half(house: House, calls: str) -> None:
    trials = 0
    for number, told, _ in up_to_the_end(house, calls, "ENOSPC"):
        trials += 1
        if "status" not in told:  # the answer itself could not be written: stdout is a file like any other
            continue
        assert told["status"] in (201, 507), (number, told)
        assert_whole(house)
    assert trials > 1
    assert house.hand.do(f"upload {house.token}")["status"] in (200, 201)


@pytest.mark.parametrize("calls", [SYNCS, COMMITS])
def test_a_failed_fsync_ends_the_process_and_is_never_tried_again(house: House, calls: str) -> None:
    trials = 0
    for number, told, rest in up_to_the_end(house, calls, "EIO"):
        if calls == COMMITS and Path(house.path_of(rest[0])).is_dir():
            continue  # SQLite syncs the name of a log that was there before it, and takes no notice of the answer
        trials += 1
        assert told.get("ended") == EX_IOERR, (number, told, house.hand.complaint())
        assert [line for line in rest[1:] if line.startswith(calls)] == [], (number, rest)
        assert_whole_but_for_what_a_dead_process_left(house)
    assert trials > 0
    assert house.hand.do(f"upload {house.token}")["status"] in (200, 201)


def assert_whole_but_for_what_a_dead_process_left(house: House) -> None:
    found = house.hand.do("look")
    assert (found["torn"], found["audit"]) == ([], []), found


# A disk that is really full


def test_an_outcome_is_recorded_on_a_full_disk_with_the_help_of_the_reserve(house: House) -> None:
    told = house.hand.do("record")
    assert told == {"step": "SUCCEEDED", "outcome": "switch done", "reserve": False, "ended": 0}, house.hand.complaint()


def test_nothing_begins_on_a_full_disk_but_a_rollback_does(house: House) -> None:
    told = house.hand.do("begin")
    assert told.get("ended") == 0, house.hand.complaint()
    assert "is full and its reserve is used up: free" in told["submit"]
    assert "Nothing can begin." in told["page"]
    assert (told["rollback"], told["restored"], told["submit_with_room"]) == ("", True, "")
    assert_whole_but_for_what_a_dead_process_left(house)


# Read-only places


@contextlib.contextmanager
def read_only(place: Path) -> Iterator[None]:
    """Make a place read-only for this process, in the way that works for it."""
    if os.geteuid() == 0:
        disks.require()
        with disks.read_only(place):
            yield
        return
    mode = place.stat().st_mode
    place.chmod(0o500 if place.is_dir() else 0o400)
    yield
    place.chmod(mode)


@pytest.fixture
def target(on_that_day: None, cast: dict, tmp_path: Path, settings: LazySettings) -> Target:
    """Return dhash in production, with every place that is written a folder of this test's own."""
    settings.GR_VAR = tmp_path
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    (tmp_path / "attachments").mkdir()
    settings.GR_NOTICE_FILE = tmp_path / "notices.log"
    settings.GR_NOTICE_FILE.touch()
    return factories.make_target(tmp_path / "dhash")


PLACES = {
    "gr_artifacts": "directory of artifacts",
    "gr_backups": "directory of backups",
    "attachments": "directory of attachments",
    "gr_run_dir": "directory of locks and runner files",
    "notices.log": "file of notices",
}


@pytest.mark.django_db
@pytest.mark.parametrize("place", PLACES)
def test_a_deploy_is_refused_before_any_effect_where_something_could_not_be_kept(
    place: str, target: Target, cast: dict, tmp_path: Path
) -> None:
    rollout = factories.make_approved(target, cast)
    olaf = cast["olaf"]
    with read_only(tmp_path / place), pytest.raises(Refused, match=f"The {PLACES[place]} cannot be written"):
        actions.start(rollout, user=olaf, by=actor(olaf), now=NOW)
    assert not rollout.runs.exists()
    assert places.refusal() == ""


@pytest.mark.django_db
def test_a_deploy_that_was_clicked_before_waits_until_the_place_can_be_written_again(
    target: Target, cast: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeRunner(tmp_path)
    fake.install(monkeypatch)
    rollout: Rollout = factories.make_approved(target, cast)
    olaf = cast["olaf"]
    run = actions.start(rollout, user=olaf, by=actor(olaf), now=NOW)
    with read_only(tmp_path / "gr_backups"):
        engine.advance(run.pk)
        run.refresh_from_db()
        assert (run.state, fake.started) == (N.QUEUED, [])
    engine.advance(run.pk)
    run.refresh_from_db()
    assert (run.state, len(fake.started)) == (N.RUNNING, 1)


def test_a_disk_without_room_takes_no_reserve_and_says_how_much_is_lacking(
    tmp_path: Path, settings: LazySettings
) -> None:
    disks.require()
    with disks.tmpfs(tmp_path / "var", 100) as var:
        settings.GR_VAR = var
        assert re.search(r"free \d+ MiB or more", places.ballast.refusal())
        assert not places.ballast.restore()
        assert list(var.iterdir()) == []


def test_the_reserve_really_takes_its_room(tmp_path: Path, settings: LazySettings) -> None:
    disks.require()
    with disks.tmpfs(tmp_path / "var", 160) as var:
        settings.GR_VAR = var
        before = shutil.disk_usage(var).free
        assert places.ballast.restore()
        assert before - shutil.disk_usage(var).free >= places.ballast.SIZE
        assert places.ballast.release()
        assert shutil.disk_usage(var).free == before
