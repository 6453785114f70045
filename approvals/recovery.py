"""Recovery codes: made, shown once, kept as hashes only, and each good once.

A code has 118 random bits, so a plain sha256 is enough: nobody tries them all, as he could those of eight digits.
"""

import hashlib
import hmac
import json
import secrets
from datetime import datetime, timedelta
from typing import Any

from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest

from . import seal

KIND = Authenticator.Type.RECOVERY_CODES
COUNT, GROUPS, LETTERS = 10, 6, 4
# none that is taken for another on paper
ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
FRESH = "recovery_codes_to_show"
SHOWN_WITHIN = timedelta(minutes=5)


def make(user: AbstractUser) -> list[str]:
    """Return ten new codes and keep their hashes; the old ones are void. In the transaction of who tells of it."""
    made = [
        "-".join("".join(secrets.choice(ALPHABET) for _ in range(LETTERS)) for _ in range(GROUPS)) for _ in range(COUNT)
    ]
    Authenticator.objects.filter(user_id=user.pk, type=KIND).delete()
    Authenticator.objects.create(user_id=user.pk, type=KIND, data={"hashes": [_hash(user, code) for code in made]})
    return made


def left(user: AbstractUser) -> int | None:
    """Return how many codes were not used yet; None where there never were any."""
    sheet = Authenticator.objects.filter(user_id=user.pk, type=KIND).first()
    return len(sheet.data.get("hashes", ())) if sheet else None


def use(user: AbstractUser, code: str) -> Authenticator | None:
    """Return the sheet that a code stands on, and strike it out there; None when it stands on none.

    To be called where the row of this user's tries was updated: that lock keeps a second use of the code waiting.
    """
    sheet = Authenticator.objects.filter(user_id=user.pk, type=KIND).first()
    wanted = _hash(user, code)
    hashes = list(sheet.data.get("hashes", ())) if sheet else []
    rest = [one for one in hashes if not hmac.compare_digest(one, wanted)]
    if sheet is None or len(rest) == len(hashes):
        return None
    sheet.data = {"hashes": rest}
    sheet.save(update_fields=["data"])
    return sheet


def keep_to_show(request: HttpRequest, codes: list[str], *, now: datetime) -> None:
    """Keep new codes, sealed, for the one page that shows them: the next one of this session."""
    request.session[FRESH] = seal.seal(json.dumps({"at": now.timestamp(), "codes": codes}))


def show(request: HttpRequest, *, now: datetime) -> list[str]:
    """Return the codes that were made a moment ago, once; [] when there are none, or it was asked too late."""
    sealed = request.session.pop(FRESH, "")
    text = seal.unseal(sealed) if sealed else ""
    fresh: dict[str, Any] = json.loads(text) if text else {"at": 0.0, "codes": []}
    young = abs(now.timestamp() - fresh["at"]) <= SHOWN_WITHIN.total_seconds()
    return list(fresh["codes"]) if young else []


def _hash(user: AbstractUser, code: str) -> str:
    plain = "".join(one for one in code.casefold() if one.isalnum())
    return hashlib.sha256(f"recovery code {user.pk} {plain}".encode()).hexdigest()
