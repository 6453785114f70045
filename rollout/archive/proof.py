"""Compares what is on the disk with what a backup holds: every file read again, nothing missing, changed or extra."""

import time
from collections.abc import Sequence
from pathlib import Path

from monitoring import storage
from rollout.archive import dump
from rollout.archive.errors import BackupError
from rollout.archive.reader import quiet, verify
from rollout.archive.spec import Checked, Contents, Member, Proof
from rollout.archive.tree import Entry, entry, walk

MISSING = "missing"


def prove(backup: Path | Contents, root: Path, keep_database: bool, *, postgresql: tuple[str, ...] = ()) -> Proof:
    """Read again, from the disk, all that a restore put below `root`; writes nothing.

    A path is verified first. A file left in a restored directory, or a journal left beside a database, is a difference.
    PostgreSQL has no files to hash: its rows are counted by table.
    """
    started = time.monotonic()
    contents = backup if isinstance(backup, Contents) else _verified(backup)
    checked = [one for tree in contents.trees for one in prove_tree(contents, root, tree)]
    checked.extend(_checked(contents.at(contents.link), root))
    if not keep_database:
        for database in contents.sqlite:
            checked.extend(_checked(contents.at(database), root))
            checked.extend(_journals(root, database))
    rows = {f"postgresql/{number}.dump": dump.pg_row_counts(url) for number, url in enumerate(postgresql)}
    for name, tables in rows.items():
        checked.append(Checked(path=name, expected=_counted(dict(contents.rows[name])), found=_counted(tables)))
    return Proof(
        equal=bool(checked) and all(one.equal for one in checked),
        files=tuple(checked),
        seconds=round(time.monotonic() - started, 3),
        rows=rows,
    )


def prove_tree(contents: Contents, root: Path, tree: str) -> list[Checked]:
    """Compare one restored directory, itself included, with the backup."""
    return compare(contents.below(tree), root, top=tree)


def compare(members: Sequence[Member], root: Path, *, top: str) -> list[Checked]:
    """Compare what is in the directory `top` ("" for `root` itself) with `members`; whatever else is there is extra."""
    checked = [one for member in members for one in _checked(member, root)]
    known = {top, *(member.path for member in members)}
    place = root / top
    if place.is_dir() and not place.is_symlink():
        extra = (found.path for found in walk(root, top) if found.path not in known)
        checked.extend(Checked(path=path, expected=MISSING, found="extra") for path in extra)
    return checked


def _verified(path: Path) -> Contents:
    return verify(path, sha256=None, component=None, environment=None, progress=quiet)


def _checked(member: Member, root: Path) -> list[Checked]:
    expected = _words(member)
    try:
        found = entry(root, member.path)
    except FileNotFoundError:
        return [Checked(path=member.path, expected=expected, found=MISSING)]
    except (BackupError, NotADirectoryError) as error:
        return [Checked(path=member.path, expected=expected, found=str(error))]
    checked = [Checked(path=member.path, expected=expected, found=_found_words(found))]
    if member.type != "symlink" and found.mode != member.mode:
        checked.append(Checked(path=member.path, expected=f"mode {member.mode:04o}", found=f"mode {found.mode:04o}"))
    return checked


def _words(member: Member) -> str:
    if member.type == "directory":
        return "directory"
    return f"link to {member.target}" if member.type == "symlink" else member.sha256


def _found_words(found: Entry) -> str:
    if found.type == "directory":
        return "directory"
    return f"link to {found.target}" if found.type == "symlink" else storage.sha256_of(found.source)


def _journals(root: Path, database: str) -> list[Checked]:
    left = [Path(f"{root / database}{suffix}") for suffix in ("-wal", "-journal")]
    return [
        Checked(path=path.relative_to(root).as_posix(), expected=MISSING, found=f"{path.stat().st_size} bytes")
        for path in left
        if path.exists() and path.stat().st_size
    ]


def _counted(tables: dict[str, int]) -> str:
    return ", ".join(f"{table} {count}" for table, count in sorted(tables.items())) or "no tables"
