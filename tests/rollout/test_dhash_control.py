"""`dhash.ctl` on real processes: start, stop and reload hold their promises, also when something goes wrong."""

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

from tests.dhash_world import make_world, post_in_background, stage, switch

pytestmark = pytest.mark.slow

WHERE = "production"


@pytest.fixture
def dhash(tmp_path):
    made = make_world(tmp_path / "world")
    yield made
    made.stop_all()


def health(made) -> dict:
    with urllib.request.urlopen(made.base_url(WHERE) + "/health", timeout=5) as answer:
        return json.load(answer)


def pids(made) -> list[int]:
    return json.loads(made.run(WHERE, "ctl", "status").stdout)["processes"]


def shared(made) -> Path:
    return made.root(WHERE) / "shared"


def test_starting_twice_is_harmless(dhash):
    dhash.start(WHERE)
    before = pids(dhash)
    assert "1.0.0 is already running" in dhash.start(WHERE)
    assert pids(dhash) == before


def test_stop_leaves_no_process_and_one_database_file(dhash):
    dhash.start(WHERE)
    running = pids(dhash)
    assert len(running) == 3
    assert dhash.stop(WHERE) == "stopped 3 processes"
    assert not [pid for pid in running if Path(f"/proc/{pid}/cwd").exists()]
    assert sorted(path.name for path in shared(dhash).glob("*sqlite3*")) == ["dhash.sqlite3"]
    assert not (shared(dhash) / "run" / "dhash.pid").exists()


def test_a_start_changes_no_byte_of_the_database(dhash):
    database = shared(dhash) / "dhash.sqlite3"
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    dhash.start(WHERE)
    assert health(dhash)["schema"] == 1
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before


def test_stopping_what_does_not_run_is_fine(dhash):
    assert dhash.stop(WHERE) == "nothing was running"


def test_status_says_that_nothing_runs(dhash):
    assert dhash.run(WHERE, "ctl", "status").returncode == 1


def test_a_stale_pid_file_is_no_hindrance_and_its_process_is_left_alone(dhash):
    with subprocess.Popen(["sleep", "60"]) as innocent:
        (shared(dhash) / "run" / "dhash.pid").write_text(f"{innocent.pid}\n")
        dhash.start(WHERE)
        dhash.stop(WHERE)
        assert innocent.poll() is None
        innocent.kill()


def test_a_killed_service_starts_again(dhash):
    dhash.start(WHERE)
    for pid in pids(dhash):
        os.kill(pid, signal.SIGKILL)
    assert "started 1.0.0" in dhash.start(WHERE)


def test_a_copy_of_the_root_does_not_touch_the_original(dhash, tmp_path):
    dhash.start(WHERE)
    scratch = tmp_path / "scratch"
    subprocess.run(["cp", "-a", str(dhash.root(WHERE)), str(scratch)], check=True)
    variables = dhash.variables(WHERE) | {
        "GR_ROOT": str(scratch),
        "GR_CURRENT": str(scratch / "current"),
        "GR_SHARED": str(scratch / "shared"),
    }
    argv = dhash.command(WHERE, "ctl", "stop")
    done = subprocess.run(argv, cwd=scratch / "current", env=variables, capture_output=True, text=True, check=False)
    assert done.stdout == "nothing was running\n"
    assert health(dhash)["version"] == "1.0.0"


def test_a_port_taken_by_another_program_is_named(dhash):
    with socket.create_server(("127.0.0.1", dhash.ports[WHERE])):
        done = dhash.run(WHERE, "ctl", "start")
    assert done.returncode == 1
    assert "is taken by another program" in done.stderr


def test_the_service_holds_no_descriptor_of_its_starter(dhash, tmp_path):
    with (tmp_path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        variables = dhash.variables(WHERE)
        subprocess.run(
            dhash.command(WHERE, "ctl", "start"),
            cwd=variables["GR_RELEASE_DIR"],
            env=variables,
            pass_fds=(handle.fileno(),),
            check=True,
            stdout=subprocess.DEVNULL,
        )
    with (tmp_path / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_it_runs_in_the_real_directory_and_a_session_of_its_own(dhash):
    dhash.start(WHERE)
    for pid in pids(dhash):
        assert os.readlink(f"/proc/{pid}/cwd") == str((dhash.root(WHERE) / "current").resolve())
        assert os.getsid(pid) != os.getsid(0)


def test_no_post_fails_while_releases_change(dhash):
    dhash.start(WHERE)
    traffic = post_in_background(dhash, WHERE, rate=40, seconds=8)
    switch(dhash, WHERE, stage(dhash, WHERE, "1.1.0"))
    assert dhash.run(WHERE, "migrate").returncode == 0
    for _ in range(3):
        done = dhash.run(WHERE, "ctl", "reload")
        assert done.returncode == 0, done.stderr
    summary = json.loads(traffic.communicate()[0])
    assert (health(dhash)["version"], summary["failed"], summary["answers"]) == ("1.1.0", 0, {"201": 320})


def test_no_new_connection_is_refused_while_releases_change(dhash):
    dhash.start(WHERE)
    switch(dhash, WHERE, stage(dhash, WHERE, "1.1.0"))
    dhash.run(WHERE, "migrate")
    variables = dhash.variables(WHERE)
    argv = dhash.command(WHERE, "ctl", "reload")
    versions = []
    with subprocess.Popen(argv, cwd=variables["GR_RELEASE_DIR"], env=variables, stdout=subprocess.DEVNULL) as reloading:
        while reloading.poll() is None:
            versions.append(health(dhash)["version"])
    assert reloading.returncode == 0
    assert set(versions) == {"1.0.0", "1.1.0"}


def test_after_a_reload_only_the_new_release_runs_in_its_own_directory(dhash):
    dhash.start(WHERE)
    old = pids(dhash)
    release = stage(dhash, WHERE, "1.1.0")
    switch(dhash, WHERE, release)
    dhash.run(WHERE, "migrate")
    dhash.run(WHERE, "ctl", "reload")
    new = pids(dhash)
    assert not set(old) & set(new)
    assert {os.readlink(f"/proc/{pid}/cwd") for pid in new} == {str(release)}


def take_over_half_way(made) -> None:
    """Do what a reload does until the new master serves, and then no more, as if it had been killed there."""
    notes = shared(made) / "run"
    second = json.loads((notes / "serving.json").read_text())
    second["id"] = second["env"]["DHASH_LAUNCH"] = "half-way"
    (notes / "launch.json").write_text(json.dumps(second))
    os.kill(int((notes / "dhash.pid").read_text()), signal.SIGUSR2)
    deadline = time.monotonic() + 10
    while len(pids(made)) < 6 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(pids(made)) == 6


def test_stop_ends_what_a_killed_reload_left(dhash):
    dhash.start(WHERE)
    take_over_half_way(dhash)
    assert dhash.stop(WHERE) == "stopped 6 processes"


def test_a_reload_ends_what_a_killed_reload_left(dhash):
    dhash.start(WHERE)
    take_over_half_way(dhash)
    done = dhash.run(WHERE, "ctl", "reload")
    assert done.returncode == 0, done.stderr
    assert len(pids(dhash)) == 3


def test_a_reload_of_a_stopped_service_starts_it(dhash):
    assert "started 1.0.0" in dhash.run(WHERE, "ctl", "reload").stdout


def test_a_release_whose_migration_is_missing_never_takes_over(dhash):
    dhash.start(WHERE)
    switch(dhash, WHERE, stage(dhash, WHERE, "1.1.0"))
    done = dhash.run(WHERE, "ctl", "reload")
    assert (done.returncode, health(dhash)["version"]) == (1, "1.0.0")
    assert "/health of 1.1.0: schema 1, needs 2" in done.stderr
