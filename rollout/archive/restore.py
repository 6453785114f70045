"""Puts a verified backup back in place, so that a kill at any moment only means doing it again; then proves it."""

import os
import shutil
from pathlib import Path

from monitoring import storage
from rollout.archive import dump
from rollout.archive.errors import BackupError, NoSpace
from rollout.archive.proof import prove, prove_tree
from rollout.archive.reader import extract, verify
from rollout.archive.spec import Contents, Proof
from rollout.archive.tree import link_target
from rollout.archive.writer import Log, Progress

RESTORING = ".restoring-"
REPLACED = ".replaced-"
DISCARDED = ".discarded-"
_SPARE_BYTES = 16 << 20


def restore(
    path: Path,
    *,
    sha256: str | None,
    component: str,
    environment: str,
    root: Path,
    keep_database: bool,
    log: Log,
    progress: Progress,
    postgresql: tuple[str, ...] = (),
) -> Proof:
    """Verify a backup whole, put it back below `root`, and return the proof of a second look at the disk.

    The service must be stopped. Nothing is touched before the backup is verified and unpacked beside its places. What
    is replaced is kept there, as .replaced-*, until the proof is equal. Running it again finishes a killed restore.
    `postgresql` are the service URLs, in the order of the backup. `progress` gets percent. Raises BackupError.
    """
    contents = verify(
        path, sha256=sha256, component=component, environment=environment, progress=lambda done: progress(done // 2)
    )
    return _restore(contents, root, keep_database, postgresql, log, lambda done: progress(50 + done // 2))


def rehearse_into(
    path: Path, scratch: Path, *, log: Log, progress: Progress, postgresql: tuple[str, ...] = ()
) -> Proof:
    """Restore a backup into an empty place, by the same steps; `postgresql` are URLs of scratch databases.

    Raises BackupError when `scratch` holds anything.
    """
    scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
    if any(scratch.iterdir()):
        raise BackupError(f"{scratch} is not empty; a rehearsal needs an empty place")
    contents = verify(path, sha256=None, component=None, environment=None, progress=lambda done: progress(done // 2))
    return _restore(contents, scratch, False, postgresql, log, lambda done: progress(50 + done // 2))


def _restore(
    contents: Contents, root: Path, keep_database: bool, postgresql: tuple[str, ...], log: Log, progress: Progress
) -> Proof:
    urls = _check_urls(contents, keep_database, postgresql)
    path = contents.path
    log(
        f"verified {path.name}: {len(contents.members)} members of release {contents.release}, sha256 {contents.sha256}"
    )
    changed = [tree for tree in contents.trees if not _already_equal(contents, root, tree, log)]
    databases = () if keep_database else contents.sqlite
    _check_space(contents, root, (*changed, *databases))
    for place in (*changed, *databases):
        _unpack_beside(contents, root, place)
    progress(50)
    for tree in changed:
        _swap_tree(root / tree, log)
    for database in databases:
        _swap_database(root / database, log)
    _swap_link(contents, root, log)
    for number, url in enumerate(urls):
        _restore_postgresql(contents, root, number, url, log)
    progress(80)
    proof = prove(contents, root, keep_database, postgresql=urls)
    _finish(contents, root, proof, log)
    progress(100)
    return proof


def _check_urls(contents: Contents, keep_database: bool, postgresql: tuple[str, ...]) -> tuple[str, ...]:
    if keep_database:
        return ()
    if len(postgresql) != len(contents.postgresql):
        raise BackupError(
            f"{contents.path.name} holds {len(contents.postgresql)} PostgreSQL databases, but {len(postgresql)} service"
            " URLs were given; correct `postgresql` in component.toml, or keep the database"
        )
    return postgresql


def _already_equal(contents: Contents, root: Path, tree: str, log: Log) -> bool:
    place = root / tree
    if not place.is_dir() or _exists(_beside(place, REPLACED)):
        return False
    try:
        equal = all(one.equal for one in prove_tree(contents, root, tree))
    except (BackupError, OSError) as error:
        log(f"{tree} cannot be compared with the backup and is replaced whole: {error}")
        return False
    if equal:
        log(f"{tree} already holds what the backup holds; left as it is")
    return equal


def _check_space(contents: Contents, root: Path, places: tuple[str, ...]) -> None:
    need = sum(member.size for place in places for member in contents.below(place)) + _SPARE_BYTES
    root.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(root).free
    if need > free:
        raise NoSpace(f"the restore needs {need} bytes below {root}, {free} are free; make room. Nothing was touched")


def _unpack_beside(contents: Contents, root: Path, place: str) -> None:
    beside = _beside(root / place, RESTORING)
    _remove(beside)
    beside.parent.mkdir(parents=True, exist_ok=True)
    extract(contents, beside, below=place)


def _swap_tree(place: Path, log: Log) -> None:
    if _exists(place):
        _move_aside(place)
    _beside(place, RESTORING).rename(place)
    storage.sync_directory(place.parent)
    _remove(_beside(place, DISCARDED))
    log(f"restored the directory {place.name}")


def _move_aside(place: Path) -> None:
    # After a killed restore the older one is the original: keep that, drop what the killed one had put in place.
    replaced, discarded = _beside(place, REPLACED), _beside(place, DISCARDED)
    _remove(discarded)
    place.rename(discarded if _exists(replaced) else replaced)


def _swap_database(place: Path, log: Log) -> None:
    """Replace a SQLite file; its side files go first: a journal left there would be played into the restored one."""
    for suffix in dump.SIDE_FILES:
        place.with_name(place.name + suffix).unlink(missing_ok=True)
    storage.sync_directory(place.parent)
    _clear_of_directory(place)
    _beside(place, RESTORING).replace(place)
    storage.sync_directory(place.parent)
    log(f"restored the database {place.name}")


def _swap_link(contents: Contents, root: Path, log: Log) -> None:
    place, target = root / contents.link, contents.at(contents.link).target
    if place.is_symlink() and link_target(place) == target:
        return
    _clear_of_directory(place)
    beside = _beside(place, RESTORING)
    _remove(beside)
    beside.symlink_to(target)
    beside.replace(place)
    storage.sync_directory(place.parent)
    log(f"{contents.link} leads to {target} again")


def _clear_of_directory(place: Path) -> None:
    """Move a directory away from where a file or a link belongs: no rename can replace it."""
    if place.is_dir() and not place.is_symlink():
        _move_aside(place)


def _restore_postgresql(contents: Contents, root: Path, number: int, url: str, log: Log) -> None:
    member = contents.at(f"postgresql/{number}.dump")
    unpacked = _beside(root / f"postgresql-{number}.dump", RESTORING)
    _remove(unpacked)
    try:
        extract(contents, unpacked, below=member.path)
        dump.pg_restore(url, unpacked)
    finally:
        _remove(unpacked)
    log(f"restored {dump.without_password(url)}")


def _finish(contents: Contents, root: Path, proof: Proof, log: Log) -> None:
    if not proof.equal:
        for one in proof.differences[:20]:
            log(f"NOT EQUAL {one.path}: expected {one.expected}, found {one.found}")
        return
    places = (*contents.trees, *contents.sqlite, contents.link)
    for place in places:
        for prefix in (RESTORING, DISCARDED):  # what a killed restore of another backup may have left
            _remove(_beside(root / place, prefix))
    for place in places:
        _remove(_beside(root / place, REPLACED))
        storage.sync_directory((root / place).parent)
    log(f"proved: {len(proof.files)} entries on the disk are equal to the backup, nothing extra")


def _beside(place: Path, prefix: str) -> Path:
    return place.with_name(prefix + place.name)


def _exists(place: Path) -> bool:
    return place.exists() or place.is_symlink()


def _remove(place: Path) -> None:
    if place.is_symlink() or place.is_file():
        place.unlink()
    elif place.is_dir():
        for directory, _, _ in os.walk(place):
            Path(directory).chmod(0o700)  # a read-only directory would keep its files
        shutil.rmtree(place)
