"""The dhash example for tests: its python, throw-away worlds, and what a deploy does to an environment by hand."""

import fcntl
import os
import subprocess
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
EXAMPLE = REPOSITORY / "examples" / "dhash"
sys.path.insert(0, str(EXAMPLE))

import world  # noqa: E402

VENV = REPOSITORY / "var" / "dhash-venv"


def dhash_python() -> Path:
    """Return a python with dhash's locked requirements; install them when needed (once, also with parallel tests)."""
    VENV.parent.mkdir(exist_ok=True)
    with (VENV.parent / "dhash-venv.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return world.install(VENV)


def make_world(directory: Path, *, demo_span: bool = True) -> world.World:
    """Return a world on ports of its own, so that it meets neither a demo nor another test."""
    ports = {name: world.free_port() for name in world.DEFAULT_PORTS}
    return world.make(directory, python=dhash_python(), ports=ports, demo_span=demo_span)


def stage(made: world.World, environment: str, version: str) -> Path:
    """Unpack a release beside the live one and return its directory."""
    releases = made.root(environment) / "releases"
    directory = releases / f"{len(list(releases.iterdir())) + 1:04d}-{version}"
    with zipfile.ZipFile(made.releases / f"dhash-{version}.zip") as archive:
        archive.extractall(directory)
    return directory


def switch(made: world.World, environment: str, release_dir: Path) -> None:
    """Let `current` name the release directory."""
    current = made.root(environment) / "current"
    scratch = current.with_name("current.new")
    scratch.symlink_to(Path("releases") / release_dir.name)
    scratch.replace(current)


def post_in_background(made: world.World, environment: str, *, rate: int, seconds: float) -> subprocess.Popen:
    """Start the traffic generator; its summary comes on stdout."""
    variables = made.variables(environment)
    argv = made.command(environment, "traffic", "--rate", str(rate), "--seconds", str(seconds))
    return subprocess.Popen(argv, cwd=variables["GR_RELEASE_DIR"], env=variables, stdout=subprocess.PIPE, text=True)


def run_python(code: str, *, variables: dict[str, str] | None = None, text: bool = True) -> subprocess.CompletedProcess:
    """Run code with dhash's python and the source of 1.0.0 on its path."""
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(EXAMPLE / "src")}
    argv = [str(dhash_python()), "-c", code]
    return subprocess.run(argv, env=env | (variables or {}), capture_output=True, text=text, check=False)
