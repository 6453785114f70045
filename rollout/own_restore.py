"""Puts an installation back from its archive: all is verified first, and nothing can start before all of it is done.

The old database is put aside first; then come the files, then the database, which names them. Until the end a marker
keeps every process from starting.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import DatabaseError, connection, connections
from django.db.migrations.loader import MigrationLoader

from approvals.ledger import Refused
from monitoring import anchors, audit_verify, checkpoints, storage
from monitoring.audit import Actor
from rollout import after_restore, own_alone, own_archive, own_places
from rollout.archive import dump
from rollout.boot import UNFINISHED
from rollout.models import Artifact
from rollout.own_archive import BACKUPS, DATABASE, KEYS, STEPS, VAR, Archive
from rollout.own_backup import AUDIT_KEY, postgres_url

Say = Callable[[str], None]
# Settings that say where things are: an .env that names other places than those in use is not put in force.
PLACES = ("DATABASE_URL", "GR_VAR", "GR_RUN_DIR", "GR_BACKUPS", "GR_AUDIT_KEY_FILE", "GR_ANCHOR_FILE")


@dataclass(frozen=True, kw_only=True)
class Report:
    """What was restored, and what a person has to do now."""

    archive: Archive
    entries: int
    to_do: tuple[str, ...]


def restore(path: Path, *, replace: bool, by: Actor, now: datetime, say: Say) -> Report:
    """Restore this installation from the archive at `path`; raise Refused or BackupError before anything is touched.

    `replace`: what is here is put aside and replaced; otherwise only an empty installation takes an archive.
    """
    archive = own_archive.verify(path)
    say(f"{path.name}: {len(archive.members)} members read back whole, taken {archive.facts['taken_at']}")
    aside = Path(settings.GR_VAR) / f"{own_places.BEFORE}-{now:%Y%m%d_%H%M%S}"
    with own_alone.alone():
        _check(archive, replace=replace)
        storage.write_atomic(marker(), f"{archive.sha256}\n".encode())
        _put_database_aside(aside)
        to_do = _files(archive, aside, say)
        say("files restored")
        _database(archive)
        call_command("migrate", interactive=False, verbosity=0, skip_checks=True)
        say("database restored and migrated")
        back_to = int(anchors.given_up()["back_to"])
        to_do += _lost_key()
        to_do += after_restore.settle(archive, by=by, now=now)
        if anchors.last() is not None:  # else pulse begins the file anew, and audits that
            anchors.note_accepted(back_to, why=f"restored from {path.name}, sha256 {archive.sha256}", now=now)
        entries = _prove(archive)
        marker().unlink()
        storage.sync_directory(marker().parent)
    return Report(archive=archive, entries=entries, to_do=tuple(to_do))


def marker() -> Path:
    """Return the file that stands while a restore is not finished."""
    return Path(settings.GR_VAR) / UNFINISHED


def _check(archive: Archive, *, replace: bool) -> None:
    if not replace and not marker().exists() and _is_used():
        raise Refused("This installation is not empty. Take a backup of it, then say --replace to put it aside.")
    if archive.facts["vendor"] != connection.vendor:
        raise Refused(
            f"The archive holds a database of {archive.facts['vendor']}, DATABASE_URL names {connection.vendor}."
        )
    known = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    foreign = [name for name in archive.facts["migrations"] if _is_newer(name, known)]
    if foreign:
        raise Refused(f"The archive is of a newer version, which has {', '.join(foreign[:3])}; install that one first.")
    free = shutil.disk_usage(settings.GR_VAR).free
    if free < archive.size:
        raise Refused(f"{archive.size} bytes are needed in {settings.GR_VAR}, {free} are free.")


def _is_newer(name: str, known: set[str]) -> bool:
    ours = {one.partition(".")[0] for one in known}
    return name not in known and name.partition(".")[0] in ours


def _is_used() -> bool:
    try:
        return User.objects.exists() or Artifact.objects.exists()
    except DatabaseError:
        return False


def _files(archive: Archive, aside: Path, say: Say) -> list[str]:
    """Unpack what stands in the file system; return what a person has to do about the keys."""
    roots = {VAR: Path(settings.GR_VAR), STEPS: Path(settings.GR_RUN_DIR) / "steps", BACKUPS: Path(settings.GR_BACKUPS)}
    is_apart, refused = own_places.apart(), own_places.untouchable()
    for place, root in roots.items():
        for name in archive.below(place):
            dest = root / name.partition("/")[2]
            # an archive may hold a raw copy of the database, or what was temporary then
            if dest.resolve() in refused or (place == VAR and is_apart(dest)):
                say(f"{name} is left where it is: it is no file to restore")
                continue
            _file(archive, name, dest, aside)
    return [line for name in archive.below(KEYS) for line in _key(archive, name)]


def _file(archive: Archive, name: str, dest: Path, aside: Path) -> None:
    """Unpack one file; another one in its place is put aside, and stays when it is the same one written on since."""
    kept = PurePosixPath(name).parts[:2] in {(VAR, one) for one in own_places.KEPT}
    if not kept and dest.exists():
        if own_places.goes_on(dest, *archive.members[name]):
            return
        own_places.put_aside(dest, (aside / name).parent)
    own_archive.unpack(archive, name, dest, mode=0o440 if kept else 0o600)


def _key(archive: Archive, name: str) -> list[str]:
    """Put .env in force where there is none, or only the one that up.py wrote; what cannot be put is left beside."""
    if name == f"{KEYS}/{AUDIT_KEY}":
        return _audit_key(archive, name)
    if name != f"{KEYS}/.env":
        dest = Path(settings.GR_VAR) / "restored-keys" / PurePosixPath(name).name
        own_archive.unpack(archive, name, dest)
        return [f"{dest} holds the value of {dest.name}; put it where {dest.name}_FILE points"]
    beside, env = settings.BASE_DIR / ".env.restored", settings.BASE_DIR / ".env"
    own_archive.unpack(archive, name, beside)
    here = env.read_bytes() if env.exists() else b""
    if here == beside.read_bytes():
        beside.unlink()
        return []
    if set(_values(here)) <= {"DJANGO_SECRET_KEY"} and _same_places(_values(beside.read_bytes())):
        if here:
            storage.write_atomic(env.with_name(".env.before-restore"), here)
        beside.replace(env)
        storage.sync_directory(env.parent)
        return [f"{env} is the restored one"]
    return [f"{beside} is the restored .env; compare it with {env}, which was left as it is"]


def _audit_key(archive: Archive, name: str) -> list[str]:
    """Put the key of the checkpoints back where there is none; another one that is here is never overwritten."""
    place = checkpoints.key_file()
    if not place.exists():
        own_archive.unpack(archive, name, place, mode=0o400)
        return []
    if storage.sha256_of(place) == archive.members[name][0]:
        return []
    beside = place.with_name(f"{place.name}.restored")
    own_archive.unpack(archive, name, beside, mode=0o400)
    return [f"{beside} is the key that signs the restored audit; put it in the place of {place}, another key"]


def _values(text: bytes) -> dict[str, str]:
    lines = (line.removeprefix("export ") for line in text.decode(errors="replace").splitlines())
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("'\"") for key, value in pairs}


def _same_places(values: dict[str, str]) -> bool:
    return all(values[name] == os.environ.get(name, "") for name in PLACES if name in values)


def _put_database_aside(aside: Path) -> None:
    """Keep the database that is here, and leave its place free of it, before anything is unpacked."""
    connections.close_all()
    if connection.vendor != "sqlite":
        storage.make_directory(aside)
        dump.pg_dump(postgres_url(), aside / "db.dump")
        return
    # all of them: a write-ahead log that stays would be played into the restored file
    for old in own_places.database_files():
        if old.exists():
            own_places.put_aside(old, aside)


def _database(archive: Archive) -> None:
    (name,) = archive.below(DATABASE)
    if connection.vendor == "sqlite":
        own_archive.unpack(archive, name, own_places.database_files()[0])
        return
    copy = Path(settings.GR_VAR) / ".restoring.dump"
    own_archive.unpack(archive, name, copy)
    dump.pg_restore(postgres_url(), copy)
    copy.unlink()


def _lost_key() -> list[str]:
    """Tell whoever restores without keys that nothing is signed before the key of the checkpoints is back."""
    if checkpoints.in_force() == "" or checkpoints.key_file().exists():
        return []
    how = "put the old file there, or say that it is lost: manage.py audit key_lost"
    return [f"the key that signs the audit is not at {checkpoints.key_file()}: {how}"]


def _prove(archive: Archive) -> int:
    """Verify the audit, and that it holds the head that the archive names; return how many entries it has."""
    seq, digest = archive.facts["audit_head"]
    result = audit_verify.verify_database({int(seq): str(digest)} if seq else {})
    if not result.ok:
        raise Refused(f"The restored audit does not hold: {'; '.join(result.problems)}. Nothing starts before it does.")
    return result.count
