"""System checks of this room: what would lose or double work later is said before anything starts."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import connections

SECRET_MIN = 50
# PRAGMA -> (what it must answer, what happens otherwise); DESIGN.md section 5
PRAGMAS = {
    "journal_mode": (("wal", "memory"), "readers would block writers"),
    "synchronous": ((2, 3), "a power cut would lose commits that were acknowledged"),
    "foreign_keys": ((1,), "history could lose what it points at"),
    "recursive_triggers": ((1,), "REPLACE would get past the guard triggers"),
}

Apps = Sequence[AppConfig] | None


def sqlite_is_durable(app_configs: Apps, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report rollout.E001 for every PRAGMA of a SQLite connection that is not as the design needs it."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        connection = connections[alias]
        if connection.vendor != "sqlite":
            continue
        with connection.cursor() as cursor:
            for pragma, (wanted, otherwise) in PRAGMAS.items():
                cursor.execute(f"PRAGMA {pragma}")
                said = cursor.fetchone()[0]
                if said not in wanted:
                    text = f"PRAGMA {pragma} is {said} in database '{alias}', expected {wanted[0]}: {otherwise}."
                    found.append(
                        Error(text, hint="Leave DATABASES as rollout/settings.py makes it.", id="rollout.E001")
                    )
    return found


def transactions_are_immediate(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.E002 when a SQLite transaction would begin as a reader and fail when it writes."""
    return [
        Error(
            f"Database '{alias}' begins transactions {mode or 'DEFERRED'}: writers would fail as 'locked'.",
            hint='Set OPTIONS["transaction_mode"] to "IMMEDIATE".',
            id="rollout.E002",
        )
        for alias, database in settings.DATABASES.items()
        if database["ENGINE"].endswith("sqlite3")
        and (mode := database.get("OPTIONS", {}).get("transaction_mode")) != "IMMEDIATE"
    ]


def messages_come_once(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.E003 when the queue would hand a message out again while it is still being worked on."""
    queue: dict[str, Any] = settings.Q_CLUSTER
    least = queue["timeout"] * (queue["queue_limit"] / queue["workers"] + 2)
    if queue["retry"] > least:
        return []
    arithmetic = f"timeout x (queue_limit / workers + 2) = {least:.0f} s"
    text = f"Q_CLUSTER: retry is {queue['retry']} s, it must be more than {arithmetic}."
    return [Error(text, hint="Raise retry, or lower timeout or queue_limit.", id="rollout.E003")]


def directories_can_be_written(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.E004 for a directory that cannot be written, rollout.W002 when others may read the backups."""
    found: list[CheckMessage] = []
    for name in ("GR_VAR", "GR_BACKUPS", "GR_RUN_DIR"):
        directory = Path(getattr(settings, name))
        nearest = next(place for place in (directory, *directory.parents) if place.exists())
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            hint = f"Let the account that runs the worker write there, or set {name} to another directory."
            found.append(Error(f"{name} {directory} cannot be written.", hint=hint, id="rollout.E004"))
    backups = Path(settings.GR_BACKUPS)
    if backups.is_dir() and backups.stat().st_mode & 0o077:
        text = f"Others on this machine may look into {backups}; it holds copies of the databases."
        found.append(Warning(text, hint=f"chmod 700 {backups}", id="rollout.W002"))
    return found


def secret_is_strong(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.W001 for a key that could be guessed: it signs sessions and queued tasks."""
    key = settings.SECRET_KEY
    if len(key) >= SECRET_MIN and len(set(key)) >= 5 and not key.startswith("django-insecure-"):
        return []
    text = f"DJANGO_SECRET_KEY is too weak: at least {SECRET_MIN} random characters are expected."
    hint = "`python up.py` writes one into .env; or: python -c 'import secrets; print(secrets.token_urlsafe(50))'"
    return [Warning(text, hint=hint, id="rollout.W001")]


def debug_is_off(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.W003 while error pages would show settings."""
    if not settings.DEBUG:
        return []
    return [Warning("DJANGO_DEBUG is on: error pages show settings.", hint="Unset it.", id="rollout.W003")]
