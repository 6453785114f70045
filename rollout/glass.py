"""Break-glass: starts a rollout without its complete sign-off, in an emergency; two others review it (glass_review).

Nothing else is passed over: it was validated, its manifest is frozen and unchanged, the target is not locked, and the
run backs up, hashes and watches as any other. What was passed over stands in a row of its own.
"""

from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth.models import User

from approvals import people, proven, rules
from approvals.bypass import bypass
from approvals.ledger import Refused
from approvals.models import Decision, SignOff
from approvals.reading import barred_of, policy_of
from approvals.rules import Standing
from approvals.signatures import Signed
from monitoring import audit, incidents, unseen
from monitoring.audit import Actor
from rollout import access, freezing, glass_record, nudge, opening, permits, states, transitions
from rollout.actions import Within
from rollout.models import BreakGlass, Rollout
from rollout.states import RolloutState as R

REVIEWED_WITHIN = timedelta(hours=24)
REASON_MIN = 15


def break_glass(
    rollout: Rollout,
    *,
    user: User,
    digest_seen: str,
    why_now: str,
    why_safe: str,
    authenticated_at: datetime | None,
    by: Actor,
    now: datetime,
    method: str = "password",
    signed: Signed | None = None,
    within: Within = None,
) -> BreakGlass:
    """Queue the deploy run of a frozen rollout past what its sign-off lacks; raise Refused when it lacks nothing.

    1. close the sign-off as bypassed, so that nothing more is decided over it; 2. move the rollout; 3. open the run,
    the incident and the record; 4. tell everybody. One transaction: of two at once, the second finds it done.
    """
    permits.in_person(by, user)
    permits.require(user, rollout.target, access.BREAKERS)
    reasons = _two_reasons(why_now, why_safe)
    sign_off = _waiting(rollout, now)
    permits.require_free(rollout.target, now=now, emergency=True)
    with within or audit.turn():
        decision, stands = bypass(
            sign_off,
            user=user,
            digest_seen=digest_seen,
            reason=reason_of(*reasons),
            authenticated_at=authenticated_at,
            by=by,
            now=now,
            method=method,
            signed=signed,
        )
        passed = passed_over(rollout, stands, user_id=user.pk, now=now)
        if not passed:
            raise Refused("Nothing has to be passed over: start it in the normal way.")
        glass = _record(rollout, decision, stands, passed, reasons, user=user, by=by)
    nudge.run(glass.run_id)
    return glass


def reason_of(why_now: str, why_safe: str) -> str:
    """Return both reasons as the act's own, which a passkey signs."""
    return f"{why_now.strip()} {why_safe.strip()}"


def check(glass: BreakGlass, *, now: datetime) -> None:
    """Ask again in the transaction that begins the run what took the place of the consent; raise Refused if it fell."""
    sign_off = glass.sign_off
    if sign_off.state != SignOff.State.BYPASSED or glass.digest != sign_off.digest:
        raise Refused("the break-glass was for another digest")
    if now >= sign_off.expires_at:
        raise Refused("the break-glass was not used in time")
    proven.require(sign_off)
    if not glass_record.is_told(glass):
        raise Refused("the audit does not tell of this break-glass: the database was edited, and nothing starts")


def passed_over(rollout: Rollout, stands: Standing, *, user_id: int, now: datetime) -> tuple[str, ...]:
    """Return, as sentences, what a break-glass of this person would pass over now; raise Refused where it may not."""
    member, sign_off = people.member(user_id, rollout.target.component.name), rollout.sign_off
    if member is None or sign_off is None:
        raise Refused("Nothing can be started here.")
    if stands.expired or stands.rejected_by is not None:  # also when the clock was set back
        raise Refused("An expired or rejected sign-off is not passed over: submit the rollout again.")
    policy = policy_of(sign_off)
    if not member.roles & set(policy.starter_groups):
        raise Refused(f"This cannot start: starting needs one of the roles {', '.join(policy.starter_groups)}.")
    allowed, why = rules.may_start(policy, stands, member, barred_of(sign_off))
    due = permits.review_due(rollout.target)
    found = ("" if allowed else f"{why}.", permits.freeze_of(rollout.target, now=now), due.holds if due else "")
    return tuple(f"{one[0].upper()}{one[1:]}" for one in found if one)


def _waiting(rollout: Rollout, now: datetime) -> SignOff:
    """Return the sign-off that a rollout waits for or has; raise Refused unless what was validated still stands."""
    if changed := freezing.recheck(rollout, now=now):
        raise Refused(
            f"Changed since it was frozen: {', '.join(changed)}. Submit it again: it has to be validated first."
        )
    if rollout.sign_off is None or rollout.state not in (R.WAITING, R.APPROVED):
        raise Refused(
            f"Only what was validated and waits for its sign-off can be started so; "
            f"this rollout is {states.label(rollout.state)}. {rollout.state_why}".strip()
        )
    return rollout.sign_off


def _two_reasons(why_now: str, why_safe: str) -> tuple[str, str]:
    now, safe = why_now.strip(), why_safe.strip()
    if min(unseen.seen_length(now), unseen.seen_length(safe)) < REASON_MIN:
        raise Refused("Give both reasons, in a sentence each: why it cannot wait, and what was checked instead.")
    if now.casefold() == safe.casefold():
        raise Refused("Why it cannot wait is not yet why it is safe: give two reasons.")
    return now, safe


def _record(
    rollout: Rollout,
    decision: Decision,
    stands: Standing,
    passed: tuple[str, ...],
    reasons: tuple[str, str],
    *,
    user: User,
    by: Actor,
) -> BreakGlass:
    now, sign_off = decision.at, decision.sign_off
    why = f"Break-glass by {decision.printed_name}. Cannot wait: {reasons[0]} Checked instead: {reasons[1]}"
    transitions.move(rollout, R.QUEUED, by=by, now=now, why=why)
    glass = BreakGlass.objects.create(
        component=rollout.target.component,
        rollout=rollout,
        run=opening.deploy_run(rollout, user=user, via=by.via, now=now),
        sign_off=sign_off,
        decision=decision,
        incident=_incident(rollout, f"{why} Passed over: {' '.join(passed)}", by=by, now=now),
        user=user,
        printed_name=decision.printed_name,
        roles=decision.roles,
        duties=list(barred_of(sign_off).get(user.pk, ())),
        digest=rollout.digest,
        why_now=reasons[0],
        why_safe=reasons[1],
        approved=_approved(sign_off, stands),
        missing=list(stands.missing),
        passed=list(passed),
        via=by.via,
        at=now,
        due_at=now + REVIEWED_WITHIN,
    )
    missing = ", ".join(stands.missing) or "nothing"
    glass_record.tell(glass, "glass_broken", "critical", why=why, by=by, key=str(glass.pk), missing=missing, now=now)
    glass_record.note(glass, "glass_broken", by=by, why=why, now=now)
    return glass


def _incident(rollout: Rollout, why: str, *, by: Actor, now: datetime) -> Any:
    return incidents.open(
        subject=transitions.subject_of(rollout),
        severity="P1",
        title=f"Break-glass: {rollout} started without its complete sign-off"[:200],
        summary=why,
        runbook="incident",
        by=by,
        routes=transitions.every_route(rollout),
        url=transitions.url_of(rollout),
        now=now,
    )


def _approved(sign_off: SignOff, stands: Standing) -> list[dict[str, Any]]:
    """Return the approvals that counted, as they were given."""
    given = {one.user_id: one for one in sign_off.decisions.filter(kind=Decision.Kind.APPROVE).order_by("seq")}
    return [
        {"user": pk, "name": given[pk].printed_name, "duty": given[pk].duty, "at": audit.stamp(given[pk].at)}
        for pk in stands.counted
    ]
