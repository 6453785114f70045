"""The supervisor of up.py with real processes: what is restarted, what Ctrl-C ends, what survives."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("up.py refuses to run on Windows", allow_module_level=True)

from scripts import supervise

ROOT = supervise.ROOT
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]


def wait_for(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def child(tmp_path, script, name="fake"):
    return supervise.Child(name, [sys.executable, "-c", script], dict(os.environ), tmp_path / f"{name}.log")


def gone(pid):
    """Say whether a process has ended; a zombie that nobody reaps has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_dead_child_is_restarted(tmp_path):
    house, starts = supervise.House(), tmp_path / "starts"
    house.add(child(tmp_path, f"open({str(starts)!r}, 'a').write('x')"))
    assert house.keep(lambda: starts.exists() and len(starts.read_text()) == 2)
    house.children[0].kill()


def test_restarts_slow_down_to_five_seconds(tmp_path):
    fake = child(tmp_path, "pass")
    pauses, now = [], 0.0
    for _ in range(7):
        fake.look(now)
        fake.process.wait()
        fake.look(now)
        pauses.append(fake.due - now)
        now = fake.due
    assert pauses == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


GRANDCHILD = """
import subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session={session})
open({path!r}, "w").write(str(left.pid)); sys.stdout.close()
"""


def test_what_a_dead_child_left_in_its_group_is_killed(tmp_path):
    fake, path = child(tmp_path, GRANDCHILD.format(session=False, path=str(tmp_path / "pid"))), tmp_path / "pid"
    fake.start(0.0)
    fake.process.wait()
    fake.look(0.0)
    wait_for(lambda: gone(int(path.read_text())))


def test_command_under_a_detached_runner_survives_its_worker(tmp_path):
    fake, path = child(tmp_path, GRANDCHILD.format(session=True, path=str(tmp_path / "pid"))), tmp_path / "pid"
    fake.start(0.0)
    fake.process.wait()
    fake.kill()
    pid = int(path.read_text())
    try:
        assert not gone(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


FAKE = """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: {on_term})
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""
HOUSE = """
import os, sys
from pathlib import Path
from scripts.supervise import Child, House
fake, log = sys.argv[1], Path(sys.argv[2])
with House() as house:
    house.add(Child("fake", [sys.executable, "-c", fake], dict(os.environ), log))
    house.keep(lambda: "ready" in log.read_text())
    print("child", house.children[0].process.pid, flush=True)
    house.keep()
"""


@pytest.fixture
def house(tmp_path):
    """Start an up.py-like process over one fake child; return the process and the child's pid."""
    started, children = [], []

    def start(on_term):
        argv = [sys.executable, "-c", HOUSE, FAKE.format(on_term=on_term), str(tmp_path / "fake.log")]
        process = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        started.append(process)
        while not (line := process.stdout.readline()).startswith("child"):
            assert line, "the house fell down"
        children.append(int(line.split()[1]))
        return process, children[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in children:
        if not gone(pid):
            os.kill(pid, signal.SIGKILL)


class TestCtrlC:
    def test_first_one_lets_a_child_finish(self, house, tmp_path):
        process, pid = house("(print('finished', flush=True), exit(0))")
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
        assert "killing" not in output
        assert "finished" in (tmp_path / "fake.log").read_text()
        assert gone(pid)

    def test_first_one_waits_for_a_child_that_is_busy(self, house):
        process, pid = house("None")
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        assert not gone(pid)

    def test_second_one_kills_it(self, house):
        process, pid = house("None")
        process.send_signal(signal.SIGINT)
        assert "stopping" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
        assert "killing fake" in output
        assert gone(pid)

    def test_killed_up_takes_its_children_along(self, house):
        process, pid = house("exit(0)")
        process.kill()
        wait_for(lambda: gone(pid))


STEP = """
import json, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
(folder / "started.json").write_text(json.dumps({"runner_pid": os.getpid()}))
time.sleep(float(sys.argv[2]))
(folder / "exit.json").write_text("{}")
"""


def running_step(tmp_path, seconds):
    """Start a step as a runner leaves it, and return its folder and process."""
    folder = tmp_path / "steps" / "run1-step1-try1"
    folder.mkdir(parents=True)
    process = subprocess.Popen([sys.executable, "-c", STEP, str(folder), str(seconds)])
    wait_for((folder / "started.json").exists)
    return folder, process


def a_house_that_stops(tmp_path):
    house = supervise.House()
    house.run_dir = tmp_path
    house.children = [child(tmp_path, "pass")]
    return house


def test_the_first_ctrl_c_waits_for_a_running_step(tmp_path):
    folder, process = running_step(tmp_path, 0.3)
    house = a_house_that_stops(tmp_path)
    house.presses = 1
    house.stop()
    process.wait()
    assert (folder / "exit.json").exists()
    assert not (folder / "cancel").exists()


def test_a_second_ctrl_c_ends_the_command_of_a_running_step(tmp_path):
    folder, process = running_step(tmp_path, 60)
    house = a_house_that_stops(tmp_path)
    house.presses = 2
    house.stop()
    process.kill()
    process.wait()
    assert (folder / "cancel").exists()


def test_a_step_whose_runner_is_gone_is_not_waited_for(tmp_path):
    _, process = running_step(tmp_path, 60)
    process.kill()
    process.wait()
    assert supervise.running_steps(tmp_path) == []
