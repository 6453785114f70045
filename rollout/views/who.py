"""Who may do what, today: by right and by person, for each component, as its policy and the roles of now say."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from approvals import change_rules, ledger, people, roles
from approvals.rules import Member, Policy
from approvals.seats import seats_of
from rollout import access
from rollout.component import ComponentError
from rollout.models import Component


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Somebody who has a right today; by a delegation, where he has it on behalf of somebody who is out of office."""

    user_id: int
    name: str
    instead_of: str = ""


@dataclass(frozen=True, kw_only=True)
class Right:
    """One thing that somebody may do to a component, how many people it takes, and who they are today."""

    title: str
    needed: int
    people: tuple[Holder, ...]

    @property
    def short(self) -> bool:
        """Say whether there are fewer people than it takes."""
        return len({one.user_id for one in self.people}) < self.needed


@require_GET
def who(request: HttpRequest) -> HttpResponse:
    """Show who may do what."""
    components: list[Component] = []
    held: dict[str, list[Right]] = {}
    problems: list[str] = []
    now = timezone.now()
    for one in access.known(request.user, Component.objects.all(), "name"):
        members = ledger.members(one.name, now=now)
        try:
            held[one.name] = rights(one.spec.policy, members)
            components.append(one)
        except ComponentError as problem:
            problems.append(f"{one.name}: {problem}")
    context = {
        "components": [{"component": one, "rights": held[one.name]} for one in components],
        "problems": problems,
        "persons": by_person(held),
        "admins": [people.printed_name(one) for one in roles.admins()],
        "waiting": change_rules.open_changes(now).count(),
    }
    return render(request, "rollout/who.html", context)


def rights(policy: Policy, members: Sequence[Member]) -> list[Right]:
    """Return every right over one component with the people who have it; what bars a person from one release apart."""
    found = [_right("Prepare and submit", access.OWNERS, members)]
    seats = seats_of(policy)
    for duty, accepts in dict.fromkeys((seat.duty, seat.accepts) for seat in seats):
        count = sum((seat.duty, seat.accepts) == (duty, accepts) for seat in seats)
        own = _right(f"Approve as {duty}", accepts, members, count)
        found.append(replace(own, people=(*own.people, *_deputies(accepts, members))))
    starters = frozenset(policy.starter_groups) & (access.STARTERS | {access.OPS})
    return [
        *found,
        _right("Start", starters, members),
        _right("Break the glass in an emergency", access.BREAKERS, members),
        _right("Abort, roll back, decide what is unknown", access.STOPPERS, members),
        _right("Review what was done", access.RESPONDERS | access.DECIDERS, members),
        _right("Confirm a configuration", access.ADMINS, members, 2),
    ]


def by_person(components: Mapping[str, Iterable[Right]]) -> list[dict[str, Any]]:
    """Return the same by person: name, and for each component the rights that he has there."""
    found: dict[int, dict[str, Any]] = {}
    for name, held in components.items():
        for right in held:
            for member in right.people:
                row = found.setdefault(member.user_id, {"name": member.name, "rights": {}})
                title = f"{right.title} for {member.instead_of}" if member.instead_of else right.title
                row["rights"].setdefault(name, []).append(title)
    return sorted(found.values(), key=lambda row: str(row["name"]))


def _right(title: str, wanted: frozenset[str], members: Sequence[Member], needed: int = 1) -> Right:
    holders = (Holder(user_id=one.user_id, name=one.name) for one in members if one.active and one.roles & wanted)
    return Right(title=title, needed=needed, people=tuple(holders))


def _deputies(wanted: frozenset[str], members: Sequence[Member]) -> list[Holder]:
    """Return who may approve today on behalf of somebody who is out of office, and of whom."""
    return [
        Holder(user_id=one.user_id, name=one.name, instead_of=absent.name)
        for one in members
        for absent in members
        if one.active and absent.user_id in one.acts_for and absent.roles & wanted
    ]
