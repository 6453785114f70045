"""The commits that a release says it brings: the uploader's word, so it is at least complete and well-formed; pure."""

import re
from collections.abc import Mapping, Sequence

from approvals.addresses import folded
from approvals.proof import Refused

KEYS = ("sha", "author", "email", "subject")
LONGEST = 300
SHA = re.compile(r"[0-9a-f]{7,40}")
EMAIL = re.compile(r"[^\s@<>]+@[^\s@<>]+")
# what stands in the place of an author where there is none: it bars nobody, and no user matches it
NOBODY = {"name": "unknown, because the release lists no commits", "email": ""}


def rows(commits: Sequence[Mapping[str, object]]) -> list[dict[str, str]]:
    """Return commits as a release keeps them; raise Refused for one without sha, author or address."""
    return [_row(one, number) for number, one in enumerate(commits, start=1)]


def authors(commits: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Return name and address of each author once, by address; NOBODY where no commit is listed."""
    found = {folded(one["email"]): {"name": one["author"], "email": one["email"]} for one in commits}
    return list(found.values()) or [NOBODY]


def _row(one: Mapping[str, object], number: int) -> dict[str, str]:
    row = {key: str(one.get(key, "")).strip()[:LONGEST] for key in KEYS}
    row["sha"] = row["sha"].lower()
    if not SHA.fullmatch(row["sha"]):
        raise Refused(f"Commit {number}: its sha is 7 to 40 hexadecimal digits, not {row['sha'][:40]!r}.")
    if not row["author"]:
        raise Refused(f"Commit {number} ({row['sha'][:12]}) has no author.")
    if not EMAIL.fullmatch(row["email"]):
        raise Refused(f"Commit {number} ({row['sha'][:12]}): {row['email'][:80]!r} is no e-mail address of its author.")
    return row
