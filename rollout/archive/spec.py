"""The values of backup and restore: what to save, what was saved, what was found on the disk afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import Literal

from rollout.archive.errors import BackupError
from rollout.archive.names import check_name

Kind = Literal["backup", "undo"]
MemberType = Literal["file", "directory", "symlink", "dump"]
Rows = Mapping[str, Mapping[str, int]]
FORMAT = 1
MANIFEST = "manifest.json"
TREE = "root/"


@dataclass(frozen=True, kw_only=True)
class BackupSpec:
    """What to save of an environment; every path is relative to `root`, with forward slashes.

    `link` is the symlink at the root that names the live release; `postgresql` holds service URLs.
    """

    component: str
    environment: str
    release: str
    root: Path
    release_dir: str
    link: str = "current"
    directories: tuple[str, ...] = ()
    sqlite: tuple[str, ...] = ()
    postgresql: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse paths that leave the root or lie inside each other: each would be saved or replaced twice."""
        for name in (self.component, self.environment):
            if not name or not name.replace("-", "").isalnum() or not name.isascii():
                raise BackupError(f"{name!a} cannot be part of a file name; use letters, digits and '-'")
        paths = (self.release_dir, *self.directories, *self.sqlite, self.link)
        for path in paths:
            check_name(path)
        for first, second in permutations(paths, 2):
            if f"{second}/".startswith(f"{first}/"):
                raise BackupError(f"{second!r} lies inside {first!r}; name each part of the backup once")

    @property
    def trees(self) -> tuple[str, ...]:
        """Return the directories saved whole, the live release first."""
        return (self.release_dir, *self.directories)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One entry of an archive; `size` in bytes, `mode` the permission bits, `target` only of a symlink."""

    path: str
    type: MemberType
    size: int
    sha256: str
    mode: int
    mtime_ns: int
    target: str = ""

    @property
    def name(self) -> str:
        """Return the name of the entry in the zip file."""
        if self.type == "dump":
            return self.path
        return f"{TREE}{self.path}/" if self.type == "directory" else f"{TREE}{self.path}"


@dataclass(frozen=True, kw_only=True)
class Contents:
    """A backup that was read whole and found to be what it says; `postgresql` holds URLs without passwords."""

    path: Path
    sha256: str
    size: int
    component: str
    environment: str
    release: str
    created: str
    kind: Kind
    release_dir: str
    link: str
    directories: tuple[str, ...]
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]
    members: tuple[Member, ...]
    rows: Rows

    @property
    def trees(self) -> tuple[str, ...]:
        """Return the directories that a restore replaces whole."""
        return (self.release_dir, *self.directories)

    def below(self, tree: str) -> tuple[Member, ...]:
        """Return one member and, of a directory, all that is in it, itself first."""
        return tuple(m for m in self.members if m.path == tree or m.path.startswith(f"{tree}/"))

    def at(self, path: str) -> Member:
        """Return the member with that path; KeyError when there is none."""
        for member in self.members:
            if member.path == path:
                return member
        raise KeyError(path)


@dataclass(frozen=True, kw_only=True)
class Report:
    """A finished backup; `size` in bytes, `rows` counts by database and table."""

    path: Path
    sha256: str
    size: int
    members: int
    rows: Rows
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """One thing compared after a restore: the sha256 of a file, or words for a link, a directory, a mode."""

    path: str
    expected: str
    found: str

    @property
    def equal(self) -> bool:
        """Say whether the disk holds what the backup holds."""
        return self.expected == self.found


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What a second look at the disk found; `equal` only if nothing is missing, changed or extra."""

    equal: bool
    files: tuple[Checked, ...]
    seconds: float
    rows: Rows = field(default_factory=dict)

    @property
    def differences(self) -> tuple[Checked, ...]:
        """Return what is not as it was saved."""
        return tuple(one for one in self.files if not one.equal)
