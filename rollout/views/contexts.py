"""The variables of the rollout page, of its polled part, and its forms."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.forms import Form

from approvals.models import SignOff
from monitoring.models import Incident
from rollout import checklist, forms, forms_glass
from rollout.models import Rollout
from rollout.states import ACTIVE
from rollout.states import RolloutState as R
from rollout.views import allowed, bundles, dry_runs, frozen, live, story, timeline
from rollout.views.page import Page

CALM = frozenset({R.DRAFT, R.WAITING, R.APPROVED})
POLL_S = {True: 2, False: 10}


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
        "restored": page.restored,
        "incidents": page.incidents,
        "open_runs": [line for line in live.run_lines(page.runs) if line.open],
        "watch": watch,
        "open_incidents_here": [one for one in page.incidents if one.state != Incident.State.CLOSED],
        "charts": watch.charted if watch else (),
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
        "headline": checklist.headline(page.items),
        "lacking": checklist.missing(page.items),
        "ended_runs": [line for line in live.run_lines(page.runs) if not line.open],
        "artifacts": page.artifacts,
        "dry_runs": dry_runs.of(page.artifacts),
        "stale_parts": story.listed(frozen.stale_parts(rollout), most=len(frozen.PARTS)),
        "frozen_items": frozen.is_frozen(rollout),
        "timeline": timeline.timeline(rollout, page.runs, page.incidents),
        "notices": timeline.notices(rollout, page.incidents),
        "undo": page.undo if verbs.stopper else None,
        "held": page.held,
        "glasses": page.glasses,
        "review_run": allowed.to_review(page.runs, page.request.user.get_username()) if verbs.review else None,
        "forms": {**_forms(page), **(bound or {})},
        "refused_form": next(iter(bound), "") if bound else "",
        "is_active": rollout.state in ACTIVE,
        "can_decide": panel is not None and panel.is_open and rollout.state in (R.WAITING, R.APPROVED),
        "short_digest": rollout.digest[:12],
        "may_bundle": bundles.may_take(page.request),
    }


def tune_form(page: Page, data: Any = None) -> forms.TuneForm:
    """Return the form of the monitoring of this rollout."""
    rollout = page.rollout
    profile = rollout.target.declared.profile
    return forms.TuneForm(data, profile=profile, tuning=rollout.tuning, accepted=rollout.monitoring_accepted)


def reason_form(page: Page, name: str, data: Any = None) -> forms.ReasonForm:
    """Return the form of one verb that asks for a reason, and for the password where the proof is old."""
    label, placeholder, proof = REASONS[name]
    return forms.ReasonForm(data, name=name, stale=proof and page.stale, label=label, placeholder=placeholder)


def decision_form(page: Page, data: Any = None) -> forms.DecisionForm:
    """Return the decision form with the duties that this person may fill right now."""
    panel = page.panel
    duties = panel.duties if panel else ()
    return forms.DecisionForm(
        data,
        digest=page.rollout.digest,
        duties=duties,
        revoke_only=bool(panel and panel.may_revoke and not duties and not panel.may_reject),
        stale=page.must_sign,
        passkey=page.passkey,
    )


def start_form(page: Page, data: Any = None) -> forms.StartForm:
    """Return the form that starts the deploy."""
    return forms.StartForm(data, digest=page.rollout.digest, stale=page.must_sign, passkey=page.passkey)


# verb -> label, example, whether it takes the password again
REASONS = {
    "abort": ("Why stop it", "Stopped because …", True),
    "rollback": ("Why go back", "Going back because …", True),
    "accept": ("Why it may stay", "The gap was caused by …; checked by hand …", True),
    "cancel": ("Why it is given up", "", False),
    "settle": ("What was found, and what was done by hand", "", True),
    "done": ("How you know that it was done", "The release directory and /health both say …", True),
    "not_done": ("How you know that it was not done", "Nothing of it stands on the host: …", True),
    "try_again": ("Why it is right to run it again", "It never began; running it twice is harmless because …", True),
    "review": ("What you looked at, and what you found", "", False),
}


def _forms(page: Page) -> dict[str, Form]:
    made: dict[str, Form] = {name: reason_form(page, name) for name in REASONS}
    made |= {"decide": decision_form(page), "start": start_form(page)}
    made["glass_review"] = forms_glass.ReviewForm(stale=page.stale)
    if page.verbs.tune:
        made["tune"] = tune_form(page)
    return made


def _old_sign_offs(rollout: Rollout) -> Sequence[SignOff]:
    past = SignOff.objects.filter(subject_kind="rollout", subject_id=str(rollout.pk)).exclude(
        pk=rollout.sign_off_id or 0
    )
    return list(past.prefetch_related("decisions__user").order_by("-pk")[:10])
