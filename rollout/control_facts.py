"""What this installation can show for each control, counted now over a span of time, each with where to look."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db.models import Count, Q

from approvals.models import Decision, SignOff
from monitoring.chain_watch import Held
from monitoring.signed_head import SignedHead
from rollout import control_records, states
from rollout.control_records import Fact
from rollout.models import BreakGlass, Rollout, Run
from rollout.states import RolloutState as R

# sign-offs whose barred people are compared with those who approved
LOOKED_AT = 2000


def facts(since: datetime, until: datetime, held: Held, signed: SignedHead | None) -> dict[str, Fact]:
    """Return every fact by its key, in a number of queries that does not grow."""
    span, days = (since, until), f"since={since:%Y-%m-%d}&until={until:%Y-%m-%d}"
    found = (
        *_rollouts(span, days),
        *_consents(span, days),
        *_separation(span),
        *_runs(span),
        *control_records.records(span),
        *control_records.followed(span),
        *control_records.people(),
        *control_records.chain(held, signed),
    )
    return {one.key: one for one in found}


def _rollouts(span: tuple[datetime, datetime], days: str) -> Iterator[Fact]:
    asked = Rollout.objects.filter(created_at__range=span)
    whole, unsaid = asked.aggregate(a=Count("pk"), b=Count("pk", filter=Q(reason=""))).values()
    yield Fact(key="requested", label="rollouts requested", value=str(whole), route="population", query=days)
    yield Fact(
        key="population", label="rows in the population, reconciled", value=str(whole), route="population", query=days
    )
    said = f"{whole - unsaid} of {whole}"
    yield Fact(
        key="reasons",
        label="with a written reason",
        value=said,
        route="population",
        query=days,
        ok=not unsaid if whole else None,
    )
    started = Rollout.objects.filter(started_at__range=span)
    ends = Counter(dict(started.order_by().values_list("state").annotate(Count("pk"))))
    told = ", ".join(f"{count} {states.label(state)}" for state, count in ends.most_common()) or "none started"
    yield Fact(key="outcomes", label="outcomes", value=told, route="population", query=f"basis=started&{days}")
    saved = started.aggregate(a=Count("pk"), b=Count("pk", filter=Q(backup__verified_at__isnull=False))).values()
    everything, verified = saved
    yield Fact(
        key="backups",
        label="started with a verified backup",
        value=f"{verified} of {everything}",
        route="population",
        query=f"basis=started&{days}",
        ok=verified == everything if everything else None,
    )


def _consents(span: tuple[datetime, datetime], days: str) -> Iterator[Fact]:
    started = Rollout.objects.filter(started_at__range=span)
    by_state = Counter(dict(started.order_by().values_list("sign_off__state").annotate(Count("pk"))))
    whole, used, passed = sum(by_state.values()), by_state[SignOff.State.USED], by_state[SignOff.State.BYPASSED]
    query = f"basis=started&{days}"
    yield Fact(
        key="consent",
        label="started with the whole quorum, checked in the same transaction",
        value=f"{used} of {whole}",
        route="population",
        query=query,
        ok=used + passed == whole if whole else None,
    )
    yield _bypassed(span)
    decisions = Decision.objects.filter(at__range=span)
    kinds = Counter(dict(decisions.order_by().values_list("kind").annotate(Count("pk"))))
    words = ", ".join(f"{kinds[kind.value]} {kind.label}" for kind in Decision.Kind if kind in Decision.VOICES)
    yield Fact(key="approvals", label="decisions", value=words, route="history", query=f"action=sign_off.&{days}")
    unread = decisions.filter(diff_opened=False, kind__in=(Decision.Kind.APPROVE, Decision.Kind.REJECT)).count()
    yield Fact(
        key="unread",
        label="decided without opening the difference",
        value=str(unread),
        route="unread_decisions",
        ok=not unread if sum(kinds.values()) else None,
    )
    ways = Counter(dict(decisions.order_by().values_list("method").annotate(Count("pk"))))
    told = ", ".join(f"{count} by {way}" for way, count in ways.most_common()) or "no decision"
    yield Fact(
        key="methods",
        label="re-authenticated for the decision",
        value=told,
        route="history",
        query=f"action=sign_off.&{days}",
    )
    opened = SignOff.objects.filter(opened_at__range=span)
    last = opened.filter(subject_kind="rollout").order_by("-pk").values_list("subject_id", flat=True).first()
    where: dict[str, Any] = {"route": "rollout_manifests", "args": (int(last),)} if last else {}
    yield Fact(key="manifests", label="manifests frozen for sign-off; the newest", value=str(opened.count()), **where)


def _bypassed(span: tuple[datetime, datetime]) -> Fact:
    broken = BreakGlass.objects.filter(at__range=span)
    whole, seen, late = broken.aggregate(
        a=Count("pk"), b=Count("pk", filter=Q(closed_at__isnull=False)),
        c=Count("pk", filter=Q(closed_at=None, due_at__lt=span[1])),
    ).values()  # fmt: skip
    told = f"{whole}, {seen} reviewed by two others, {late} overdue"
    return Fact(
        key="bypassed", label="started by break-glass", value=told, route="history", query="action=sign_off.bypassed",
        ok=not late if whole else None,
    )  # fmt: skip


def _separation(span: tuple[datetime, datetime]) -> Iterator[Fact]:
    """Compare who approved with who was barred, in the sign-offs that were used."""
    rows = SignOff.objects.filter(state=SignOff.State.USED, closed_at__range=span).order_by("-pk")
    newest = {pk: (barred, policy) for pk, barred, policy in rows.values_list("pk", "barred", "policy")[:LOOKED_AT]}
    given = Decision.objects.filter(kind=Decision.Kind.APPROVE, sign_off__in=list(newest))
    broken = set()
    for sign_off, user in given.values_list("sign_off", "user"):
        barred, policy = newest[sign_off]
        if set(barred.get(str(user), ())) & set(policy.get("barred_duties", ())):
            broken.add(sign_off)
    yield Fact(
        key="separation",
        label="used sign-offs with an approval by somebody who was barred",
        value=f"{len(broken)} of {len(newest)}",
        route="history",
        query="action=sign_off.used",
        ok=not broken if newest else None,
    )


def _runs(span: tuple[datetime, datetime]) -> Iterator[Fact]:
    runs = Run.objects.filter(created_at__range=span).order_by()
    by = Counter(
        {(kind, state): count for kind, state, count in runs.values_list("kind", "state").annotate(Count("pk"))}
    )
    kinds = Counter({kind: sum(n for (one, _), n in by.items() if one == kind) for kind in Run.Kind.values})
    well = by[(Run.Kind.VALIDATE, states.RunState.SUCCEEDED)]
    yield Fact(
        key="validated",
        label="validate runs that passed: dry run, backup, restore in a scratch place",
        value=f"{well} of {kinds[Run.Kind.VALIDATE]}",
        route="history",
        query="action=run.validate.opened",
    )
    own = runs.filter(kind=Run.Kind.ROLLBACK).aggregate(
        auto=Count("pk", filter=Q(automatic=True)), seen=Count("pk", filter=~Q(reviewed_by=""))
    )
    proved = by[(Run.Kind.ROLLBACK, states.RunState.SUCCEEDED)]
    told = f"{kinds[Run.Kind.ROLLBACK]}, {own['auto']} of them automatic, {proved} proved, {own['seen']} reviewed"
    yield Fact(key="rollbacks", label="rollbacks", value=told, route="rollout_list", query=f"state={R.ROLLED_BACK}")
    watched = runs.filter(watch__isnull=False).count()
    yield Fact(
        key="watched", label="deploys watched by gates", value=str(watched), route="history", query="action=watch."
    )
    people = runs.filter(kind=Run.Kind.DEPLOY, started_by__isnull=False)
    who = people.aggregate(n=Count("started_by", distinct=True))["n"]
    yield Fact(
        key="starters",
        label="people who started deploys, all with the role for it",
        value=str(who),
        route="history",
        query="action=run.deploy.opened",
    )
