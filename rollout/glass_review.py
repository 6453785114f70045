"""The review of a break-glass afterwards, by two others, and the reminder of one that is overdue."""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F, Q

from approvals import people
from approvals.hindsight import REVIEWERS, may_review
from approvals.ledger import Refused
from approvals.proof import check_proof
from approvals.reading import barred_of, policy_of
from approvals.rules import Member
from monitoring import audit, incidents, unseen
from monitoring.audit import SYSTEM, Actor
from rollout import glass_record, permits
from rollout.actions import Within
from rollout.models import BreakGlass, GlassReview

REMINDED_EVERY = timedelta(hours=24)
WORDS_MIN = 15
MEANING = "I have reviewed break-glass {pk} of {label} with digest {digest}; {verdict}."
SAID = {"AGREE": "it was right", "OBJECT": "I object to it"}


def review(
    glass: BreakGlass,
    *,
    user: User,
    verdict: str,
    words: str,
    authenticated_at: datetime | None,
    by: Actor,
    now: datetime,
    method: str = "password",
    within: Within = None,
) -> GlassReview:
    """Record what another person says of a break-glass afterwards; the second one closes it. Raises Refused."""
    permits.in_person(by, user)
    if verdict not in GlassReview.Verdict.values:
        raise Refused("Say whether you agree or object.")
    if unseen.seen_length(words) < WORDS_MIN:
        raise Refused("Say in a sentence what you looked at and what you found: it stands in the audit.")
    with within or audit.turn():
        taken = _take(glass)
        proved_at = check_proof(user, authenticated_at, by, now)
        member = _reviewer(taken, user)
        seq = taken.reviews.count() + 1
        made = GlassReview.objects.create(
            glass=taken,
            seq=seq,
            user=user,
            printed_name=member.name,
            roles=sorted(member.roles),
            verdict=verdict,
            words=words.strip(),
            meaning=MEANING.format(pk=taken.pk, label=taken.rollout, digest=taken.digest, verdict=SAID[verdict]),
            method=method,
            authenticated_at=proved_at,
            zone=people.zone(user.pk),
            at=now,
        )
        _follow(taken, made, by=by, now=now)
    return made


def reviewer_of(glass: BreakGlass, member: Member) -> tuple[bool, str]:
    """Say whether a person may review a break-glass, and if not, why."""
    return may_review(
        policy_of(glass.sign_off),
        member,
        executor=glass.user_id,
        barred=barred_of(glass.sign_off),
        reviewed={one.user_id for one in glass.reviews.all()},
    )


def remind_due(now: datetime) -> None:
    """Tell of every review that is overdue, once a day until it is there."""
    again = Q(reminded_at=None) | Q(reminded_at__lte=now - REMINDED_EVERY)
    for glass in BreakGlass.objects.with_story().filter(again, closed_at=None, due_at__lte=now).order_by("pk"):
        with audit.turn():
            mine = BreakGlass.objects.filter(again, pk=glass.pk, closed_at=None, version=glass.version)
            if mine.update(reminded_at=now) != 1:
                continue
            why = f"Overdue since {glass.due_at:%Y-%m-%d %H:%M} UTC. {glass.holds}"
            incidents.note(glass.incident, text=f"The review of this break-glass is overdue. {why}", by=SYSTEM, now=now)
            glass_record.tell(
                glass, "glass_overdue", "critical", why=why, by=SYSTEM, key=f"{glass.pk}-{now:%Y%m%d%H%M%S}", now=now
            )
            glass_record.note(glass, "glass_overdue", by=SYSTEM, why=why, now=now)


def _take(glass: BreakGlass) -> BreakGlass:
    """Raise the version of one that waits for its review, so that no other review passes, and return it as it is."""
    won = BreakGlass.objects.filter(pk=glass.pk, closed_at=None).update(version=F("version") + 1)
    if not won:
        raise Refused("It was reviewed by two others already; nothing more was recorded.")
    taken: BreakGlass = BreakGlass.objects.with_story().select_related("sign_off").get(pk=glass.pk)
    return taken


def _reviewer(glass: BreakGlass, user: User) -> Member:
    member = people.member(user.pk, glass.rollout.target.component.name)
    allowed, why = reviewer_of(glass, member) if member else (False, "this account no longer exists")
    if member is None or not allowed:
        raise Refused(f"You cannot review this: {people.printed_name(user)} {why}.")
    return member


def _follow(glass: BreakGlass, made: GlassReview, *, by: Actor, now: datetime) -> None:
    """Close what two others have reviewed, and tell of the review."""
    objects = made.verdict == GlassReview.Verdict.OBJECT
    moved: dict[str, Any] = {"objected": True} if objects else {}
    if made.seq == REVIEWERS:
        moved["closed_at"] = now
    if moved:
        BreakGlass.objects.filter(pk=glass.pk).update(**moved)
    left = "Both reviews are there." if made.seq == REVIEWERS else "One more review is missing."
    why = f"{made.printed_name} {made.get_verdict_display()}: {made.words}"
    incidents.note(glass.incident, text=f"Review of the break-glass: {why} {left}", by=by, now=now)
    severity: Any = "warning" if objects else "info"
    glass_record.tell(
        glass, "glass_reviewed", severity, why=why, by=by, key=f"{glass.pk}-{made.seq}", missing=left, now=now
    )
    glass_record.note(glass, "glass_reviewed", by=by, why=why, now=now, review=made.pk, verdict=made.verdict)
