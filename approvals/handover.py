"""How a person gets to a password that nobody else knows: a link from one admin, a code from another, once, in a day.

Neither alone opens the account. Both are derived from the server's key and the confirmed change, so they can be shown
again to those two, and nothing of them is kept.
"""

import base64
from datetime import datetime, timedelta

from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX, make_password
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.utils.crypto import constant_time_compare, salted_hmac

from monitoring import audit
from monitoring.audit import Actor

from . import telling
from .actors import about
from .models import Change, ChangeAnswer
from .proof import Refused

VALID = timedelta(hours=24)
CODE_LENGTH = 12
HANDED = (Change.Kind.ACCOUNT, Change.Kind.PASSWORD)


def code_of(change: Change) -> str:
    """Return the code that the proposer hands over, in groups of four."""
    text = base64.b32encode(_hmac("code", change)).decode().lower()[:CODE_LENGTH]
    return "-".join(text[start : start + 4] for start in range(0, CODE_LENGTH, 4))


def token_of(change: Change) -> str:
    """Return the token of the link that the confirmer hands over."""
    return f"{change.pk}-{base64.urlsafe_b64encode(_hmac('link', change)).decode().rstrip('=')}"


def is_open(change: Change, *, now: datetime) -> bool:
    """Say whether the person can still choose a password with this change."""
    answer = ChangeAnswer.objects.filter(change=change, kind=ChangeAnswer.Kind.CONFIRMED).first()
    if change.kind not in HANDED or answer is None or not answer.at <= now < answer.at + VALID:
        return False
    # an account that was confirmed later, closed or given a password, has no use for this link any more
    newer = Change.objects.filter(user_id=change.user_id, pk__gt=change.pk, answer__kind=ChangeAnswer.Kind.CONFIRMED)
    return not newer.filter(kind__in=HANDED).exists() and _account(change).exists()


def change_of(token: str, *, now: datetime) -> Change | None:
    """Return the change that a link belongs to; None when it is used, out of date or no link of ours."""
    number = token.partition("-")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 19):
        return None
    change: Change | None = Change.objects.select_related("user").filter(pk=int(number)).first()
    if change is None or not constant_time_compare(token_of(change), token) or not is_open(change, now=now):
        return None
    return change


def choose(change: Change, *, code: str, password: str, by: Actor, now: datetime) -> None:
    """Set the password that the person chose; raise Refused for a wrong code and for a link that was used."""
    right = constant_time_compare(_plain(code), _plain(code_of(change)))
    with audit.turn():
        if right and (not is_open(change, now=now) or _account(change).update(password=make_password(password)) != 1):
            raise Refused("This link was used or is out of date: ask your admins for a new one.")
        action = "user.password_chosen" if right else "user.password_code_failed"
        audit.append(action=action, by=by, subject=about(change.user), data={"change": change.pk}, now=now)
        if right:
            telling.owner(change.user, "password_chosen", now=now)
    if not right:
        raise Refused("That is not the code. It has 12 letters and digits, and comes from the admin who proposed this.")


def _account(change: Change) -> QuerySet[User]:
    """Return the account while no password opens it."""
    return User.objects.filter(pk=change.user_id, is_active=True, password__startswith=UNUSABLE_PASSWORD_PREFIX)


def _plain(code: str) -> str:
    return "".join(one for one in code.lower() if one.isalnum())


def _hmac(what: str, change: Change) -> bytes:
    # with the moment: a restored installation gives the same number out again
    named = f"{change.pk} {change.user_id} {audit.stamp(change.proposed_at)}"
    return salted_hmac(f"approvals.handover.{what}", named, algorithm="sha256").digest()
