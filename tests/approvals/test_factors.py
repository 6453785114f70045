"""A person's own second factors: added only with a recent proof, told to the audit, removed by nobody else."""

import importlib
import json
import re
from types import SimpleNamespace

import pytest
from allauth.mfa.models import Authenticator
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from approvals import factors, passkeys, recovery, seal, stepup
from approvals.proof import Refused
from monitoring.models import AuditEntry
from tests.base import PASSWORD, Client

from .app import SECRET, app_code
from .soft_passkey import PRESENT, VERIFIED, SoftPasskey
from .test_two_steps import LOCAL
from .world import NOW, actor

Cast = dict[str, User]


@pytest.fixture
def ann(cast: Cast) -> Client:
    """Return ann's browser, in which she has just signed in."""
    client = Client(SERVER_NAME="localhost")
    client.force_login(cast["ann"])
    return client


def told(action: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(AuditEntry.objects.get(action=action).body)["data"]
    return found


def make(client: Client, key: SoftPasskey, **changed: object) -> object:
    options = json.loads(client.get("/account/passkeys/new/").context["options"])
    made = key.created(options["publicKey"]["challenge"], **changed)  # type: ignore[arg-type]
    return client.post("/account/passkeys/new/", {"name": "Phone", "credential": json.dumps(made)})


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "RS256"])
def test_a_passkey_is_registered_and_its_public_key_is_in_the_audit(ann: Client, cast: Cast, algorithm: str) -> None:
    key = SoftPasskey(algorithm=algorithm, site=LOCAL)
    assert make(ann, key).url == reverse("recovery_codes")  # type: ignore[attr-defined]
    [kept] = passkeys.of(cast["ann"].pk)
    assert told("user.passkey_added") == {
        "credential_id": kept.credential_id,
        "algorithm": algorithm,
        "public_key": kept.jwk,
    }


def test_only_the_three_algorithms_are_asked_for(ann: Client) -> None:
    options = json.loads(ann.get("/account/passkeys/new/").context["options"])["publicKey"]
    assert {one["alg"] for one in options["pubKeyCredParams"]} == {-7, -8, -257}
    assert options["authenticatorSelection"]["userVerification"] == "required"


@pytest.mark.parametrize("flags", [PRESENT, VERIFIED, 0])
def test_a_passkey_that_asked_for_no_finger_is_not_taken(ann: Client, cast: Cast, flags: int) -> None:
    make(ann, SoftPasskey(site=LOCAL), flags=flags)
    assert passkeys.of(cast["ann"].pk) == ()


def test_a_passkey_made_for_another_page_is_not_taken(ann: Client, cast: Cast) -> None:
    ann.get("/account/passkeys/new/")
    made = json.dumps(SoftPasskey(site=LOCAL).created("AAAA"))
    answer = ann.post("/account/passkeys/new/", {"name": "Phone", "credential": made})
    assert b"not made for this page" in answer.content and not passkeys.has_any(cast["ann"].pk)


# read where the form is checked, too deep where it is drawn again
DEEP = "[" * 900 + "]" * 900


@pytest.mark.parametrize("junk", ["{}", "[]", '{"rawId": 1}', "7", "[" * 5000, "9" * 5000, DEEP])
def test_junk_is_no_passkey(ann: Client, cast: Cast, junk: str) -> None:
    ann.get("/account/passkeys/new/")
    assert ann.post("/account/passkeys/new/", {"name": "Phone", "credential": junk}).status_code == 200
    assert not passkeys.has_any(cast["ann"].pk)


def test_a_known_passkey_is_not_registered_twice(ann: Client, cast: Cast) -> None:
    key = SoftPasskey(site=LOCAL)
    make(ann, key)
    with pytest.raises(Refused, match="registered already"):
        factors.add_passkey(cast["abe"], "Stolen", key.created("AA"), by=actor(cast["abe"]), now=NOW)


def shown(client: Client) -> list[str]:
    """Return the recovery codes that the page shows now."""
    return re.findall(r"<code>([a-z2-9-]{29})</code>", client.get(reverse("recovery_codes")).content.decode())


def test_the_first_factor_brings_recovery_codes(ann: Client, cast: Cast) -> None:
    make(ann, SoftPasskey(site=LOCAL))
    assert len(set(shown(ann))) == recovery.left(cast["ann"]) == 10


def test_recovery_codes_are_shown_once_and_kept_as_hashes(ann: Client, cast: Cast) -> None:
    make(ann, SoftPasskey(site=LOCAL))
    codes = shown(ann)
    assert shown(ann) == [] and "10 of 10 left" in ann.get(reverse("recovery_codes")).content.decode()
    kept = json.dumps([*Authenticator.objects.values_list("data", flat=True), dict(ann.session)])
    assert len(codes) == 10 and not [code for code in codes if code in kept or code.replace("-", "") in kept]
    assert Authenticator.objects.get(type="recovery_codes").data.keys() == {"hashes"}


def test_codes_that_could_be_computed_again_are_void_after_the_upgrade(cast: Cast) -> None:
    user = cast["ann"]
    Authenticator.objects.create(user=user, type="recovery_codes", data={"seed": "sealed", "used_mask": 0})
    step = importlib.import_module("approvals.migrations.0010_recovery_codes_hashed")
    step.void(apps, SimpleNamespace(connection=connection))
    assert Authenticator.objects.get().data == {"hashes": []} and recovery.left(user) == 0


def test_what_is_to_be_shown_stands_sealed_in_the_session_and_not_for_long(ann: Client, cast: Cast) -> None:
    make(ann, SoftPasskey(site=LOCAL))
    sealed = ann.session[recovery.FRESH]
    codes = json.loads(seal.unseal(sealed))
    assert not [code for code in codes["codes"] if code in sealed]
    session = ann.session
    session[recovery.FRESH] = seal.seal(json.dumps(codes | {"at": codes["at"] - 301}))
    session.save()
    assert shown(ann) == []


def test_an_app_is_set_up_with_its_first_code(ann: Client, cast: Cast) -> None:
    page = ann.get("/account/app/")
    secret = page.context["secret"]
    assert page.context["qr"].startswith("data:image/svg+xml;base64,")
    ann.post("/account/app/", {"code": app_code(secret=secret)})
    assert Authenticator.objects.filter(user=cast["ann"], type="totp").count() == 1 and told("user.totp_added") == {}


def test_a_wrong_first_code_sets_nothing_up(ann: Client, cast: Cast) -> None:
    secret = ann.get("/account/app/").context["secret"]
    answer = ann.post("/account/app/", {"code": "000000"})
    assert answer.context["secret"] == secret and not Authenticator.objects.exists()


def test_there_is_one_app(cast: Cast) -> None:
    user = cast["ann"]
    factors.add_app(user, SECRET, app_code(NOW), by=actor(user), now=NOW)
    with pytest.raises(Refused, match="already"):
        factors.add_app(user, SECRET, app_code(NOW, later=1), by=actor(user), now=NOW)


def test_with_the_last_factor_the_recovery_codes_go(ann: Client, cast: Cast) -> None:
    make(ann, SoftPasskey(site=LOCAL))
    row = Authenticator.objects.get(type="webauthn")
    ann.post(reverse("factor_remove", args=[row.pk]))
    assert not Authenticator.objects.exists()
    assert told("user.passkey_removed")["credential_id"] == told("user.passkey_added")["credential_id"]


def test_nobody_removes_anothers_factor(ann: Client, cast: Cast) -> None:
    row = SoftPasskey().register(cast["abe"])
    ann.post(reverse("factor_remove", args=[row.pk]))
    assert Authenticator.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("path", ["/account/app/", "/account/passkeys/new/", "/account/recovery-codes/"])
def test_an_old_proof_leads_to_a_new_one_first(ann: Client, cast: Cast, path: str) -> None:
    session = ann.session
    session[stepup.KEY] = "2020-01-01T00:00:00+00:00"
    session.save()
    for answer in (ann.get(path), ann.post(path, {"code": "1"})):
        assert answer.url.startswith(f"/confirm/?next={path.replace('/', '%2F')}")


def test_recovery_codes_need_a_factor_that_they_stand_in_for(cast: Cast) -> None:
    with pytest.raises(Refused, match="set one up first"):
        factors.make_recovery_codes(cast["ann"], by=actor(cast["ann"]), now=NOW)


def test_new_recovery_codes_make_the_old_ones_void(cast: Cast) -> None:
    user = cast["ann"]
    SoftPasskey().register(user)
    old = factors.make_recovery_codes(user, by=actor(user), now=NOW)
    new = factors.make_recovery_codes(user, by=actor(user), now=NOW)
    assert not set(old) & set(new) and recovery.use(user, old[0]) is None and recovery.use(user, new[0])


def change(client: Client, old: str, new: str = "another horse battery") -> object:
    return client.post(reverse("password"), {"old_password": old, "new_password1": new, "new_password2": new})


def test_a_new_password_ends_the_other_sessions(ann: Client, cast: Cast) -> None:
    other = Client()
    other.force_login(cast["ann"])
    assert change(ann, PASSWORD).url == reverse("security")  # type: ignore[attr-defined]
    assert ann.get("/account/").status_code == 200 and other.get("/account/").status_code == 302
    assert told("user.password_changed") == {}


def test_wrong_old_passwords_are_counted(ann: Client, cast: Cast) -> None:
    for _ in range(5):
        change(ann, "guess")
    assert b"Too many wrong" in change(ann, PASSWORD).content  # type: ignore[attr-defined]
    assert cast["ann"].check_password(PASSWORD)


@pytest.mark.parametrize("new", ["short", "administrator", "ann@example.com"])
def test_a_weak_password_is_refused(ann: Client, cast: Cast, new: str) -> None:
    assert change(ann, PASSWORD, new).status_code == 200  # type: ignore[attr-defined]


def stale(client: Client) -> None:
    session = client.session
    session.pop(stepup.KEY, None)
    session.save()


def test_a_code_of_the_app_confirms_who_one_is(ann: Client, cast: Cast) -> None:
    now = timezone.now()
    factors.add_app(cast["ann"], SECRET, app_code(now, later=-1), by=actor(cast["ann"]), now=now)
    stale(ann)
    assert ann.post("/confirm/", {"code": app_code(now), "next": "/account/"}).url == "/account/"
    assert stepup.method_of(ann) == "totp"  # type: ignore[arg-type]


def test_a_wrong_code_confirms_nothing(ann: Client, cast: Cast) -> None:
    now = timezone.now()
    factors.add_app(cast["ann"], SECRET, app_code(now), by=actor(cast["ann"]), now=now)
    stale(ann)
    assert b"does not hold" in ann.post("/confirm/", {"code": "000000"}).content and stepup.KEY not in ann.session


def test_a_passkey_confirms_who_one_is(ann: Client, cast: Cast) -> None:
    key = SoftPasskey(site=LOCAL)
    key.register(cast["ann"])
    stale(ann)
    options = json.loads(ann.get("/confirm/").context["options"])
    ann.post("/confirm/", {"credential": key.answer(options)})
    assert stepup.method_of(ann) == "passkey"  # type: ignore[arg-type]
    assert AuditEntry.objects.latest("seq").action == "user.passkey_confirmed"


def test_anothers_passkey_confirms_nothing(ann: Client, cast: Cast) -> None:
    SoftPasskey(site=LOCAL).register(cast["ann"])
    stale(ann)
    options = json.loads(ann.get("/confirm/").context["options"])
    other = SoftPasskey(site=LOCAL)
    other.register(cast["abe"])
    assert b"not a passkey of yours" in ann.post("/confirm/", {"credential": other.answer(options)}).content
    assert stepup.KEY not in ann.session and AuditEntry.objects.latest("seq").action == "user.passkey_failed"
