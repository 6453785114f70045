"""Backs up Guarded Rollout itself while it runs: database first, then files, because a file comes before its row."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from monitoring import audit, checkpoints, storage
from monitoring.audit import Actor, Subject
from rollout import own_archive, own_places
from rollout.archive import dump, writer
from rollout.archive.errors import BackupError
from rollout.models import Backup
from rollout.own_archive import BACKUPS, DATABASE, KEYS, STEPS, VAR, Archive, Part

Say = Callable[[str], None]
INSTALLATION = Subject(kind="installation", id="1", label="Guarded Rollout")
AUDIT_KEY = "audit.pem"
# Settings that name a file, not the file of a value; the certificates of an authority for time are no secret.
PATHS = frozenset({"GR_AUDIT_KEY_FILE", "GR_ANCHOR_FILE", "GR_TSA_CA_FILE"})


def take(
    dest: Path, *, keys: bool, with_backups: bool, by: Actor, now: datetime, say: Callable[[str], None]
) -> Archive:
    """Write the whole installation to the new file `dest`, verified, and audit that.

    Raises BackupError or OSError.
    """
    if dest.exists():
        raise BackupError(f"{dest} is there already; nothing is ever overwritten")
    storage.make_directory(dest.absolute().parent)
    with own_archive.scratch(dest.absolute().parent) as scratch:
        copied = _copy_database(scratch)
        say(f"database copied ({connection.vendor})")
        facts = {**copied, **_facts(now, keys=keys, with_backups=with_backups)}
        parts = [Part(name=f"{DATABASE}/{facts['database_file']}", source=scratch / facts["database_file"])]
        parts += [*_var(), *_outputs(), *(_keys() if keys else ()), *(_backups() if with_backups else ())]
        there = (part for part in parts if part.source.is_file())
        archive = own_archive.write(dest, there, facts, scratch=scratch)
    data = {"name": dest.name, "sha256": archive.sha256, "members": len(archive.members), "keys": keys}
    with audit.turn():
        audit.append(action="installation.backed_up", by=by, subject=INSTALLATION, data=data, now=now)
    return archive


def postgres_url() -> str:
    """Return the URL of the PostgreSQL database that is in use."""
    database = settings.DATABASES["default"]
    user = quote(database["USER"], safe="")
    secret = f":{quote(database['PASSWORD'], safe='')}" if database["PASSWORD"] else ""
    place = f"{database['HOST'] or 'localhost'}:{database['PORT'] or 5432}"
    return f"postgresql://{user}{secret}@{place}/{quote(str(database['NAME']), safe='')}"


def _copy_database(scratch: Path) -> dict[str, Any]:
    """Copy the database as of one moment, while it is used; return its file's name and an audit head inside of it."""
    if connection.vendor == "sqlite":
        copy = scratch / "db.sqlite3"
        dump.sqlite_copy(Path(settings.DATABASES["default"]["NAME"]), copy)
        with closing(sqlite3.connect(copy)) as opened:
            head = opened.execute("SELECT seq, hash FROM monitoring_audithead").fetchone() or (0, "")
        return {"database_file": copy.name, "audit_head": list(head)}
    head = audit.head()  # asked before: the entry is in the copy, whatever came after it
    dump.pg_dump(postgres_url(), scratch / "db.dump")
    return {"database_file": "db.dump", "audit_head": list(head)}


def _facts(now: datetime, *, keys: bool, with_backups: bool) -> dict[str, Any]:
    applied = MigrationRecorder(connection).applied_migrations()
    return {
        "taken_at": audit.stamp(now),
        "vendor": connection.vendor,
        "host": settings.GR_HOST_ID,
        "migrations": sorted(f"{app}.{name}" for app, name in applied),
        "keys": keys,
        "with_backups": with_backups,
        # they are large and hold the data of others: named, so that each can be found and proved
        "backups": [
            {"name": str(one), "sha256": one.sha256, "size": one.size, "target": str(one.target)}
            for one in Backup.objects.filter(removed_at=None).select_related("target__component", "target__environment")
        ],
    }


def _var() -> Iterator[Part]:
    root = Path(settings.GR_VAR)
    for file in own_places.files():
        yield Part(name=f"{VAR}/{file.relative_to(root).as_posix()}", source=file)


def _outputs() -> Iterator[Part]:
    """Yield what the steps printed, which their pages show."""
    for output in sorted((Path(settings.GR_RUN_DIR) / "steps").glob("*/output.log")):
        yield Part(name=f"{STEPS}/{output.parent.name}/{output.name}", source=output)


def _keys() -> Iterator[Part]:
    """Yield .env and every file that a setting NAME_FILE points at; what stands only in the environment is not ours."""
    yield Part(name=f"{KEYS}/.env", source=settings.BASE_DIR / ".env")
    yield Part(name=f"{KEYS}/{AUDIT_KEY}", source=checkpoints.key_file())
    for name, value in sorted(os.environ.items()):
        if name in PATHS:
            continue
        if name.endswith("_FILE") and name.startswith(("GR_", "DJANGO_", "DATABASE_", "EMAIL_")) and value:
            yield Part(name=f"{KEYS}/{name.removesuffix('_FILE')}", source=Path(value))


def _backups() -> Iterator[Part]:
    root = Path(settings.GR_BACKUPS)
    for one in Backup.objects.filter(removed_at=None).order_by("pk"):
        path = Path(one.path)
        if path.is_relative_to(root):
            for file in (path, writer.sidecar_of(path)):
                yield Part(name=f"{BACKUPS}/{file.relative_to(root).as_posix()}", source=file)
