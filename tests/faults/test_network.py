"""The network between us and a target, or the database, fails: nothing is run again, nothing unseen passes."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from monitoring import http, watcher
from monitoring.gates import Source
from monitoring.models import Watch
from rollout import actions, commands, engine, probing
from rollout.drivers import Answer, DriverError
from rollout.models import Run
from rollout.steps import health
from tests import factories
from tests.factories import NOW, actor, later
from tests.fakes import FakeRunner, drive
from tests.faults.cluster import Cluster
from tests.faults.namespace import Namespace
from tests.faults.processes import Installation
from tests.faults.scale import FULL, count
from tests.faults.small_component import GATES
from tests.faults.tcp_proxy import Mode, Proxy
from tests.monitoring.raw_server import plain, raw_server
from tests.monitoring.watched import PROFILE, gate, open_watch

SILENT: list[Mode] = ["black hole", "reset", "half close", "drip"]
GATES_S = {**GATES, "sources": {"health": {**GATES["sources"]["health"], "timeout_s": 1}}}


@pytest.fixture
def way() -> Iterator[Proxy]:
    """Return the way to a target that is well, on which a test may do what it likes."""
    with raw_server(plain(b'{"ms": 5}')) as server, Proxy(("127.0.0.1", server.port)) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster(listen="*") as made:
        yield made


@pytest.mark.django_db
@pytest.mark.parametrize("mode", SILENT)
def test_a_watch_of_a_target_that_cannot_be_heard_never_passes(way: Proxy, mode: Mode) -> None:
    source = Source(name="p95", kind="json_metric", title="p95", path="/", key="ms", timeout_s=Decimal("0.3"))
    short = {name: Decimal(2) for name in ("fast_interval_s", "interval_s", "fast_for_s")}
    gates = (gate("p95", 2000, "rollback"),)
    profile = replace(PROFILE, sources=(source,), gates=gates, window_s=Decimal(4), **short)
    watch, at = open_watch(profile, base_url=f"http://127.0.0.1:{way.port}", routes=()), NOW
    way.turn(mode)
    while watch.outcome == "" and at < later(30):
        watcher.observe_due(at)
        at = max(watcher.next_due(at) or at, at)
        watch.refresh_from_db()
    assert watch.outcome == Watch.Outcome.NEEDS_DECISION
    assert not watch.poll_set.filter(samples__ok=True).exists()


@pytest.mark.django_db
def test_a_health_check_says_in_time_that_nobody_answered(way: Proxy, tmp_path: Path) -> None:
    spec = replace(factories.make_target(tmp_path).spec, port=way.port)
    assert health.check(spec) == ""
    for mode in SILENT:
        way.turn(mode)
        began = time.monotonic()
        assert health.check(spec), mode
        assert time.monotonic() - began < spec.health_timeout_s + 1
        way.turn("pass")


class Remote:
    """A driver whose target answers over a network which of its releases is live."""

    recovery = "probeable"

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/"

    def probe(self, target: object, step_kind: str, params: object) -> Answer:
        """Ask the target."""
        try:
            http.fetch(self.url, timeout_s=0.5, allow=None)
        except http.HttpError as error:
            raise DriverError(str(error))
        return Answer("done", "releases/0001-1.1.0", "1.1.0 is live")


@pytest.fixture
def parked(
    on_that_day: None,
    cast: dict[str, User],
    tmp_path: Path,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    way: Proxy,
) -> Run:
    """Return a deploy run that is unknown: its runner was lost and its target cannot be heard."""
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    fake, driver, olaf = FakeRunner(tmp_path), Remote(way.port), cast["olaf"]
    fake.install(monkeypatch)
    monkeypatch.setattr(commands, "driver_of", lambda run: driver)
    rollout = factories.make_approved(factories.make_target(tmp_path / "dhash"), cast)
    run = actions.start(rollout, user=olaf, by=actor(olaf), now=NOW)
    drive(run, fake, stop_at="switch")
    way.turn("black hole")
    fake.lose()
    for _ in range(8):
        engine.advance(run.pk)
        run.refresh_from_db()
        if fake.running:  # a probe
            fake.fail(probing.ask(run, run.steps.get(kind="switch")).sentence)
    return run


@pytest.mark.django_db
def test_an_unknown_step_is_asked_again_until_the_target_can_be_heard(parked: Run, way: Proxy) -> None:
    assert parked.state == "UNKNOWN"
    probing.look(parked.pk, NOW)
    parked.refresh_from_db()
    assert (parked.probe["answer"], "did not answer" in parked.probe["sentence"]) == ("unknown", True)
    way.turn("pass")
    probing.look(parked.pk, later(30))
    parked.refresh_from_db()
    assert (parked.state, parked.probe["answer"], parked.probed_at) == ("UNKNOWN", "done", later(30))


def furnish(folder: Path, more: str, **settings: Any) -> Installation:
    """Return an installation whose reload lasts as long as we say."""
    house = Installation(folder / "house", targets={"one": more}, gates=GATES_S, **settings)
    hold_of(house).touch()
    return house


def hold_of(house: Installation) -> Path:
    """Return the file for as long as which a reload lasts."""
    return house.folder / "config" / "env" / "one" / "hold"


def repeated(house: Installation) -> list[Any]:
    """Return the effects that were begun more than once."""
    return house.doubled() + house.rows("SELECT kind FROM rollout_step WHERE attempt > 1 AND effect")


@pytest.mark.skipif(not FULL, reason="takes 50 s, most of them waiting for health: GR_FAULTS=full")
def test_a_deploy_whose_target_falls_silent_ends_in_time_and_is_reported(tmp_path: Path) -> None:
    """The target is reached by an address of its own, on which the proxy stands; this one cannot be stopped."""
    with furnish(tmp_path, 'host = "127.0.0.2"') as house:
        port = house.ports[0]
        with Proxy(("127.0.0.1", port), listen=("127.0.0.2", port)) as proxy:
            house.start(web=False)
            run = house.ask("deploy", environment="one")
            house.until(lambda: house.effects("one"), "the command runs")
            proxy.turn("black hole")
            hold_of(house).unlink()
            assert house.wait_end([run], patience_s=60) == ["FAILED"]
            back = "SELECT id FROM rollout_run WHERE kind = 'rollback'"
            ((rollback,),) = house.until(lambda: house.rows(back), "the rollback began")
            assert house.wait_end([rollback], patience_s=60) == ["FAILED"]
            assert house.rows("SELECT severity FROM monitoring_incident") == [("P0",)]
            assert repeated(house) == []


def test_a_worker_cut_off_from_its_database_goes_on_where_it_was(tmp_path: Path, cluster: Cluster) -> None:
    """The cable is pulled while a command runs; the command ends meanwhile; nothing is told to anybody."""
    with Namespace() as cut_off, furnish(tmp_path, "", postgres=cluster.url) as house:
        inside = f"postgres@{cut_off.outside}:{cluster.port}"
        far = {"DATABASE_URL": urlsplit(house.postgres)._replace(netloc=inside).geturl()}
        service = str(Path(__file__).with_name("small_target.py"))
        house.spawn("far-service", cut_off.argv(sys.executable, service, str(house.folder), *map(str, house.ports)))
        for name in ("worker", "pulse"):
            house.add(name, cut_off.argv(sys.executable, "manage.py", name), **far)
        run = house.ask("deploy", environment="one")
        house.until(lambda: house.effects("one"), "the command runs")
        cut_off.pull_out()
        hold_of(house).unlink()
        house.until(lambda: len(house.effects("one")) == 2, "the command ended")
        before = house.rows("SELECT kind FROM rollout_step WHERE state = 'SUCCEEDED'")
        silent = time.monotonic() + count(5, 25)  # 25: longer than the patience with the database
        house.until(lambda: time.monotonic() > silent, "a silence")
        assert house.rows("SELECT kind FROM rollout_step WHERE state = 'SUCCEEDED'") == before
        cut_off.plug_in()
        assert house.wait_end([run], patience_s=60) == ["SUCCEEDED"]
        assert repeated(house) == []
        assert house.ask("verify_audit")
