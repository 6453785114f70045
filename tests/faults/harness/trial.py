"""One trial: enter a world, let workers deliver and die, put new ones in their place until nothing is left, check."""

import gc
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from django.db import connection
from django.utils import timezone

from rollout import engine, leftovers, runner
from tests.factories import NOW
from tests.faults.harness import forks, invariants, people, points, settings, target, worlds
from tests.faults.harness.board import Board
from tests.faults.harness.spec import Spec

KEPT = settings.FOLDER / "kept"
# A worker that went round so often and found no end is stuck; the seconds are for one that does not come round.
ROUNDS, STUCK_S = 600, 300.0
# Who is stopped goes on when the others are through; or after this time, because it may hold what they wait for.
STOPPED_S = 0.5
WARM_UPS = 8


@dataclass(kw_only=True)
class Result:
    """What came out of a trial: problems as (kind, sentence), none when all held."""

    spec: str
    problems: list[tuple[str, str]] = field(default_factory=list)
    kills: int = 0
    seconds: float = 0.0
    state: str = ""
    deliveries: int = 0
    commands: int = 0


def run(spec: Spec, *, recording: bool = False, keep: Path | None = None) -> Result:
    """Run a trial; `recording` leaves the points that were reached in the world's file `reached`."""
    began = time.monotonic()
    worlds.enter(_begins(spec))
    board = Board(settings.FOLDER / "board", spec.kills, recording=recording)
    points.on(board)
    _set_clock(spec)
    target.fails["at"] = "switch" if spec.scenario == "failing" else ""
    people.mood["gives up"] = spec.seed % 2 == 1
    problems = _live(spec, board)
    problems += invariants.check(spec)
    result = Result(spec=str(spec), problems=problems, kills=board.fired, state=invariants.state())
    result.deliveries, result.commands = len(board.lines("deliveries")), len(target.lines())
    if keep is not None:
        worlds.keep(keep)
    connection.close()
    result.seconds = round(time.monotonic() - began, 4)
    return result


def prepare() -> None:
    """Make everything that trials begin with, once for a process."""
    forks.become_reaper()
    forks.Forked.run, forks.Forked.reached = _execute, points.reached
    worlds.prepare()
    worlds.make(KEPT)
    points.install()
    for driver in ("resumable", "probeable", "opaque"):
        run(Spec(scenario="deploy", driver=driver, seed=1), keep=KEPT / f"succeeded-{driver}")
    _warm_up()
    gc.collect()
    gc.disable()
    gc.freeze()  # what children do not touch, the kernel need not copy


def _warm_up() -> None:
    """Let this process do what its children will, so that each inherits a warm interpreter (a third less CPU)."""
    for number in range(WARM_UPS):
        spec = Spec(scenario="breach", driver="resumable", seed=1)
        worlds.enter(_begins(spec))
        board = Board(settings.FOLDER / "board", ())
        points.on(board)
        _set_clock(spec)
        _work(spec, board, random.Random(number), fresh=True)
        connection.close()


def _begins(spec: Spec) -> Path:
    """Return the world that a trial enters; most begin after the costly click, which a calm deploy begins with."""
    stands = {"validate": "draft", "rollback": "succeeded"}.get(spec.scenario, "begun")
    if spec.scenario == "deploy" if spec.calm else stands == "begun" and spec.seed % 4 == 0:
        stands = "approved"
    return KEPT / f"{stands}-{spec.driver}"


def _set_clock(spec: Spec) -> None:
    zero = time.monotonic()
    first = NOW + timedelta(hours=2 if spec.scenario == "rollback" else 1)
    timezone.now = lambda: first + timedelta(seconds=time.monotonic() - zero)


def _live(spec: Spec, board: Board) -> list[tuple[str, str]]:
    """Keep the workers at it until each found nothing to do; return what went wrong."""
    workers = {_hire(spec, board, number, 0): (number, 0) for number in range(spec.workers)}
    deadline, stopped_until = time.monotonic() + STUCK_S, time.monotonic() + STOPPED_S
    problems: list[tuple[str, str]] = []
    while True:
        board.tick()
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break  # no worker, no runner, no command is left
        if pid == 0:
            if time.monotonic() > stopped_until:
                board.resume()
                stopped_until += STOPPED_S
            if time.monotonic() > deadline:
                problems.append(("stuck", f"not over after {STUCK_S} s"))
                deadline += STUCK_S
                _end_all(board)
            time.sleep(0.001)
        elif pid in workers:
            number, generation = workers.pop(pid)
            if (board.folder / "stopped").exists() and len(workers) == 1:
                board.resume()  # the others are through
            if os.WIFSIGNALED(status) and not problems:
                workers[_hire(spec, board, number, generation + 1)] = (number, generation + 1)
    problems += [("stuck", line) for line in board.lines("stuck")[:1]]
    return problems + [("raised", line) for line in board.lines("errors")]


def _end_all(board: Board) -> None:
    for pid in board.lives("worker", "runner", "command"):
        os.kill(pid, signal.SIGKILL)


def _hire(spec: Spec, board: Board, number: int, generation: int) -> int:
    def work() -> None:
        try:
            points.become("worker")
            points.count_statements()
            _work(spec, board, random.Random(f"{spec.seed}-{number}-{generation}"), fresh=generation == 0)
        except Exception:
            board.note("errors", traceback.format_exc().replace("\n", " | "))
            raise SystemExit(1)

    return forks.fork(work)


def _work(spec: Spec, board: Board, rng: random.Random, *, fresh: bool) -> None:
    """Deliver what pulse would: again, late, of runs that ended long ago; beside others who do the same."""
    patience = 1 + spec.seed % 4 if spec.calm else rng.randrange(12)
    done = 0
    for _ in range(ROUNDS):
        people.click(spec.scenario, patience=done < patience)
        if people.is_over(spec.scenario):
            return
        people.watch(spec.scenario)
        for run_id in _deliveries(rng, calm=spec.calm):
            board.note("deliveries", str(run_id))
            engine.advance(run_id)
            leftovers.cancel(run_id)
            done += 1
        people.click(spec.scenario, patience=done < patience)  # while the command runs
        if spec.calm:
            _wait((fresh or done > 2) and (spec.scenario != "abort" or done != patience))
        else:
            _rest(rng)
    board.note("stuck", f"a worker went round {ROUNDS} times")


def _deliveries(rng: random.Random, *, calm: bool) -> Sequence[int]:
    active, every = people.runs()
    if calm:
        return active[-1:]
    old = [pk for pk in every if rng.random() < 0.1]
    due = [*active, *active, *old] if rng.random() < 0.2 else [*active, *old]
    rng.shuffle(due)
    return due


def _wait(calm: bool) -> None:
    """Let the command end, so that the next delivery finds it ended; after a death deliveries come at once."""
    for _ in range(2000):
        if not calm or not _is_held():
            break
        time.sleep(0.001)
    if not calm:
        time.sleep(0.002)


def _rest(rng: random.Random) -> None:
    """Come again soon; mostly only when the command ended, as pulse does."""
    time.sleep(rng.choice((0.0, 0.005, 0.02)))
    while _is_held() and rng.random() < 0.98:
        time.sleep(0.005)


def _is_held() -> bool:
    return any(runner.is_held(lock) for lock in (settings.GR_RUN_DIR / "locks").glob("*.lock"))


def _execute(argv: Sequence[str]) -> None:
    """Do what an argv means, in the process that was forked for it."""
    if argv[1] == "-I":
        points.become("runner")
        runner.main(Path(argv[3]), int(argv[4]))
        return
    kind = argv[2].removeprefix("rollout.steps.")
    points.become("command")
    sys.argv = [kind, argv[3]]
    target.command(kind)
