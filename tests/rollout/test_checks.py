"""The system checks say what would lose or double work, before anything starts."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import LazySettings
from django.db import connection

from rollout import checks


def found(messages: list) -> list[str]:
    """Return the ids of what was reported."""
    return [message.id for message in messages]


@pytest.mark.django_db
def test_the_database_of_the_tests_is_durable() -> None:
    assert checks.sqlite_is_durable(None, databases=["default"]) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PRAGMAs are SQLite's")
@pytest.mark.parametrize(
    ("pragma", "bad", "good"), [("synchronous", "NORMAL", "FULL"), ("recursive_triggers", "OFF", "ON")]
)
def test_a_connection_that_could_lose_commits_is_reported(pragma: str, bad: str, good: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {pragma}={bad}")
        try:
            (problem,) = checks.sqlite_is_durable(None, databases=["default"])
        finally:
            cursor.execute(f"PRAGMA {pragma}={good}")
    assert problem.id == "rollout.E001" and pragma in problem.msg


def test_a_database_that_was_not_asked_for_is_not_touched() -> None:
    assert checks.sqlite_is_durable(None, databases=None) == []


@pytest.mark.parametrize(
    ("mode", "expected"), [("IMMEDIATE", []), ("DEFERRED", ["rollout.E002"]), (None, ["rollout.E002"])]
)
def test_transactions_must_begin_as_writers(
    monkeypatch: pytest.MonkeyPatch, mode: str | None, expected: list[str]
) -> None:
    options = {} if mode is None else {"transaction_mode": mode}
    databases = {"default": {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": options}}
    monkeypatch.setattr(checks, "settings", SimpleNamespace(DATABASES=databases))
    assert found(checks.transactions_are_immediate(None)) == expected


@pytest.mark.parametrize(("retry", "expected"), [(301, []), (300, ["rollout.E003"]), (60, ["rollout.E003"])])
def test_a_message_must_not_be_handed_out_while_it_is_worked_on(
    settings: LazySettings, retry: int, expected: list[str]
) -> None:
    settings.Q_CLUSTER = {"workers": 2, "queue_limit": 1, "timeout": 120, "retry": retry}
    assert found(checks.messages_come_once(None)) == expected


def test_the_settings_of_the_product_hold() -> None:
    assert checks.messages_come_once(None) == [] and checks.debug_is_off(None) == []


def test_backups_that_others_may_read_are_reported(settings: LazySettings, tmp_path: Path) -> None:
    settings.GR_BACKUPS = tmp_path
    tmp_path.chmod(0o755)
    assert found(checks.directories_can_be_written(None)) == ["rollout.W002"]
    tmp_path.chmod(0o700)
    assert checks.directories_can_be_written(None) == []


def test_a_directory_that_is_a_file_is_reported(settings: LazySettings, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("")
    settings.GR_BACKUPS = tmp_path / "backups"
    (problem,) = checks.directories_can_be_written(None)
    assert problem.id == "rollout.E004" and "GR_BACKUPS" in problem.msg


@pytest.mark.parametrize("key", ["x", "a" * 60, "django-insecure-" + "kzj3!q0v8w" * 5])
def test_a_key_that_could_be_guessed_is_reported(settings: LazySettings, key: str) -> None:
    settings.SECRET_KEY = key
    assert found(checks.secret_is_strong(None)) == ["rollout.W001"]


def test_a_random_key_is_accepted(settings: LazySettings) -> None:
    settings.SECRET_KEY = "kzj3!q0v8w" * 6
    assert checks.secret_is_strong(None) == []
