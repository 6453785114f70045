"""Answers a configuration that waits: another admin confirms or refuses it, the loader withdraws it, or it expires.

The same standard as a change of a person (approvals/changes.py); what is proposed here is a file on the server's disk.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.change_rules import Asker
from approvals.ledger import Refused, current_roles
from monitoring import audit, unseen
from monitoring.audit import SYSTEM, Actor
from rollout import access, in_force, loading, told
from rollout.component import ComponentError
from rollout.models import Configuration

State = Configuration.State


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a second admin reads before he answers, and the digest that says so; or why there is nothing to read."""

    difference: str = ""
    digest: str = ""
    problem: str = ""


def shown(configuration: Configuration, before: Configuration | None) -> Shown:
    """Return what to show of a waiting configuration beside the one in force; the row's own difference may be edited.

    Beside none it is all of it.
    """
    try:
        difference = loading.difference_to(before, configuration)
    except (ComponentError, ValueError, OSError) as error:  # whatever somebody wrote into the row
        return Shown(problem=str(error))
    return Shown(difference=difference, digest=_digest(difference))


def confirm(configuration: Configuration, *, seen: str, asker: Asker) -> None:
    """Put a waiting configuration in force; raise Refused unless that is what the difference said, asked in time.

    `seen` is the digest of what the second admin was shown.
    """
    with audit.turn():
        _take(configuration)
        _check_second(configuration, asker)
        _check_still_right(configuration, seen)
        _answer(configuration, State.PAST, by=asker.by, now=asker.now)
        configuration.refresh_from_db()
        _put_in_force(configuration, asker.now)
    loading.recheck(configuration.component, asker.now)


def refuse(configuration: Configuration, *, why: str, asker: Asker) -> None:
    """Say no to a waiting configuration, with a reason; the one before stays in force."""
    with audit.turn():
        _check_second(configuration, asker)
        if not unseen.seen_length(why):
            raise Refused("Say why you refuse it.")
        _answer(configuration, State.REFUSED, why=why, by=asker.by, now=asker.now)


def withdraw(configuration: Configuration, *, asker: Asker) -> None:
    """Take back what one loaded oneself."""
    if asker.user.get_username() != configuration.loaded_by:
        raise Refused("Only whoever loaded a configuration can withdraw it.")
    with audit.turn():
        _answer(configuration, State.WITHDRAWN, by=asker.by, now=asker.now)


def expire_due(now: datetime) -> int:
    """Close what waited too long, and return how many there were."""
    before = now - timedelta(seconds=settings.GR_CHANGE_SECONDS)
    due = Configuration.objects.select_related("component").filter(state=State.PENDING, loaded_at__lte=before)
    return sum(_expire(row, now) for row in due)


def why_not(configuration: Configuration, user: Any, *, now: datetime) -> str:
    """Return why somebody cannot be the second admin of a configuration; empty when he can."""
    if access.ADMIN not in current_roles(user, configuration.component.name):
        return "An admin who did not load it has to confirm it."
    if user.get_username() == configuration.loaded_by:
        return "You loaded it, so another admin has to confirm it."
    if now >= configuration.expires_at:
        return "It waited too long and has expired: load the file again."
    return ""


def is_stale(configuration: Configuration, before: Configuration | None) -> bool:
    """Say whether another configuration is in force now than the one that it was loaded beside."""
    return (before.sha256 if before else "") != configuration.against


def _expire(row: Configuration, now: datetime) -> bool:
    try:
        with audit.turn():
            _answer(row, State.EXPIRED, by=SYSTEM, now=now)
    except Refused:  # somebody answered a moment before
        return False
    return True


def _take(configuration: Configuration) -> None:
    """Read what waits again, and let nobody write it in this turn: what is compared is what is put in force."""
    configuration.refresh_from_db(from_queryset=Configuration.objects.select_for_update(of=("self",)))


def _check_second(configuration: Configuration, asker: Asker) -> None:
    asker.proved_at()
    if access.ADMIN not in current_roles(asker.user, configuration.component.name):
        raise PermissionDenied("This needs the role admin.")
    if why := why_not(configuration, asker.user, now=asker.now):
        raise Refused(why)


def _digest(difference: str) -> str:
    return hashlib.sha256(difference.encode("utf-8", "surrogatepass")).hexdigest()


def _check_still_right(configuration: Configuration, seen: str) -> None:
    loader = User.objects.filter(username=configuration.loaded_by).first()
    if loader is None or access.ADMIN not in current_roles(loader, configuration.component.name):
        raise Refused("Whoever loaded this is not an admin any more: refuse it, and load the file again.")
    if configuration.state != State.PENDING:
        return  # it was answered: that is said where the answer is claimed
    wrong = next(told.waiting_problems(configuration), "")
    before = told.borne_out(configuration.component, configuration)
    if not wrong and configuration.against and before is None:
        wrong = loading.UNTOLD
    if not wrong and is_stale(configuration, before):
        raise Refused("Another configuration came into force meanwhile, so this is another difference: load it again.")
    difference = "" if wrong else loading.difference_to(before, configuration)
    if not wrong and configuration.difference != difference:
        wrong = "its row tells another difference"
    if wrong:
        raise Refused(f"This is not what was loaded: {wrong}; the database was edited. Load the file again.")
    if seen != _digest(difference):
        raise Refused("This is another difference than the one that you were shown. Look again, then decide.")


def _answer(configuration: Configuration, state: str, *, why: str = "", by: Actor, now: datetime) -> None:
    """Claim the answer: whoever comes second finds that nothing waits any more."""
    waiting = Configuration.objects.filter(pk=configuration.pk, state=State.PENDING)
    columns = {"state": state, "confirmed_by": by.name, "confirmed_at": now, "answer_why": why.strip()[:300]}
    if waiting.update(**columns) != 1:
        raise Refused("This configuration does not wait for a confirmation any more.")
    action = {State.PAST: "confirmed"}.get(State(state), str(State(state).value).lower())
    places = [f"{told.STANDS} {configuration.base_dir}"]
    about = {"configuration": configuration.pk, "sha256": configuration.sha256}
    data = {**about, "loaded_by": configuration.loaded_by, "places": places}
    subject = loading.subject_of(configuration.component)
    audit.append(action=f"configuration.{action}", by=by, subject=subject, why=why.strip(), data=data, now=now)


def _put_in_force(configuration: Configuration, now: datetime) -> None:
    try:
        spec = configuration.parsed()
        loading.require_sound(spec, Path(configuration.base_dir) / "component.toml")
        loading.put_in_force(configuration, in_force.read_runbooks(Path(spec.runbooks)), now)
    except ComponentError as error:
        raise Refused(f"It cannot be put in force: {error}")
