"""Passkeys of people, as allauth keeps them: which there are, and what their public keys are."""

import json
from dataclasses import dataclass
from typing import Any

from allauth.mfa.models import Authenticator
from fido2.webauthn import AttestedCredentialData

from . import cose

WEBAUTHN = "webauthn"


@dataclass(frozen=True, kw_only=True)
class Passkey:
    """One passkey; `sign_count` is what its authenticator said when it was registered."""

    name: str
    credential_id: str
    algorithm: int
    public_key: str
    sign_count: int
    data: AttestedCredentialData

    @property
    def algorithm_name(self) -> str:
        """Return the algorithm by name."""
        return cose.NAMES[self.algorithm]

    @property
    def jwk(self) -> dict[str, str]:
        """Return the public key as a JWK."""
        found: dict[str, str] = json.loads(self.public_key)
        return found


def of(user_id: int) -> tuple[Passkey, ...]:
    """Return the passkeys of a user that can sign decisions, the oldest first."""
    rows = Authenticator.objects.filter(user_id=user_id, type=WEBAUTHN).order_by("pk")
    return tuple(found for row in rows if (found := read(row)) is not None)


def has_any(user_id: int) -> bool:
    """Say whether a user has a passkey."""
    return bool(Authenticator.objects.filter(user_id=user_id, type=WEBAUTHN).exists())


def is_known(credential_id: str) -> bool:
    """Say whether a passkey is registered, with anybody."""
    rows = Authenticator.objects.filter(type=WEBAUTHN)
    return bool(rows.filter(data__credential__id=credential_id).exists())


def read(row: Any) -> Passkey | None:
    """Return a passkey from its row; None for one that cannot sign decisions."""
    auth_data = row.wrap().authenticator_data
    data = auth_data.credential_data
    try:
        public_key = cose.jwk(data.public_key)
    except cose.UnknownKeyError:
        return None
    return Passkey(
        name=row.wrap().name,
        credential_id=cose.b64(data.credential_id),
        algorithm=data.public_key[3],
        public_key=public_key,
        sign_count=auth_data.counter,
        data=data,
    )
