"""Gathers what the rollout page and its polled parts show; a fixed number of queries, whatever the rollout holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from django.forms import Form
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from approvals import ledger, stepup
from approvals.models import SignOff
from approvals.rules import Member
from monitoring.models import Incident
from rollout import checklist, evidence, forms, preview
from rollout.models import Rollout, Run
from rollout.states import ACTIVE
from rollout.states import RolloutState as R
from rollout.views import allowed, live, signing, story, timeline
from rollout.views.changes import Changes, changes

CALM = frozenset({R.DRAFT, R.WAITING, R.APPROVED})
POLL_S = {True: 2, False: 10}


@dataclass(kw_only=True)
class Page:
    """One rollout as one person sees it at one moment; each part is read when it is first asked for."""

    rollout: Rollout
    request: HttpRequest
    now: datetime

    @cached_property
    def runs(self) -> list[Run]:
        """Return the runs with their steps."""
        return live.runs_of(self.rollout)

    @cached_property
    def members(self) -> list[Member]:
        """Return everybody who holds a role for the component."""
        return ledger.members(self.rollout.target.component.name)

    @cached_property
    def roles(self) -> frozenset[str]:
        """Return the roles that the reader holds for this component."""
        return next((one.roles for one in self.members if one.user_id == self.request.user.pk), frozenset())

    @cached_property
    def panel(self) -> signing.Panel | None:
        """Return the sign-off panel, or None before there is a sign-off."""
        sign_off = self.rollout.sign_off
        if sign_off is None:
            return None
        decisions = list(sign_off.decisions.order_by("seq"))
        return signing.panel(sign_off, decisions, self.members, self.request.user.pk or 0, self.now)

    @cached_property
    def changed(self) -> bool:
        """Say whether there is something to undo."""
        return live.has_effects(self.runs)

    @cached_property
    def verbs(self) -> allowed.Verbs:
        """Return what the reader may do."""
        panel = self.panel
        return allowed.verbs(
            self.rollout,
            self.runs,
            roles=self.roles,
            username=self.request.user.get_username(),
            may_start=panel is not None and panel.may_start,
            changed=self.changed,
        )

    @cached_property
    def items(self) -> tuple[checklist.Item, ...]:
        """Return the checklist."""
        return evidence.checklist(self.rollout)

    @cached_property
    def changes(self) -> Changes:
        """Return the difference to what is live."""
        return changes(self.rollout)

    @cached_property
    def incidents(self) -> list[Incident]:
        """Return the incidents about this rollout."""
        about = Incident.objects.filter(subject_kind="rollout", subject_id=str(self.rollout.pk))
        return list(about.order_by("-opened_at")[:20])

    @cached_property
    def undo(self) -> preview.Undo | None:
        """Return what a rollback would undo, for those who could click it."""
        return preview.undo_of(self.rollout) if allowed.can_roll_back(self.rollout, changed=self.changed) else None

    @cached_property
    def stale(self) -> bool:
        """Say whether a decision needs the password again."""
        return not stepup.is_recent(self.request, now=self.now)

    @cached_property
    def watch(self) -> live.WatchView | None:
        """Return the watch in short."""
        watch = live.watch_of(self.runs)
        return live.watch_view(watch, self.changes.limits_before) if watch else None

    @property
    def seen(self) -> str:
        """Return a mark that changes when the parts of the page that are not polled are out of date."""
        sign_off = self.rollout.sign_off
        return f"{self.rollout.version}.{sign_off.version if sign_off else 0}.{len(self.runs)}"

    def next_action(self) -> story.NextAction:
        """Return the sentence at the top."""
        return story.next_action(self._facts())

    def stages(self) -> list[story.Stage]:
        """Return the rail."""
        rollout = self.rollout
        deployed = any(run.kind == Run.Kind.DEPLOY for run in self.runs)
        return story.stages(
            rollout.state,
            needs_decision=bool(rollout.needs_decision),
            signed=rollout.sign_off_id is not None,
            deployed=deployed,
        )

    def _facts(self) -> story.Facts:
        rollout, panel = self.rollout, self.panel
        run = live.current(self.runs)
        step = live.running_step(run)
        lacking = checklist.missing(self.items, brought_only=True) if rollout.state == R.DRAFT else ()
        behind = allowed.can_roll_back(rollout, changed=self.changed)
        return story.Facts(
            state=rollout.state,
            version=rollout.release.version,
            previous=rollout.previous_version or "what was live",
            place=rollout.target.environment.name,
            state_why=rollout.state_why,
            missing_evidence=lacking,
            monitoring_accepted=rollout.monitoring_accepted,
            missing_seats=panel.standing.missing if panel else (),
            helpers=panel.unblockers if panel else (),
            starters=panel.starters if panel else (),
            impossible=panel.standing.impossible_reason if panel else "",
            step=step.title if step else "",
            step_number=step.number if step else 0,
            steps_total=len(run.steps.all()) if run else 0,
            changed=self.changed,
            needs_decision=rollout.needs_decision,
            abort_requested=bool(run and run.abort_requested),
            queued_behind=self._holder() if rollout.state == R.QUEUED else "",
            watch_reason=self.watch.watch.reason if self.watch else "",
            rollback_blocked="" if behind or rollout.state != R.SUCCEEDED else "Nothing is left to do.",
        )

    def _holder(self) -> str:
        busy = Run.objects.filter(target=self.rollout.target, state="RUNNING").exclude(rollout=self.rollout)
        holder = busy.select_related("rollout__release__component", "rollout__target__environment").first()
        return f"{holder.rollout} holds it ({holder.kind} run); this one goes on by itself." if holder else ""


def page_of(request: HttpRequest, pk: int) -> Page:
    """Return the page of a rollout, or raise Http404."""
    rollout = get_object_or_404(
        Rollout.objects.with_places().select_related("backup", "tuned_by__person", "superseded_by"), pk=pk
    )
    return Page(rollout=rollout, request=request, now=timezone.now())


def live_context(page: Page) -> dict[str, Any]:
    """Return what the polled part shows."""
    rollout = page.rollout
    final = rollout.is_final
    asked = page.request.GET.get("seen", page.seen)
    watch = page.watch
    return {
        "rollout": rollout,
        "page": page,
        "next": page.next_action(),
        "stages": page.stages(),
        "shown_state": "NEEDS_DECISION" if rollout.needs_decision and rollout.state == R.WATCHING else rollout.state,
        "open_runs": [line for line in live.run_lines(page.runs) if line.open],
        "watch": watch,
        "charts": [gate for gate in watch.gates if gate["severity"] == "rollback"] if watch else [],
        "target": rollout.target,
        "poll_s": 0 if final else POLL_S[rollout.state not in CALM],
        "seen": asked,
        "outdated": asked != page.seen and (rollout.state in CALM or final),
        "expires_at": rollout.sign_off.expires_at
        if rollout.sign_off and rollout.state in (R.WAITING, R.APPROVED)
        else None,
    }


def full_context(page: Page, bound: Mapping[str, Form] | None = None) -> dict[str, Any]:
    """Return what the whole page shows; `bound` holds forms that were refused, by the name of their verb."""
    rollout, verbs, panel = page.rollout, page.verbs, page.panel
    return {
        **live_context(page),
        "verbs": verbs,
        "panel": panel,
        "old_sign_offs": _old_sign_offs(rollout),
        "changes": page.changes,
        "items": page.items,
        "lacking": checklist.missing(page.items),
        "incidents": page.incidents,
        "ended_runs": [line for line in live.run_lines(page.runs) if not line.open],
        "artifacts": list(rollout.artifacts.select_related("run").order_by("pk")),
        "timeline": timeline.timeline(rollout, page.runs, page.incidents),
        "notices": timeline.notices(rollout, page.incidents),
        "undo": page.undo if verbs.stopper else None,
        "review_run": allowed.to_review(page.runs, page.request.user.get_username()) if verbs.review else None,
        "forms": {**_forms(page), **(bound or {})},
        "refused_form": next(iter(bound), "") if bound else "",
        "is_active": rollout.state in ACTIVE,
        "can_decide": panel is not None and panel.is_open and rollout.state in (R.WAITING, R.APPROVED),
        "short_digest": rollout.digest[:12],
    }


def tune_form(page: Page, data: Any = None) -> forms.TuneForm:
    """Return the form of the monitoring of this rollout."""
    rollout = page.rollout
    profile = rollout.target.component.spec.environment(rollout.target.environment.name).profile
    return forms.TuneForm(data, profile=profile, tuning=rollout.tuning, accepted=rollout.monitoring_accepted)


def reason_form(page: Page, name: str, data: Any = None) -> forms.ReasonForm:
    """Return the form of one verb that asks for a reason, and for the password where the proof is old."""
    label, placeholder, proof = REASONS[name]
    return forms.ReasonForm(data, name=name, stale=proof and page.stale, label=label, placeholder=placeholder)


def decision_form(page: Page, data: Any = None) -> forms.DecisionForm:
    """Return the decision form with the duties that this person may fill right now."""
    duties = page.panel.duties if page.panel else ()
    return forms.DecisionForm(data, digest=page.rollout.digest, duties=duties, stale=page.stale)


# verb -> label, example, whether it takes the password again
REASONS = {
    "abort": ("Why stop it", "Stopped because …", True),
    "rollback": ("Why go back", "Going back because …", True),
    "accept": ("Why it may stay", "The gap was caused by …; checked by hand …", True),
    "cancel": ("Why it is given up", "", False),
    "review": ("What you looked at, and what you found", "", False),
}


def _forms(page: Page) -> dict[str, Form]:
    made: dict[str, Form] = {name: reason_form(page, name) for name in REASONS}
    made |= {"decide": decision_form(page), "start": forms.StartForm(stale=page.stale)}
    if page.verbs.tune:
        made["tune"] = tune_form(page)
    return made


def _old_sign_offs(rollout: Rollout) -> Sequence[SignOff]:
    past = SignOff.objects.filter(subject_kind="rollout", subject_id=str(rollout.pk)).exclude(
        pk=rollout.sign_off_id or 0
    )
    return list(past.prefetch_related("decisions").order_by("-pk")[:10])
