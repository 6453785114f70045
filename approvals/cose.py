"""A passkey's public key in words of the web: from COSE, as an authenticator gives it, to JWK; pure."""

import base64
from collections.abc import Mapping
from typing import Any

from monitoring import canonical

# The three algorithms of WebAuthn that every library can check; a passkey of another is not registered.
ES256, EDDSA, RS256 = -7, -8, -257
NAMES = {ES256: "ES256", EDDSA: "EdDSA", RS256: "RS256"}


class UnknownKeyError(ValueError):
    """A key of another algorithm, or not one at all."""


def jwk(cose: Mapping[int, Any]) -> str:
    """Return a COSE key as canonical JSON of a JWK (RFC 7517), with nothing in it but the key."""
    kind, algorithm, curve = cose.get(1), cose.get(3), cose.get(-1)
    if (kind, algorithm, curve) == (2, ES256, 1):
        found = {"kty": "EC", "crv": "P-256", "x": b64(cose[-2]), "y": b64(cose[-3])}
    elif (kind, algorithm, curve) == (1, EDDSA, 6):
        found = {"kty": "OKP", "crv": "Ed25519", "x": b64(cose[-2])}
    elif (kind, algorithm) == (3, RS256):
        found = {"kty": "RSA", "n": b64(cose[-1]), "e": b64(cose[-2])}
    else:
        raise UnknownKeyError(f"expected a key for ES256, EdDSA or RS256, found algorithm {algorithm}")
    return canonical.dumps(found)


def b64(data: bytes) -> str:
    """Return bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
