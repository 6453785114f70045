"""The timeline of one rollout, from the audit entries about it, its runs and its steps; and the notices it caused."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import get_user_model
from django.db.models import Q

from approvals import people
from monitoring import audit_times, raw_rows
from monitoring.models import AuditEntry, Incident, Notice
from rollout.models import Rollout, Run

CAP = 200
SHORT = 12
TITLES = {
    "rollout.created": "Draft made",
    "rollout.tuned": "Monitoring accepted or tuned",
    "rollout.validating": "Submitted: validate run begins",
    "rollout.waiting": "Manifest frozen; sign-off asked",
    "rollout.approved": "All signatures are there",
    "rollout.queued": "Start clicked; waits for the target",
    "rollout.running": "Deploy begins",
    "rollout.diff_opened": "Opened the whole difference",
    "rollout.glass_broken": "Glass broken: started without the complete sign-off",
    "rollout.glass_reviewed": "Break-glass reviewed",
    "rollout.glass_overdue": "Review of the break-glass is overdue",
    "rollout.watching": "Deployed; the watch begins",
    "rollout.succeeded": "Watched to the end: succeeded",
    "rollout.rolling_back": "Rollback begins",
    "rollout.rolled_back": "Rolled back, proved and healthy",
    "rollout.rollback_withheld": "A breach of the watch asks people, and rolls back nothing by itself",
    "rollout.unknown": "Nobody saw how a step ended",
    "rollout.draft": "Back to draft",
    "sign_off.opened": "Sign-off opened",
    "sign_off.approved": "Approved",
    "sign_off.rejected": "Rejected",
    "sign_off.revoked": "Took back an approval",
    "sign_off.started": "Start signed",
    "sign_off.superseded": "Sign-off void",
    "sign_off.expired": "Sign-off expired",
    "sign_off.bypassed": "Sign-off passed over in an emergency",
    "sign_off.used": "Sign-off checked again and used",
    "run.abort_requested": "Abort asked for",
    "run.abort_withdrawn": "Abort taken back",
    "run.reviewed": "Rollback reviewed",
    "effect.did_not_happen": "Did not happen after all",
    "run.decided_done": "A person decided: it was done",
    "run.decided_not_done": "A person decided: it was not done",
    "run.again_asked": "Asked to try it again",
    "run.again_confirmed": "Confirmed by a second person: tried again",
    "run.validate.opened": "Validate run queued",
    "run.deploy.opened": "Deploy run queued",
    "run.rollback.opened": "Rollback run opened",
    "watch.opened": "Watch opened",
    "watch.extended": "Watch extended",
    "watch.passed": "Watch passed",
    "watch.breached": "A gate breached",
    "watch.needs_decision": "The watch needs a decision",
    "watch.accepted": "Accepted by a person",
    "watch.closed": "Watch closed",
    "incident.opened": "Incident opened",
    "incident.acknowledged": "Incident taken in hand",
    "incident.noted": "Noted in the incident",
    "incident.attached": "File attached to the incident",
    "incident.severity": "Severity of the incident changed",
    "incident.closed": "Incident closed",
}
LOOKS = {
    "sign_off.opened": "WAITING",
    "incident.noted": "NOTED",
    "incident.attached": "ATTACHED",
    "sign_off.approved": "APPROVE",
    "sign_off.rejected": "REJECT",
    "sign_off.revoked": "REVOKE",
    "rollout.diff_opened": "ACKNOWLEDGED",
    "rollout.glass_broken": "BYPASSED",
    "rollout.glass_reviewed": "VERIFIED",
    "rollout.glass_overdue": "REVIEW_DUE",
    "sign_off.bypassed": "BYPASSED",
    "watch.passed": "PASSING",
    "watch.breached": "FAILING",
    "run.abort_requested": "ABORTED",
    "run.reviewed": "VERIFIED",
    "run.decided_done": "APPROVE",
    "run.decided_not_done": "REJECT",
    "run.again_asked": "NEEDS_DECISION",
    "run.again_confirmed": "RETRYING",
    "incident.opened": "P1",
}
# Said by another entry of the same transaction already, or only of interest to the engine.
SILENT = ("sign_off.passed_over", "effect.intended", "step.running", "step.pending", "step.skipped", "run.running")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the timeline."""

    at: datetime | None
    kept_at: str
    title: str
    who: str
    via: str
    text: str
    state: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Told:
    """One message, with what became of it on each channel."""

    title: str
    at: datetime
    channels: tuple[Notice, ...]

    @property
    def state(self) -> str:
        """Return the worst of the channels: FELL_BACK, PENDING or SENT."""
        states = {one.state for one in self.channels}
        return next(state for state in ("FELL_BACK", "PENDING", "SENT") if state in states)


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """The newest lines, and the older ones that are folded; `cut`: still older ones stand in the history only."""

    newest: tuple[Entry, ...]
    older: tuple[Entry, ...]
    cut: bool


@raw_rows.whatever_stands
def timeline(rollout: Rollout, runs: Sequence[Run], incidents: Sequence[Incident]) -> Timeline:
    """Return the timeline of a rollout, newest first, in two queries: the entries, and the names to print."""
    about = Q(subject_kind="rollout", subject_id=str(rollout.pk))
    about |= Q(subject_kind="run", subject_id__in=[str(run.pk) for run in runs])
    about |= Q(subject_kind="step", subject_id__in=[str(step.pk) for run in runs for step in run.steps.all()])
    about |= Q(subject_kind="incident", subject_id__in=[str(one.pk) for one in incidents])
    rows = list(AuditEntry.objects.filter(about).exclude(action__in=SILENT).order_by("-seq")[: CAP + 1])
    audit_times.tell_kept(rows)
    names = _printed_names(rows)
    entries = tuple(_entry(row, names) for row in rows[:CAP])
    return Timeline(newest=entries[:SHORT], older=entries[SHORT:], cut=len(rows) > CAP)


def notices(rollout: Rollout, incidents: Sequence[Incident]) -> list[Told]:
    """Return the newest messages about a rollout and its incidents, each with its channels, in two queries."""
    about = Q(subject_kind="rollout", subject_id=str(rollout.pk))
    about |= Q(subject_kind="incident", subject_id__in=[str(one.pk) for one in incidents])
    rows = Notice.objects.filter(about).prefetch_related("attempt_set").order_by("-pk")[:CAP]
    messages: dict[tuple[str, str, datetime], list[Notice]] = {}
    for row in rows:
        messages.setdefault((row.event, row.title, row.created_at), []).append(row)
    return [Told(title=title, at=at, channels=tuple(reversed(ways))) for (_, title, at), ways in messages.items()]


def _printed_names(rows: Sequence[AuditEntry]) -> dict[int, str]:
    """Return user id -> the name that a signature prints; the audit keeps user names."""
    ids = {row.actor_id for row in rows if isinstance(row.actor_id, int)}
    users = get_user_model().objects.filter(pk__in=ids).select_related("person")
    return {user.pk: people.printed_name(user) for user in users}


def _who(row: AuditEntry, names: dict[int, str]) -> str:
    """Return who did it; a name that was erased stays erased."""
    if not row.actor_name:
        return "(erased)"
    if row.via == "system":
        return "by itself"
    return names.get(row.actor_id or 0, row.actor_name)


def _entry(row: AuditEntry, names: dict[int, str]) -> Entry:
    kind, _, what = row.action.partition(".")
    return Entry(
        at=row.at,
        kept_at=row.kept_at,
        title=_title(row, kind, what),
        who=_who(row, names),
        via="" if row.via in ("browser", "system") else row.via,
        text=row.why,
        state=LOOKS.get(row.action) or row.new or what.upper(),
        sha256=row.hash,
    )


def _title(row: AuditEntry, kind: str, what: str) -> str:
    if kind == "step":
        return f"{row.subject_label.partition(' (')[0]}: {what.replace('_', ' ')}"
    if kind == "run" and row.action not in TITLES:
        return f"{row.subject_label.partition(' of ')[0].capitalize()}: {what.replace('_', ' ')}"
    return TITLES.get(row.action) or row.action.replace(".", " ").replace("_", " ").capitalize()
