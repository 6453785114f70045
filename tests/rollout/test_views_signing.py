"""A decision in the browser with a passkey: asked for what the form would send, bound to it, good once."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import signatures, stepup
from approvals.models import Decision, Signature
from monitoring.models import AuditEntry
from rollout.models import Rollout, Target
from tests import factories
from tests.approvals.soft_passkey import SoftPasskey, changed
from tests.approvals.test_signatures import check
from tests.base import PASSWORD, Client
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    return factories.make_waiting(target, cast["rita"])


@pytest.fixture
def key(cast: Cast) -> SoftPasskey:
    made = SoftPasskey()
    made.register(cast["ann"])
    return made


@pytest.fixture
def ann(cast: Cast, key: SoftPasskey) -> Client:
    """Return the browser of ann, who has a passkey and proved long ago who she is."""
    return browser(cast["ann"], stale=True)


def fields(rollout: Rollout, **changed: str) -> dict[str, str]:
    values = {"kind": "APPROVE", "duty": "approver", "digest": rollout.digest, "reason": "looked at it"}
    return {**values, "diff_opened": "", **changed}


def sign(client: Client, rollout: Rollout, data: dict[str, str]) -> Any:
    return client.post(reverse("rollout_challenge", args=[rollout.pk]), data)


def decide(client: Client, rollout: Rollout, data: dict[str, str], answer: str) -> Any:
    return client.post(reverse("rollout_decide", args=[rollout.pk]), {**data, "assertion": answer})


def test_a_passkey_approves_without_a_password(ann: Client, waiting: Rollout, key: SoftPasskey) -> None:
    data = fields(waiting)
    answer = decide(ann, waiting, data, key.answer(sign(ann, waiting, data).json()))
    assert answer.url == waiting.get_absolute_url()
    made = Decision.objects.get()
    assert made.method == "passkey" and json.loads(made.signature.record)["digest"] == waiting.digest


@pytest.mark.parametrize("absent", ["x", "²", "9" * 5000])
def test_nothing_is_asked_of_a_passkey_for_a_duty_that_there_is_not(ann: Client, waiting: Rollout, absent: str) -> None:
    assert sign(ann, waiting, fields(waiting, duty=f"approver/{absent}")).status_code == 409


def test_a_passkey_rejects_and_takes_back(ann: Client, waiting: Rollout, key: SoftPasskey) -> None:
    for kind, duty in (("APPROVE", "approver"), ("REVOKE", ""), ("REJECT", "")):
        data = fields(waiting, kind=kind, duty=duty, reason="because it must be")
        decide(ann, waiting, data, key.answer(sign(ann, waiting, data).json()))
    kinds = [json.loads(one.record)["decision"] for one in Signature.objects.all()]
    assert kinds == ["APPROVE", "REVOKE", "REJECT"]


def test_the_start_is_signed_too(target: Target, cast: Cast) -> None:
    rollout, key = factories.make_approved(target, cast), SoftPasskey()
    key.register(cast["olaf"])
    client = browser(cast["olaf"], stale=True)
    data = {"digest": rollout.digest}
    asked = client.post(reverse("rollout_challenge", args=[rollout.pk]) + "?kind=START", data).json()
    client.post(reverse("rollout_start", args=[rollout.pk]), {**data, "assertion": key.answer(asked)})
    assert factories.fresh(rollout).state == "QUEUED"
    made = Decision.objects.get(kind="START")
    assert (made.method, made.printed_name, made.user) == ("passkey", "Olaf", cast["olaf"])
    assert check(signatures.document(made.signature))["decision"] == "START"


def test_breaking_the_glass_is_signed_with_both_reasons(waiting: Rollout, cast: Cast) -> None:
    key = SoftPasskey()
    key.register(cast["olaf"])
    client = browser(cast["olaf"], stale=True)
    data = {"digest": waiting.digest, "why_now": "Every customer waits for it.", "why_safe": "Read with Ann by phone."}
    asked = client.post(reverse("rollout_challenge", args=[waiting.pk]) + "?kind=BYPASS", data).json()
    client.post(reverse("rollout_glass", args=[waiting.pk]), {**data, "assertion": key.answer(asked)})
    record = check(signatures.document(Decision.objects.get(kind="BYPASS").signature))
    assert record["reason"] == "Every customer waits for it. Read with Ann by phone."


def test_a_start_with_a_password_leaves_a_row_as_well(target: Target, cast: Cast) -> None:
    rollout = factories.make_approved(target, cast)
    client = browser(cast["olaf"], stale=True)
    client.post(reverse("rollout_start", args=[rollout.pk]), {"digest": rollout.digest, "password": PASSWORD})
    made = Decision.objects.get(kind="START")
    assert (made.method, made.digest) == ("password", rollout.digest) and "start it" in made.meaning


def test_a_start_of_another_digest_than_the_one_seen_is_refused(target: Target, cast: Cast) -> None:
    rollout = factories.make_approved(target, cast)
    answer = browser(cast["olaf"]).post(reverse("rollout_start", args=[rollout.pk]), {"digest": "0" * 64})
    assert answer.status_code == 409 and factories.fresh(rollout).state == "APPROVED"


def test_a_refused_start_leaves_no_row(target: Target, cast: Cast) -> None:
    rollout = factories.make_approved(target, cast)
    Target.objects.filter(pk=target.pk).update(locked=True, locked_by="tom", lock_reason="it burns")
    browser(cast["olaf"]).post(reverse("rollout_start", args=[rollout.pk]), {"digest": rollout.digest})
    assert not Decision.objects.filter(kind="START").exists()


@pytest.mark.parametrize("part", ["authenticatorData", "clientDataJSON", "signature"])
def test_a_tampered_answer_records_nothing_and_is_audited(
    ann: Client, waiting: Rollout, key: SoftPasskey, part: str
) -> None:
    data = fields(waiting)
    answer = decide(ann, waiting, data, changed(key.answer(sign(ann, waiting, data).json()), part))
    assert answer.status_code == 422 and not Decision.objects.exists()
    assert AuditEntry.objects.latest("seq").action == "user.passkey_failed"
    assert "looked at it" in answer.content.decode()


def test_a_replayed_answer_is_refused(ann: Client, waiting: Rollout, key: SoftPasskey) -> None:
    data = fields(waiting)
    answer = key.answer(sign(ann, waiting, data).json())
    decide(ann, waiting, data, answer)
    take_back = fields(waiting, kind="REVOKE", duty="")
    decide(ann, waiting, take_back, key.answer(sign(ann, waiting, take_back).json()))
    again = decide(ann, waiting, data, answer)
    assert again.status_code == 409 and "used already" in again.content.decode()
    assert Decision.objects.count() == 2


@pytest.mark.parametrize("other", [{"kind": "REJECT"}, {"reason": "other words"}])
def test_an_answer_for_another_decision_is_refused(
    ann: Client, waiting: Rollout, key: SoftPasskey, other: dict[str, str]
) -> None:
    answer = key.answer(sign(ann, waiting, fields(waiting)).json())
    said = decide(ann, waiting, fields(waiting, **other), answer)
    assert said.status_code == 409 and not Decision.objects.exists()


def test_anothers_passkey_is_refused(ann: Client, waiting: Rollout, cast: Cast) -> None:
    theirs = SoftPasskey()
    theirs.register(cast["abe"])
    data = fields(waiting)
    assert decide(ann, waiting, data, theirs.answer(sign(ann, waiting, data).json())).status_code == 422
    assert not Decision.objects.exists()


def test_nobody_signs_another_digest_than_the_one_that_stands(ann: Client, waiting: Rollout) -> None:
    answer = sign(ann, waiting, fields(waiting, digest="0" * 64))
    assert answer.status_code == 409 and "load the page again" in answer.json()["error"]


@pytest.mark.parametrize("kind", ["", "NONSENSE"])
def test_nothing_else_is_asked_of_a_passkey(ann: Client, waiting: Rollout, kind: str) -> None:
    assert sign(ann, waiting, fields(waiting, kind=kind)).status_code == 409


def test_without_a_passkey_there_is_nothing_to_sign(waiting: Rollout, cast: Cast) -> None:
    assert "enter your password" in sign(browser(cast["abe"]), waiting, fields(waiting)).json()["error"]


def test_the_password_stays_a_way_for_who_has_a_passkey(ann: Client, waiting: Rollout) -> None:
    ann.post(reverse("rollout_decide", args=[waiting.pk]), fields(waiting, password=PASSWORD))
    assert Decision.objects.get().method == "password"


def test_with_neither_nothing_is_recorded(ann: Client, waiting: Rollout) -> None:
    answer = ann.post(reverse("rollout_decide", args=[waiting.pk]), fields(waiting))
    assert answer.status_code == 422 and not Decision.objects.exists()


def test_a_sign_in_with_a_passkey_a_moment_ago_decides_nothing_by_itself(waiting: Rollout, cast: Cast) -> None:
    client = browser(cast["abe"])
    session = client.session
    session[stepup.METHOD] = "passkey"
    session.save()
    answer = client.post(reverse("rollout_decide", args=[waiting.pk]), fields(waiting))
    assert answer.status_code == 422 and not Decision.objects.exists()


def test_a_code_entered_a_moment_ago_is_told_as_such(waiting: Rollout, cast: Cast) -> None:
    client = browser(cast["abe"])
    session = client.session
    session[stepup.METHOD] = "totp"
    session.save()
    client.post(reverse("rollout_decide", args=[waiting.pk]), fields(waiting))
    assert Decision.objects.get().method == "totp"


def test_an_answer_that_comes_too_late_is_refused(
    ann: Client, waiting: Rollout, key: SoftPasskey, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = fields(waiting)
    answer = key.answer(sign(ann, waiting, data).json())
    views_world.stop_clock(monkeypatch, factories.NOW + timedelta(minutes=6))
    assert decide(ann, waiting, data, answer).status_code == 422 and not Decision.objects.exists()


def test_the_page_offers_the_passkey_only_to_who_has_one(ann: Client, waiting: Rollout, cast: Cast) -> None:
    assert b"data-passkey-sign" in ann.get(waiting.get_absolute_url()).content
    assert b"data-passkey-sign" not in browser(cast["abe"]).get(waiting.get_absolute_url()).content


def test_an_answer_that_was_used_proves_nothing_to_another_session(
    cast: Cast, ann: Client, waiting: Rollout, key: SoftPasskey
) -> None:
    data = fields(waiting)
    answer = key.answer(sign(ann, waiting, data).json())
    decide(ann, waiting, data, answer)
    other = browser(cast["ann"], stale=True)
    before = other.session[stepup.KEY]
    decide(other, waiting, fields(waiting, kind="REVOKE", duty=""), answer)
    assert other.session[stepup.KEY] == before


def test_who_signed_has_proved_who_he_is(ann: Client, waiting: Rollout, key: SoftPasskey) -> None:
    data, before = fields(waiting), ann.session[stepup.KEY]
    decide(ann, waiting, data, key.answer(sign(ann, waiting, data).json()))
    assert ann.session[stepup.KEY] > before
