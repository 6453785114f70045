"""Who may change whom, asked in the transaction that does it; and which changes wait."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.models import Group
from django.db.models import QuerySet

from monitoring.audit import Actor

from . import factors, roles
from .models import Change, ChangeAnswer
from .proof import Refused, check_proof
from .roles import Rights


@dataclass(frozen=True, kw_only=True)
class Asker:
    """An admin who asks for a change or answers one, when he last proved that it is he, and through which door."""

    user: Any
    authenticated_at: datetime | None
    by: Actor
    now: datetime

    def proved_at(self) -> datetime:
        """Return when he proved it; raise Refused when that is too long ago, or was somebody else."""
        return check_proof(self.user, self.authenticated_at, self.by, self.now)


def take_people() -> None:
    """Take what every change of people takes first: a row's lock on PostgreSQL; SQLite has one writer anyway."""
    if Group.objects.filter(name=roles.ADMIN).update(name=roles.ADMIN) != 1:
        raise Refused("The group admin is missing: run manage.py migrate.")


def open_changes(now: datetime) -> QuerySet[Change]:
    """Return the changes that wait for an answer."""
    waiting: QuerySet[Change] = Change.objects.filter(answer=None, expires_at__gt=now)
    return waiting.select_related("user__person", "proposed_by__person").order_by("proposed_at", "pk")


def waiting(change: Change, now: datetime) -> Change:
    """Return a change as the database has it; raise Refused unless it waits."""
    found: Change = Change.objects.select_related("user", "proposed_by").get(pk=change.pk)
    answer = ChangeAnswer.objects.filter(change=found).first()
    if answer is not None:
        raise Refused(f"This change was {answer.get_kind_display()} already.")
    if now >= found.expires_at:
        raise Refused("This change has expired: propose it again.")
    return found


def is_stale(change: Change) -> bool:
    """Say whether the person is not as the proposal found him."""
    found_again = change.kind == Change.Kind.FACTORS and factors.changed_since(change.user, change.proposed_at)
    return found_again or roles.rights_of(change.user).text() != change.old


def why_not_second(change: Change, admin: Any) -> str:
    """Return why somebody cannot be the second person of a change; empty when he can."""
    if admin.pk == change.proposed_by_id:
        return "You proposed this, so another admin has to confirm it."
    if admin.pk == change.user_id:
        return "This is about you, so two other admins decide it."
    if not roles.changes_people(admin):
        return "An admin, whose role holds for every component, has to confirm it."
    return ""


def check_admin(admin: Any, user: Any) -> None:
    """Raise Refused unless this is an admin who may ask for a change of that person."""
    if not roles.changes_people(admin):
        raise Refused("People are changed by an admin whose role holds for every component.")
    if admin.pk == user.pk:
        raise Refused("Two other admins have to change your own account.")


def check_second(change: Change, admin: Any) -> None:
    """Raise Refused unless this is another admin than the one who proposed it, and not the person himself."""
    if why := why_not_second(change, admin):
        raise Refused(why)


def check_still_right(change: Change) -> None:
    """Raise Refused unless the proposer could still propose this, and it would change what he saw."""
    if not roles.changes_people(change.proposed_by):
        raise Refused("Whoever proposed this is not an admin any more: refuse it, then propose it again.")
    if is_stale(change):
        raise Refused("This person was changed meanwhile, so the difference is another one: propose it again.")


def check_worth(user: Any, old: Rights, new: Rights, kind: str, now: datetime) -> None:
    """Raise Refused for a change that does nothing, and while another one of this person waits."""
    if open_changes(now).filter(user=user).exists():
        raise Refused("A change of this person waits already: withdraw it, or let it be answered first.")
    if kind == Change.Kind.RIGHTS and old == new:
        raise Refused("Nothing differs from what stands.")
    if kind in (Change.Kind.PASSWORD, Change.Kind.FACTORS) and not old.active:
        raise Refused("This account is closed: propose to open it first.")
    if kind == Change.Kind.FACTORS and not factors.has_any(user):
        raise Refused("There is no second step to reset.")
