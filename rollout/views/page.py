"""Gathers what the rollout page and its polled parts show; a fixed number of queries, whatever the rollout holds."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.utils import timezone

from approvals import ledger, passkeys, stepup
from approvals.rules import Member
from monitoring.models import Incident
from rollout import attempted, checklist, evidence, preview, reading, standing
from rollout.models import Artifact, BreakGlass, Rollout, Run
from rollout.states import RolloutState as R
from rollout.views import allowed, frozen, glass_view, live, signing, story
from rollout.views import restored as endings
from rollout.views.changes import Changes, changes
from rollout.views.unknown import Unknown, unknown


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
        return ledger.members(self.rollout.target.component.name, now=self.now)

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
        decisions = list(sign_off.decisions.select_related("user", "on_behalf_of").order_by("seq"))
        return signing.panel(sign_off, decisions, self.members, self.request.user.pk or 0, self.now)

    @cached_property
    def changed(self) -> bool:
        """Say whether there may be something to undo; where rows say no, the audit is asked if it can be so."""
        if live.has_effects(self.runs) or self.rollout.state not in (R.WATCHING, R.SUCCEEDED, R.UNKNOWN):
            return live.has_effects(self.runs)
        return attempted.may_have_changed(self.rollout)

    @cached_property
    def verbs(self) -> allowed.Verbs:
        """Return what the reader may do."""
        panel = self.panel
        return allowed.verbs(
            self.rollout,
            self.runs,
            roles=self.roles,
            ready=self.ready,
            username=self.request.user.get_username(),
            may_decide=panel is not None and bool(panel.duties),
            may_start=panel is not None and panel.may_start,
            changed=self.changed,
        )

    @cached_property
    def items(self) -> tuple[checklist.Item, ...]:
        """Return the checklist: from the start on, as it was signed."""
        return frozen.items(self.rollout) if frozen.is_frozen(self.rollout) else evidence.checklist(self.rollout)

    @property
    def ready(self) -> bool:
        """Say whether a draft holds all that people bring, so that it can be submitted."""
        draft = self.rollout.state == R.DRAFT and self.rollout.monitoring_accepted
        return draft and not checklist.missing(self.items, brought_only=True)

    @cached_property
    def changes(self) -> Changes:
        """Return the difference to what is live."""
        return changes(self.rollout)

    @cached_property
    def replaced(self) -> list[Rollout]:
        """Return the rollouts whose place this one took."""
        return list(Rollout.objects.filter(superseded_by=self.rollout).select_related("release").order_by("-pk")[:10])

    @cached_property
    def incidents(self) -> list[Incident]:
        """Return the incidents about this rollout."""
        about = Incident.objects.filter(subject_kind="rollout", subject_id=str(self.rollout.pk))
        return list(about.order_by("-opened_at")[:20])

    @cached_property
    def held(self) -> list[BreakGlass]:
        """Return every break-glass that keeps the next normal rollout of this component from starting."""
        component = self.rollout.target.component
        return list(BreakGlass.objects.holding(component).with_story().order_by("pk"))

    @cached_property
    def glasses(self) -> list[glass_view.Shown]:
        """Return what broke the glass of this rollout, with what the reader may say of it."""
        own = self.rollout.broken_glass.with_story().select_related("sign_off").order_by("-pk")
        return [glass_view.shown(one, self.members, self.request.user.pk or 0) for one in own]

    @cached_property
    def artifacts(self) -> list[Artifact]:
        """Return the files that the runs of this rollout made."""
        return list(self.rollout.artifacts.select_related("run").order_by("pk"))

    @cached_property
    def restored(self) -> endings.Restored | None:
        """Return what the rollback did, where one has ended."""
        run = endings.last_rollback(self.rollout.state, self.runs)
        by = live.name_of(run) if run else ""
        return endings.restored(self.rollout.state, self.runs, self.artifacts, by=by) if run else None

    @cached_property
    def unknown(self) -> Unknown | None:
        """Return what is known of a step whose end nobody saw, while a person has to decide about it."""
        if self.rollout.state != R.UNKNOWN:
            return None
        return unknown(self.runs, members=self.members, user_id=self.request.user.pk or 0, now=self.now)

    @cached_property
    def undo(self) -> preview.Undo | None:
        """Return what a rollback would undo, for those who could click it."""
        return preview.undo_of(self.rollout) if allowed.can_roll_back(self.rollout, changed=self.changed) else None

    @cached_property
    def has_opened(self) -> bool:
        """Say whether the reader was sent the whole difference of what is frozen now."""
        user = self.request.user
        return isinstance(user, User) and reading.has_opened(self.rollout, user)

    @cached_property
    def stale(self) -> bool:
        """Say whether a decision needs the password again, now or in a moment."""
        return not stepup.is_recent(self.request, now=self.now + stepup.SPARE)

    @property
    def must_sign(self) -> bool:
        """Say whether a decision needs a proof of its own: a passkey that opened the session has not said anything."""
        return self.stale or stepup.method_of(self.request) == "passkey"

    @cached_property
    def passkey(self) -> bool:
        """Say whether the reader has a passkey to sign with."""
        return passkeys.has_any(self.request.user.pk or 0)

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
        # what was parked without one asks about none
        step = live.running_step(run) if rollout.state != R.UNKNOWN or self.unknown else None
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
            abort_requested=run is not None and standing.is_to_abort(run),
            queued_behind=self._holder() if rollout.state == R.QUEUED else "",
            watch_reason=self.watch.watch.reason if self.watch else "",
            locked=rollout.target.locked,
            can_roll_back=behind,
            rollback_blocked="" if behind or rollout.state != R.SUCCEEDED else "Nothing is left to do.",
        )

    def _holder(self) -> str:
        busy = Run.objects.filter(target=self.rollout.target, state="RUNNING").exclude(rollout=self.rollout)
        holder = busy.select_related("rollout__release__component", "rollout__target__environment").first()
        return f"{holder.rollout} holds it ({holder.kind} run); this one goes on by itself." if holder else ""


def page_of(request: HttpRequest, pk: int) -> Page:
    """Return the page of a rollout, or raise Http404."""
    rollout = get_object_or_404(
        Rollout.objects.with_places().select_related("backup", "tuned_by__person", "superseded_by__release"), pk=pk
    )
    return Page(rollout=rollout, request=request, now=timezone.now())
