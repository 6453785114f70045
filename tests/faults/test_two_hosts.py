"""Two hosts with one PostgreSQL, each with workers and a pulse: a run stays with its host, also when that host dies.

Both stand on this machine: a host is a GR_HOST_ID with a GR_RUN_DIR; to lose it is kill -9 of all that belongs to it.
"""

import contextlib
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.proc import environ_of, family, lives, wait_for
from tests.faults.processes import MANAGE, Installation

ALPHA, BETA = "alpha", "beta"
HOME = {"a0": ALPHA, "b0": BETA}
BESIDE = {"b1": BETA}  # what beta is asked to do while its other target waits for a person
LOST_AFTER_S = 15


class Hosts:
    """The installation, and what happened in it."""

    def __init__(self, house: Installation) -> None:
        self.house = house
        self.runs: dict[str, int] = {}

    def start(self, host: str, *names: str) -> None:
        """Start a host: as many clusters and pulses as it is given names for."""
        for name in names:
            for command in ("worker", "pulse"):
                self.house.add(f"{command}-{name}", [*MANAGE, command], GR_HOST_ID=host, GR_RUN_DIR=self.run_dir(host))
        self.house.until(lambda: all(self.house.is_up(f"worker-{name}") for name in names), f"{host} is up")

    def run_dir(self, host: str) -> str:
        """Return where a host keeps locks and runner files."""
        return str(self.house.folder / f"run-{host}")

    def lose(self, host: str) -> None:
        """Kill everything of a host at the same moment, its runners and their commands too; nothing starts again."""
        for name in [name for name, child in self.house.children.items() if child.env["GR_HOST_ID"] == host]:
            del self.house.children[name]
        mark = f"GR_HOST_ID={host}".encode()
        while found := [pid for pid in self.house.processes() if mark in environ_of(pid).split(b"\0") and lives(pid)]:
            for one in {*found, *(child for pid in found for child in family(pid))}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)

    def deploy(self, *environments: str) -> list[int]:
        """Start a rollout on each target."""
        found = [self.house.ask("deploy", environment=name) for name in environments]
        self.runs |= dict(zip(environments, found, strict=True))
        return found

    def stuck(self, environment: str) -> int:
        """Start a rollout that stops in the middle of its effect; return its run."""
        (self.house.root(environment) / "hold").touch()
        before = len(self.house.effects(environment))
        run = self.deploy(environment)[0]
        self.house.until(lambda: len(self.house.effects(environment)) > before, "the effect has begun")
        return run

    def folders(self, host: str, run: int) -> list[str]:
        """Return the steps of a run that were started on a host."""
        return [path.parent.name for path in Path(self.run_dir(host)).glob(f"steps/run{run}-*/started.json")]


@pytest.fixture(scope="module")
def hosts(postgres_url: str) -> Iterator[Hosts]:
    """Return two live hosts: alpha has two clusters and two pulses, beta one of each."""
    folder = Path(tempfile.mkdtemp(prefix="gr-hosts-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    targets = {name: f'runs_on = "{host}"' for name, host in (HOME | BESIDE).items()}
    settings = {"GR_HOST_LOST_SECONDS": str(LOST_AFTER_S), "GR_HOST_ID": "desk"}
    with Installation(folder / "gr", targets=targets, postgres=postgres_url, **settings) as house:
        made = Hosts(house)
        made.start(ALPHA, "alpha-1", "alpha-2")
        made.start(BETA, "beta-1")
        yield made
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def ended(hosts: Hosts) -> dict[str, int]:
    """A run on every target, ended."""
    hosts.house.wait_end(hosts.deploy(*HOME))
    return dict(hosts.runs)


@pytest.fixture(scope="module")
def lost(hosts: Hosts, ended: dict[str, int]) -> int:
    """A run of beta that was in the middle of its effect when beta was lost."""
    run = hosts.stuck("b0")
    hosts.lose(BETA)
    hosts.house.until(lambda: hosts.house.state_of(run) == "UNKNOWN", "alpha finds that beta is lost")
    return run


@pytest.fixture(scope="module")
def back(hosts: Hosts, lost: int) -> int:
    """The same run, after beta came back and did other work."""
    (hosts.house.root("b0") / "hold").unlink()
    hosts.start(BETA, "beta-again")
    hosts.house.wait_end(hosts.deploy(*BESIDE))
    return lost


def test_every_run_ends(hosts: Hosts, ended: dict[str, int]) -> None:
    assert {hosts.house.state_of(run) for run in ended.values()} == {"SUCCEEDED"}


def test_every_run_is_executed_on_its_own_host(hosts: Hosts, ended: dict[str, int]) -> None:
    seen = {name: [host for host in (ALPHA, BETA) if hosts.folders(host, run)] for name, run in ended.items()}
    assert seen == {name: [host] for name, host in HOME.items()}


def test_two_clusters_and_two_pulses_of_a_host_start_no_command_twice(hosts: Hosts, ended: dict[str, int]) -> None:
    steps = [name.rpartition("-try")[0] for run in ended.values() for name in hosts.folders(ALPHA, run)]
    assert sorted(steps) == sorted(set(steps))


def test_no_effect_is_doubled(hosts: Hosts, ended: dict[str, int]) -> None:
    assert hosts.house.doubled() == []


def test_polls_of_a_watch_are_numbered_without_a_gap(hosts: Hosts, ended: dict[str, int]) -> None:
    rows = hosts.house.rows("SELECT count(*), max(number), min(number) FROM monitoring_poll GROUP BY watch_id")
    assert len(rows) == len(ended)
    assert all((count, first) == (last, 1) for count, last, first in rows)


def test_run_of_a_lost_host_is_unknown(hosts: Hosts, lost: int) -> None:
    states = hosts.house.rows("SELECT DISTINCT state FROM rollout_step WHERE run_id = ? AND kind = 'switch'", lost)
    assert states == [("UNKNOWN",)]


def test_lost_host_is_a_p0_incident(hosts: Hosts, lost: int) -> None:
    rows = hosts.house.rows("SELECT i.severity FROM monitoring_incident i JOIN rollout_run r ON r.incident_id = i.id")
    assert ("P0",) in rows


def test_run_of_a_lost_host_is_not_done_elsewhere(hosts: Hosts, lost: int) -> None:
    assert hosts.folders(ALPHA, lost) == []


def test_host_that_came_back_works(hosts: Hosts, back: int) -> None:
    assert hosts.house.state_of(hosts.runs["b1"]) == "SUCCEEDED"


def test_host_that_came_back_does_not_run_it_again(hosts: Hosts, back: int) -> None:
    begun = [line for line in hosts.house.effects("b0") if line[0] == "begin"]
    assert (hosts.house.state_of(back), len(begun)) == ("UNKNOWN", 2)  # one by the run before, one by this


def test_the_audit_holds(hosts: Hosts, back: int) -> None:
    assert hosts.house.ask("verify_audit").endswith("the chain holds\n")


def test_no_process_is_left(hosts: Hosts, back: int) -> None:
    hosts.house.stop()
    wait_for(lambda: not hosts.house.left_over(), "the end of every process", more=lambda: str(hosts.house.left_over()))
