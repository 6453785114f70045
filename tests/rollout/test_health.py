"""What machines are told: alive, ready, measured."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction
from django.test import Client
from django.utils import timezone
from django_q.models import OrmQ
from prometheus_client.parser import text_string_to_metric_families

from monitoring import anchors, audit, chain_watch
from monitoring.audit import SYSTEM, Subject
from monitoring.models import Checkpoint, Watch
from rollout import actions, heartbeat, measures, nudge, readiness
from rollout.models import Backup, Heartbeat, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor
from tests.fakes import FakeRunner, drive

Cast = dict[str, User]
SIGNED = ["anchor", "signed"]


class Clock:
    """A clock that stands until it is moved."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture(autouse=True)
def observer(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let this process begin to observe, by a clock of the test."""
    clock = Clock()
    monkeypatch.setattr(heartbeat, "OBSERVER", heartbeat.Observer(clock))
    monkeypatch.setattr(chain_watch, "WATCH", chain_watch.ChainWatch())  # the chain of another test is gone
    return clock


def beat(name: str, age_s: float = 0) -> None:
    """Leave a sign of life."""
    at = timezone.now() - timedelta(seconds=age_s)
    Heartbeat.objects.update_or_create(name=heartbeat.of(name), defaults={"at": at})


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
    assert list(told["checks"]) == [
        "database",
        "migrations",
        "pulse",
        "worker",
        "queue",
        "due",
        "disk",
        "audit",
        *SIGNED,
    ]


def test_a_database_that_was_set_back_is_named_with_what_to_do(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchors, "last", lambda: anchors.Point(7, "ab" * 32))
    told = ready()
    assert told["wrong"] == ["anchor"] and "the audit ends at #0" in told["checks"]["anchor"]["detail"].lower()


def test_entries_that_nobody_signs_for_three_minutes_are_named(well: None, observer: Clock) -> None:
    with transaction.atomic():
        audit.append(action="x", by=SYSTEM, subject=Subject(kind="t", id="1", label="t"), now=timezone.now())
    assert ready()["wrong"] == []
    observer.at += 181
    assert "signed" in ready()["wrong"]


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL keeps numbers alone in a column of numbers")
def test_a_checkpoint_with_a_text_in_place_of_its_number_is_named(well: None) -> None:
    forger.edit(Checkpoint.objects.create(seq=1, at=timezone.now()), seq="abc")
    told = ready()
    assert told["wrong"] == ["signed"] and "kept with 'abc' for its number" in told["checks"]["signed"]["detail"]


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
    late = nudge.Waiting(host="local", count=3, oldest="1", oldest_s=31.0)
    monkeypatch.setattr(nudge, "waiting", lambda: [late])
    detail = "messages wait: 3 for host local, the oldest for 31 s"
    assert ready()["checks"]["queue"] == {"ok": False, "detail": detail}


def test_the_age_of_a_message_is_that_of_the_oldest_that_nobody_took(
    well: None, django_capture_on_commit_callbacks
) -> None:
    assert nudge.waiting() == []
    with django_capture_on_commit_callbacks(execute=True):
        nudge.observe()
    (queue,) = nudge.waiting()
    assert queue.host == "local" and 0 <= queue.oldest_s < 5


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


def test_a_wall_clock_that_was_put_forward_alarms_nobody(well: None, observer: Clock) -> None:
    ready()
    observer.at += 5
    Heartbeat.objects.update(counter=1, at=timezone.now() - timedelta(hours=1))
    assert ready()["wrong"] == []


def test_a_wall_clock_that_was_set_back_hides_nothing(well: None, observer: Clock) -> None:
    Heartbeat.objects.update(at=timezone.now() + timedelta(hours=1))
    assert ready()["wrong"] == []
    observer.at += 16
    assert ready()["wrong"] == ["pulse"]


def test_every_host_that_has_a_target_must_live(well: None, target: Target) -> None:
    Target.objects.update(host_id="b")
    assert ready()["wrong"] == ["pulse@b", "worker@b"]


def test_a_message_for_a_host_without_worker_is_named(well: None, observer: Clock) -> None:
    OrmQ.objects.create(key="guarded-rollout@gone", payload="x", lock=timezone.now())
    ready()
    observer.at += 31
    Heartbeat.objects.update(counter=1)
    told = ready()["checks"]["queue"]
    assert not told["ok"] and "1 for host gone" in told["detail"]


def test_a_poll_that_nobody_takes_is_named(
    well: None, target: Target, cast: Cast, fake: FakeRunner, observer: Clock
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake)
    Watch.objects.update(next_due_at=timezone.now())
    assert ready()["checks"]["due"]["ok"]
    observer.at += 31
    told = ready()["checks"]["due"]
    assert not told["ok"] and "a poll has been due for 31 s" in told["detail"]


def test_a_run_that_nobody_takes_on_is_named(
    well: None, target: Target, cast: Cast, fake: FakeRunner, observer: Clock
) -> None:
    run = actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    drive(run, fake, stop_at="stage")
    run.steps.filter(state="RUNNING").update(state="SUCCEEDED")
    ready()
    observer.at += 31
    assert f"run {run.pk} has been due for 31 s" in ready()["checks"]["due"]["detail"]


def test_a_full_disk_is_named(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "free_bytes", lambda place: 5 * 1024**2)
    assert ready()["checks"]["disk"]["detail"].startswith("5 MiB are free for GR_VAR")


def test_a_chain_that_was_changed_is_named(well: None, monkeypatch: pytest.MonkeyPatch) -> None:
    held = chain_watch.Held(seq=3, newest=4, problems=("entry #2: the hash is wrong",))
    monkeypatch.setattr(chain_watch.WATCH, "look", lambda now: held)
    assert ready()["wrong"] == ["audit"]


def test_whoever_asks_for_text_gets_a_line_a_check(well: None) -> None:
    answer = Client().get("/readyz", headers={"Accept": "text/plain"})
    assert answer.content.decode().splitlines()[0] == "ok  database: " + connection.vendor


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


def test_who_is_not_signed_in_is_not_told_of_roles() -> None:
    page = Client().get("/metrics", REMOTE_ADDR="192.0.2.7").content.decode()
    assert "Nobody is signed in here." in page and "no role" not in page and "another role" not in page
