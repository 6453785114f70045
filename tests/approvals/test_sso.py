"""Single sign-on: a confirmed address finds the account that is there, no other way in, and no proof for a decision."""

import dataclasses
import json
import time
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group, User
from requests import ConnectionError as ConnectError

from approvals import changes, factors, roles, sso, stepup
from approvals.change_rules import Asker
from monitoring import canonical
from monitoring.models import AuditEntry
from tests.base import Client

from .app import SECRET, app_code
from .world import NOW, actor

Cast = dict[str, User]
SERVER, CLIENT = "https://id.example.com", "guarded-rollout"
CONFIG = {
    "issuer": SERVER,
    "authorization_endpoint": f"{SERVER}/authorize",
    "token_endpoint": f"{SERVER}/token",
    "userinfo_endpoint": f"{SERVER}/userinfo",
    "jwks_uri": f"{SERVER}/keys",
}


class Answer:
    """What the provider answers."""

    status_code, text = 200, ""
    headers = {"content-type": "application/json"}

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    def json(self) -> dict[str, Any]:
        return self.data

    def raise_for_status(self) -> None:
        """Do nothing: all is well."""


class Provider:
    """An identity provider, as far as its answers go; `who` is whom it vouches for."""

    def __init__(self) -> None:
        self.who: dict[str, Any] = {"sub": "4711", "email": "ann@example.com", "email_verified": True}
        self.audience = CLIENT
        self.nonce: str | None = None

    def __enter__(self) -> "Provider":
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def get(self, url: str, **_: Any) -> Answer:
        return Answer(self.who if url == CONFIG["userinfo_endpoint"] else CONFIG)

    def request(self, method: str, url: str, **_: Any) -> Answer:
        claims = {**self.who, "iss": SERVER, "aud": self.audience, "exp": time.time() + 60, "nonce": self.nonce}
        return Answer({"access_token": "at", "id_token": jwt.encode(claims, "k" * 32, "HS256"), "token_type": "Bearer"})


@pytest.fixture
def provider(settings: Any, monkeypatch: pytest.MonkeyPatch, cast: Cast) -> Provider:
    made = Provider()
    app = {
        "provider_id": "sso",
        "name": "Example",
        "client_id": CLIENT,
        "secret": "s",
        "settings": {"server_url": SERVER},
    }
    settings.GR_OIDC_SERVER_URL = SERVER
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"APPS": [app], "OAUTH_PKCE_ENABLED": True}}
    monkeypatch.setattr(sso.SocialAdapter, "get_requests_session", lambda self: made)
    return made


def go(client: Client, **wanted: str) -> dict[str, list[str]]:
    """Begin, and return what the provider is asked."""
    return parse_qs(urlsplit(client.post("/login/sso/", wanted).context["url"]).query)


def come_back(client: Client, provider: Provider | None, **changed: str) -> Any:
    asked = go(client, next="/people/")
    if provider is not None:
        provider.nonce = asked["nonce"][0]
    return client.get("/login/sso/callback/", {"state": asked["state"][0], "code": "c", **changed})


def identity_of(entry: AuditEntry) -> str:
    return str(json.loads(entry.body)["data"]["identity_sha256"])


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_the_provider_is_asked_with_a_state_and_a_code_challenge(client: Client, provider: Provider) -> None:
    asked = go(client)
    assert len(asked["nonce"][0]) >= 24
    assert asked["client_id"] == [CLIENT] and asked["code_challenge_method"] == ["S256"] and asked["state"]


def test_a_confirmed_address_opens_the_account_that_has_it(client: Client, provider: Provider, cast: Cast) -> None:
    assert come_back(client, provider).url == "/people/"
    assert client.session["_auth_user_id"] == str(cast["ann"].pk)
    actions = list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))
    assert actions == ["user.signed_in", "user.identity_linked"]
    assert identity_of(AuditEntry.objects.latest("seq")) == canonical.digest([SERVER, "4711"])


def test_the_same_identity_opens_it_again_whatever_its_address(client: Client, provider: Provider, cast: Cast) -> None:
    come_back(client, provider)
    provider.who["email"] = "ann@elsewhere.example"
    other = Client()
    come_back(other, provider)
    assert other.session["_auth_user_id"] == str(cast["ann"].pk) and SocialAccount.objects.count() == 1


@pytest.mark.parametrize(
    "who",
    [
        {"email_verified": False},
        {"email": "nobody@example.com"},
        {"email": ""},
        {"email": None},
    ],
)
def test_nobody_else_gets_in_and_no_account_is_made(client: Client, provider: Provider, who: dict[str, Any]) -> None:
    provider.who |= who
    users = User.objects.count()
    assert come_back(client, provider).url == "/login/"
    assert not is_in(client) and User.objects.count() == users
    assert AuditEntry.objects.latest("seq").action == "user.sign_in_failed"


def test_an_address_of_two_accounts_opens_none(client: Client, provider: Provider, cast: Cast) -> None:
    User.objects.filter(pk=cast["abe"].pk).update(email="ANN@example.com")
    come_back(client, provider)
    assert not is_in(client)


def test_a_second_identity_does_not_take_an_account_over(client: Client, provider: Provider) -> None:
    come_back(client, provider)
    provider.who["sub"] = "4712"
    other = Client()
    come_back(other, provider)
    assert not is_in(other)


def test_a_disabled_account_stays_closed(client: Client, provider: Provider, cast: Cast) -> None:
    come_back(client, provider)
    User.objects.filter(pk=cast["ann"].pk).update(is_active=False)
    other = Client()
    come_back(other, provider)
    assert not is_in(other)


def test_it_gives_no_roles(client: Client, provider: Provider, cast: Cast) -> None:
    provider.who["groups"] = ["admin"]
    come_back(client, provider)
    assert list(cast["ann"].groups.values_list("name", flat=True)) == ["approver"]
    assert Group.objects.count() == 8


@pytest.mark.parametrize("changed", [{"state": "made up"}, {"error": "access_denied", "code": ""}])
def test_an_answer_that_was_not_asked_for_opens_nothing(
    client: Client, provider: Provider, changed: dict[str, str]
) -> None:
    come_back(client, provider, **changed)
    assert not is_in(client)


def test_a_token_for_another_client_opens_nothing(client: Client, provider: Provider) -> None:
    provider.audience = "somebody else"
    come_back(client, provider)
    assert not is_in(client)


def test_it_is_no_proof_for_a_decision(client: Client, provider: Provider) -> None:
    come_back(client, provider)
    assert is_in(client) and stepup.KEY not in client.session


def test_the_second_step_is_asked_for_after_it_too(client: Client, provider: Provider, cast: Cast) -> None:
    factors.add_app(cast["ann"], SECRET, app_code(NOW), by=actor(cast["ann"]), now=NOW)
    assert come_back(client, provider).url == "/login/code/" and not is_in(client)


def test_an_identity_is_linked_when_the_second_step_is_passed_and_not_before(
    client: Client, provider: Provider, cast: Cast
) -> None:
    factors.add_app(cast["ann"], SECRET, app_code(NOW), by=actor(cast["ann"]), now=NOW)
    come_back(client, provider)
    assert not SocialAccount.objects.exists()
    client.post("/login/code/", {"code": app_code()})
    assert is_in(client) and SocialAccount.objects.get().user == cast["ann"]


def test_an_address_that_moves_on_during_the_second_step_links_nothing(
    client: Client, provider: Provider, cast: Cast
) -> None:
    factors.add_app(cast["ann"], SECRET, app_code(NOW), by=actor(cast["ann"]), now=NOW)
    come_back(client, provider)
    User.objects.filter(pk=cast["ann"].pk).update(email="ann.new@example.com")
    client.post("/login/code/", {"code": app_code()})
    assert not is_in(client) and not SocialAccount.objects.exists()


@pytest.mark.parametrize("nonce", ["", "of another sign-in", None])
def test_an_answer_to_another_question_opens_nothing(client: Client, provider: Provider, nonce: str | None) -> None:
    asked = go(client)
    provider.nonce = nonce
    client.get("/login/sso/callback/", {"state": asked["state"][0], "code": "c"})
    assert not is_in(client)


@pytest.mark.parametrize("sub", [None, "", 4711, "absent"])
def test_an_answer_without_a_number_leads_back(client: Client, provider: Provider, sub: object) -> None:
    if sub == "absent":
        del provider.who["sub"]
    else:
        provider.who["sub"] = sub
    assert come_back(client, provider).url == "/login/" and not is_in(client)
    assert AuditEntry.objects.latest("seq").action == "user.sign_in_failed"


def test_two_answers_about_two_people_open_nothing(
    client: Client, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {**provider.who, "sub": "4712"}
    monkeypatch.setattr(provider, "get", lambda url, **_: Answer(told if "userinfo" in url else CONFIG))
    come_back(client, provider)
    assert not is_in(client)


def test_its_owner_sees_and_unlinks_it(client: Client, provider: Provider, cast: Cast) -> None:
    come_back(client, provider)
    ann = Client()
    ann.force_login(cast["ann"])
    assert "4711" in ann.get("/account/").content.decode()
    ann.post(f"/account/identities/{SocialAccount.objects.get().pk}/remove/")
    entry = AuditEntry.objects.latest("seq")
    assert not SocialAccount.objects.exists() and entry.action == "user.identity_unlinked"
    assert identity_of(entry) == canonical.digest([SERVER, "4711"])


def test_nobody_unlinks_that_of_another(client: Client, provider: Provider, cast: Cast) -> None:
    come_back(client, provider)
    abe = Client()
    abe.force_login(cast["abe"])
    abe.post(f"/account/identities/{SocialAccount.objects.get().pk}/remove/")
    assert SocialAccount.objects.exists()


def put_in_force(cast: Cast, kind: str, **wanted: str) -> None:
    """Change ann by both admins."""
    rights = dataclasses.replace(roles.rights_of(cast["ann"]), **wanted)
    ada, ari = (Asker(user=cast[one], authenticated_at=NOW, by=actor(cast[one]), now=NOW) for one in ("ada", "ari"))
    changes.confirm(changes.propose(cast["ann"], rights, kind=kind, why="it is time", asker=ada), asker=ari)


@pytest.mark.parametrize(
    ("kind", "wanted"), [("RIGHTS", {"email": "ann.new@example.com"}), ("PASSWORD", {}), ("FACTORS", {})]
)
def test_an_identity_does_not_outlive_the_address_the_password_or_the_factors(
    client: Client, provider: Provider, cast: Cast, kind: str, wanted: dict[str, str]
) -> None:
    come_back(client, provider)
    if kind == "FACTORS":
        factors.add_app(cast["ann"], SECRET, app_code(NOW), by=actor(cast["ann"]), now=NOW)
        Authenticator.objects.update(created_at=NOW - timedelta(days=1))
    put_in_force(cast, kind, **wanted)
    assert not SocialAccount.objects.exists()
    assert AuditEntry.objects.filter(action="user.identity_unlinked").count() == 1


def test_an_identity_does_not_open_an_account_that_was_closed_and_opened_again(
    client: Client, provider: Provider, cast: Cast
) -> None:
    come_back(client, provider)
    ada = Asker(user=cast["ada"], authenticated_at=NOW, by=actor(cast["ada"]), now=NOW)
    changes.disable(cast["ann"], why="left", asker=ada)
    assert SocialAccount.objects.exists()
    put_in_force(cast, "RIGHTS", active=True)  # type: ignore[arg-type]
    assert not SocialAccount.objects.exists()


def test_an_identity_outlives_other_roles(client: Client, provider: Provider, cast: Cast) -> None:
    come_back(client, provider)
    put_in_force(cast, "RIGHTS", roles=frozenset({"triage"}))  # type: ignore[arg-type]
    assert SocialAccount.objects.exists()


def test_it_links_no_identity_to_who_is_signed_in(client: Client, provider: Provider, cast: Cast) -> None:
    client.force_login(cast["abe"])
    client.post("/login/sso/", {"process": "connect"})
    come_back(client, provider)
    assert not SocialAccount.objects.filter(user=cast["abe"]).exists()


def test_a_provider_that_does_not_answer_leads_back(
    client: Client, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: Any, **__: Any) -> Answer:
        raise ConnectError("no route to host")

    monkeypatch.setattr(provider, "get", silent)
    assert client.post("/login/sso/").url == "/login/"
    assert b"did not work this time" in client.get("/login/").content


def test_without_the_settings_there_is_none(client: Client, db: None) -> None:
    assert client.post("/login/sso/").status_code == client.get("/login/sso/callback/").status_code == 404
    assert b"login/sso" not in client.get("/login/").content


def test_the_way_out_is_a_page_of_ours(client: Client, provider: Provider) -> None:
    answer = client.post("/login/sso/")
    assert answer.status_code == 200 and b'http-equiv="refresh"' in answer.content
