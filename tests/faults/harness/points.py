"""The points at which a process can be killed: functions that are wrapped from outside, and every SQL statement."""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from django.db import connection

from tests.faults.harness.board import Board

# (module or module:class, function): each is a point "…:before" and one "…:after", in whatever process it is called.
TABLE = (
    ("rollout.actions", "start"),
    ("rollout.actions", "submit"),
    ("rollout.actions", "abort"),
    ("rollout.actions", "roll_back"),
    ("rollout.opening", "_open"),
    ("rollout.opening", "rollback_run"),
    ("rollout.opening", "end_run"),
    ("rollout.freezing", "freeze"),
    ("rollout.beginning", "begin"),
    ("rollout.engine", "_start"),
    ("rollout.engine", "_settle"),
    ("rollout.engine", "_keep"),
    ("rollout.commands", "make_next_folder"),
    ("rollout.leftovers", "cancel"),
    ("rollout.deciding", "done"),
    ("rollout.deciding", "not_done"),
    ("rollout.deciding", "try_again"),
    ("rollout.recovering", "recover"),
    ("rollout.recovering", "_send"),
    ("rollout.journal", "did_not_happen"),
    ("rollout.runner", "stamp"),
    ("rollout.commands", "intent_of"),
    ("rollout.models:Effect", "save"),
    ("rollout.intent:Intent", "write"),
    ("rollout.intent:Outcome", "write"),
    ("monitoring.storage", "write_atomic"),
    ("monitoring.storage", "sync_directory"),
    ("rollout.endings", "keep_facts"),
    ("rollout.finishing", "finished"),
    ("rollout.endings", "failed"),
    ("rollout.endings", "deploy_failed"),
    ("rollout.endings", "aborted"),
    ("rollout.watching", "begin"),
    ("rollout.watching", "settle"),
    ("rollout.runner:TargetLock", "start"),
    ("rollout.runner", "cancel"),
    ("rollout.runner", "main"),
    ("rollout.detached", "_execute"),
    ("rollout.detached", "write"),  # named with the file: command.json, started.json, exit.json
    ("rollout.detached", "_reason_to_end"),  # the command runs
    ("os", "fsync"),
    ("pathlib:Path", "rename"),
    ("rollout.steps.probe", "run"),
    ("tests.faults.harness.target", "command"),
    ("tests.faults.harness.target", "act"),
)
ROLE = {"is": "worker"}
_board: list[Board] = []


def on(board: Board) -> None:
    """Let the points of this process, and of those that it forks, count on a board."""
    _board[:] = [board]


def reached(name: str) -> None:
    """Come to a point."""
    if _board:
        _board[0].reach(ROLE["is"], name)


def become(role: str) -> None:
    """Take a part in the trial: worker, runner or command."""
    ROLE["is"] = role
    _board[0].join(role)


def install() -> None:
    """Wrap every function of the table, once."""
    for place, function in TABLE:
        module, _, inside = place.partition(":")
        owner: Any = importlib.import_module(module)
        owner = getattr(owner, inside) if inside else owner
        setattr(owner, function, _around(getattr(owner, function), f"{place}.{function}"))


def count_statements() -> None:
    """Make every statement and every commit of this process's connection a point."""
    connection.execute_wrappers.append(_statement)
    connection._commit = _around(connection._commit, "commit")  # type: ignore[method-assign]


def _statement(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    reached("sql:before")
    result = execute(sql, params, many, context)
    reached("sql:after")
    return result


def _around(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        full = f"{name}[{args[0].name}]" if name.endswith("detached.write") else name
        reached(f"{full}:before")
        result = function(*args, **kwargs)
        reached(f"{full}:after")
        return result

    return wrapped
