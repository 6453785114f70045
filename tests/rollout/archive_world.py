"""A small environment as a component has it, for the tests of backup and restore."""

import json
import sqlite3
import zipfile
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from rollout.archive.restore import restore
from rollout.archive.spec import BackupSpec, Kind, Proof, Report
from rollout.archive.writer import create

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
LIVE = "releases/0001-1.0.0"
DATABASE = "shared/dhash.sqlite3"


def quiet(_: object) -> None:
    """Take what nobody looks at."""


def make_environment(root: Path) -> BackupSpec:
    """Make releases/, current, shared/ with a live WAL database; return what to save of it."""
    code = root / LIVE / "dhash"
    code.mkdir(parents=True)
    (code / "hash.py").write_text("BITS = 64\n" * 500)
    (code / "empty.py").touch()
    (code / "ctl").write_text("#!/bin/sh\nexit 0\n")
    (code / "ctl").chmod(0o755)
    (root / LIVE / "none").mkdir(mode=0o750)
    (root / LIVE / "bilder-äöü").write_bytes(bytes(range(256)) * 40)
    (root / LIVE / "lib").symlink_to("dhash/hash.py")
    (root / "shared/config").mkdir(parents=True)
    (root / "shared/config/dhash.toml").write_text("limit = 10\n")
    (root / "current").symlink_to(LIVE)
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE image (id INTEGER PRIMARY KEY, hash TEXT)")
        database.executemany("INSERT INTO image (hash) VALUES (?)", [(f"{n:016x}",) for n in range(50)])
        database.commit()
    return BackupSpec(
        component="dhash",
        environment="production",
        release="1.0.0",
        root=root,
        release_dir=LIVE,
        directories=("shared/config",),
        sqlite=(DATABASE,),
    )


def spoil(root: Path) -> None:
    """Do what a bad release does: other code, other files, other rows, a link to itself, a journal left behind."""
    (root / LIVE / "dhash/hash.py").write_text("BITS = 63\n")
    (root / LIVE / "dhash/extra.py").write_text("x = 1\n")
    (root / LIVE / "dhash/ctl").unlink()
    (root / "shared/config/dhash.toml").unlink()
    (root / "releases/0002-1.1.0").mkdir()
    (root / "current").unlink()
    (root / "current").symlink_to("releases/0002-1.1.0")
    with closing(sqlite3.connect(root / DATABASE)) as database:
        database.execute("DELETE FROM image WHERE id > 10")
        database.commit()
    (root / f"{DATABASE}-wal").write_bytes(b"left behind by a killed writer")


def save(spec: BackupSpec, folder: Path, *, now: datetime = NOW, kind: Kind = "backup") -> Report:
    """Make a backup without watching it."""
    return create(spec, folder, now=now, kind=kind, log=quiet, progress=quiet)


def bring_back(path: Path, root: Path, *, environment: str = "production", keep_database: bool = False) -> Proof:
    """Restore a backup of dhash without watching it."""
    return restore(
        path,
        sha256=None,
        component="dhash",
        environment=environment,
        root=root,
        keep_database=keep_database,
        log=quiet,
        progress=quiet,
    )


def picture(root: Path) -> dict[str, str]:
    """Return every name below `root` with what it is, so that two moments can be compared."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
    return found


def rewrite(path: Path, *, names: dict[str, str] | None = None, drop: str = "", add: str = "", manifest=None) -> None:
    """Forge a backup: rename, drop or add members, change the manifest; with a .sha256 that fits the forgery."""
    with zipfile.ZipFile(path) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as forged:
        for info, data in members:
            if info.filename == drop:
                continue
            if info.filename == "manifest.json" and manifest:
                value = json.loads(data)
                manifest(value)
                data = json.dumps(value).encode()
            info.filename = (names or {}).get(info.filename, info.filename)
            forged.writestr(info, data)
        if add:
            forged.writestr(add, b"added")
    seal(path)


def seal(path: Path) -> None:
    """Write the .sha256 that fits a file."""
    line = f"{sha256(path.read_bytes()).hexdigest()}  {path.parent.name}/{path.name}\n"
    path.with_name(f"{path.name}.sha256").write_text(line)
