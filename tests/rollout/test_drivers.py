"""A release directory is staged whole, switched by one rename, and a command is an argv with whole placeholders."""

import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from rollout import component
from rollout.drivers import DRIVERS, DriverError, argv
from rollout.drivers.argv import Done
from rollout.drivers.base import version_of
from rollout.drivers.ports import spare_port
from rollout.target import DRIVERS as DECLARED
from rollout.target import TargetSpec
from tests import factories

RELEASE = "releases/0002-1.1.0"
driver = DRIVERS["release_dir"]


def quiet(line: str) -> None:
    """Take what nobody reads."""


@pytest.fixture
def spec(tmp_path: Path) -> TargetSpec:
    """Return a target on disk whose live release is 1.0.0."""
    path = factories.write_component(tmp_path)
    gates = (tmp_path / "quality-gates-config.json").read_text()
    return component.parse(path.read_text(), gates_text=gates, base=tmp_path).target("production")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return a release archive."""
    with zipfile.ZipFile(tmp_path / "dhash-1.1.0.zip", "w") as made:
        made.writestr("VERSION", "1.1.0\n")
        made.writestr("dhash/ctl.py", "print('1.1.0')\n")
    return tmp_path / "dhash-1.1.0.zip"


def test_every_declared_driver_exists() -> None:
    assert set(DRIVERS) == set(DECLARED)


def test_the_live_release_is_what_the_link_names(spec: TargetSpec) -> None:
    assert driver.live(spec) == "releases/0001-1.0.0"


def test_without_a_link_nothing_is_live(spec: TargetSpec) -> None:
    (spec.root_path / "current").unlink()
    assert driver.live(spec) == ""


def test_staging_changes_nothing_that_is_served(spec: TargetSpec, archive: Path) -> None:
    driver.stage(spec, archive, RELEASE, log=quiet)
    assert (spec.root_path / RELEASE / "VERSION").read_text() == "1.1.0\n"
    assert driver.live(spec) == "releases/0001-1.0.0"


def test_staging_again_replaces_what_an_earlier_try_left(spec: TargetSpec, archive: Path) -> None:
    for place in (RELEASE, "releases/.staging-0002-1.1.0"):
        (spec.root_path / place).mkdir()
        (spec.root_path / place / "half").touch()
    driver.stage(spec, archive, RELEASE, log=quiet)
    assert sorted(file.name for file in (spec.root_path / RELEASE).iterdir()) == ["VERSION", "dhash"]
    assert not (spec.root_path / "releases/.staging-0002-1.1.0").exists()


def test_the_live_release_is_never_staged_over(spec: TargetSpec, archive: Path) -> None:
    with pytest.raises(DriverError, match="is live"):
        driver.stage(spec, archive, "releases/0001-1.0.0", log=quiet)


def test_a_switch_moves_the_link(spec: TargetSpec, archive: Path) -> None:
    driver.stage(spec, archive, RELEASE, log=quiet)
    driver.switch(spec, RELEASE, log=quiet)
    assert driver.live(spec) == RELEASE


def test_a_switch_can_be_repeated_after_a_kill(spec: TargetSpec, archive: Path) -> None:
    driver.stage(spec, archive, RELEASE, log=quiet)
    (spec.root_path / ".current.new").symlink_to("nowhere")
    driver.switch(spec, RELEASE, log=quiet)
    driver.switch(spec, RELEASE, log=quiet)
    assert driver.live(spec) == RELEASE


def test_what_is_not_staged_is_not_switched_to(spec: TargetSpec) -> None:
    with pytest.raises(DriverError, match="is not staged"):
        driver.switch(spec, RELEASE, log=quiet)
    assert driver.live(spec) == "releases/0001-1.0.0"


@pytest.mark.parametrize(
    ("directory", "version"), [(RELEASE, "1.1.0"), ("releases/0001-1.0.0-rc1", "1.0.0-rc1"), ("", "")]
)
def test_a_version_is_read_from_the_directory(directory: str, version: str) -> None:
    assert version_of(directory) == version


def run(spec: TargetSpec, *command: str, timeout_s: int = 10, log: list[str] | None = None) -> Done:
    made = replace(spec, commands={"start": command}, placeholders={"python": sys.executable})
    where = spec.root_path / "releases/0001-1.0.0"
    say = quiet if log is None else log.append
    return argv.run(made, "start", release_dir=where, version="1.0.0", log=say, timeout_s=timeout_s)


def test_placeholders_are_filled_in_as_whole_arguments(spec: TargetSpec) -> None:
    done = run(spec, "echo", "{environment}", "{port}", "{base_url}", "{release}")
    assert done.output == "production 8103 http://127.0.0.1:8103 1.0.0\n"


def test_an_argument_is_never_read_by_a_shell(spec: TargetSpec) -> None:
    assert run(spec, "echo", "$(id)", "; reboot", "`x`").output == "$(id) ; reboot `x`\n"


def test_a_command_sees_the_same_values_as_variables(spec: TargetSpec) -> None:
    assert run(spec, "sh", "-c", 'echo "$GR_PORT $GR_ENVIRONMENT $PWD"').output.split()[:2] == ["8103", "production"]


def test_a_command_sees_no_secret_of_ours(spec: TargetSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SECRET_KEY", "canary")
    assert "canary" not in run(spec, "env").output


def test_a_command_runs_in_the_release_directory(spec: TargetSpec) -> None:
    assert run(spec, "pwd").last_line.endswith("releases/0001-1.0.0")


def test_each_line_is_told(spec: TargetSpec) -> None:
    told: list[str] = []
    run(spec, "echo", "hello", log=told)
    assert told[1:] == ["  hello", "  exit 0"]


def test_a_command_that_is_not_there_exits_with_127(spec: TargetSpec) -> None:
    done = run(spec, "/no/such/command")
    assert (done.code, done.ok) == (127, False)


@pytest.mark.slow
def test_a_command_that_takes_too_long_exits_with_124(spec: TargetSpec) -> None:
    done = run(spec, "sleep", "30", timeout_s=1)
    assert (done.code, done.last_line) == (124, "ended after its time-out of 1 s")


@pytest.mark.slow
def test_a_command_that_never_stops_printing_is_ended(spec: TargetSpec) -> None:
    done = run(spec, "yes", timeout_s=60)
    assert (done.code, done.last_line) == (125, "ended because it printed more than 8388608 bytes")
    assert len(done.output) < 8388608 + 100


def test_bytes_that_are_no_text_stay_visible(spec: TargetSpec) -> None:
    assert run(spec, "printf", r"\377 ok\n").output == "\\xff ok\n"


def test_a_staged_release_is_there(spec: TargetSpec, archive: Path) -> None:
    params = {"release_dir": RELEASE}
    assert driver.probe(spec, "stage", params).answer == "not_done"
    driver.stage(spec, archive, RELEASE, log=quiet)
    assert driver.probe(spec, "stage", params).answer == "done"


def test_a_switch_is_seen_on_the_link(spec: TargetSpec, archive: Path) -> None:
    params = {"release_dir": RELEASE}
    driver.stage(spec, archive, RELEASE, log=quiet)
    before = driver.probe(spec, "switch", params)
    driver.switch(spec, RELEASE, log=quiet)
    after = driver.probe(spec, "switch", params)
    assert (before.answer, before.live) == ("not_done", "releases/0001-1.0.0")
    assert (after.answer, after.live) == ("done", RELEASE)


@pytest.mark.parametrize("kind", ["migrate", "stop", "restore", "start"])
def test_of_what_a_command_did_the_disk_says_nothing(spec: TargetSpec, kind: str) -> None:
    assert driver.probe(spec, kind, {}).answer == "unknown"


HOLDS = "import os, sys; sys.exit(0 if os.path.exists('/proc/self/fd/' + sys.argv[1]) else 9)"


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
@pytest.mark.parametrize(("name", "code"), [("smoke", 0), ("start", 9)])
def test_a_command_holds_the_lock_unless_it_leaves_a_daemon(
    spec: TargetSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    with (tmp_path / "lock").open("w") as lock:
        monkeypatch.setenv("GR_LOCK_DESCRIPTOR", str(lock.fileno()))
        holder = replace(spec, commands={name: (sys.executable, "-c", HOLDS, str(lock.fileno()))})
        done = argv.run(holder, name, release_dir=tmp_path, version="1", log=print, timeout_s=10)
    assert done.code == code


def test_a_silent_command_says_so(spec: TargetSpec) -> None:
    assert run(spec, "true").last_line == "(no output)"


def test_a_spare_port_can_be_taken() -> None:
    assert 1024 < spare_port("127.0.0.1") < 65536
