"""The address of a client: from the right, past trusted proxies, and not a hop further."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from rollout import middleware, settings
from rollout.client_address import client_address
from rollout.environment import networks


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> tuple[object, ...]:
    monkeypatch.setenv("GR_SOME_PROXIES", "127.0.0.1, 10.0.0.0/8, 2001:db8::/32")
    return networks("GR_SOME_PROXIES")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.7", "", "192.0.2.7"),
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),  # no trusted proxy: its word is nothing
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # what the client wrote itself
        ("127.0.0.1", "1.2.3.4, 203.0.113.9, 10.1.1.1", "203.0.113.9"),
        ("127.0.0.1", "10.2.2.2, 10.1.1.1", "10.2.2.2"),  # all trusted: the farthest
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "unknown, 10.1.1.1", "10.1.1.1"),
        ("127.0.0.1", "1.2.3.4, garbage", "127.0.0.1"),
        ("127.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::1", "[2001:dead::9]:443", "2001:dead::9"),
        ("::ffff:127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("", "203.0.113.9", ""),  # a socket of this machine has no address
    ],
)
def test_the_client_of(peer: str, forwarded: str, client: str, trusted: tuple) -> None:
    assert client_address(peer, forwarded, trusted) == client


def test_a_misspelt_network_is_told_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR_SOME_PROXIES", "10.0.0.1/8")
    with pytest.raises(ImproperlyConfigured, match="GR_SOME_PROXIES"):
        networks("GR_SOME_PROXIES")


def seen(settings: object, peer: str, trusted: tuple) -> dict[str, str]:
    settings.GR_TRUSTED_PROXIES = trusted  # type: ignore[attr-defined]
    request = RequestFactory().get("/", headers={"X-Forwarded-For": "203.0.113.9"}, REMOTE_ADDR=peer)
    request.META["HTTP_X_FORWARDED_PROTO"] = "https"
    middleware.TrustedProxies(lambda request: request.META)(request)  # type: ignore[arg-type, return-value]
    return request.META


def test_a_trusted_proxy_tells_address_and_https(settings: object, trusted: tuple) -> None:
    meta = seen(settings, "10.1.1.1", trusted)
    assert (meta["REMOTE_ADDR"], meta.get("HTTP_X_FORWARDED_PROTO")) == ("203.0.113.9", "https")


def test_a_stranger_tells_neither(settings: object, trusted: tuple) -> None:
    meta = seen(settings, "192.0.2.7", trusted)
    assert (meta["REMOTE_ADDR"], meta.get("HTTP_X_FORWARDED_PROTO")) == ("192.0.2.7", None)


def test_without_the_setting_the_header_is_not_read(settings: object) -> None:
    assert seen(settings, "10.1.1.1", ())["REMOTE_ADDR"] == "10.1.1.1"


def test_nothing_is_trusted_by_default() -> None:
    assert settings.GR_TRUSTED_PROXIES == ()
