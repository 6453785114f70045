"""A passkey in software: registers with a user and answers challenges, truthfully or as a test asks."""

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass, field
from typing import Any

from allauth.mfa.models import Authenticator
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from django.contrib.auth.models import User
from fido2 import cbor, cose
from fido2.webauthn import Aaguid, AttestedCredentialData

from approvals.cose import b64, unb64
from approvals.site import Site

SITE = Site(rp_id="testserver", origin="http://testserver")
PRESENT, VERIFIED, ATTESTED = 1, 4, 64
KEYS: dict[str, Any] = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
}


@dataclass(kw_only=True)
class SoftPasskey:
    """One key pair with its counter."""

    algorithm: str = "ES256"
    site: Site = SITE
    count: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: Any = None

    def __post_init__(self) -> None:
        self.key = self.key or KEYS[self.algorithm]()

    @property
    def credential(self) -> AttestedCredentialData:
        public = getattr(cose, self.algorithm).from_cryptography_key(self.key.public_key())
        return AttestedCredentialData.create(Aaguid.NONE, self.credential_id, public)

    def register(self, user: User, name: str = "Laptop") -> Authenticator:
        """Keep this passkey as one of a user's, as allauth does."""
        data = {"name": name, "credential": self.created("AA")}
        return Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data=data)

    def created(self, challenge: str, *, flags: int = PRESENT | VERIFIED) -> dict[str, Any]:
        """Return what `navigator.credentials.create` would give."""
        auth_data = self._auth_data(flags | ATTESTED) + bytes(self.credential)
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": auth_data})
        client = self._client_data("webauthn.create", challenge)
        answer = {"clientDataJSON": b64(client), "attestationObject": b64(attestation), "transports": ["internal"]}
        return self._wrapped(answer) | {"clientExtensionResults": {"credProps": {"rk": True}}}

    def answer(self, options: dict[str, Any], **lies: Any) -> str:
        """Return what `navigator.credentials.get` would give, as JSON; `lies` are flags, origin, type, challenge."""
        public = options["publicKey"]
        self.count += 1
        auth_data = self._auth_data(lies.get("flags", PRESENT | VERIFIED))
        client = self._client_data(
            lies.get("type", "webauthn.get"), lies.get("challenge", public["challenge"]), lies.get("origin", "")
        )
        signed = self._sign(auth_data + hashlib.sha256(client).digest())
        answer = {"clientDataJSON": b64(client), "authenticatorData": b64(auth_data), "signature": b64(signed)}
        handle = lies.get("user")
        return json.dumps(self._wrapped(answer | ({"userHandle": b64(handle)} if handle else {})))

    def _sign(self, message: bytes) -> bytes:
        if self.algorithm == "ES256":
            return self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        if self.algorithm == "EdDSA":
            return self.key.sign(message)
        return self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())

    def _auth_data(self, flags: int) -> bytes:
        return hashlib.sha256(self.site.rp_id.encode()).digest() + struct.pack(">BI", flags, self.count)

    def _client_data(self, kind: str, challenge: str, origin: str = "") -> bytes:
        data = {"type": kind, "challenge": challenge, "origin": origin or self.site.origin, "crossOrigin": False}
        return json.dumps(data, separators=(",", ":")).encode()

    def _wrapped(self, answer: dict[str, Any]) -> dict[str, Any]:
        raw = b64(self.credential_id)
        return {"id": raw, "rawId": raw, "type": "public-key", "response": answer, "clientExtensionResults": {}}


def changed(answer: str, part: str, at: int = -1) -> str:
    """Return an answer with one byte of a part changed."""
    found = json.loads(answer)
    data = bytearray(unb64(found["response"][part]))
    data[at] ^= 1
    found["response"][part] = b64(bytes(data))
    return json.dumps(found)
