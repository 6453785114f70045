"""The database server dies, answers no commit, or forgets the last one: nothing is done twice, and all goes on."""

import json
import random
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.faults.cluster import Cluster
from tests.faults.processes import Installation
from tests.faults.scale import count, seed
from tests.faults.tcp_proxy import Proxy

DROP_CLIENTS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as made:
        yield made


@pytest.fixture
def proxy(cluster: Cluster) -> Iterator[Proxy]:
    with Proxy(("127.0.0.1", cluster.port)) as made:
        yield made


def furnish(folder: Path, cluster: Cluster, proxy: Proxy | None = None) -> Installation:
    """Return an installation on the cluster, all of whose processes go through the proxy."""
    house = Installation(folder / "house", targets={"one": ""}, postgres=cluster.url)
    if proxy is not None:
        place = f"127.0.0.1:{proxy.port}"
        house.env["DATABASE_URL"] = urlsplit(house.postgres)._replace(netloc=f"postgres@{place}").geturl()
    return house


def hold_of(house: Installation) -> Path:
    """Return the file for as long as which a reload lasts."""
    return house.folder / "config" / "env" / "one" / "hold"


def web_reads(house: Installation) -> bool:
    """Say whether the web process reads its database, at the first request that it gets."""
    ask = urllib.request.Request(f"http://127.0.0.1:{house.port}/readyz", headers={"Accept": "application/json"})
    try:
        answer = urllib.request.urlopen(ask)
    except urllib.error.HTTPError as unready:
        answer = unready
    with answer:
        return bool(json.load(answer)["checks"]["database"]["ok"])


def check(house: Installation, run: int) -> None:
    """Check what must hold whatever the server did."""
    assert house.doubled() == []
    assert len(house.effects("one")) == 2
    assert house.rows("SELECT kind FROM rollout_step WHERE run_id = ? AND attempt > 1 AND effect", run) == []
    house.hand.kill()  # its connection may be dead, and nobody drives it on
    house.hand = house.spawn("stagehand", [sys.executable, "-m", "tests.faults.stagehand"])
    assert house.ask("verify_audit")


def test_a_server_that_crashes_at_any_statement_delays_a_run_and_repeats_nothing(
    tmp_path: Path, cluster: Cluster
) -> None:
    chosen, stop = seed(), tmp_path / "statement"
    chance = random.Random(chosen)
    with furnish(tmp_path, cluster) as house:
        run, crashes = house.ask("deploy", environment="one"), 0
        reached = stop.with_suffix(".reached")
        while crashes < count(3, 40) and house.state_of(run) in ("QUEUED", "RUNNING"):
            stop.write_text(str(chance.randrange(1, 120)))
            driver = house.spawn(f"driver-{crashes}", [sys.executable, "-m", "tests.faults.foreground", str(stop)])
            ended = driver.poll
            house.until(lambda ended=ended: reached.exists() or ended() is not None, "a statement was reached")
            if reached.exists():
                cluster.restart()
                crashes += 1
            stop.unlink()
            reached.unlink(missing_ok=True)
            driver.wait(60)
        assert crashes
        driver = house.spawn("driver", [sys.executable, "-m", "tests.faults.foreground", str(stop)])
        assert house.wait_end([run]) == ["SUCCEEDED"], f"seed {chosen}"
        check(house, run)


def test_a_commit_that_nobody_answers_is_read_again_and_nothing_is_done_twice(
    tmp_path: Path, cluster: Cluster, proxy: Proxy
) -> None:
    """One commit of each process is cut, before or after it reached the server; the next process has to find out."""
    chosen = seed()
    chance, commits, cuts = random.Random(chosen), [0], list[str]()
    with furnish(tmp_path, cluster, proxy) as house:
        run = house.ask("deploy", environment="one")
        wanted = [0]

        def judge(data: bytes) -> str:
            commits[0] += b"COMMIT\0" in data
            if b"COMMIT\0" in data and commits[0] == wanted[0]:
                cuts.append(chance.choice(["before", "after"]))
                return cuts[-1]
            return ""

        proxy.judge = judge
        for number in range(count(4, 60)):
            commits[0], wanted[0] = 0, chance.randrange(1, 9)
            driver = house.spawn(f"driver-{number}", [sys.executable, "-m", "tests.faults.foreground", "/none"])
            driver.wait(60)
        proxy.judge = lambda data: ""
        assert cuts
        house.spawn("driver", [sys.executable, "-m", "tests.faults.foreground", "/none"])
        assert house.wait_end([run]) == ["SUCCEEDED"], f"seed {chosen}, {cuts}"
        check(house, run)


def test_everything_comes_back_by_itself_when_the_server_crashes_or_drops_its_clients(
    tmp_path: Path, cluster: Cluster
) -> None:
    chosen = seed()
    chance = random.Random(chosen)
    with furnish(tmp_path, cluster) as house:
        hold_of(house).touch()
        house.start()
        alive = house.beats()
        run = house.ask("deploy", environment="one")
        house.until(lambda: house.effects("one"), "the command runs")
        for number in range(count(2, 40)):
            assert web_reads(house), f"the web process keeps a dead connection, after {number} faults"
            if number % 2:
                cluster.restart()
            else:
                house.rows(DROP_CLIENTS)
            end = time.monotonic() + chance.random()
            house.until(lambda end=end: time.monotonic() > end, "a moment")
        hold_of(house).unlink()
        assert house.wait_end([run], patience_s=60) == ["SUCCEEDED"], f"seed {chosen}"
        house.wait_beats(alive)
        check(house, run)


def test_a_standby_that_missed_the_last_step_does_not_repeat_it(tmp_path: Path, cluster: Cluster) -> None:
    with (
        Cluster() as primary,
        Cluster(primary) as standby,
        Proxy(("127.0.0.1", primary.port)) as proxy,
        furnish(tmp_path, primary, proxy) as house,
    ):
        hold_of(house).touch()
        house.start(web=False)
        run = house.ask("deploy", environment="one")
        staged = "SELECT 1 FROM rollout_step WHERE run_id = ? AND kind = 'stage' AND state = 'RUNNING'"
        house.until(lambda: house.rows(staged, run), "the step before the effect began")
        standby.stop()
        house.until(lambda: house.effects("one"), "the command runs")
        primary.stop()
        standby.start()
        standby.promote()
        proxy.upstream = ("127.0.0.1", standby.port)
        house.postgres = urlsplit(house.postgres)._replace(netloc=f"postgres@127.0.0.1:{standby.port}").geturl()
        assert house.rows("SELECT state FROM rollout_step WHERE run_id = ? AND effect", run) == [("PENDING",)]
        hold_of(house).unlink()
        assert house.wait_end([run], patience_s=60) == ["UNKNOWN"]
        assert [line[0] for line in house.effects("one")] == ["begin", "end"]
        assert house.rows("SELECT severity FROM monitoring_incident") == [("P0",)]
