"""Finds what GitHub was neither asked nor told because a message was lost; from the rows, as often as one likes."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Q

from monitoring.models import AuditEntry
from rollout import nudge
from rollout.component import LINKS
from rollout.models import EvidenceLink, Rollout, Run
from rollout.publishing import STATUS
from rollout.states import RolloutState as R
from rollout.states import RunState as N

# A message that is this young may still be on its way.
YOUNG = timedelta(seconds=20)
# What is older than this was given up by whoever waited for it: a merge must not happen days after the click.
OLD = timedelta(hours=1)
# Whose number an entry tells; somebody may have written anything there.
NUMBER = re.compile("[0-9]{1,18}")
STATUS_MOVES = [f"rollout.{state.lower()}" for state in STATUS]


def due(now: datetime) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield a key and the nudge of everything that should have been done by now."""
    if not settings.GR_GITHUB_TOKEN:
        return
    for release_id in _unchecked(now):
        yield f"check-{release_id}", partial(nudge.check, release_id)
    for rollout in _untold(now):
        yield f"publish-{rollout.pk}-{rollout.version}", partial(nudge.publish, rollout.pk)
    for pk in _unanswered(["github.merge_requested"], "github.merge", now):
        yield f"merge-{pk}", partial(nudge.merge, pk)


def _unchecked(now: datetime) -> list[int]:
    """Return the releases whose CI links were not asked about since they were added, or since the validation began."""
    spell = (now - OLD, now - YOUNG)
    links = EvidenceLink.objects.filter(kind__in=LINKS)
    found = set(links.filter(added_at__range=spell, checked_at=None).values_list("release", flat=True))
    begun = Run.objects.filter(kind=Run.Kind.VALIDATE, state__in=[N.QUEUED, N.RUNNING], created_at__range=spell)
    for release_id, since in begun.values_list("rollout__release", "created_at"):
        if links.filter(Q(checked_at=None) | Q(checked_at__lt=since), release=release_id).exists():
            found.add(release_id)
    return sorted(found)


def _untold(now: datetime) -> list[Rollout]:
    """Return the rollouts whose last move GitHub was not told of."""
    moved = _unanswered(STATUS_MOVES, "github.status", now)
    found = Rollout.objects.filter(pk__in=moved, state__in=[state.value for state in STATUS])
    return list(found.exclude(state=R.DRAFT, sign_off=None))


def _unanswered(asked: list[str], answer: str, now: datetime) -> list[int]:
    """Return the rollouts that the audit last tells `asked` of, without an `answer` after it."""
    entries = AuditEntry.objects.filter(subject_kind="rollout", action__in=asked, at__range=(now - OLD, now - YOUNG))
    last = {int(one.subject_id): one.seq for one in entries.order_by("seq") if NUMBER.fullmatch(one.subject_id)}
    return [
        pk
        for pk, seq in last.items()
        if not AuditEntry.objects.filter(
            subject_kind="rollout", subject_id=str(pk), action=answer, seq__gt=seq
        ).exists()
    ]
