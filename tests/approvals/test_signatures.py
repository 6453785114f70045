"""A passkey signs exactly one decision of one person over one digest, once; what is kept proves it without us."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction

from approvals import acts, ledger, signatures
from approvals.append_only import AppendOnlyError
from approvals.cose import unb64
from approvals.models import Decision, Signature, SigningRequest, SignOff
from approvals.proof import Refused
from approvals.signatures import Signed
from approvals.site import Site
from monitoring import canonical
from monitoring.models import AuditEntry

from .soft_passkey import PRESENT, SITE, SoftPasskey, changed
from .world import DIGEST, NOW, actor, decide, opened

Cast = dict[str, User]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def sign_off(cast: Cast) -> SignOff:
    return opened(cast["rita"])


@pytest.fixture
def key(cast: Cast) -> SoftPasskey:
    made = SoftPasskey()
    made.register(cast["ann"])
    return made


def ask(sign_off: SignOff, user: User, **changed: Any) -> dict[str, Any]:
    values = {"kind": "APPROVE", "duty": "approver", "reason": "seen in staging", "site": SITE, "now": NOW}
    return signatures.ask(sign_off, user=user, **{**values, **changed})


def verify(answer: str, user: User, **changed: Any) -> Signed:
    return signatures.verify(answer, **{"user": user, "site": SITE, "now": NOW, **changed})


def signed_by(key: SoftPasskey, sign_off: SignOff, user: User, **changed: Any) -> Signed:
    return verify(key.answer(ask(sign_off, user, **changed)), user)


def check(document: dict[str, Any]) -> dict[str, Any]:
    """Check a stored assertion as a stranger would, by docs/sign-off.md alone; return the record."""
    client = unb64(document["client_data_json"])
    auth_data = unb64(document["authenticator_data"])
    challenge = hashlib.sha256(document["record"].encode()).digest()
    assert unb64(json.loads(client)["challenge"]) == challenge and json.loads(client)["type"] == "webauthn.get"
    assert auth_data[:32] == hashlib.sha256(document["rp_id"].encode()).digest() and auth_data[32] & 5 == 5
    message, jwk = auth_data + hashlib.sha256(client).digest(), document["public_key"]
    word = unb64(document["signature"])
    number = {name: int.from_bytes(unb64(text)) for name, text in jwk.items() if name in "xyne"}
    if document["algorithm"] == "ES256":
        point = ec.EllipticCurvePublicNumbers(number["x"], number["y"], ec.SECP256R1()).public_key()
        point.verify(word, message, ec.ECDSA(hashes.SHA256()))
    elif document["algorithm"] == "EdDSA":
        ed25519.Ed25519PublicKey.from_public_bytes(unb64(jwk["x"])).verify(word, message)
    else:
        modulus = rsa.RSAPublicNumbers(number["e"], number["n"]).public_key()
        modulus.verify(word, message, padding.PKCS1v15(), hashes.SHA256())
    return json.loads(document["record"])


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_kept_assertion_is_checked_by_the_documented_steps_alone(
    cast: Cast, sign_off: SignOff, algorithm: str
) -> None:
    key = SoftPasskey(algorithm=algorithm)
    key.register(cast["ann"])
    made = decide(sign_off, cast["ann"], "approver", signed=signed_by(key, sign_off, cast["ann"]))
    record = check(signatures.document(made.signature))
    assert record["digest"] == DIGEST and record["decision"] == "APPROVE" and record["meaning"] == made.meaning
    assert record["person"] == {"id": cast["ann"].pk, "name": "Ann"} and record["zone"] == "UTC"
    assert record["reason"] == "seen in staging" and record["time"].startswith("2026-11-23T12:00:00")


def test_a_changed_record_fails_the_documented_check(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    made = decide(sign_off, cast["ann"], "approver", signed=signed_by(key, sign_off, cast["ann"]))
    document = signatures.document(made.signature)
    with pytest.raises(AssertionError):
        check({**document, "record": document["record"].replace("APPROVE", "REJECT")})
    with pytest.raises(InvalidSignature):
        other = SoftPasskey()
        other.register(cast["abe"])
        check({**document, "public_key": json.loads(signed_by(other, sign_off, cast["abe"]).passkey.public_key)})


def test_the_decision_says_passkey_and_the_audit_binds_the_assertion(
    cast: Cast, sign_off: SignOff, key: SoftPasskey
) -> None:
    made = decide(sign_off, cast["ann"], "approver", signed=signed_by(key, sign_off, cast["ann"]))
    told = json.loads(AuditEntry.objects.get(action="sign_off.approved").body)["data"]
    assert made.method == told["method"] == "passkey"
    assert told["assertion_sha256"] == canonical.digest(signatures.document(made.signature))


@pytest.mark.parametrize("part", ["authenticatorData", "clientDataJSON", "signature"])
def test_a_changed_byte_of_the_answer_is_refused(cast: Cast, sign_off: SignOff, key: SoftPasskey, part: str) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    with pytest.raises(Refused):
        verify(changed(answer, part), cast["ann"])


@pytest.mark.parametrize(
    "lie",
    [
        {"flags": PRESENT},
        {"flags": 0},
        {"origin": "https://evil.example"},
        {"origin": "http://sub.testserver"},
        {"type": "webauthn.create"},
        {"challenge": "AAAA"},
    ],
)
def test_an_answer_that_proves_less_is_refused(
    cast: Cast, sign_off: SignOff, key: SoftPasskey, lie: dict[str, Any]
) -> None:
    with pytest.raises(Refused):
        verify(key.answer(ask(sign_off, cast["ann"]), **lie), cast["ann"])


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"rawId": 7}', "not json", "[" * 5000])
def test_what_is_no_answer_of_a_passkey_is_refused(cast: Cast, text: str) -> None:
    with pytest.raises(Refused, match="not the answer"):
        verify(text, cast["ann"])


def test_another_site_is_refused(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    with pytest.raises(Refused, match="RP ID"):
        verify(answer, cast["ann"], site=Site(rp_id="other", origin=SITE.origin))


def test_another_persons_passkey_cannot_answer(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    theirs = SoftPasskey()
    theirs.register(cast["abe"])
    with pytest.raises(Refused, match="Unknown credential"):
        verify(theirs.answer(ask(sign_off, cast["ann"])), cast["ann"])


def test_what_was_asked_of_one_cannot_be_answered_in_anothers_name(
    cast: Cast, sign_off: SignOff, key: SoftPasskey
) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    with pytest.raises(Refused, match="not asked of you"):
        verify(answer, cast["abe"])


def test_an_answer_is_good_once(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    decide(sign_off, cast["ann"], "approver", signed=verify(answer, cast["ann"]))
    ledger.revoke(sign_off, user=cast["ann"], reason="", authenticated_at=NOW, by=actor(cast["ann"]), now=NOW)
    again = verify(answer, cast["ann"])
    with pytest.raises(Refused, match="used already"):
        decide(sign_off, cast["ann"], "approver", signed=again)
    assert Signature.objects.count() == 1


def test_a_refused_decision_leaves_nothing_and_does_not_use_the_answer_up(
    cast: Cast, sign_off: SignOff, key: SoftPasskey
) -> None:
    signed = signed_by(key, sign_off, cast["ann"])
    with pytest.raises(Refused, match="not what is to be signed"):
        decide(sign_off, cast["ann"], "approver", signed=signed, digest_seen="0" * 64)
    assert not Signature.objects.exists() and SigningRequest.objects.get().used_at is None


def test_an_answer_is_good_for_five_minutes(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    assert verify(answer, cast["ann"], now=NOW + 5 * MINUTE - timedelta(seconds=1))
    with pytest.raises(Refused, match="too long ago"):
        verify(answer, cast["ann"], now=NOW + 5 * MINUTE)


def test_an_answer_from_the_future_is_refused(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    answer = key.answer(ask(sign_off, cast["ann"]))
    with pytest.raises(Refused, match="too long ago"):
        verify(answer, cast["ann"], now=NOW - 2 * MINUTE)


@pytest.mark.parametrize(
    "asked",
    [{"kind": "REJECT", "duty": ""}, {"reason": "something else"}, {"duty": "deploy-operator"}],
)
def test_an_answer_to_something_else_is_refused(
    cast: Cast, sign_off: SignOff, key: SoftPasskey, asked: dict[str, str]
) -> None:
    with pytest.raises(Refused, match="something else"):
        decide(sign_off, cast["ann"], "approver", signed=signed_by(key, sign_off, cast["ann"], **asked))


def test_an_answer_for_another_digest_is_refused(cast: Cast, sign_off: SignOff, key: SoftPasskey) -> None:
    signed = signed_by(key, sign_off, cast["ann"])
    ledger.supersede(sign_off, why="changed", by=actor(cast["rita"]), now=NOW)
    manifest = '{"release":"1.2.0"}'
    other = opened(cast["rita"], manifest=manifest, digest=hashlib.sha256(manifest.encode()).hexdigest())
    with pytest.raises(Refused, match="something else"):
        decide(other, cast["ann"], "approver", signed=signed)


def test_a_reason_signed_with_other_ends_of_lines_is_the_same_reason(
    cast: Cast, sign_off: SignOff, key: SoftPasskey
) -> None:
    signed = signed_by(key, sign_off, cast["ann"], reason="one\ntwo\n")
    assert decide(sign_off, cast["ann"], "approver", signed=signed, reason="one\r\ntwo").signature


def test_a_session_that_began_with_a_passkey_is_no_signature(cast: Cast, sign_off: SignOff) -> None:
    with pytest.raises(Refused, match="signing in is not deciding"):
        decide(sign_off, cast["ann"], "approver", method="passkey")


@pytest.mark.parametrize(("counts", "flagged"), [((1, 2), False), ((2, 1), True), ((2, 2), True), ((0, 0), False)])
def test_a_counter_that_does_not_go_on_is_flagged(
    cast: Cast, sign_off: SignOff, counts: tuple[int, int], flagged: bool
) -> None:
    key = SoftPasskey()
    key.register(cast["ann"])
    for count, kind in zip(counts, ("APPROVE", "REVOKE"), strict=True):
        key.count = count - 1
        if not count:
            key._auth_data = lambda flags, auth=key._auth_data: auth(flags)[:33] + bytes(4)  # type: ignore[method-assign]
        duty = "approver" if kind == "APPROVE" else ""
        signed = signed_by(key, sign_off, cast["ann"], kind=kind, duty=duty)
        made = decide(sign_off, cast["ann"], duty, kind, signed=signed)
    assert made.signature.count_regressed is flagged
    assert json.loads(AuditEntry.objects.latest("seq").body)["data"]["count_regressed"] is flagged


@pytest.mark.parametrize("statement", ["UPDATE approvals_signature SET record = ''", "DELETE FROM approvals_signature"])
def test_the_database_keeps_signatures(cast: Cast, sign_off: SignOff, key: SoftPasskey, statement: str) -> None:
    made = decide(sign_off, cast["ann"], "approver", signed=signed_by(key, sign_off, cast["ann"]))
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    with pytest.raises(AppendOnlyError):
        made.signature.save()


def test_who_starts_signs_too_and_no_rule_counts_it(cast: Cast, sign_off: SignOff) -> None:
    key = SoftPasskey()
    key.register(cast["olaf"])
    decide(sign_off, cast["olaf"], "deploy-operator")
    signed = signed_by(key, sign_off, cast["olaf"], kind="START", duty="", reason="")
    before = ledger.standing(sign_off, now=NOW).counted
    who = {"user": cast["olaf"], "by": actor(cast["olaf"]), "authenticated_at": NOW, "now": NOW}
    made = acts.record(sign_off, kind="START", digest_seen=DIGEST, signed=signed, **who)
    assert check(signatures.document(made.signature))["decision"] == "START"
    assert ledger.standing(sign_off, now=NOW).counted == before == (cast["olaf"].pk,)
    assert AuditEntry.objects.latest("seq").action == "sign_off.started"


@pytest.mark.parametrize("kind", sorted(Decision.VOICES))
def test_a_voice_is_never_recorded_as_an_act(cast: Cast, sign_off: SignOff, kind: str) -> None:
    who = {"user": cast["ann"], "by": actor(cast["ann"]), "authenticated_at": NOW, "now": NOW}
    with pytest.raises(Refused):
        acts.record(sign_off, kind=kind, digest_seen=DIGEST, **who)


@pytest.mark.parametrize("kind", ["START", "BYPASS"])
def test_an_act_is_never_recorded_as_a_voice(cast: Cast, sign_off: SignOff, kind: str) -> None:
    with pytest.raises(Refused, match="no decision"):
        decide(sign_off, cast["ann"], "approver", kind)
