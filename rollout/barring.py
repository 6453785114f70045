"""Who is barred from approving a rollout, and by which duty: by its rows, and by what the audit told as it came to be.

Rows can be written past the product, and who wrote them would be barred by nothing. So the duties of both are joined,
and where entries are missing or do not hold there is nothing to sign.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import chain
from typing import Any

from django.db.models import Q, QuerySet

from approvals import ledger, proven
from monitoring import audit_told, canonical
from monitoring.models import AuditEntry
from rollout import evidence, transitions
from rollout.component import LINKS, UPLOADS
from rollout.models import Rollout

Json = dict[str, Any]
CREATED = RELEASE, ROLLOUT = "release.created", "rollout.created"
FILE, LINK, TUNED = "artifact.attached", "link.attached", "rollout.tuned"
REQUESTER, UPLOADER, AUTHOR, TUNER = "requester", "uploader", "commit author", "tuner"


def duties(
    rollout: Rollout, authors: Iterable[int], told: Mapping[str, AbstractSet[int]] | None = None
) -> dict[int, list[str]]:
    """Return user id -> the duties that bar this person from approving (DESIGN.md section 6), by rows and as `told`."""
    rows = {
        REQUESTER: {rollout.requester_id},
        UPLOADER: _uploaders(rollout),
        AUTHOR: set(authors),
        TUNER: {one for tuners in rollout.tuners.values() for one in tuners},
    }
    barred: dict[int, list[str]] = {}
    for duty, people in rows.items():
        for user_id in people | (told or {}).get(duty, frozenset()):
            barred.setdefault(user_id, []).append(duty)
    return barred


def told(rollout: Rollout, manifest: Mapping[str, Any]) -> dict[str, set[int]]:
    """Return duty -> who has it by what the audit tells of a rollout and its release; call it in a turn.

    Every version told of all that is asked here. Raises Refused where an entry is missing, tells of something else than
    what stands in the manifest, or may be hidden: the chain has to hold since the release was created.
    """
    try:
        entries, wrong = audit_told.told(_about(rollout))
        problem = next(chain(wrong, _differences(rollout, manifest, entries), _broken(entries)), "")
        found = {} if problem else _told_duties(manifest, entries)
    except (*proven.UNREADABLE, ArithmeticError) as error:
        problem, found = f"it cannot be read: {error!r}", {}
    if problem:
        # the chain that a release rests on does not mend: a new one rests on what comes after
        raise ledger.Refused(
            f"The audit does not tell who had a part in this: {problem}; the database was edited. "
            "Once that is explained, make the release anew."
        )
    return found


def tuners_after(
    tuners: Mapping[str, Sequence[int]], before: Mapping[str, str], after: Mapping[str, str], who: int | None
) -> dict[str, list[int]]:
    """Return key -> who has a part in its value after one more tuning; pure.

    Saving a number again takes nobody over, only its default lets its tuners go.
    """
    kept = {key: list(tuners.get(key, ())) for key in after}
    for key, value in after.items():
        if who is not None and who not in kept[key] and not is_same(before.get(key), value):
            kept[key].append(who)
    return kept


def is_same(before: str | None, after: str) -> bool:
    """Say whether a number was saved again; pure."""
    return before is not None and Decimal(before) == Decimal(after)


def _uploaders(rollout: Rollout) -> set[int]:
    release = rollout.release
    standing = release.artifacts.filter(replaced_at=None).values("sha256")
    # the same bytes brought again take nobody over
    files = release.artifacts.filter(sha256__in=standing, uploaded_by__isnull=False)
    links = release.links.values_list("added_by", flat=True)
    return {release.created_by_id, *files.values_list("uploaded_by", flat=True), *links}


def _about(rollout: Rollout) -> QuerySet[AuditEntry]:
    mine = Q(subject_kind="rollout", subject_id=transitions.subject_of(rollout).id, action__in=(ROLLOUT, TUNED))
    release = Q(subject_kind="release", subject_id=evidence.subject_of(rollout.release).id)
    return AuditEntry.objects.filter(mine | release & Q(action__in=(RELEASE, FILE, LINK)))


def _differences(rollout: Rollout, manifest: Mapping[str, Any], entries: list[Json]) -> Iterator[str]:
    """Yield how what is to be signed is not what entries tell that somebody made, brought and tuned; pure."""
    for action in CREATED:
        if [one["action"] for one in entries].count(action) != 1:
            yield f"not one entry tells that the {action.partition('.')[0]} was created"
    commits = canonical.digest(manifest["release"]["commits"])
    if any(one["data"].get("commits_sha256", commits) != commits for one in entries):  # an older version told less
        yield "its commits are not those with which the release was created"
    brought = {(one["data"]["kind"], one["data"]["sha256"]) for one in entries if one["action"] == FILE}
    newest = {one["data"]["kind"]: one["data"]["url"] for one in entries if one["action"] == LINK}
    brought |= set(newest.items())  # one that was replaced does not come back by itself
    for kind, what in (*_files(manifest), *_links(manifest)):
        if (kind, what) not in brought:
            yield f"no entry tells that anybody brought this {kind}"
    if rollout.tuning != next((one["data"]["tuning"] for one in reversed(entries) if one["action"] == TUNED), {}):
        yield "the gates are not tuned as the newest entry tells"


def _broken(entries: list[Json]) -> Iterator[str]:
    """Yield what is wrong with the chain since the first of these, so that none is hidden from who looks for it."""
    yield from audit_told.broken_from(entries[0]["seq"], by_anchor=False)


def _told_duties(manifest: Mapping[str, Any], entries: list[Json]) -> dict[str, set[int]]:
    """Return duty -> who has it by these entries; pure. Where the machine acted there is nobody to bar."""
    files, linked = set(_files(manifest)), set(_links(manifest))
    found: dict[str, set[int | None]] = {REQUESTER: set(), UPLOADER: set(), TUNER: set()}
    links: dict[str, str] = {}
    tuning: dict[str, str] = {}
    tuners: dict[str, list[int]] = {}
    for one in entries:
        action, data, who = one["action"], one["data"], one["actor"]["id"]
        if action == ROLLOUT:
            found[REQUESTER].add(who)
        elif action == RELEASE or (action == FILE and (data["kind"], data["sha256"]) in files):
            found[UPLOADER].add(who)
        elif action == LINK and links.get(data["kind"]) != data["url"]:
            links[data["kind"]] = data["url"]  # the same link brought again stays that of who brought it
            found[UPLOADER] |= {who} if (data["kind"], data["url"]) in linked else set()
        elif action == TUNED:
            tuning, tuners = data["tuning"], tuners_after(tuners, tuning, data["tuning"], who)
    found[TUNER] |= {one for people in tuners.values() for one in people}
    return {duty: {one for one in people if one is not None} for duty, people in found.items()}


def _files(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["sha256"]) for one in manifest["evidence"] if one["kind"] in UPLOADS]


def _links(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(one["kind"], one["url"]) for one in manifest["links"] if one["kind"] in LINKS]
