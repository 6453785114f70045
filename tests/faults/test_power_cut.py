"""Fault 7: the power goes while everything is written; whatever was acknowledged is there afterwards, whole."""

import contextlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.faults import disks, scale

ROOT = Path(__file__).resolve().parents[2]
CUTS = scale.count(5, 100)
# A disk goes through so many cuts, one after the other, before a new one is taken: it must not fill up.
CUTS_A_DISK = 10
MIB = 96
PATIENCE_S = 60.0
EX_IOERR = 74
NOTHING_LOST: dict[str, Any] = {"integrity": "ok", "rows_without_file": [], "audit": [], "lost": []}


class Hand:
    """The process that writes; what it tells arrives here, outside of the disk."""

    def __init__(self, var: Path, log: Path) -> None:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "rollout.settings",
            "DJANGO_SECRET_KEY": "only-for-tests",
            "GR_VAR": str(var),
            "GR_RUN_DIR": str(var / "run"),
            "GR_BACKUPS": str(var / "backups"),
        }
        env.pop("DATABASE_URL", None)
        self.errors = log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "tests.faults.power_hand"],
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

    def order(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def lines(self, seconds: float) -> Iterator[dict[str, Any]]:
        """Yield what is told within so many seconds; ends early when the work ended."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while (rest := deadline - time.monotonic()) > 0:
            if not select.select([self.process.stdout], [], [], rest)[0]:
                return
            self.left += os.read(self.process.stdout.fileno(), 1 << 16)
            *whole, self.left = self.left.split(b"\n")
            for line in whole:
                told = json.loads(line)
                yield told
                if "ended" in told:
                    return

    def ask(self, line: str) -> list[dict[str, Any]]:
        """Do a piece of work to its end and return what it told."""
        self.order(line)
        told = list(self.lines(PATIENCE_S))
        assert told[-1] == {"ended": 0}, f"{line}: {told[-1:]}"
        return told[:-1]


def write_and_cut(hand: Hand, var: Path, dice: random.Random) -> list[dict[str, Any]]:
    """Let it write for a moment, cut the power, and return what it acknowledged before.

    The cut is a call of about 2 ms, and the kernel lets the one fsync that it finds on its way return without an error
    and without an effect (measured on Linux 6.18: 5 of 200 cuts of a loop of pwrite and fdatasync). No machine without
    power answers, so what such a last fsync acknowledged during the call is not counted.
    """
    hand.order(f"write {dice.randrange(2**31)}")
    told: list[dict[str, Any]] = []
    wanted = dice.randrange(1, 40)
    for one in hand.lines(PATIENCE_S):
        told.append(one)
        if len(told) >= wanted:
            break
    time.sleep(dice.random() * 0.05)  # in the middle of whatever it does now
    began = time.monotonic()
    disks.cut_power(var)
    # what the pipe still holds was acknowledged before the cut, or tells of the end; nothing can be written any more
    told += list(hand.lines(PATIENCE_S))
    assert "ended" in told[-1], "the writer did not notice that its disk is gone"
    assert told[-1]["ended"] in (1, EX_IOERR), told[-1]
    acknowledged = told[:-1]
    if acknowledged and acknowledged[-1]["at"] >= began:
        acknowledged.pop()
    return acknowledged


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Return the image of a filled disk, and the place where it has to be mounted."""
    disks.require("mkfs.ext4")
    folder = tmp_path_factory.mktemp("power")
    image, place = folder / "template.img", folder / "disk"
    disks.make_image(image, MIB)
    with disks.mounted(image, place), Hand(place, folder / "fill.log") as hand:
        hand.ask("fill")
    yield image, place
    shutil.rmtree(folder, ignore_errors=True)


def test_nothing_that_was_acknowledged_is_lost(template: tuple[Path, Path], tmp_path: Path) -> None:
    image, place = template
    seed = scale.seed()
    dice, told, lost = random.Random(seed), Counter[str](), Counter[str]()
    disk, facts = tmp_path / "disk.img", tmp_path / "told.jsonl"
    with Hand(place, tmp_path / "hand.log") as hand:
        for cut in range(CUTS):
            if cut % CUTS_A_DISK == 0:
                disks.call("cp", "--sparse=always", str(image), str(disk))
                facts.write_text("")
            with disks.mounted(disk, place):
                here = write_and_cut(hand, place, dice)
            told.update(one["kind"] for one in here)
            with facts.open("a") as out:
                out.writelines(f"{json.dumps(one)}\n" for one in here if one["kind"] != "careless")
            careless = tmp_path / "careless.jsonl"
            careless.write_text("".join(f"{json.dumps(one)}\n" for one in here if one["kind"] == "careless"))
            with disks.mounted(disk, place):
                (found,) = hand.ask(f"check {facts}")
                (control,) = hand.ask(f"check {careless}")
            lost["careless"] += len(control["lost"])
            assert found == NOTHING_LOST, f"seed {seed}: {found}"
    print(f"\n{CUTS} power cuts, seed {seed}: {sum(told.values())} acknowledged {dict(told)}, 0 lost")
    print(f"of {told['careless']} written without fsync, the control, {lost['careless']} were lost")
    assert CUTS < 5 or lost["careless"] > 0, "nothing was lost without fsync either: the power was not cut"
