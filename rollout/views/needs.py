"""What waits for one person: decisions, drafts, starts, incidents, reviews; a fixed number of queries."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractUser
from django.db.models import Prefetch
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from approvals import ledger, people, rules
from approvals.models import Decision
from approvals.reading import barred_of, policy_of
from approvals.rules import Member
from monitoring.models import Incident
from rollout import access, glass_review, states
from rollout.models import BreakGlass, Configuration, Rollout, Run
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.views import needs_people, signing, unknown
from rollout.views.need import SOON, URGENT, WHEN_FREE, Need

ASKED = (R.DRAFT, R.WAITING, R.APPROVED, R.WATCHING, R.UNKNOWN, R.NOT_RESTORED)
CAP = 100


def of(user: AbstractUser, groups: frozenset[str], *, now: datetime) -> list[Need]:
    """Return what waits for this user, the most urgent first, then the oldest; of the components that he knows."""
    if not groups & access.READERS:
        return []
    needs = _rollouts(user, groups, now)
    if groups & access.RESPONDERS:
        needs += _reviews(user)
    if groups & access.DECIDERS:
        needs += _glasses(user, now)
    if access.TRIAGE in groups:
        needs += _incidents(user)
    if access.ADMIN in groups:
        needs += _configurations(user, now)
        needs += needs_people.to_answer(user, now)
    needs += needs_people.done_to(user, now)
    return sorted(needs, key=lambda need: (need.rank, need.at))


def asked_once(request: HttpRequest) -> list[Need]:
    """Return what waits for the reader, asked once a request: the frame counts what the page shows."""
    if not hasattr(request, "needs"):
        user: Any = request.user
        request.needs = of(user, access.groups_of(request), now=timezone.now())  # type: ignore[attr-defined]
    return request.needs  # type: ignore[attr-defined, no-any-return]


def _rollouts(user: AbstractUser, groups: frozenset[str], now: datetime) -> list[Need]:
    decisions = Prefetch(
        "sign_off__decisions", queryset=Decision.objects.select_related("user", "on_behalf_of").order_by("seq")
    )
    lost = Run.objects.filter(state=N.UNKNOWN).select_related("again_by__person")
    lost_runs = Prefetch("runs", queryset=lost, to_attr="lost_runs")
    wanted = access.known(user, Rollout.objects.with_places().filter(state__in=ASKED), "target__component__name")
    open_ones = wanted.prefetch_related(decisions, lost_runs).order_by("-pk")[:CAP]
    members: dict[str, list[Member]] = {}
    needs = []
    for one in open_ones:
        need = _about(one, user, groups, _members(members, one, now), now)
        if need is not None:
            needs.append(need)
    return needs


def _members(known: dict[str, list[Member]], one: Rollout, now: datetime) -> Callable[[], list[Member]]:
    """Return a reader of the component's members that asks the database once a component."""

    def read() -> list[Member]:
        name = one.target.component.name
        if name not in known:
            known[name] = ledger.members(name, now=now)
        return known[name]

    return read


def _about(
    one: Rollout, user: AbstractUser, groups: frozenset[str], members: Callable[[], list[Member]], now: datetime
) -> Need | None:
    if one.state == R.DRAFT:
        return _draft(one) if one.requester_id == user.pk else None
    if one.state == R.WAITING:
        return _decision(one, user, members(), now)
    if one.state == R.APPROVED:
        return _start(one, user, members(), now) if groups & access.STARTERS else None
    if one.state == R.UNKNOWN and groups & access.STOPPERS:
        return _unknown(one, user, members, now)
    if groups & access.STOPPERS and (one.state != R.WATCHING or one.needs_decision):
        why = one.needs_decision or one.state_why
        do = "Accept it or roll it back" if one.state == R.WATCHING else "Look at the target, then decide"
        state = "NEEDS_DECISION" if one.state == R.WATCHING else one.state
        return _need(one, URGENT, state, why, do, one.started_at or one.created_at)
    return None


def _draft(one: Rollout) -> Need:
    if one.state_why:
        return _need(one, SOON, "DRAFT", f"It came back: {one.state_why}", "Mend it and submit again", one.created_at)
    why = "Not submitted yet." if one.monitoring_accepted else "The monitoring is not accepted yet."
    return _need(one, WHEN_FREE, "DRAFT", why, "Bring what is missing and submit", one.created_at)


def _decision(one: Rollout, user: AbstractUser, members: Sequence[Member], now: datetime) -> Need | None:
    sign_off: Any = one.sign_off
    if sign_off is None:
        return None
    decisions = list(sign_off.decisions.all())
    panel = signing.panel(sign_off, decisions, members, user.pk, now)
    if not panel.duties:
        return None
    duties = " or ".join(dict.fromkeys(signing.chosen(value)[0] for value, _ in panel.duties))
    missing = ", ".join(panel.standing.missing)
    need = _need(
        one,
        SOON,
        "WAITING",
        f"Your signature as {duties} would count. Missing: {missing}.",
        "Review and decide",
        sign_off.opened_at,
    )
    return replace(need, url=reverse("rollout_sign", args=[one.pk]))


def _start(one: Rollout, user: AbstractUser, members: Sequence[Member], now: datetime) -> Need | None:
    sign_off: Any = one.sign_off
    mine = next((member for member in members if member.user_id == user.pk), None)
    if mine is None or sign_off is None:
        return None
    stands = signing.panel(sign_off, list(sign_off.decisions.all()), members, user.pk, now).standing
    allowed, _ = rules.may_start(policy_of(sign_off), stands, mine, barred_of(sign_off))
    if not allowed:
        return None
    return _need(one, SOON, "APPROVED", "All signatures are there.", "Start it", sign_off.opened_at)


def _unknown(one: Rollout, user: AbstractUser, members: Callable[[], list[Member]], now: datetime) -> Need:
    run: Run | None = next(iter(one.lost_runs), None)  # type: ignore[attr-defined]
    again = unknown.again_of(run, members=members(), user_id=user.pk, now=now) if run and run.again_by else None
    at = one.started_at or one.created_at
    if again is None:
        return _need(one, URGENT, "UNKNOWN", one.state_why, "Look at the target, then decide", at)
    until = f"{timezone.localtime(again.until):%H:%M}"
    if again.mine:
        why = f"You asked to try it again; {again.others or 'nobody here'} can confirm until {until}."
        return _need(one, SOON, "UNKNOWN", why, "Wait for a second person", again.at)
    why = f"{again.by} asks to try it again: {again.why} A second person is needed until {until}."
    return _need(one, URGENT, "UNKNOWN", why, "Confirm, or decide otherwise", again.at)


def _need(one: Rollout, rank: int, state: str, why: str, do: str, at: datetime) -> Need:
    return Need(rank=rank, state=state, title=str(one), why=why, do=do, url=one.get_absolute_url(), at=at)


def _reviews(user: AbstractUser) -> list[Need]:
    ended = Run.objects.filter(kind=Run.Kind.ROLLBACK, state__in=states.RUN_FINAL, reviewed_at=None)
    others = access.known(user, ended.exclude(started_by_id=user.pk), "target__component__name").select_related(
        "rollout__release__component", "rollout__target__component", "rollout__target__environment"
    )
    return [
        _need(
            run.rollout,
            WHEN_FREE,
            run.rollout.state,
            f"Rolled back: {run.reason}",
            "Review it",
            run.ended_at or run.created_at,
        )
        for run in others.order_by("-pk")[:CAP]
    ]


def _glasses(user: AbstractUser, now: datetime) -> list[Need]:
    """Return every break-glass whose review by this user is awaited; they are few."""
    needs = []
    for glass in BreakGlass.objects.holding().filter(closed_at=None).with_story().select_related("sign_off"):
        member = people.member(user.pk, glass.rollout.target.component.name)
        if member is None or not glass_review.reviewer_of(glass, member)[0]:
            continue
        late = now >= glass.due_at
        due = f"{'was due' if late else 'due'} {timezone.localtime(glass.due_at):%d %b %H:%M}"
        why = f"{glass.printed_name} started it without its complete sign-off; the review by two others {due}."
        need = _need(glass.rollout, URGENT if late else SOON, "REVIEW_DUE", why, "Review the break-glass", glass.at)
        needs.append(replace(need, url=f"{need.url}#glass"))
    return needs


def _incidents(user: AbstractUser) -> list[Need]:
    rows = access.known(user, Incident.objects.exclude(state=Incident.State.CLOSED)).order_by("-opened_at")[:CAP]
    return [
        Need(
            rank=URGENT if row.severity == "P0" else SOON,
            state=row.severity,
            title=str(row),
            why=row.summary[:200],
            do="Take it in hand" if row.state == Incident.State.OPEN else "Close it when it is over",
            url=f"/incidents/{row.pk}/",
            at=row.opened_at,
        )
        for row in rows
    ]


def _configurations(user: AbstractUser, now: datetime) -> list[Need]:
    pending = access.known(user, Configuration.objects.filter(state=Configuration.State.PENDING), "component__name")
    waiting = pending.exclude(loaded_by=user.get_username())
    return [
        Need(
            rank=SOON,
            state="WAITING",
            title=f"Configuration of {row.component.name}",
            why=f"Loaded by {row.loaded_by}; it changes policy, bounds or routes and waits for a second admin.",
            do="Read the difference and confirm",
            url=f"/components/{row.component.name}/#configuration",
            at=row.loaded_at,
        )
        for row in waiting.select_related("component").order_by("-pk")[:CAP]
        if now < row.expires_at
    ]
