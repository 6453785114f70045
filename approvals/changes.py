"""Change what a person may do, by two admins: one proposes, another answers; neither is the person himself.

Whoever changes people first takes the row of the group admin. So two changes never pass each other, and what a
confirmation reads is what it changes.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.urls import reverse

from monitoring import audit, notices, unseen
from monitoring.audit import SYSTEM, Actor
from monitoring.routes import Route

from . import addresses, change_rules, events, factors, identities, naming, roles, sessions
from .actors import about
from .change_rules import Asker
from .models import Change, ChangeAnswer, Person
from .people import printed_name
from .proof import Refused
from .roles import Rights

Kind, Answer = Change.Kind, ChangeAnswer.Kind
# who may do what is told wherever messages leave the house, and to whom it is about
ROUTES = tuple(Route(channel=name) for name in ("email", "slack", "teams", "discord", "webhook", "person"))
WITHOUT_PERSON = tuple(route for route in ROUTES if route.channel != "person")


def propose(user: Any, rights: Rights | None, *, kind: str, why: str, asker: Asker) -> Change:
    """Write down what one admin wants changed, for another to confirm; raise Refused. No rights: as they stand."""
    now = asker.now
    with audit.turn():
        change_rules.take_people()
        proved_at = asker.proved_at()
        change_rules.check_admin(asker.user, user)
        old = roles.rights_of(user)
        change_rules.check_worth(user, old, rights or old, kind, now)
        addresses.require_free(user, old, rights or old)
        change = Change.objects.create(
            user=user,
            kind=kind,
            old=old.text(),
            new=(rights or old).text(),
            why=_reason(why),
            proposed_by=asker.user,
            proposed_at=now,
            authenticated_at=proved_at,
            expires_at=now + timedelta(seconds=settings.GR_CHANGE_SECONDS),
        )
        _tell(change, "proposed", by=asker.by, why=change.why, now=now)
    return change


def add_person(*, username: str, name: str, rights: Rights, why: str, asker: Asker) -> Change:
    """Add an account that is closed and can do nothing, and propose to open it with these rights."""
    with audit.turn():
        change_rules.take_people()
        if get_user_model().objects.filter(username__iexact=username).exists():
            raise Refused(f"There is an account {username} already.")
        naming.require_own(username)
        naming.require_own(name)
        # without its address: that takes commits over from whoever has it, and nobody has confirmed it yet
        user = get_user_model().objects.create(username=username, password=make_password(None), is_active=False)
        Person.objects.create(user=user, printed_name=name)
        audit.append(action="user.added", by=asker.by, subject=about(user), why=why, data={"roles": []}, now=asker.now)
        return propose(user, rights, kind=Kind.ACCOUNT, why=why, asker=asker)


def confirm(change: Change, *, asker: Asker) -> None:
    """Put a change in force; raise Refused when it does not wait, or is not what would be changed any more.

    1. take people; 2. check the admin, his proof, the proposer and what stands, by what the database says now;
    3. put it in force; 4. answer, audit and tell.
    """
    with audit.turn():
        change_rules.take_people()
        waiting = change_rules.waiting(change, asker.now)
        proved_at = asker.proved_at()
        change_rules.check_second(waiting, asker.user)
        change_rules.check_still_right(waiting)
        addresses.require_free(waiting.user, Rights.of_text(waiting.old), Rights.of_text(waiting.new))
        _put_in_force(waiting, by=asker.by, now=asker.now)
        _answer(waiting, Answer.CONFIRMED, asker=asker, proved_at=proved_at)


def refuse(change: Change, *, why: str, asker: Asker) -> None:
    """Say no to a change, with a reason."""
    with audit.turn():
        change_rules.take_people()
        waiting = change_rules.waiting(change, asker.now)
        proved_at = asker.proved_at()
        change_rules.check_second(waiting, asker.user)
        _answer(waiting, Answer.REFUSED, why=_reason(why), asker=asker, proved_at=proved_at)


def withdraw(change: Change, *, asker: Asker) -> None:
    """Take back what one proposed oneself."""
    with audit.turn():
        change_rules.take_people()
        waiting = change_rules.waiting(change, asker.now)
        if asker.user.pk != waiting.proposed_by_id:
            raise Refused("Only whoever proposed a change can withdraw it.")
        _answer(waiting, Answer.WITHDRAWN, asker=asker)


def disable(user: Any, *, why: str, asker: Asker) -> None:
    """Close an account at once: somebody left, or somebody else has it. To open it again takes two admins.

    Not that of an admin: one admin alone could then get rid of all the others.
    """
    with audit.turn():
        change_rules.take_people()
        asker.proved_at()
        change_rules.check_admin(asker.user, user)
        old = roles.rights_of(user)
        if roles.ADMIN in old.roles:
            raise Refused("The account of an admin is closed by two others: propose it as a change of rights.")
        if not old.active:
            raise Refused("This account is closed already.")
        roles.put(user, replace(old, active=False), why=_reason(why), by=asker.by, now=asker.now)
        for waiting in change_rules.open_changes(asker.now).filter(user=user):
            _answer(waiting, Answer.OVERTAKEN, asker=_nobody(asker.now))


def expire_due(now: datetime) -> int:
    """Answer what waited too long, and return how many there were."""
    due = Change.objects.filter(answer=None, expires_at__lte=now)
    if not due.exists():
        return 0
    with audit.turn():
        change_rules.take_people()
        expired = list(due.select_related("user", "proposed_by"))
        for change in expired:
            _answer(change, Answer.EXPIRED, asker=_nobody(now))
    return len(expired)


def _put_in_force(change: Change, *, by: Actor, now: datetime) -> None:
    if change.kind in (Kind.ACCOUNT, Kind.RIGHTS):
        roles.put(change.user, Rights.of_text(change.new), why=change.why, by=by, now=now)
    if change.kind == Kind.FACTORS:
        factors.reset(change.user, why=change.why, by=by, now=now)
    if change.kind in (Kind.ACCOUNT, Kind.PASSWORD):
        # no password opens it until the person has chosen one; the sessions that stand end with the old one
        sessions.end_all(change.user_id)
        get_user_model().objects.filter(pk=change.user_id).update(password=make_password(None))
    old, new = Rights.of_text(change.old), Rights.of_text(change.new)
    if change.kind != Kind.RIGHTS or old.email != new.email or (new.active and not old.active):
        # who holds the old address, or the lost things, may hold the identity as well; the new address links another
        identities.unlink_all(change.user, why=change.why, by=by, now=now)
    if change.kind in (Kind.FACTORS, Kind.PASSWORD):
        events.account_turned.send(sender=None, user=change.user, why=change.why, by=by, now=now)


def _answer(
    change: Change, kind: ChangeAnswer.Kind, *, asker: Asker, why: str = "", proved_at: datetime | None = None
) -> None:
    ChangeAnswer.objects.create(
        change=change, kind=kind, by=asker.user, why=why, at=asker.now, authenticated_at=proved_at
    )
    _tell(change, str(kind.label), by=asker.by, why=why, now=asker.now)


def _nobody(now: datetime) -> Asker:
    return Asker(user=None, authenticated_at=None, by=SYSTEM, now=now)


def _reason(why: str) -> str:
    if not unseen.seen_length(why):
        raise Refused("Say why.")
    return why.strip()[:300]


def _tell(change: Change, what: str, *, by: Actor, why: str, now: datetime) -> None:
    rights = {"old": roles.told(Rights.of_text(change.old)), "new": roles.told(Rights.of_text(change.new))}
    data = {"change": change.pk, "kind": change.kind, "proposed_by": change.proposed_by_id, **rights}
    audit.append(action=f"change.{what}", by=by, subject=about(change.user), why=why, data=data, now=now)
    names = {"person": printed_name(change.user), "change": change.get_kind_display()}
    notices.queue(
        f"change_{what}",
        subject=about(change.user),
        severity="warning",
        context={"by": by.name, "why": why, **names},
        routes=ROUTES if roles.rights_of(change.user).email else WITHOUT_PERSON,
        key=f"change-{change.pk}-{what}",
        url=settings.GR_BASE_URL + reverse("change", args=[change.pk]),
        now=now,
    )
