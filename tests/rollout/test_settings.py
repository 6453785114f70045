"""What stands wrong in the environment is told by name, not guessed at."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from rollout import settings


@pytest.mark.parametrize("text", ["2m", "1e999", "-5", "nan", "0", ""])
def test_a_span_that_is_none_is_told_by_name(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("GR_SOME_SECONDS", text)
    with pytest.raises(ImproperlyConfigured, match="GR_SOME_SECONDS"):
        settings.seconds("GR_SOME_SECONDS", 60.0, low=5)


def test_a_span_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR_SOME_SECONDS", "7.5")
    assert settings.seconds("GR_SOME_SECONDS", 60.0, low=5) == 7.5


def test_a_span_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GR_SOME_SECONDS", raising=False)
    assert settings.seconds("GR_SOME_SECONDS", 60.0, low=5) == 60.0


@pytest.mark.parametrize("url", ["localhost:6379", "redis//foo", "http://localhost"])
def test_an_address_of_another_kind_is_told_by_name(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GR_SOME_URL", url)
    with pytest.raises(ImproperlyConfigured, match="GR_SOME_URL"):
        settings.address("GR_SOME_URL", "redis", "unix")


@pytest.mark.parametrize("url", ["", "redis://localhost/0"])
def test_an_address_is_read(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("GR_SOME_URL", url)
    assert settings.address("GR_SOME_URL", "redis", "unix") == url
