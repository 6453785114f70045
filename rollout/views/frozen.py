"""Reads the page's evidence from the manifest that was signed, and says when that manifest no longer holds."""

from dataclasses import replace

from django.db.models import Q

from rollout import checklist, freezing, links
from rollout.checklist import Found, Item
from rollout.models import Artifact, Rollout
from rollout.states import RolloutState as R

# Until the start the evidence may still be replaced, and what is there now is what counts.
OPEN = frozenset({R.DRAFT, R.VALIDATING, R.WAITING, R.APPROVED})
PARTS = {
    "evidence": "the evidence",
    "links": "the CI links",
    "release": "the release",
    "plan": "the plan",
    "target": "how the target is reached",
    "gates": "the gates",
    "tuning": "the tuning of the gates",
    "policy": "the policy",
    "migrations": "the migrations",
    "runbooks": "the runbooks",
    "configuration": "the configuration",
    "previous_version": "the release that is live",
}


def is_frozen(rollout: Rollout) -> bool:
    """Say whether the page shows what was signed, and not what is there now."""
    return bool(rollout.sign_off_id) and rollout.state not in OPEN and freezing.is_readable(rollout)


def items(rollout: Rollout) -> tuple[Item, ...]:
    """Return the checklist as it was signed, in two queries for the files and the checks of its links."""
    document = freezing.signed(rollout)
    here = Artifact.objects.filter(Q(rollout=None) | Q(rollout=rollout), release=rollout.release)
    files = {(one.kind, one.sha256): one.pk for one in here.order_by("pk")}
    now = {(one.kind, one.url): links.found(one, strict=False) for one in rollout.release.links.all()}
    found = {
        one["kind"]: Found(**one, artifact_id=files.get((one["kind"], one["sha256"]))) for one in document["evidence"]
    }
    for one in document["links"]:
        kept = Found(kind=one["kind"], name=one["url"], url=one["url"])
        said = now.get((kept.kind, kept.url), kept)
        found[kept.kind] = replace(said, bad="", note=said.bad or said.note)  # it counted when it was signed
    return checklist.build(found, found)


def stale_parts(rollout: Rollout) -> tuple[str, ...]:
    """Return in words what differs from the frozen manifest by now; nothing is written, a start refuses by itself."""
    if rollout.state not in (R.WAITING, R.APPROVED) or not rollout.manifest:
        return ()
    return tuple(PARTS.get(part, part.replace("_", " ")) for part in freezing.changed(rollout))
