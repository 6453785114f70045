"""The system checks say what would lose or double work, before anything starts."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.conf import LazySettings
from django.core.checks import registry
from django.core.management import load_command_class
from django.db import connection
from django.utils import timezone

from rollout import checks
from rollout.models import Heartbeat


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
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, "workers": 2, "queue_limit": 1, "timeout": 120, "retry": retry}
    assert found(checks.messages_come_once(None)) == expected


@pytest.mark.parametrize("changed", [{"max_attempts": 0}, {"ack_failures": False}, {"bulk": 5}])
def test_a_queue_that_repeats_by_itself_is_reported(settings: LazySettings, changed: dict) -> None:
    settings.Q_CLUSTER = {**settings.Q_CLUSTER, **changed}
    (problem,) = checks.messages_come_once(None)
    assert problem.id == "rollout.E003" and next(iter(changed)) in problem.msg


def test_a_redis_without_its_client_is_reported(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.GR_REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(checks.importlib.util, "find_spec", lambda name: None)
    assert found(checks.redis_can_be_spoken_to(None)) == ["rollout.E006"]


@pytest.mark.django_db
@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL may have many hosts")
@pytest.mark.parametrize(("name", "age_s", "expected"), [("b", 5, 1), ("b", 120, 0), ("local", 5, 0)])
def test_a_second_host_in_a_sqlite_database_is_reported(name: str, age_s: int, expected: int) -> None:
    Heartbeat.objects.create(name=f"pulse@{name}", at=timezone.now() - timedelta(seconds=age_s))
    assert len(checks.sqlite_has_one_host(None, databases=["default"])) == expected


MOUNTS = """22 1 8:1 / / rw - ext4 /dev/sda1 rw
30 22 0:40 / /srv/with\\040space rw shared:1 - nfs4 host:/x rw
31 22 0:41 / /srv/with\\040space/local rw - tmpfs none rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [("/srv/with space/run", "nfs4"), ("/srv/with space/local/run", "tmpfs"), ("/srv/other", "ext4")],
)
def test_the_innermost_mount_says_what_holds_a_directory(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    assert checks.file_system_of(Path(place), tmp_path / "mountinfo") == kind


def test_locks_on_a_network_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.locks_are_local(None) == []
    monkeypatch.setattr(checks, "file_system_of", lambda *_: "nfs4")
    assert found(checks.locks_are_local(None)) == ["rollout.W004"]


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


@pytest.mark.parametrize("command", ["worker", "pulse"])
def test_worker_and_pulse_start_only_after_the_checks_of_the_installation(command: str) -> None:
    tags = load_command_class("rollout", command).requires_system_checks
    assert {one.__name__ for one in registry.registry.get_checks() if set(tags) & set(one.tags)} >= {
        "messages_come_once",
        "transactions_are_immediate",
    }
