"""Hosts: whose queue a message goes to, whose watches are seen, where a target may not be moved to, who is silent."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from monitoring import watcher
from rollout import actions, doctor_hosts, heartbeat, hosts, loading, measures, nudge, readiness, tasks
from rollout.config_reader import ComponentError
from rollout.heartbeat import Observer
from rollout.models import Heartbeat, Run, Target
from tests import factories
from tests.factories import NOW, TOML, actor
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
ELSEWHERE = TOML.replace('backup = { directories = ["shared/config"],', 'runs_on = "b"\nbackup = { directories = [],')


class Clock:
    """A clock that stands until it is moved."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Let this process begin to observe, by a clock of the test."""
    clock = Clock()
    observer = Observer(clock)
    monkeypatch.setattr(heartbeat, "OBSERVER", observer)
    return clock


@pytest.fixture
def deploy(target: Target, cast: Cast) -> Run:
    """Return a deploy run that was started and has not begun."""
    return actions.start(factories.make_approved(target, cast), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def queues() -> list[str]:
    """Return the queues in which a message lies."""
    return sorted(set(OrmQ.objects.values_list("key", flat=True)))


def sent(capture, send, *args: int) -> list[str]:
    OrmQ.objects.all().delete()
    with capture(execute=True):
        send(*args)
    return queues()


def test_the_message_of_a_run_goes_to_its_host(deploy: Run, django_capture_on_commit_callbacks) -> None:
    Run.objects.update(host_id="b")
    assert sent(django_capture_on_commit_callbacks, nudge.run, deploy.pk) == ["guarded-rollout@b"]


def test_what_any_host_can_do_goes_to_our_own_while_nobody_is_known(django_capture_on_commit_callbacks) -> None:
    assert sent(django_capture_on_commit_callbacks, nudge.deliver) == ["guarded-rollout@local"]


def test_what_any_host_can_do_goes_to_a_worker_where_we_have_none(django_capture_on_commit_callbacks) -> None:
    heartbeat.beat("worker@b")
    assert sent(django_capture_on_commit_callbacks, nudge.deliver) == ["guarded-rollout@b"]


def test_what_any_host_can_do_stays_here_while_our_worker_lives() -> None:
    heartbeat.beat("worker@b")
    heartbeat.beat("worker@local")
    assert hosts.for_any() == "local"


def test_a_worker_of_ours_that_fell_silent_is_passed_over(clock: Clock) -> None:
    heartbeat.beat("worker@local")
    heartbeat.beat("worker@b")
    assert hosts.for_any() == "local"
    clock.at += hosts.SILENT_S + 1
    heartbeat.beat("worker@b")
    assert hosts.for_any() == "b"


def test_while_every_worker_is_silent_ours_is_waited_for(clock: Clock) -> None:
    heartbeat.beat("worker@b")
    heartbeat.beat("worker@local")
    hosts.for_any()
    clock.at += 1000
    assert hosts.for_any() == "local"


def test_a_look_at_a_watch_is_always_asked_of_our_own_worker(django_capture_on_commit_callbacks) -> None:
    heartbeat.beat("worker@b")
    assert sent(django_capture_on_commit_callbacks, nudge.observe) == ["guarded-rollout@local"]


def test_a_queue_that_nobody_serves_does_not_grow_for_ever(
    django_capture_on_commit_callbacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nudge, "FULL", 3)
    with django_capture_on_commit_callbacks(execute=True):
        for _ in range(5):
            nudge.deliver()
    assert OrmQ.objects.count() == 3


def test_messages_of_the_version_before_hosts_are_taken_over() -> None:
    OrmQ.objects.create(key="guarded-rollout", payload="x", lock=NOW)
    nudge.adopt()
    assert queues() == ["guarded-rollout@local"]


def test_the_watch_of_another_host_is_left_to_it(deploy: Run, fake: FakeRunner) -> None:
    drive(deploy, fake)
    Run.objects.update(host_id="b")
    (left,) = hosts.watches_elsewhere()
    assert watcher.next_due(NOW, leave=[left]) is None
    tasks.observe()
    assert Run.objects.get().watch.polls == 0


def test_a_target_stands_on_the_host_that_its_environment_names(tmp_path: Path, cast: Cast) -> None:
    target = factories.load(factories.write_component(tmp_path, text=ELSEWHERE)).targets.get(host_id="b")
    assert (target.environment.name, target.live_version) == ("production", "")


def test_a_target_is_not_moved_to_another_host_while_its_run_is_not_over(tmp_path: Path, deploy: Run) -> None:
    folder = Path(deploy.target.component.live.base_dir)
    path = factories.write_component(folder, text=ELSEWHERE)
    with pytest.raises(ComponentError, match=f'runs_on: expected to stay "local" while run {deploy.pk} is queued'):
        loading.load(path, by=actor(User.objects.get(username="ada"), "shell"), now=NOW)


def test_a_host_is_named_as_in_its_setting(tmp_path: Path, cast: Cast) -> None:
    with pytest.raises(ComponentError, match="runs_on"):
        factories.load(factories.write_component(tmp_path, text=ELSEWHERE.replace('"b"', '"../b"')))


def test_the_same_directory_on_two_hosts_is_no_clash(tmp_path: Path, cast: Cast) -> None:
    text = ELSEWHERE.replace("./env/staging", "./env/production").replace("port = 8102", "port = 8103")
    assert factories.load(factories.write_component(tmp_path, text=text)).targets.count() == 2


def test_the_hosts_that_must_live_are_those_of_targets_and_of_open_runs(deploy: Run) -> None:
    Run.objects.update(host_id="gone")
    assert hosts.needed() == ["gone", "local"]


class TestObserver:
    """What changed under our eyes is fresh, whatever a wall clock says."""

    def test_what_was_never_seen_before_is_as_old_as_it_says(self) -> None:
        assert Observer(Clock()).age_s("a", 1, told_s=50) == 50

    def test_what_stands_unchanged_grows_old_by_our_clock(self) -> None:
        clock = Clock()
        observer = Observer(clock)
        observer.age_s("a", 1, told_s=0)
        clock.at += 20
        assert observer.age_s("a", 1, told_s=-3600) == 20

    def test_a_wall_clock_that_jumped_does_not_make_a_change_old(self) -> None:
        clock = Clock()
        observer = Observer(clock)
        observer.age_s("a", 1)
        clock.at += 2
        assert observer.age_s("a", 2, told_s=3600) == 2

    def test_an_age_below_nothing_is_nothing(self) -> None:
        assert Observer(Clock()).age_s("a", 1, told_s=-3600) == 0


def test_a_sign_of_life_names_its_host(settings) -> None:
    settings.GR_HOST_ID = "b"
    tasks.sign()
    assert Heartbeat.objects.get().name == "worker@b"


class FakeRedis:
    """A broker over a list, as django-q's own speaks to Redis; `dead` answers nothing."""

    def __init__(self, messages: list[bytes], *, dead: bool = False) -> None:
        self.messages, self.dead = messages, dead
        self.connection, self.list_key = self, "django_q:guarded-rollout@local:q"

    def lindex(self, key: str, index: int) -> bytes | None:
        if self.dead:
            raise RuntimeError("connection refused")
        return self.messages[index] if self.messages else None

    def queue_size(self) -> int:
        return len(self.messages)


@pytest.fixture
def through_redis(settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[FakeRedis], None]:
    """Let messages go through a fake Redis."""
    settings.GR_REDIS_URL = "redis://127.0.0.1/0"
    return lambda broker: monkeypatch.setattr(nudge, "get_broker", lambda queue: broker)


def test_what_waits_in_redis_is_as_old_as_its_oldest_message(through_redis) -> None:
    oldest = {"id": "a", "started": timezone.now() - timedelta(seconds=40)}
    through_redis(FakeRedis([SignedPackage.dumps(oldest).encode(), b"another"]))
    (queue,) = nudge.waiting()
    assert (queue.count, queue.oldest) == (2, "a") and 40 <= queue.oldest_s < 60


def test_a_message_that_was_signed_with_another_key_has_no_age(through_redis) -> None:
    through_redis(FakeRedis([b"not:ours"]))
    assert [one.oldest_s for one in nudge.waiting()] == [0]


def test_a_redis_that_does_not_answer_is_told_and_breaks_no_page(through_redis) -> None:
    through_redis(FakeRedis([], dead=True))
    told = {check.name: check for check in readiness.look()}
    assert told["queue"].detail == "could not be asked: QueueError"
    assert any("Redis does not answer" in one.what for one in doctor_hosts.findings())
    assert b"gr_queue_waiting" not in measures.text()


@pytest.mark.django_db(transaction=True)
def test_a_message_that_cannot_be_left_breaks_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(queue: str) -> None:
        raise ConnectionError("no queue")

    monkeypatch.setattr(nudge, "get_broker", refuse)
    nudge.deliver()
    with transaction.atomic():
        nudge.deliver()
    assert caplog.text.count("ConnectionError: no queue") == 2


def test_a_run_is_for_the_host_that_its_target_stands_on(target: Target, cast: dict[str, User]) -> None:
    file = factories.write_component(Path(target.spec.root).parents[1], text=ELSEWHERE)
    place, rita = factories.load(file).targets.get(environment__name="production"), cast["rita"]
    assert actions.submit(factories.make_draft(place, rita), user=rita, by=actor(rita), now=NOW).host_id == "b"
