"""System checks of this room: what would lose or double work later is said before anything starts."""

import importlib.util
import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.apps import AppConfig, apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.db import DatabaseError, connections
from django.utils import timezone

from monitoring import rfc3161

# The tag of what must hold before a worker or a pulse starts. All the checks of Django would load every page for that.
INSTALLATION = "installation"
SECRET_MIN = 50
# PRAGMA -> (what it must answer, what happens otherwise); DESIGN.md section 5
PRAGMAS = {
    "journal_mode": (("wal", "memory"), "readers would block writers"),
    "synchronous": ((2, 3), "a power cut would lose commits that were acknowledged"),
    "foreign_keys": ((1,), "history could lose what it points at"),
    "recursive_triggers": ((1,), "REPLACE would get past the guard triggers"),
}

# setting of the queue -> (what it must be, what happens otherwise); LIBRARIES.md section 2, rows 2, 9 and 10
QUEUE = (
    ("max_attempts", 1, "a task that failed would run again"),
    ("ack_failures", True, "a task that failed would run again"),
    ("bulk", 1, "messages would wait in a worker while their time runs out"),
)
ALIVE = timedelta(seconds=60)
NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.ceph", "lustre"}
)

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
    """Report rollout.E003 for each setting with which the queue would hand a message out again by itself."""
    queue: dict[str, Any] = settings.Q_CLUSTER
    wrong = [
        f"Q_CLUSTER: {key} is {queue.get(key)}, it must be {wanted}: {otherwise}."
        for key, wanted, otherwise in QUEUE
        if queue.get(key) != wanted
    ]
    least = queue["timeout"] * (queue["queue_limit"] / queue["workers"] + 2)
    if queue["retry"] <= least:
        arithmetic = f"timeout x (queue_limit / workers + 2) = {least:.0f} s"
        wrong.append(f"Q_CLUSTER: retry is {queue['retry']} s, it must be more than {arithmetic}.")
    hint = "Leave Q_CLUSTER as rollout/settings.py makes it; or raise retry, or lower timeout or queue_limit."
    return [Error(text, hint=hint, id="rollout.E003") for text in wrong]


def redis_can_be_spoken_to(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.E006 when messages are to go through Redis and its client is not installed."""
    if not settings.GR_REDIS_URL or importlib.util.find_spec("redis"):
        return []
    hint = "pip install --require-hashes -r requirements-redis.txt, or unset GR_REDIS_URL."
    return [Error("GR_REDIS_URL is set, but the Python client of Redis is missing.", hint=hint, id="rollout.E006")]


def checkpoints_can_be_stamped(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.E007 when an authority for time is named, and its stamps could not be asked for or checked."""
    if not settings.GR_TSA_URL:
        return []
    why = rfc3161.cannot_check(settings.GR_TSA_CA_FILE)
    hint = f"{rfc3161.INSTALL}; GR_TSA_CA_FILE is the certificate of the authority's root (docs/audit-format.md)."
    return [Error(f"GR_TSA_URL is set, but {why}.", hint=hint, id="rollout.E007")] if why else []


def sqlite_has_one_host(app_configs: Apps, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Report rollout.E005 when another host gave a sign of life in a SQLite database within the last minute."""
    if not databases or connections["default"].vendor != "sqlite":
        return []
    beats = apps.get_model("rollout", "Heartbeat").objects.filter(name__startswith="pulse@")
    try:
        names = set(beats.filter(at__gt=timezone.now() - ALIVE).values_list("name", flat=True))
    except DatabaseError:
        return []  # not migrated yet
    others = sorted(name.removeprefix("pulse@") for name in names - {f"pulse@{settings.GR_HOST_ID}"})
    if not others:
        return []
    text = f"Host {others[0]} works in this SQLite database, and this is host {settings.GR_HOST_ID}."
    hint = "Several hosts need PostgreSQL (docs/scaling.md). If this is the same machine by a new name, wait a minute."
    return [Error(text, hint=hint, id="rollout.E005")]


def locks_are_local(app_configs: Apps, **_: Any) -> list[CheckMessage]:
    """Report rollout.W004 when locks and runner files stand on a network file system."""
    kind = file_system_of(Path(settings.GR_RUN_DIR), Path("/proc/self/mountinfo"))
    if kind not in NETWORK:
        return []
    text = f"GR_RUN_DIR {settings.GR_RUN_DIR} stands on {kind}: a lock there may be no lock."
    return [Warning(text, hint="Set GR_RUN_DIR to a directory on a disk of this host.", id="rollout.W004")]


def file_system_of(place: Path, mounts: Path) -> str:
    """Return the type of the file system that holds a path, or "" where the kernel does not say (not Linux)."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        point = Path(before.split()[4].replace("\\040", " "))
        if place.resolve().is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), after.split()[0]
    return kind


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
