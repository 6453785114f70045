"""Says what in GR_VAR goes neither into an archive nor out of one, and puts aside what stands in the way of a restore.

The database is copied by its own means, however deep below GR_VAR it stands: a raw copy of a file that is written
meanwhile is no backup, and unpacked it would overwrite the one that is in use.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from monitoring import anchors, checkpoints, storage
from rollout.archive import dump

# What stands in GR_VAR and is not of this installation's history, or is made again.
LEFT_OUT = frozenset(
    {"run", "scratch", "uploads", "static", "log", "ballast", "demo", "dhash-venv", "restored-keys", "restoring"}
)
BEFORE = "before-restore"
# Named by their sha256: one that is there already is the same.
KEPT = ("artifacts", "attachments")
IsApart = Callable[[Path], bool]


def database_files() -> tuple[Path, ...]:
    """Return where the SQLite database and its side files stand, links followed; nothing for PostgreSQL."""
    if connection.vendor != "sqlite":
        return ()
    place = Path(settings.DATABASES["default"]["NAME"]).resolve()
    return (place, *(place.with_name(place.name + suffix) for suffix in dump.SIDE_FILES))


def untouchable() -> frozenset[Path]:
    """Return what no member of an archive may land on, links followed: the database, the anchor file, the audit's key.

    An anchor file that came back with the database could witness nothing against it; the key goes with the keys only.
    """
    key = checkpoints.key_file().resolve()
    return frozenset((*database_files(), anchors.path().resolve(), key, key.with_name(f"{key.name}.restored")))


def apart() -> IsApart:
    """Return the rule that says of a path in GR_VAR whether it is left out of archives, and refused from them."""
    root, refused = Path(settings.GR_VAR), untouchable()
    places = (settings.GR_RUN_DIR, settings.GR_BACKUPS, checkpoints.key_file().parent)
    below = [Path(place).resolve() for place in places]
    elsewhere = [place for place in below if not root.resolve().is_relative_to(place)]

    def is_apart(path: Path) -> bool:
        parts, place = path.relative_to(root).parts, path.resolve()
        if place in refused or _is_passing(parts):
            return True
        return parts[0] not in KEPT and any(place.is_relative_to(one) for one in elsewhere)

    return is_apart


def files() -> Iterator[Path]:
    """Yield every file in GR_VAR that goes into an archive; of links only directories at the top are followed."""
    root, is_apart = Path(settings.GR_VAR), apart()

    def walk(folder: Path) -> Iterator[Path]:
        for path in sorted(folder.iterdir()):
            if is_apart(path) or (path.is_symlink() and not (folder == root and path.is_dir())):
                continue
            if path.is_dir():
                yield from walk(path)
            else:
                yield path

    return walk(root)


def put_aside(path: Path, aside: Path) -> None:
    """Move what stands at a path into the folder `aside`, so that nothing is lost that is to be replaced."""
    storage.make_directory(aside)
    shutil.move(path, aside / path.name)
    with (aside / path.name).open("r+b") as moved:
        storage.sync_open(moved)  # a copy, where another file system stands between them
    storage.sync_directory(aside)
    storage.sync_directory(path.parent)


def goes_on(path: Path, sha256: str, size: int) -> bool:
    """Say whether a file begins with the bytes of an archived one: it was only appended to since, and tells more."""
    digest, left = hashlib.sha256(), size
    try:
        with path.open("rb") as source:
            while left and (chunk := source.read(min(left, storage.CHUNK_BYTES))):
                digest.update(chunk)
                left -= len(chunk)
    except FileNotFoundError:
        return False
    return left == 0 and digest.hexdigest() == sha256


def _is_passing(parts: tuple[str, ...]) -> bool:
    """Say whether this is made again, a lock, half written, or what an earlier restore put aside."""
    top = parts[0]
    if top in LEFT_OUT or top.startswith(BEFORE) or (len(parts) == 1 and top.endswith(".lock")):
        return True
    return any(part.startswith(".") for part in parts)
