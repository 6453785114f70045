"""The dhash scripts: thin doors that hand everything to manage.py and bring its exit code back."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("the scripts are for POSIX shells", allow_module_level=True)

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
VERBS = ["backup", "deploy", "monitor", "rollback"]


@pytest.fixture
def checkout(tmp_path):
    """A checkout whose python prints its arguments, one a line, and leaves with 7."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    for script in SCRIPTS.glob("*.sh"):
        shutil.copy(script, tmp_path / "scripts")
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\nexit 7\n")
    python.chmod(0o755)
    return tmp_path


def run(checkout, verb, *arguments):
    argv = [str(checkout / "scripts" / f"{verb}_dhash.sh"), *arguments]
    return subprocess.run(argv, cwd="/", capture_output=True, text=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_argument_arrives_whole(checkout, verb):
    done = run(checkout, verb, "--env", "production", "--backup", "a b'c.zip")
    expected = [
        str(checkout / "manage.py"),
        verb,
        "--component",
        "dhash",
        "--env",
        "production",
        "--backup",
        "a b'c.zip",
    ]
    assert done.stdout.splitlines() == expected


@pytest.mark.parametrize("verb", VERBS)
def test_exit_code_of_the_command_comes_back(checkout, verb):
    assert run(checkout, verb).returncode == 7


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_the_usage(checkout, verb):
    done = run(checkout, verb, "--help")
    assert (done.returncode, f"scripts/{verb}_dhash.sh" in done.stdout) == (0, True)


def test_missing_virtual_environment_names_the_command_that_makes_it(checkout):
    shutil.rmtree(checkout / ".venv")
    done = run(checkout, "backup")
    assert (done.returncode, "python3 up.py" in done.stderr) == (1, True)
