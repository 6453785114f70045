"""Store one look at a watch, judge all looks so far, and move the watch by compare-and-swap."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import audit, canonical, notices, verdict, watch_data
from .audit import SYSTEM, Actor
from .cadence import Next, next_poll
from .gates import GateProfile
from .models import Poll, Sample, Watch
from .routes import Route
from .verdict import Reading, Verdict

AGAIN = timedelta(seconds=60)  # then one that cannot be judged is looked at again
LONGEST_S = 999_999_999  # what the column holds; a clock that comes back from 1970 makes a longer gap


class LostError(Exception):
    """Somebody else stored this poll, or the watch was decided meanwhile: this look does not count."""


@dataclass(frozen=True, kw_only=True)
class _Decision:
    """What one look makes of the window."""

    outcome: str
    reason: str
    ends_at: float
    extended: bool


def store(watch: Watch, seen: Sequence[Reading], now: datetime) -> bool:
    """Store one look, judge all looks so far and move the watch; True when its outcome is newly decided."""
    profile = GateProfile.from_dict(watch.profile)
    history = [*watch_data.readings(watch), *seen]
    judged = verdict.judge(profile, history, started_at=watch.started_at.timestamp(), now=now.timestamp())
    decision = _decide(watch, profile, history, judged, now)
    following = next_poll(
        profile, judged, started_at=watch.started_at.timestamp(), now=now.timestamp(), ends_at=decision.ends_at
    )
    with audit.turn():
        _move(watch, judged, decision, following, now)
        poll = _keep(watch, seen, judged, following, now)
        _tell_alerts(watch, poll, judged, now)
        return _audit_move(watch, decision, judged, now)


def ask(watch: Watch, why: str, now: datetime, *, again: timedelta = AGAIN) -> bool:
    """Leave a watch that cannot be judged to people; True when that is newly decided. Only for who claimed it."""
    mine = Watch.objects.filter(pk=watch.pk, claimed_until=watch.claimed_until, outcome=watch.outcome)
    old, asked = watch.outcome, str(Watch.Outcome.NEEDS_DECISION)
    with audit.turn():
        changes = {"outcome": Watch.Outcome.NEEDS_DECISION, "state": Watch.State.DECIDED, "reason": why}
        if mine.update(**changes, next_due_at=now + again, claimed_until=None, decided_at=now) != 1:
            raise LostError("its claim ran out or it was decided")
        if old != asked:
            tell_audit(watch, "watch.needs_decision", by=SYSTEM, why=why, old=old, new=asked, now=now)
    return old != asked


def _decide(watch: Watch, profile: GateProfile, history: list[Reading], judged: Verdict, now: datetime) -> _Decision:
    ends_at = watch.ends_at.timestamp()

    def stay(outcome: str, reason: str) -> _Decision:
        return _Decision(outcome=outcome, reason=reason, ends_at=ends_at, extended=watch.extended)

    if judged.breach:
        return stay(Watch.Outcome.BREACHED, judged.breach.reason)
    if watch.outcome == Watch.Outcome.NEEDS_DECISION:
        return stay(watch.outcome, watch.reason)
    if judged.pause:
        return stay(Watch.Outcome.NEEDS_DECISION, judged.pause.reason)
    started_at = watch.started_at.timestamp()
    end = verdict.at_end(
        profile, history, started_at=started_at, ends_at=ends_at, extended=watch.extended, now=now.timestamp()
    )
    outcome = {"pass": Watch.Outcome.PASSED, "needs_decision": Watch.Outcome.NEEDS_DECISION}.get(end.action, "")
    reason = judged.reason if end.action == "wait" else end.reason
    return _Decision(outcome=outcome, reason=reason, ends_at=end.new_ends_at, extended=end.extended)


def _move(watch: Watch, judged: Verdict, decision: _Decision, following: Next, now: datetime) -> None:
    """Move the watch row by compare-and-swap: only the holder of the claim, and only from the outcome that it saw."""
    mine = Watch.objects.filter(
        pk=watch.pk, claimed_until=watch.claimed_until, polls=watch.polls, outcome=watch.outcome, state=watch.state
    )
    moved = mine.update(
        polls=watch.polls + 1,
        verdict=str(judged.state),
        outcome=decision.outcome,
        reason=decision.reason,
        state=Watch.State.DECIDED if decision.outcome else Watch.State.OBSERVING,
        decided_at=now if decision.outcome != watch.outcome else watch.decided_at,
        ends_at=watch.ends_at + timedelta(seconds=decision.ends_at - watch.ends_at.timestamp()),
        extended=decision.extended,
        gap_extension_s=min(round(judged.gap_extension_s, 3), LONGEST_S),
        next_due_at=now + timedelta(seconds=following.interval_s),
        claimed_until=None,
    )
    if moved != 1:
        raise LostError("its claim ran out or it was decided")


def _keep(watch: Watch, seen: Sequence[Reading], judged: Verdict, following: Next, now: datetime) -> Poll:
    poll = Poll.objects.create(
        watch=watch,
        number=watch.polls + 1,
        at=now,
        verdict=str(judged.state),
        reason=judged.reason,
        gates=[gate.to_dict() for gate in judged.gates],
        next_interval_s=round(following.interval_s, 3),
        next_reason=following.reason[:200],
    )
    Sample.objects.bulk_create(watch_data.sample(poll, reading) for reading in seen)
    return poll


def _tell_alerts(watch: Watch, poll: Poll, judged: Verdict, now: datetime) -> None:
    """Tell each gate that only alerts the first time that it fails in this watch."""
    routes = [Route(**{**route, "events": tuple(route["events"])}) for route in watch.routes]
    for gate in judged.alerts if routes else ():
        notices.queue(
            "watch_alert",
            subject=watch_data.subject_of(watch),
            severity="warning",
            context={"rollout": watch.subject_label, "breach": gate.reason},
            routes=routes,
            key=f"watch_alert:{watch.pk}:{gate.gate.name}",
            url=watch.url,
            now=now,
        )


def _audit_move(watch: Watch, decision: _Decision, judged: Verdict, now: datetime) -> bool:
    """Audit an extension or a new outcome; True for a new outcome."""
    old, before = watch.outcome, watch.ends_at
    watch.refresh_from_db()
    if watch.ends_at != before:
        data = {"ends_at": audit.stamp(watch.ends_at)}
        tell_audit(watch, "watch.extended", by=SYSTEM, why=decision.reason, data=data, now=now)
    if decision.outcome == old:
        return False
    gates = [_told(gate) for gate in judged.gates]
    action = f"watch.{decision.outcome.lower()}"
    tell_audit(
        watch, action, by=SYSTEM, why=decision.reason, old=old, new=decision.outcome, data={"gates": gates}, now=now
    )
    return True


def _told(gate: verdict.GateVerdict) -> dict[str, object]:
    value = None if gate.value is None else canonical.number(gate.value)
    return {"name": gate.gate.name, "state": str(gate.state), "value": value, "limit": canonical.number(gate.limit)}


def tell_audit(
    watch: Watch, action: str, *, by: Actor, now: datetime, data: Mapping[str, Any] | None = None, **told: str
) -> None:
    """Append one entry about a watch's subject."""
    about = {"watch": watch.pk, **(data or {})}
    audit.append(action=action, by=by, subject=watch_data.subject_of(watch), data=about, now=now, **told)
