"""Says what a link to a CI run is worth: whether it is of the component's repository, and what was said of it; pure."""

from typing import Protocol
from urllib.parse import unquote, urlsplit

from monitoring.unseen import UNSEEN
from rollout.checklist import Found
from rollout.github.checks import Link

DISPROVED = frozenset(
    {Link.FAILED, Link.PENDING, Link.WRONG_COMMIT, Link.WRONG_PLATFORM, Link.WRONG_WORKFLOW, Link.NOT_FOUND}
)
LONGEST_URL = 300
WORDS = {"not_configured": "not asked: GitHub is not connected", "not_checked": "not asked yet"}


class Checked(Protocol):
    """A kept link, and what GitHub said of it when it was last asked."""

    kind: str
    url: str
    check_state: str
    check_detail: str


def found(link: Checked, *, strict: bool) -> Found:
    """Return a link as a line of the checklist; `strict`: it counts only when GitHub proved it."""
    words = link.check_detail or WORDS.get(link.check_state) or link.check_state.replace("_", " ")
    disproved, ok = link.check_state in DISPROVED, link.check_state == Link.OK
    bad, note = (words, "") if disproved or (strict and not ok) else ("", words)
    return Found(kind=link.kind, name=link.url, url=link.url, bad=bad, note=note, unchecked=not (ok or disproved))


def is_plain(url: str) -> bool:
    """Say whether a link is an https URL with a host and no user, short enough, and hides nothing."""
    try:
        parts = urlsplit(url)
        named = parts.scheme == "https" and bool(parts.hostname) and not parts.username
    except ValueError:  # an address in brackets that is none
        return False
    return named and len(url) <= LONGEST_URL and not UNSEEN.search(url)


def is_foreign(url: str, *, repository: str, web_url: str) -> bool:
    """Say whether a link leads to GitHub, but past the component's repository; elsewhere, or without one, it may."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    if not repository or host != urlsplit(web_url).hostname:
        return False
    # as a browser reads it, which obeys dots that are written in any way
    path = f"{unquote(parts.path)}/".replace("\\", "/").lower()
    return not path.startswith(f"/{repository.lower()}/") or ".." in path.split("/")
