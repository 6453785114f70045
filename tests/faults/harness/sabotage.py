"""Breaks the engine on purpose, so that it can be seen that the harness notices."""

import contextlib
import inspect
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from monitoring import audit
from rollout import borne, intent, recovering, runner, standing, swap
from rollout.models import Effect
from tests.faults.harness import forks


def no_lock() -> None:
    """Start commands without the target's lock."""

    @contextlib.contextmanager
    def lock(path: Path) -> Iterator[runner.TargetLock]:
        with Path(os.devnull).open() as nothing:
            yield runner.TargetLock(nothing.fileno())

    runner.lock, runner.is_held = lock, lambda path: False
    # these take a moment, in which the short commands of trials end, and see that another worker was there
    borne.why_not, standing.at_work, borne.take = lambda run: "", lambda run: "", lambda run, step: None


def no_inheritance() -> None:
    """Let the lock go with the runner: the command does not hold it."""
    began = forks.Forked.__init__

    def init(self: forks.Forked, argv: Any, *, pass_fds: Any, **more: Any) -> None:
        began(self, argv, pass_fds=() if argv[1] == "-m" else pass_fds, **more)

    forks.Forked.__init__ = init  # type: ignore[method-assign]


def no_swap() -> None:
    """Let a move overwrite what another moved meanwhile: load, check, save."""
    swap.AS_READ = "%s <> '' AND %s >= 0"
    swap._statement.cache_clear()


def no_question() -> None:
    """Start again whatever was lost, without asking whether it happened."""
    _rewrite(recovering.recover, 'not step.effect or commands.driver_of(run).recovery == "resumable"', "True")


def no_journal() -> None:
    """Write nothing into the journal."""
    Effect.save = lambda self, *args, **more: None  # type: ignore[method-assign]


def no_audit() -> None:
    """Forget how it ended: of any other entry that is missing the engine itself finds out, and asks people."""
    place = audit.place

    def forgetful(written: audit.Draft) -> Any:
        return None if written.told["action"] == "rollout.succeeded" else place(written)

    audit.place = forgetful


def no_recovery() -> None:
    """Leave what was lost where it is."""
    recovering.recover = lambda *args, **more: None


def optimism() -> None:
    """Take a lost command for one that went well."""
    well = intent.Outcome(result="ok", sentence="it will have", facts={"live_version": "1.1.0"})
    recovering.recover = lambda run, step, *, started, now: well


def twice() -> None:
    """Start each command a second time."""
    start = runner.TargetLock.start

    def start_twice(self: runner.TargetLock, *args: Any, **more: Any) -> None:
        start(self, *args, **more)
        start(self, *args, **more)

    runner.TargetLock.start = start_twice  # type: ignore[method-assign]


ALL: dict[str, Callable[[], None]] = {
    one.__name__: one
    for one in (
        no_lock,
        no_inheritance,
        no_swap,
        no_question,
        no_journal,
        no_audit,
        no_recovery,
        optimism,
        twice,
    )
}


def _rewrite(function: Callable[..., Any], old: str, new: str) -> None:
    """Put changed code into a function, wherever it is known by name already."""
    function = inspect.unwrap(function)
    source = textwrap.dedent(inspect.getsource(function))
    if source.count(old) != 1:
        raise RuntimeError(f"{function.__name__} holds no such line any more: {old}")
    inside: dict[str, Any] = {}
    exec(compile(source.replace(old, new), "sabotage", "exec"), function.__globals__, inside)
    function.__code__ = inside[function.__name__].__code__
