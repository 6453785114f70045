"""Sign a decision with a passkey: the WebAuthn challenge is the sha256 of the canonical decision record.

1. `ask` writes the record, with a nonce, and gives the browser the challenge; 2. `verify` checks what the passkey
answered; 3. `keep` uses the nonce up and stores the assertion, in the transaction of the decision.
What is kept can be checked with a program of your own: docs/sign-off.md.
"""

import hashlib
import json
import secrets
import struct
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.db.models import Max
from fido2.server import Fido2Server
from fido2.webauthn import (
    AuthenticationResponse,
    PublicKeyCredentialDescriptor,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialType,
    UserVerificationRequirement,
)

from monitoring import audit, canonical

from . import cose, passkeys, people
from .meaning import signature, words
from .models import Decision, Signature, SigningRequest, SignOff
from .passkeys import Passkey
from .proof import Refused
from .rules import CLOCK_SKEW
from .site import Site

TYPE, VERSION = "guarded-rollout.decision", 1
# columns of a decision that its record repeats
BOUND = ("user_id", "printed_name", "kind", "duty", "digest", "meaning", "on_behalf_of_id", "on_behalf_name")
# what the parser raises for bytes that are no answer of a passkey
BROKEN = (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, struct.error)
AGAIN = "Nothing was recorded: sign again, or enter your password."


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A passkey's answer that was checked, with the record that it signed; `keep` still has to use its nonce up."""

    request_id: int
    record: str
    passkey: Passkey
    rp_id: str
    authenticator_data: str
    client_data_json: str
    signature: str
    sign_count: int


@dataclass(frozen=True, kw_only=True)
class Proof:
    """When and by what a person proved who he is; `signed` when a passkey signed this very decision."""

    at: datetime | None
    method: str = "password"
    signed: Signed | None = None


def ask(
    sign_off: SignOff,
    *,
    user: AbstractUser,
    kind: str,
    duty: str,
    reason: str,
    site: Site,
    now: datetime,
    on_behalf_of: int | None = None,
) -> dict[str, Any]:
    """Write down what is to be signed, and return the options for the browser's `navigator.credentials.get`."""
    found, member = passkeys.of(user.pk), people.member(user.pk, sign_off.component, now=now)
    if not found or member is None:
        raise Refused("There is no passkey of yours that could sign; enter your password.")
    absent = None if on_behalf_of is None else people.member(on_behalf_of, sign_off.component, now=now)
    facts = signature(sign_off, member, kind, duty, absent)
    record = canonical.dumps(
        {
            **_bound(sign_off.pk, facts, reason),
            "type": TYPE,
            "version": VERSION,
            "nonce": secrets.token_urlsafe(32),
            "time": audit.stamp(now),
            "zone": facts["zone"],
        }
    )
    challenge = hashlib.sha256(record.encode()).digest()
    until = now + timedelta(seconds=settings.GR_STEP_UP_SECONDS)
    SigningRequest.objects.filter(user_id=user.pk, expires_at__lt=now).delete()
    SigningRequest.objects.create(
        user_id=user.pk, challenge_sha256=challenge.hex(), record=record, made_at=now, expires_at=until
    )
    descriptors = [
        PublicKeyCredentialDescriptor(type=PublicKeyCredentialType.PUBLIC_KEY, id=one.data.credential_id)
        for one in found
    ]
    options, _ = _server(site).authenticate_begin(descriptors, UserVerificationRequirement.REQUIRED, challenge)
    return dict(options)


def verify(text: str, *, user: AbstractUser, site: Site, now: datetime) -> Signed:
    """Check what a passkey answered (the browser's JSON): person, challenge, origin, user verification, signature."""
    try:
        answer = AuthenticationResponse.from_dict(json.loads(text))
        challenge = answer.response.client_data.challenge
    except BROKEN:
        raise Refused(f"This is not the answer of a passkey. {AGAIN}") from None
    request = SigningRequest.objects.filter(challenge_sha256=challenge.hex(), user_id=user.pk).first()
    if request is None or not request.made_at - CLOCK_SKEW <= now < request.expires_at:
        raise Refused(f"What this passkey signed was not asked of you, or too long ago. {AGAIN}")
    keys = passkeys.of(user.pk)
    state = {"challenge": cose.b64(challenge), "user_verification": UserVerificationRequirement.REQUIRED}
    try:
        credential = _server(site).authenticate_complete(state, [one.data for one in keys], answer)
    except ValueError as wrong:
        raise Refused(f"The passkey's signature does not hold: {wrong} {AGAIN}") from None
    return Signed(
        request_id=request.pk,
        record=request.record,
        passkey=next(one for one in keys if one.data.credential_id == credential.credential_id),
        rp_id=site.rp_id,
        authenticator_data=cose.b64(bytes(answer.response.authenticator_data)),
        client_data_json=cose.b64(bytes(answer.response.client_data)),
        signature=cose.b64(answer.response.signature),
        sign_count=answer.response.authenticator_data.counter,
    )


def method_of(method: str, signed: Signed | None) -> str:
    """Return the method of a decision; raise Refused for a passkey that says nothing about this very decision."""
    if signed is None and method == "passkey":
        raise Refused("Sign this decision with your passkey, or enter your password: signing in is not deciding.")
    return "passkey" if signed else method


def keep(decision: Decision, signed: Signed, *, now: datetime) -> dict[str, Any]:
    """Use the nonce up, store the assertion beside the decision, and return what the audit tells of it.

    Raises Refused unless exactly this decision was signed, for the first time, by a passkey that the person still has.
    """
    facts = {name: getattr(decision, name) for name in BOUND}
    wanted = _bound(decision.sign_off_id, facts, decision.reason)
    record = json.loads(signed.record)
    if {key: record.get(key) for key in wanted} != wanted:
        raise Refused(f"Your passkey signed something else than what you sent. {AGAIN}")
    mine = {(one.credential_id, one.public_key) for one in passkeys.of(decision.user_id)}
    if (signed.passkey.credential_id, signed.passkey.public_key) not in mine:
        raise Refused("This passkey was removed meanwhile: sign with another one, or enter your password.")
    fresh = SigningRequest.objects.filter(
        pk=signed.request_id, user_id=decision.user_id, record=signed.record, used_at=None, expires_at__gt=now
    )
    if fresh.update(used_at=now) != 1:
        raise Refused(f"This signature was used already, or is too old. {AGAIN}")
    kept = Signature.objects.create(
        decision=decision,
        record=signed.record,
        credential_id=signed.passkey.credential_id,
        algorithm=signed.passkey.algorithm,
        public_key=signed.passkey.public_key,
        rp_id=signed.rp_id,
        authenticator_data=signed.authenticator_data,
        client_data_json=signed.client_data_json,
        signature=signed.signature,
        sign_count=signed.sign_count,
        count_regressed=_regressed(signed),
        at=now,
    )
    return {
        "credential_id": kept.credential_id,
        "assertion_sha256": canonical.digest(document(kept)),
        "count_regressed": kept.count_regressed,
    }


def document(kept: Signature) -> dict[str, Any]:
    """Return a stored assertion as bundles carry it; docs/sign-off.md says what each member is."""
    return {
        "version": VERSION,
        "decision": kept.decision_id,
        "record": kept.record,
        "credential_id": kept.credential_id,
        "algorithm": cose.NAMES[kept.algorithm],
        "public_key": json.loads(kept.public_key),
        "rp_id": kept.rp_id,
        "authenticator_data": kept.authenticator_data,
        "client_data_json": kept.client_data_json,
        "signature": kept.signature,
    }


def _bound(sign_off_id: int, facts: dict[str, Any], reason: str) -> dict[str, Any]:
    """Return the part of the record that the decision must repeat."""
    absent = {"id": facts["on_behalf_of_id"], "name": facts["on_behalf_name"]}
    return {
        **({"on_behalf_of": absent} if facts["on_behalf_of_id"] is not None else {}),
        "sign_off": sign_off_id,
        "digest": facts["digest"],
        "decision": facts["kind"],
        "duty": facts["duty"],
        "meaning": facts["meaning"],
        "reason": words(reason),
        "person": {"id": facts["user_id"], "name": facts["printed_name"]},
    }


def _regressed(signed: Signed) -> bool:
    """Say whether the counter of a passkey that counts did not go on; many passkeys stay at 0."""
    earlier = Signature.objects.filter(credential_id=signed.passkey.credential_id)
    last = max(earlier.aggregate(last=Max("sign_count"))["last"] or 0, signed.passkey.sign_count)
    return (last, signed.sign_count) != (0, 0) and signed.sign_count <= last


def _server(site: Site) -> Fido2Server:
    entity = PublicKeyCredentialRpEntity(id=site.rp_id, name="Guarded Rollout")
    return Fido2Server(entity, verify_origin=lambda origin: origin == site.origin)
