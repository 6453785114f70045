"""The sign-in with a second factor: nobody gets past it, each code is good once, guesses are counted."""

import json
from datetime import timedelta

import pytest
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from approvals import codes, factors, recovery, stepup
from approvals.cose import b64
from monitoring.models import AuditEntry
from tests.base import PASSWORD, Client

from .app import SECRET, app_code
from .soft_passkey import PRESENT, SoftPasskey
from .soft_passkey import SITE as HERE
from .world import actor

Cast = dict[str, User]
LOCAL = type(HERE)(rp_id="localhost", origin="http://localhost")
CODE = "/login/code/"


@pytest.fixture
def with_app(cast: Cast) -> User:
    """Return ann, who set her app up a while ago."""
    ann, then = cast["ann"], timezone.now() - timedelta(hours=1)
    factors.add_app(ann, SECRET, app_code(then), by=actor(ann), now=then)
    factors.make_recovery_codes(ann, by=actor(ann), now=then)
    return ann


@pytest.fixture
def local() -> Client:
    """Return a browser at a host to which passkeys can be bound without TLS."""
    return Client(SERVER_NAME="localhost")


def enter(client: Client, name: str = "ann") -> str:
    return client.post(reverse("login"), {"username": name, "password": PASSWORD, "next": "/people/"}).url


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def actions(number: int) -> list[str]:
    return list(AuditEntry.objects.order_by("-seq").values_list("action", flat=True)[:number])


def test_the_password_alone_does_not_open_an_account_with_an_app(client: Client, with_app: User) -> None:
    assert enter(client) == CODE and not is_in(client)
    assert "/login/" in client.get("/people/").url


def test_password_and_code_lead_to_where_one_wanted(client: Client, with_app: User) -> None:
    enter(client)
    answer = client.post(CODE, {"code": app_code()})
    assert answer.url == "/people/" and is_in(client)
    assert stepup.method_of(client) == "totp"  # type: ignore[arg-type]  # it has a session too
    assert actions(2) == ["user.signed_in", "user.code_confirmed"]


def test_a_code_is_good_once_in_any_process(client: Client, with_app: User) -> None:
    code = app_code()
    enter(client)
    client.post(CODE, {"code": code})
    other = Client()
    enter(other)
    other.post(CODE, {"code": code})
    assert is_in(client) and not is_in(other)


def test_an_older_code_than_the_last_is_refused(cast: Cast, with_app: User) -> None:
    now = timezone.now()
    assert codes.check(with_app, app_code(now), by=actor(with_app), now=now)
    assert codes.check(with_app, app_code(now, later=-1), by=actor(with_app), now=now) is None


@pytest.mark.parametrize(("later", "holds"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_half_a_minute_wrong(with_app: User, later: int, holds: bool) -> None:
    now = timezone.now()
    found = codes.check(with_app, app_code(now, later=later), by=actor(with_app), now=now)
    assert (found is not None) is holds


def test_after_five_wrong_codes_the_right_one_is_not_looked_at(client: Client, with_app: User) -> None:
    enter(client)
    for _ in range(5):
        client.post(CODE, {"code": "000000"})
    answer = client.post(CODE, {"code": app_code()})
    assert not is_in(client) and b"Too many wrong" in answer.content
    assert actions(1) == ["user.code_throttled"]


def test_the_right_password_does_not_buy_new_guesses_at_the_code(client: Client, with_app: User) -> None:
    enter(client)
    for _ in range(3):
        client.post(CODE, {"code": "000000"})
    other = Client()
    enter(other)
    for _ in range(2):
        other.post(CODE, {"code": "000000"})
    other.post(CODE, {"code": app_code()})
    assert not is_in(other)


def test_a_recovery_code_opens_the_account_once(client: Client, with_app: User) -> None:
    [first, *_] = factors.make_recovery_codes(with_app, by=actor(with_app), now=timezone.now())
    enter(client)
    client.post(CODE, {"code": first})
    other = Client()
    enter(other)
    other.post(CODE, {"code": first})
    assert is_in(client) and not is_in(other)
    assert recovery.left(with_app) == 9


def test_a_recovery_code_may_be_typed_in_capitals_and_without_dashes(client: Client, with_app: User) -> None:
    [first, *_] = factors.make_recovery_codes(with_app, by=actor(with_app), now=timezone.now())
    enter(client)
    client.post(CODE, {"code": first.replace("-", " ").upper()})
    assert is_in(client)


def test_a_recovery_code_of_another_person_opens_nothing(client: Client, with_app: User, cast: Cast) -> None:
    SoftPasskey().register(cast["abe"])
    [first, *_] = factors.make_recovery_codes(cast["abe"], by=actor(cast["abe"]), now=timezone.now())
    enter(client)
    client.post(CODE, {"code": first})
    assert not is_in(client)


def test_a_recovery_code_is_no_proof_for_a_decision(client: Client, with_app: User) -> None:
    [first, *_] = factors.make_recovery_codes(with_app, by=actor(with_app), now=timezone.now())
    enter(client)
    client.post(CODE, {"code": first})
    assert stepup.KEY not in client.session


def test_a_disabled_account_is_not_opened_by_its_second_step(client: Client, with_app: User) -> None:
    enter(client)
    User.objects.filter(pk=with_app.pk).update(is_active=False)
    client.post(CODE, {"code": app_code()})
    assert client.get("/people/").status_code == 302


def test_the_second_step_without_a_first_leads_to_the_sign_in(client: Client, with_app: User) -> None:
    assert client.get(CODE).url == client.post(CODE, {"code": app_code()}).url == reverse("login")


def test_the_secret_is_not_readable_in_the_database(with_app: User, settings: object) -> None:
    stored = json.dumps(list(with_app.authenticator_set.values_list("data", flat=True)))  # type: ignore[attr-defined]
    assert SECRET not in stored


def test_a_changed_key_of_the_installation_opens_what_the_old_one_sealed(with_app: User, settings: object) -> None:
    old, now = settings.SECRET_KEY, timezone.now()  # type: ignore[attr-defined]
    settings.SECRET_KEY = "quite another one"  # type: ignore[attr-defined]
    assert codes.check(with_app, app_code(now), by=actor(with_app), now=now) is None
    settings.SECRET_KEY_FALLBACKS = [old]  # type: ignore[attr-defined]
    assert codes.check(with_app, app_code(now), by=actor(with_app), now=now)


def passkey_of(user: User) -> SoftPasskey:
    made = SoftPasskey(site=LOCAL)
    made.register(user)
    return made


def answer_at_the_door(local: Client, key: SoftPasskey, of: User, **lies: object) -> str:
    options = local.get("/login/passkey/", headers={"Accept": "application/json"}).json()["request_options"]
    return key.answer(options, **{"user": user_pk_to_url_str(of).encode(), **lies})


def test_a_passkey_opens_the_account_without_a_password(local: Client, cast: Cast) -> None:
    key = passkey_of(cast["ann"])
    answer = local.post(
        "/login/passkey/", {"credential": answer_at_the_door(local, key, cast["ann"]), "next": "/people/"}
    )
    assert answer.url == "/people/" and local.session["_auth_user_id"] == str(cast["ann"].pk)
    assert stepup.method_of(local) == "passkey"  # type: ignore[arg-type]


def test_a_passkey_is_enough_where_there_is_an_app_too(local: Client, with_app: User) -> None:
    key = passkey_of(with_app)
    local.post("/login/passkey/", {"credential": answer_at_the_door(local, key, with_app)})
    assert is_in(local)


@pytest.mark.parametrize("lies", [{"flags": PRESENT}, {"origin": "https://evil.example"}, {"challenge": "AAAA"}])
def test_a_passkey_that_proves_less_opens_nothing(local: Client, cast: Cast, lies: dict[str, object]) -> None:
    key = passkey_of(cast["ann"])
    local.post("/login/passkey/", {"credential": answer_at_the_door(local, key, cast["ann"], **lies)})
    assert not is_in(local) and actions(1) == ["user.sign_in_failed"]


def test_a_passkey_opens_only_its_own_account(local: Client, cast: Cast) -> None:
    key = passkey_of(cast["ann"])
    passkey_of(cast["ada"])
    lie = {"user": user_pk_to_url_str(cast["ada"]).encode()}
    local.post("/login/passkey/", {"credential": answer_at_the_door(local, key, cast["ann"], **lie)})
    assert not is_in(local)


def test_the_answer_of_a_passkey_is_good_once(local: Client, cast: Cast) -> None:
    answer = answer_at_the_door(local, passkey_of(cast["ann"]), cast["ann"])
    local.post("/login/passkey/", {"credential": answer})
    local.post(reverse("logout"))
    local.get("/login/passkey/", headers={"Accept": "application/json"})
    local.post("/login/passkey/", {"credential": answer})
    assert not is_in(local)


# what no parser bears; the last one within an answer that is one from outside
DEEP = "[" * 5000
INSIDE = {"clientDataJSON": b64(DEEP.encode()), "authenticatorData": "AA", "signature": "AA"}
NONE = {
    "deep": DEEP,
    "a long number": "9" * 5000,
    "deep within": json.dumps({"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": INSIDE}),
}


@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
def test_what_is_no_answer_of_a_passkey_opens_nothing(local: Client, cast: Cast, answer: str) -> None:
    local.get("/login/passkey/", headers={"Accept": "application/json"})
    assert local.post("/login/passkey/", {"credential": answer}).url == reverse("login")


@pytest.mark.parametrize("answer", NONE.values(), ids=NONE)
def test_what_is_no_answer_of_a_passkey_is_no_second_step(local: Client, cast: Cast, answer: str) -> None:
    passkey_of(cast["ann"])
    enter(local)
    assert local.post(CODE, {"credential": answer}).status_code == 200


def test_a_passkey_is_a_second_step_too(local: Client, cast: Cast) -> None:
    key = passkey_of(cast["ann"])
    assert enter(local) == CODE
    page = local.get(CODE)
    assert "code" not in page.context["form"].errors and not page.context["has_codes"]
    local.post(CODE, {"credential": key.answer(json.loads(page.context["options"]))})
    assert is_in(local)


def test_a_passkey_of_a_disabled_account_opens_nothing(local: Client, cast: Cast) -> None:
    key = passkey_of(cast["ann"])
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    local.post("/login/passkey/", {"credential": answer_at_the_door(local, key, cast["ann"])})
    assert not is_in(local)


def test_nobody_signs_up(client: Client, db: None) -> None:
    assert {client.get(path).status_code for path in ("/signup/", "/accounts/signup/", "/login/signup/")} == {404}


def test_the_second_step_says_who_signs_in_and_what_helps_when_all_is_lost(client: Client, with_app: User) -> None:
    enter(client)
    page = client.get(CODE).content.decode()
    assert "Signing in as <strong>Ann</strong> (ann)." in page and "two of them together reset" in page
