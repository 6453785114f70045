"""What a decision must prove before the rules are asked: a person, awake, who saw what is signed."""

import hashlib
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models import Max

from monitoring.audit import Actor

from .models import SignOff
from .rules import CLOCK_SKEW

# A token is no person, and the machinery has no opinion.
DOORS = ("browser", "shell")


class Refused(Exception):
    """What was asked is against the rules; the text is a sentence for the person who asked."""


def check_digest(manifest: str, digest: str) -> None:
    """Raise Refused unless these are the bytes that the digest names."""
    if hashlib.sha256(manifest.encode("utf-8")).hexdigest() != digest:
        raise Refused("The manifest does not have the digest that is to be signed; build it again.")


def check_proof(user: AbstractUser, authenticated_at: datetime | None, by: Actor, now: datetime) -> datetime:
    """Return when the person proved who he is; raise Refused unless that was he, in person, a moment ago."""
    if by.via not in DOORS:
        raise Refused("A token cannot decide: sign in with a browser.")
    if by.id != user.pk:
        raise Refused("Nobody decides in another person's name.")
    limit = timedelta(seconds=settings.GR_STEP_UP_SECONDS)
    if authenticated_at is None or not now - limit <= authenticated_at <= now + CLOCK_SKEW:
        raise Refused(f"Enter your password again: a decision needs it within {limit.seconds // 60} minutes.")
    return authenticated_at


def check_seen(sign_off: SignOff, digest_seen: str, now: datetime) -> None:
    """Raise Refused unless the person saw what stands to be signed, in time."""
    if digest_seen != sign_off.digest:
        raise Refused("What you saw is not what is to be signed any more: load the page again and review the change.")
    if now >= sign_off.expires_at:
        raise Refused("This sign-off has expired; submit the rollout again.")


def check_clock(sign_off: SignOff, now: datetime) -> None:
    """Raise Refused when the clock stands before what was signed came to be: what is given now would never count."""
    newest = sign_off.decisions.aggregate(at=Max("at"))["at"]
    before = max(sign_off.opened_at, newest or sign_off.opened_at)
    if now + CLOCK_SKEW < before:
        raise Refused(
            f"The clock of this host says {now:%Y-%m-%d %H:%M:%S} UTC, but what is to be signed is from "
            f"{before:%Y-%m-%d %H:%M:%S}: one of the hosts has the wrong time. Set it right, then approve; if the "
            "later time was the wrong one, cancel it and ask for it again."
        )
