"""up.py: the ground that it lays, and what it refuses."""

import hashlib
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("up.py refuses to run on Windows", allow_module_level=True)

import up
from scripts import supervise

ROOT = Path(up.__file__).resolve().parent


@pytest.fixture
def ground(tmp_path, monkeypatch):
    """A root with a lock and an interpreter; every command up.py would call is noted instead."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    python = tmp_path / ".venv" / "bin" / "python"
    python.symlink_to(sys.executable)
    (tmp_path / "requirements.txt").write_text("one==1\n")
    monkeypatch.setattr(up, "ROOT", tmp_path)
    monkeypatch.setattr(up, "PYTHON", str(python))
    monkeypatch.setattr(up, "has_pip", lambda: True)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    called: list[list[str]] = []
    monkeypatch.setattr(up, "call", called.append)
    return tmp_path, called


def test_first_install_checks_hashes_and_leaves_a_stamp(ground):
    root, called = ground
    up.install("requirements.txt")
    assert "--require-hashes" in called[0]
    assert (root / ".venv" / ".requirements.txt.sha256").read_text() == hashlib.sha256(b"one==1\n").hexdigest()


def test_second_install_of_the_same_lock_calls_nothing(ground):
    _, called = ground
    up.install("requirements.txt")
    called.clear()
    up.install("requirements.txt")
    assert called == []


def test_changed_lock_is_installed_again(ground):
    root, called = ground
    up.install("requirements.txt")
    (root / "requirements.txt").write_text("one==2\n")
    up.install("requirements.txt")
    assert len(called) == 2


def test_failed_install_leaves_no_stamp(ground, monkeypatch):
    root, _ = ground
    monkeypatch.setattr(up, "call", lambda argv: (_ for _ in ()).throw(up.Refused("pip failed")))
    with pytest.raises(up.Refused):
        up.install("requirements.txt")
    assert not (root / ".venv" / ".requirements.txt.sha256").exists()


def test_uv_is_used_when_it_is_on_the_path(ground, monkeypatch):
    _, called = ground
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    up.install("requirements.txt")
    assert called[0][:3] == ["/usr/bin/uv", "pip", "install"]


def test_half_made_venv_is_made_again(ground, monkeypatch):
    _, called = ground
    monkeypatch.setattr(up, "has_pip", lambda: False)
    up.install("requirements.txt")
    assert called[0][1:] == ["-m", "venv", "--clear", ".venv"]


def test_missing_ensurepip_names_the_debian_package(monkeypatch):
    monkeypatch.setattr(up.importlib.util, "find_spec", lambda name: None if name == "ensurepip" else object())
    with pytest.raises(up.Refused, match="apt install python3-venv"):
        up.make_venv()


def test_both_locks_pin_the_same_versions():
    def pins(name):
        return set(re.findall(r"^(\S+==[^\s;\\]+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt") <= pins("requirements-dev.txt")


def test_env_has_a_random_key_that_only_the_owner_reads(tmp_path, monkeypatch):
    monkeypatch.delenv("DJANGO_SECRET_KEY", raising=False)
    up.ensure_env(tmp_path / "a")
    up.ensure_env(tmp_path / "b")
    keys = {up.settings(tmp_path / name)["DJANGO_SECRET_KEY"] for name in "ab"}
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    assert len(keys) == 2
    assert all(len(key) >= 50 for key in keys)


def test_existing_env_is_left_alone(tmp_path):
    (tmp_path / ".env").write_text("DJANGO_SECRET_KEY=mine\n")
    up.ensure_env(tmp_path / ".env")
    assert (tmp_path / ".env").read_text() == "DJANGO_SECRET_KEY=mine\n"


def test_environment_wins_over_env_file(tmp_path, monkeypatch):
    (tmp_path / ".env").write_text("# a comment = no setting\nexport GR_PORT='8123'\nGR_VAR=elsewhere\n")
    monkeypatch.setenv("GR_VAR", "here")
    monkeypatch.delenv("GR_PORT", raising=False)
    values = up.settings(tmp_path / ".env")
    assert (values["GR_PORT"], values["GR_VAR"]) == ("8123", "here")


def test_wanted_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(up.Refused, match="is taken"):
            supervise.free_port(taken.getsockname()[1])


def test_free_port_can_be_bound():
    with socket.socket() as probe:
        # as servers do: a port whose last connections are still waiting for late packets is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", supervise.free_port(None)))


def test_second_holder_of_an_installation_is_told_where_the_first_one_is(tmp_path):
    with supervise.only_one(tmp_path / "up.lock") as lock:
        print("http://localhost:8000", file=lock, flush=True)
        with pytest.raises(up.Refused, match="http://localhost:8000"), supervise.only_one(tmp_path / "up.lock"):
            pass


def test_demo_reaches_no_real_channel_database_or_repository():
    settings = up.demo_settings(8000)
    assert not [settings[f"{name}_FILE"] for name in up.OUTWARD if settings[f"{name}_FILE"]]
    said = {name: settings[name] for name in up.OUTWARD if settings[name]}
    assert said == {"DATABASE_URL": f"sqlite:///{up.DEMO}/gr/db.sqlite3", "EMAIL_URL": "consolemail://"}


def test_windows_is_sent_to_wsl2():
    trick = "import sys, runpy; sys.platform = 'win32'; runpy.run_path('up.py', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", trick], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, "use WSL2" in done.stderr) == (2, True)


def old_pythons():
    """Pythons older than 3.11 on this machine, on the PATH or kept by pyenv."""
    found = [shutil.which(f"python3.{minor}") for minor in range(6, 11)]
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*/bin/python")
    versions = {path: re.search(r"/3\.(\d+)\.", str(path)) for path in kept}
    return [p for p in found if p] + [str(p) for p, minor in versions.items() if minor and 6 <= int(minor[1]) < 11]


@pytest.mark.slow
def test_older_pythons_are_told_the_version_they_need():
    runs = [subprocess.run([p, "up.py"], cwd=ROOT, capture_output=True, text=True) for p in old_pythons()]
    runs = [run for run in runs if "pyenv: python3" not in run.stderr]  # a shim of pyenv that leads nowhere
    if not runs:
        pytest.skip("NO PYTHON OLDER THAN 3.11 HERE: the message for it was not seen")
    assert {run.returncode for run in runs} == {2}
    assert all("Python 3.11 or newer is needed" in run.stderr for run in runs)


@pytest.mark.parametrize("arguments", [["--exit"], ["start", "--no-tour"], ["nonsense"], ["--port", "x"]])
def test_wrong_usage_exits_2_before_anything_is_installed(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        up.main(arguments)
    assert exit_.value.code == 2
    assert "usage:" in capsys.readouterr().err
