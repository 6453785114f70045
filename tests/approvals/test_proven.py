"""What was put into the database past the product starts nothing, and is named."""

import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User

from approvals import bound, delegation, factors, ledger, proven, signatures
from approvals.ledger import Refused
from approvals.models import Decision, Delegation, Signature, SignOff
from approvals.rules import Policy
from monitoring import anchors, audit, canonical
from monitoring.checkpoints import Notary
from monitoring.models import AuditEntry, AuditHead
from tests.base import make_user

from . import forger
from .soft_passkey import SITE, SoftPasskey
from .world import NOW, actor, decide, opened

Cast = dict[str, User]
SEATS = (("ann", "approver"), ("abe", "ops"), ("olaf", "deploy-operator"))


@pytest.fixture
def signed(cast: Cast) -> SignOff:
    sign_off = opened(cast["rita"])
    for name, duty in SEATS:
        decide(sign_off, cast[name], duty)
    return SignOff.objects.get(pk=sign_off.pk)


def key_of(user: User) -> SoftPasskey:
    key = SoftPasskey()
    factors.add_passkey(user, "Laptop", key.created("AA"), by=actor(user), now=NOW)
    return key


def by_passkey(sign_off: SignOff, user: User, key: SoftPasskey, told: str = "seen in staging", **sent: str) -> Decision:
    asked: dict[str, Any] = {"user": user, "site": SITE, "now": NOW}
    options = signatures.ask(sign_off, kind="APPROVE", duty="approver", reason=told, **asked)
    return decide(sign_off, user, "approver", signed=signatures.verify(key.answer(options), **asked), **sent)


def refused(sign_off: SignOff, cast: Cast, *words: str) -> None:
    """Assert that neither the start nor a verification passes, and that both say why."""
    with pytest.raises(Refused, match="The database was edited") as told:
        ledger.use(sign_off, by=actor(cast["olaf"]), now=NOW)
    found = list(proven.all_problems())
    for word in words:
        assert word in str(told.value)
        assert any(word in problem for problem in found), found


def test_what_the_product_wrote_is_borne_out_and_starts(signed: SignOff, cast: Cast) -> None:
    assert list(proven.all_problems()) == []
    assert ledger.use(signed, by=actor(cast["olaf"]), now=NOW).state == "USED"


def test_an_inserted_approval_starts_nothing(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    for name, duty in SEATS[:2]:
        decide(sign_off, cast[name], duty)
    row = Decision.objects.filter(user=cast["abe"]).values().get()
    forged = {
        **row,
        "id": 900,
        "seq": 900,
        "user_id": cast["olaf"].pk,
        "printed_name": "Olaf",
        "duty": "deploy-operator",
    }
    Decision.objects.create(**{**forged, "roles": ["deploy-operator"]})
    SignOff.objects.filter(pk=sign_off.pk).update(state="COMPLETE", version=901)
    refused(sign_off, cast, "decision 900 by Olaf: no entry of the audit tells of it")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("seq", 9),
        ("user_id", 1),
        ("printed_name", "Otto"),
        ("roles", '["admin"]'),
        ("kind", "REVOKE"),
        ("duty", "media-eng"),
        ("digest", "0" * 64),
        ("meaning", "I have looked away."),
        ("reason", "LGTM"),
        ("method", "totp"),
        ("authenticated_at", NOW - timedelta(minutes=1)),
        ("zone", "Mars/Olympus"),
        ("diff_opened", False),
        ("at", NOW - timedelta(minutes=1)),
        ("on_behalf_name", "Otto"),
    ],
)
def test_an_edited_column_of_a_decision_starts_nothing(signed: SignOff, cast: Cast, column: str, value: Any) -> None:
    taken = cast["tom"].pk if column == "user_id" else value
    forger.edit(signed.decisions.get(user=cast["ann"]), **{column: taken})
    shown = column.removesuffix("_id")
    refused(signed, cast, f"{shown} is " if column in ("printed_name", "on_behalf_name") else "decision")


def test_a_removed_decision_starts_nothing(signed: SignOff, cast: Cast) -> None:
    decide(signed, cast["ann"], kind="REVOKE")
    taken_back = signed.decisions.get(kind="REVOKE")
    forger.remove(taken_back)
    refused(signed, cast, f"decision {taken_back.pk}: #", "tells of it, but it is not there")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("policy", json.dumps(Policy(approvers=1).to_dict())),
        ("barred", "{}"),
        ("unmatched_authors", '[{"name": "x", "email": "y"}]'),
        ("expires_at", NOW + timedelta(days=9)),
        ("opened_at", NOW - timedelta(days=9)),
        ("component", "other"),
    ],
)
def test_an_edited_column_of_a_sign_off_starts_nothing(signed: SignOff, cast: Cast, column: str, value: Any) -> None:
    forger.edit(signed, **{column: value})
    with pytest.raises(Refused, match=r"is not what #1 says\. The database was edited"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)
    assert any("is not what #1 says" in problem for problem in proven.all_problems())


def test_a_policy_other_than_the_manifests_starts_nothing(cast: Cast) -> None:
    text = canonical.dumps({"policy": Policy().to_dict(), "release": "1.1.0"})
    sign_off = opened(
        cast["rita"], manifest=text, digest=canonical.digest(json.loads(text)), policy=Policy(approvers=1)
    )
    wanted = "its policy is not the one in the manifest"
    assert any(wanted in problem for problem in proven.all_problems())
    with pytest.raises(Refused, match=wanted):
        proven.require(sign_off)


def test_an_inserted_sign_off_starts_nothing(signed: SignOff, cast: Cast) -> None:
    row = SignOff.objects.filter(pk=signed.pk).values().get()
    SignOff.objects.filter(pk=signed.pk).update(state="SUPERSEDED")
    made = SignOff.objects.create(**{**row, "id": 900, "barred": {}})
    refused(made, cast, "no entries tell that it was opened")


def test_a_removed_sign_off_is_named(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    forger.remove(sign_off)
    assert list(proven.all_problems()) == [f"sign-off {sign_off.pk}: #1 tells that it was opened, but it is not there"]


def test_a_passkeys_signature_is_verified_again(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    decision = by_passkey(sign_off, cast["ann"], key_of(cast["ann"]))
    assert list(proven.all_problems()) == []
    forger.edit(Signature.objects.get(decision=decision), signature="MEQCIA")
    refused(sign_off, cast, f"decision {decision.pk} by {decision.printed_name}: ")


def test_lines_that_a_form_ends_otherwise_than_they_were_signed_are_borne_out(cast: Cast) -> None:
    sign_off, key = opened(cast["rita"]), key_of(cast["ann"])
    decision = by_passkey(sign_off, cast["ann"], key, "one\ntwo", reason="one\r\ntwo\r\n")
    assert decision.reason == "one\ntwo" and list(proven.all_problems()) == []


def test_also_where_an_older_version_kept_them_as_the_form_sent_them(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("approvals.ledger.words", str.strip)
    sign_off, key = opened(cast["rita"]), key_of(cast["ann"])
    decision = by_passkey(sign_off, cast["ann"], key, "one\ntwo", reason="one\r\ntwo")
    assert decision.reason == "one\r\ntwo" and list(proven.all_problems()) == []


def test_a_removed_assertion_is_named(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    decision = by_passkey(sign_off, cast["ann"], key_of(cast["ann"]))
    forger.remove(Signature.objects.get(decision=decision))
    refused(sign_off, cast, "assertion_sha256 is ")


def test_a_passkey_that_no_entry_tells_of_signs_nothing(cast: Cast) -> None:
    key = SoftPasskey()
    key.register(cast["ann"])
    sign_off = opened(cast["rita"])
    by_passkey(sign_off, cast["ann"], key)
    refused(sign_off, cast, "no entry before it tells that this key is a passkey of user")


def test_an_entry_that_was_edited_alone_bears_nothing_out(signed: SignOff, cast: Cast) -> None:
    forger.edit(AuditEntry.objects.get(seq=2), why="LGTM")
    refused(signed, cast, "#2: why shows 'LGTM'")


def test_an_entry_that_the_chain_does_not_go_on_from_bears_nothing_out(signed: SignOff, cast: Cast) -> None:
    AuditHead.objects.update(hash="0" * 64)
    with pytest.raises(Refused, match="the head of the audit is #4, which has another hash"):
        ledger.may_start(signed, by=actor(cast["olaf"]), now=NOW)


def test_who_is_refused_over_a_break_is_told_what_to_do_and_who_verifies_is_not(signed: SignOff, cast: Cast) -> None:
    forger.edit(AuditEntry.objects.get(seq=2), why="LGTM")
    with pytest.raises(Refused, match=r"`manage.py audit verify` names every break; `manage.py audit accept` lets"):
        ledger.may_start(signed, by=actor(cast["olaf"]), now=NOW)
    found = list(proven.all_problems())
    assert found and "manage.py" not in "".join(found)


def test_two_entries_of_one_decision_bear_nothing_out() -> None:
    told = [{"seq": seq, "data": {"decision": 7}} for seq in (3, 9)]
    assert next(proven.compared([], told, [])) == "decision 7: #3 tells of it, but it is not there"
    assert "decision 7: both #3 and #9 tell of it" in list(proven.compared([], told, []))


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the product write entries as it did before they told the digests of rows."""
    with monkeypatch.context() as patched:
        patched.setattr("approvals.bound.facts", lambda decision: {})
        patched.setattr("approvals.bound.opening", lambda sign_off: {})
        yield


@pytest.mark.usefixtures("older")
def test_decisions_of_an_older_version_count_as_before(cast: Cast) -> None:
    sign_off = opened(cast["rita"])
    for name, duty in SEATS:
        decide(sign_off, cast[name], duty)
    assert ledger.use(sign_off, by=actor(cast["olaf"]), now=NOW).state == "USED"


@pytest.mark.parametrize("kind", ["REVOKE", "REJECT"])
@pytest.mark.usefixtures("older")
def test_also_an_older_decision_is_what_its_entry_says(cast: Cast, kind: str) -> None:
    sign_off = opened(cast["rita"])
    decision = decide(sign_off, cast["ann"], "approver")
    forger.edit(decision, kind=kind)
    refused(sign_off, cast, f"kind is '{kind}', but #")


def test_a_sign_off_that_was_opened_twice_is_not_borne_out(signed: SignOff) -> None:
    told = {"seq": 1, "data": {"digest": signed.digest}}
    assert list(proven.opened_problems(signed, [told, told])) == ["2 entries tell that it was opened"]


def insert_beyond(like: AuditEntry, seq: int, prev: str, *, decision: Decision) -> str:
    """Insert an entry past the product, like another one but of this decision, and return its hash."""
    person = canonical.dumps({**json.loads(like.person), "name": "olaf", "printed": "Olaf"})
    told = json.loads(like.body)
    told["actor"] |= {"id": decision.user_id, "person": hashlib.sha256(person.encode()).hexdigest()}
    told["data"] |= {"decision": decision.pk, "duty": decision.duty, **bound.facts(decision)}
    body = canonical.dumps({**told, "seq": seq, "prev": prev})
    digest = hashlib.sha256(body.encode()).hexdigest()
    values = AuditEntry.objects.filter(pk=like.pk).values().get()
    chained = {"id": None, "seq": seq, "prev": prev, "hash": digest, "body": body}
    named = {"person": person, "actor_name": "olaf", "actor_id": decision.user_id}
    AuditEntry.objects.bulk_create([AuditEntry(**{**values, **chained, **named})])
    return digest


@pytest.mark.parametrize("move_head", [False, True])
def test_entries_that_stand_outside_of_the_chain_bear_nothing_out(cast: Cast, move_head: bool) -> None:
    sign_off = opened(cast["rita"])
    for name, duty in SEATS[:2]:
        decide(sign_off, cast[name], duty)
    values = Decision.objects.filter(user=cast["abe"]).values().get()
    olaf = {"id": 900, "seq": 900, "user_id": cast["olaf"].pk, "printed_name": "Olaf", "duty": "deploy-operator"}
    forged = Decision.objects.create(**{**values, **olaf, "roles": ["deploy-operator"]})
    like = AuditEntry.objects.filter(action="sign_off.approved").latest("seq")
    first = insert_beyond(like, 5000, "f" * 64, decision=forged)
    last = insert_beyond(like, 5001, first, decision=forged)
    SignOff.objects.filter(pk=sign_off.pk).update(state="COMPLETE", version=901)
    if move_head:
        AuditHead.objects.update(seq=5001, hash=last)
    with pytest.raises(Refused, match="The database was edited"):
        ledger.use(sign_off, by=actor(cast["olaf"]), now=NOW)


@pytest.mark.parametrize("column", [{"action": "x.y"}, {"subject_id": "999"}, {"subject_kind": "rolloux"}])
def test_a_revocation_that_was_hidden_from_the_filter_starts_nothing(
    signed: SignOff, cast: Cast, column: dict[str, str]
) -> None:
    decide(signed, cast["ann"], kind="REVOKE")
    forger.remove(signed.decisions.get(kind="REVOKE"))
    forger.edit(AuditEntry.objects.latest("seq"), **column)
    SignOff.objects.filter(pk=signed.pk).update(state="COMPLETE")
    with pytest.raises(Refused, match=f"#5: {next(iter(column))} shows"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)


def test_names_that_were_emptied_under_a_sign_off_start_nothing(signed: SignOff, cast: Cast) -> None:
    entry = AuditEntry.objects.filter(action="sign_off.approved").earliest("seq")
    forger.edit(entry, person="", actor_name="")
    with pytest.raises(Refused, match=f"#{entry.seq}: its personal data is gone"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)


def test_whoever_looked_before_a_revocation_is_not_told_that_the_database_was_edited(
    signed: SignOff, cast: Cast
) -> None:
    decide(signed, cast["ann"], kind="REVOKE")
    with pytest.raises(Refused, match="This cannot start"):
        ledger.may_start(signed, by=actor(cast["olaf"]), now=NOW)


def close(signed: SignOff, cast: Cast, how: str) -> None:
    if how == "USED":
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)
    else:
        ledger.supersede(signed, why="cancelled: do not deploy", by=actor(cast["rita"]), now=NOW)


@pytest.mark.parametrize("how", ["USED", "SUPERSEDED"])
def test_what_the_audit_closed_is_not_opened_again_by_its_row(signed: SignOff, cast: Cast, how: str) -> None:
    close(signed, cast, how)
    SignOff.objects.filter(pk=signed.pk).update(state="COMPLETE", closed_at=None, closed_why="")
    refused(signed, cast, f"it is COMPLETE, but #5 says {how}")


def test_a_closing_entry_of_an_earlier_sign_off_is_not_hidden_by_a_later_one(signed: SignOff, cast: Cast) -> None:
    close(signed, cast, "SUPERSEDED")
    forger.edit(AuditEntry.objects.latest("seq"), action="x.y")
    later = opened(cast["rita"])
    ledger.supersede(later, why="also", by=actor(cast["rita"]), now=NOW)
    SignOff.objects.filter(pk=signed.pk).update(state="COMPLETE", closed_at=None, closed_why="")
    with pytest.raises(Refused, match=r"#5: action shows 'x\.y'"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)


def on_behalf(cast: Cast, *, given: bool) -> SignOff:
    """Return a sign-off whose second approver stood in for Abe: as Abe let him, or as a row says that was inserted."""
    eve, span = make_user("eve", "approver"), {"starts_at": NOW, "ends_at": NOW + timedelta(days=1)}
    if given:
        delegation.give(cast["abe"], eve, why="away", by=actor(cast["abe"]), now=NOW, **span)
    else:
        Delegation.objects.create(user=cast["abe"], deputy=eve, why="away", given_at=NOW, **span)
    key_of(cast["ann"])  # what happened between, and was signed
    Notary(()).look(NOW)
    sign_off = opened(cast["rita"])
    decide(sign_off, cast["ann"], "approver")
    decide(sign_off, cast["olaf"], "deploy-operator")
    decide(sign_off, eve, "approver", on_behalf_of=cast["abe"].pk)
    return SignOff.objects.get(pk=sign_off.pk)


def test_an_approval_on_anothers_behalf_that_he_gave_counts(cast: Cast) -> None:
    assert ledger.use(on_behalf(cast, given=True), by=actor(cast["olaf"]), now=NOW).state == "USED"


def test_an_inserted_delegation_makes_no_consent(cast: Cast) -> None:
    refused(on_behalf(cast, given=False), cast, "by Eve: no entry tells that it was delegated then")


def test_a_rewritten_entry_from_before_the_opening_lets_nobody_stand_in(cast: Cast) -> None:
    sign_off = on_behalf(cast, given=True)
    given, known = AuditEntry.objects.get(action="delegation.given"), anchors.last()
    assert known is not None and known.seq > given.seq  # the start does not ask for the chain before that by itself
    body = canonical.dumps(json.loads(given.body) | {"why": "for ever"})
    digest = hashlib.sha256(body.encode()).hexdigest()
    forger.edit(given, body=body, hash=digest, why="for ever")
    forger.edit(AuditEntry.objects.get(seq=given.seq + 1), prev=digest)  # so its neighbour goes on from it
    with pytest.raises(Refused, match=f"#{given.seq + 1}: the body says"):
        ledger.use(sign_off, by=actor(cast["olaf"]), now=NOW)


def test_who_starts_counts_the_decisions_that_were_proved(
    signed: SignOff, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    proved, olaf = proven.require, Decision.objects.get(user=cast["olaf"])

    def before_his(sign_off: SignOff) -> list[Decision]:
        return [one for one in proved(sign_off) if one.pk != olaf.pk]  # as if his were put there a moment later

    monkeypatch.setattr(proven, "require", before_his)
    with pytest.raises(Refused, match="deploy-operator"):
        ledger.may_start(signed, by=actor(cast["olaf"]), now=NOW)


@pytest.mark.parametrize(("ended_at_seq", "wrong"), [(6, True), (8, False)])
def test_a_delegation_that_had_ended_makes_no_consent(ended_at_seq: int, wrong: bool) -> None:
    row = {"decision": 7, "user": 2, "on_behalf_of": 1, "printed_name": "Eve", "at": "2026-11-02T09:00:00+00:00"}
    span = {"starts_at": "2026-11-01T09:00:00+00:00", "ends_at": "2026-11-09T09:00:00+00:00"}
    about = {"actor": {"id": 1}, "subject": {"id": "1"}}
    given = {**about, "seq": 5, "action": "delegation.given", "data": {"delegation": 4, "deputy": 2, **span}}
    # at one time: the order of the entries tells which was first
    ended = {**about, "seq": ended_at_seq, "action": "delegation.ended", "data": {"delegation": 4}, "at": row["at"]}
    assert list(proven.delegation_problems([row], [given], {7: 7})) == []
    assert bool(list(proven.delegation_problems([row], [given, ended], {7: 7}))) is wrong


def test_nobody_lets_another_decide_what_was_decided() -> None:
    row = {"decision": 7, "user": 2, "on_behalf_of": 1, "printed_name": "Eve", "at": "2026-11-02T09:00:00+00:00"}
    span = {"starts_at": "2026-11-01T09:00:00+00:00", "ends_at": "2026-11-09T09:00:00+00:00"}
    data = {"delegation": 4, "deputy": 2, **span}
    given = {"actor": {"id": 1}, "subject": {"id": "1"}, "seq": 8, "action": "delegation.given", "data": data}
    assert list(proven.delegation_problems([row], [given], {7: 7})) != []


@pytest.mark.parametrize("how", ["remove", "reset"])
def test_a_passkey_that_is_removed_between_its_signature_and_the_decision_decides_nothing(cast: Cast, how: str) -> None:
    sign_off, key = opened(cast["rita"]), key_of(cast["ann"])
    asked: dict[str, Any] = {"user": cast["ann"], "site": SITE, "now": NOW}
    options = signatures.ask(sign_off, kind="APPROVE", duty="approver", reason="seen in staging", **asked)
    signed = signatures.verify(key.answer(options), **asked)
    with audit.turn():
        if how == "remove":
            factors.remove(cast["ann"], Authenticator.objects.get().pk, by=actor(cast["ann"]), now=NOW)
        else:
            factors.reset(cast["ann"], why="stolen", by=actor(cast["rita"]), now=NOW)
    with pytest.raises(Refused, match="This passkey was removed meanwhile"):
        decide(sign_off, cast["ann"], "approver", signed=signed)
    assert not Decision.objects.exists()


def test_personal_data_that_is_gone_as_the_audit_tells_holds_nobody_up(signed: SignOff, cast: Cast) -> None:
    later = NOW + timedelta(seconds=1)
    assert audit.erase_person(cast["rita"].pk, before=later, by=actor(cast["ann"]), why="asked", now=NOW) > 0
    assert ledger.use(signed, by=actor(cast["olaf"]), now=NOW).state == "USED"


def test_who_decides_while_all_is_verified_is_not_accused(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_off, told, late = opened(cast["rita"]), proven.audit_told.told, [cast["abe"]]
    decide(sign_off, cast["ann"], "approver")

    def decided_between(entries: Any) -> Any:
        if late:
            decide(sign_off, late.pop(), "approver")
        return told(entries)

    monkeypatch.setattr(proven.audit_told, "told", decided_between)
    assert list(proven.all_problems()) == []


@pytest.mark.parametrize("roles", ["null", "7", '"x"'])
def test_a_decision_that_cannot_be_read_is_named_and_starts_nothing(signed: SignOff, cast: Cast, roles: str) -> None:
    forger.edit(Decision.objects.get(user=cast["ann"]), roles=roles)
    with pytest.raises(Refused, match="The database was edited"):
        ledger.use(signed, by=actor(cast["olaf"]), now=NOW)
    assert len(list(proven.all_problems())) == 1
