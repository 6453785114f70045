"""The doctor looks at every host: who is silent, whose queue nobody serves, what the database cannot know."""

from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from django_q.models import OrmQ

from monitoring import chain_watch
from rollout import ballast, commands, doctor_hosts, heartbeat
from rollout.archive import dump
from rollout.finding import Finding
from rollout.models import Heartbeat, Target

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def observer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process begin to observe, and look twice without a pause."""
    monkeypatch.setattr(heartbeat, "OBSERVER", heartbeat.Observer())
    monkeypatch.setattr(chain_watch, "WATCH", chain_watch.ChainWatch())  # the chain of another test is gone
    monkeypatch.setattr(doctor_hosts, "SECOND_LOOK_S", 0.0)


def beat(name: str, age_s: float = 0) -> None:
    Heartbeat.objects.create(name=name, at=timezone.now() - timedelta(seconds=age_s))


def found(part: str, level: str) -> list[Finding]:
    """Return the findings of a level that speak of something."""
    return [one for one in doctor_hosts.findings() if part in one.what and one.level == level]


def test_a_host_that_targets_need_is_missed(target: Target) -> None:
    Target.objects.update(host_id="b")
    (missed,) = found("worker of host b", "warn")
    assert missed.advice == "start manage.py worker on b"


def test_a_silent_worker_is_bad(target: Target) -> None:
    beat("worker@local", 500)
    assert found("worker is silent for 500 s", "bad")


def test_a_pulse_whose_row_is_old_is_seen_to_beat(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    beat("pulse@local", 3600)
    monkeypatch.setattr(doctor_hosts.time, "sleep", lambda _: Heartbeat.objects.update(counter=5))
    assert found("pulse gave a sign of life", "ok")


def test_a_host_that_nothing_needs_may_be_forgotten(target: Target) -> None:
    beat("pulse@old", 5000)
    (stranger,) = found("host old, which no target needs, is silent", "warn")
    assert stranger.advice.endswith("manage.py forget_host old")


def test_a_queue_that_nobody_serves_is_bad(target: Target) -> None:
    OrmQ.objects.create(key="guarded-rollout@gone", payload="x", lock=timezone.now())
    (queue,) = found("1 message(s) wait for host gone", "bad")
    assert "no worker serves it" in queue.what


def test_a_host_is_forgotten_with_its_messages(target: Target) -> None:
    beat("worker@gone", 5000)
    OrmQ.objects.create(key="guarded-rollout@gone", payload="x", lock=timezone.now())
    call_command("forget_host", "gone", verbosity=0)
    assert not OrmQ.objects.exists() and not Heartbeat.objects.exists()


def test_a_host_that_is_needed_is_not_forgotten(target: Target) -> None:
    with pytest.raises(CommandError, match="host local has targets or runs"):
        call_command("forget_host", "local")


def test_a_reserve_that_is_not_there_is_told(settings, tmp_path) -> None:
    settings.GR_VAR = tmp_path
    assert found("no disk is kept in reserve", "warn")
    ballast.path().write_bytes(b"")
    assert found("kept in reserve", "ok")


def test_a_target_that_remembers_more_than_the_database_is_bad(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(doctor_hosts.fence(target)) == []
    monkeypatch.setattr(commands, "seen_epoch", lambda target: target.epoch + 2)
    (forgotten,) = doctor_hosts.fence(target)
    assert forgotten.level == "bad" and "the database knows only 0" in forgotten.what


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no clock and no replica")
@pytest.mark.today
def test_the_clock_of_the_database_is_compared() -> None:
    assert found("clocks of this host and of the database", "ok")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no replica")
def test_a_replica_that_is_declared_but_not_waited_for_is_bad(settings) -> None:
    settings.GR_SYNC_REPLICA = True
    assert found("synchronous_standby_names is empty", "bad")
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert found("synchronous_commit is off", "bad")


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is copied without a client")
@pytest.mark.parametrize(
    ("client", "what", "level"),
    [(9, "refuses a newer server", "bad"), (0, "there is no pg_dump", "bad"), (99, "pg_dump is of version 99", "ok")],
)
def test_a_client_that_cannot_dump_the_server_is_bad(
    client: int, what: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dump, "client_version", lambda: client)
    assert found(what, level)


@pytest.mark.parametrize(
    ("script", "version"),
    [("echo 'pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)'", 15), ("echo nonsense", 0), (None, 0)],
)
def test_the_version_of_the_client_is_asked_of_it(
    script: str | None, version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if script is not None:
        (tmp_path / "pg_dump").write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "pg_dump").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dump.client_version() == version
