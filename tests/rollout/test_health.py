"""What machines are told: alive, ready, measured."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from rollout import measures, nudge, readiness
from rollout.models import Backup, Heartbeat, Target
from tests import factories

Cast = dict[str, User]


def beat(name: str, age_s: float = 0) -> None:
    """Leave a sign of life."""
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now() - timedelta(seconds=age_s)})


def ready() -> dict:
    """Ask for readiness."""
    answer = Client().get("/readyz")
    return {"status_code": answer.status_code, **answer.json()}


@pytest.fixture
def well(db: None) -> None:
    """Let pulse and worker live."""
    beat("pulse")
    beat("worker")


def test_the_process_answers_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Client().get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_an_installation_that_works_is_ready(well: None) -> None:
    told = ready()
    assert (told["status_code"], told["status"], told["wrong"]) == (200, "ready", [])
    assert list(told["checks"]) == ["database", "migrations", "pulse", "worker", "queue"]


@pytest.mark.parametrize("name", ["pulse", "worker"])
def test_a_sign_of_life_that_is_too_old_is_named(well: None, name: str) -> None:
    beat(name, age_s=1000)
    told = ready()
    assert (told["status_code"], told["wrong"]) == (503, [name])
    assert "1000 s ago" in told["checks"][name]["detail"]


@pytest.mark.django_db
def test_what_was_never_seen_is_named_with_what_to_do() -> None:
    told = ready()
    assert told["wrong"] == ["pulse", "worker"] and "start it with" in told["checks"]["pulse"]["detail"]


def test_a_message_that_waits_too_long_is_named(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nudge, "waiting", lambda: 3)
    monkeypatch.setattr(nudge, "oldest_s", lambda: 31.0)
    assert ready()["checks"]["queue"] == {"ok": False, "detail": "3 waiting, the oldest for 31 s"}


def test_the_age_of_a_message_is_that_of_the_oldest_that_nobody_took(
    well: None, django_capture_on_commit_callbacks
) -> None:
    assert nudge.oldest_s() == 0
    with django_capture_on_commit_callbacks(execute=True):
        nudge.observe()
    assert 0 <= nudge.oldest_s() < 5


def test_a_migration_that_is_missing_is_named(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = readiness.MigrationExecutor(connection).loader
    migration = loader.get_migration("rollout", "0001_initial")
    monkeypatch.setattr(readiness.MigrationExecutor, "migration_plan", lambda self, targets: [(migration, False)])
    told = ready()
    assert told["wrong"] == ["migrations"]
    assert told["checks"]["migrations"]["detail"] == "not applied: rollout.0001_initial"


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_all_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OperationalError("secret host name")

    monkeypatch.setattr(readiness.connection, "ensure_connection", refuse)
    told = ready()
    assert (told["status_code"], told["wrong"]) == (503, ["database"])
    assert "secret" not in str(told)


def families() -> dict:
    """Return what Prometheus would read."""
    return {family.name: family for family in text_string_to_metric_families(measures.text().decode())}


def test_the_gauges_tell_of_rollouts_locks_and_backups(cast: Cast, target: Target) -> None:
    factories.make_draft(target, cast["rita"])
    now = timezone.now()
    Backup.objects.create(
        target=target,
        path="/b/1.zip",
        sha256="c" * 64,
        size=1,
        release_version="1",
        created_at=now - timedelta(hours=1),
        verified_at=now,
    )
    read = families()
    drafts = [sample.value for sample in read["gr_rollouts"].samples if sample.labels["state"] == "DRAFT"]
    (backup,) = read["gr_backup_age_seconds"].samples
    assert drafts == [1] and backup.labels == {"component": "dhash", "environment": "production"}
    assert 3600 <= backup.value < 3700
    assert {sample.value for sample in read["gr_target_locked"].samples} == {0}


@pytest.mark.django_db
def test_every_severity_has_a_gauge_also_when_nothing_is_open() -> None:
    assert {s.labels["severity"]: s.value for s in families()["gr_incidents_open"].samples} == {
        "P0": 0,
        "P1": 0,
        "P2": 0,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "address", "status"),
    [
        ({}, "127.0.0.1", 200),
        ({}, "::1", 200),
        ({}, "192.0.2.7", 403),
        ({"X-Forwarded-For": "192.0.2.7"}, "127.0.0.1", 403),
        ({"Authorization": "Bearer right"}, "192.0.2.7", 200),
        ({"Authorization": "Bearer wrong"}, "192.0.2.7", 403),
        ({"Authorization": "Bearer "}, "192.0.2.7", 403),
    ],
)
def test_metrics_are_for_this_machine_or_a_token(settings, headers: dict, address: str, status: int) -> None:
    settings.GR_METRICS_TOKEN = "right"
    assert Client().get("/metrics", headers=headers, REMOTE_ADDR=address).status_code == status


@pytest.mark.django_db
def test_without_a_token_in_the_settings_no_token_opens() -> None:
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}, REMOTE_ADDR="192.0.2.7").status_code == 403
