"""A demo world for dhash: its own virtual environment, release archives, and three environments with 1.0.0 live.

python3 examples/dhash/world.py install VENV_DIR
python3 examples/dhash/world.py make DIR [--python PYTHON] [--gates PROFILE] [--live-span]
python3 examples/dhash/world.py start|stop DIR [ENVIRONMENT ...]
"""

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import build_releases  # noqa: E402
from install import InstallError, install  # noqa: E402

DEFAULT_PORTS = {"canary": 8101, "staging": 8102, "production": 8103}
FIRST = "1.0.0"
SEEDS = "3"
# In the demo every duration of the gates is a fortieth; so is the span that the metrics look back.
LIVE_SPAN_S, DEMO_SPAN_S = 300, 7.5
# When 1.2.0 turns bad: after so many images. 10 images a second make it about 20 s.
DEMO_THUMBNAILS = 200


class WorldError(Exception):
    """The world cannot be made or moved; the message says why."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A made world: where it is, whose python runs dhash, and the port of each environment."""

    directory: Path
    python: Path
    ports: dict[str, int]

    @property
    def component_file(self) -> Path:
        """Return the component.toml that is valid in this world."""
        return self.directory / "component.toml"

    @property
    def releases(self) -> Path:
        """Return the directory of the archives and releases.json."""
        return self.directory / "releases"

    def root(self, environment: str) -> Path:
        """Return the root of an environment."""
        return self.directory / "env" / environment

    def base_url(self, environment: str) -> str:
        """Return the address that the environment's service answers at."""
        return f"http://127.0.0.1:{self.ports[environment]}"

    def variables(self, environment: str) -> dict[str, str]:
        """Return the environment variables that a rollout gives to the component's commands."""
        root = self.root(environment)
        release_dir = (root / "current").resolve()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
        return kept | {
            "PYTHONDONTWRITEBYTECODE": "1",
            "GR_COMPONENT": "dhash",
            "GR_ENVIRONMENT": environment,
            "GR_RELEASE": (release_dir / "VERSION").read_text(encoding="utf-8").strip(),
            "GR_ROOT": str(root),
            "GR_RELEASE_DIR": str(release_dir),
            "GR_CURRENT": str(root / "current"),
            "GR_SHARED": str(root / "shared"),
            "GR_HOST": "127.0.0.1",
            "GR_PORT": str(self.ports[environment]),
            "GR_BASE_URL": self.base_url(environment),
        }

    def command(self, environment: str, module: str, *arguments: str) -> list[str]:
        """Return the argv of one of dhash's commands."""
        return [str(self.python), "-m", f"dhash.{module}", *arguments]

    def run(self, environment: str, module: str, *arguments: str) -> subprocess.CompletedProcess:
        """Run one of dhash's commands in the live release directory; its output is captured as text."""
        variables = self.variables(environment)
        return subprocess.run(
            self.command(environment, module, *arguments),
            cwd=variables["GR_RELEASE_DIR"],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self, environment: str) -> str:
        """Start the environment's service unless it runs; raise WorldError when it does not come up."""
        return self._must(environment, "start")

    def stop(self, environment: str) -> str:
        """Stop the environment's service; nothing running is no error."""
        return self._must(environment, "stop")

    def stop_all(self) -> None:
        """Stop every environment's service, also when one of them resists."""
        failures = []
        for environment in self.ports:
            try:
                self.stop(environment)
            except WorldError as error:
                failures.append(str(error))
        if failures:
            raise WorldError("\n".join(failures))

    def _must(self, environment: str, command: str) -> str:
        done = self.run(environment, "ctl", command)
        if done.returncode != 0:
            raise WorldError(f"dhash.ctl {command} in {environment}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.strip()


def make(
    directory: Path,
    *,
    python: Path,
    ports: dict[str, int] | None = None,
    demo_span: bool = True,
    gates: dict[str, str] | None = None,
) -> World:
    """Make a fresh world in an empty or missing directory; nothing is started.

    `ports` and `gates` (environment -> profile of the gates file) replace what component.toml says.
    """
    directory = directory.resolve()
    if directory.exists() and any(directory.iterdir()):
        raise WorldError(f"{directory} is not empty; stop the world in it and remove it, or choose another")
    world = World(directory=directory, python=Path(os.path.abspath(python)), ports=ports or free_ports())
    build_releases.build(world.releases)
    for environment in world.ports:
        _make_root(world, environment, demo_span)
    _copy_component(world, gates or {})
    said = {key: value if key == "ports" else str(value) for key, value in asdict(world).items()}
    (directory / "world.json").write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")
    return world


def load(directory: Path) -> World:
    """Return the world that was made in a directory."""
    try:
        said = json.loads((directory / "world.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise WorldError(f"{directory} holds no world ({error}); make one first") from error
    return World(directory=Path(said["directory"]), python=Path(said["python"]), ports=said["ports"])


def free_ports() -> dict[str, int]:
    """Return the default ports where they are free, and other free ones where not."""
    return {name: port if _is_free(port) else free_port() for name, port in DEFAULT_PORTS.items()}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _make_root(world: World, environment: str, demo_span: bool) -> None:
    root = world.root(environment)
    release = root / "releases" / f"0001-{FIRST}"
    for part in (release, root / "shared" / "config", root / "shared" / "log", root / "shared" / "run"):
        part.mkdir(parents=True)
    with zipfile.ZipFile(world.releases / f"dhash-{FIRST}.zip") as archive:
        archive.extractall(release)
    (root / "current").symlink_to(Path("releases") / release.name)
    config = {"metrics_span_s": DEMO_SPAN_S if demo_span else LIVE_SPAN_S}
    if demo_span:
        config |= {"thumbnail_cache_size": DEMO_THUMBNAILS, "thumbnail_wait_step_ms": 50}
    (root / "shared" / "config" / "dhash.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    for module, arguments in (("migrate", ()), ("seed", (SEEDS,))):
        done = world.run(environment, module, *arguments)
        if done.returncode != 0:
            raise WorldError(f"dhash.{module} in {environment}: {done.stderr.strip()}")


def _copy_component(world: World, gates: dict[str, str]) -> None:
    text = (HERE / "component.toml").read_text(encoding="utf-8")
    text = re.sub(r'(?m)^python = ".*"$', f"python = {json.dumps(str(world.python))}", text)
    for environment, port in world.ports.items():
        text = _with_value(text, environment, "port", str(port))
    for environment, profile in gates.items():
        text = _with_value(text, environment, "gates", json.dumps(profile))
    world.component_file.write_text(text, encoding="utf-8")
    gates = HERE / "quality-gates-config.json"
    if gates.exists():
        shutil.copyfile(gates, world.directory / gates.name)
    shutil.copytree(HERE / "runbooks", world.directory / "runbooks")


def _with_value(text: str, environment: str, key: str, value: str) -> str:
    line = rf"(?m)(^\[environments\.{environment}\]$(?:\n(?!\[).*)*?\n{key} = )[^\n]*"
    text, found = re.subn(line, lambda match: match[1] + value, text)
    if found != 1:
        raise WorldError(f"component.toml: no {key} found in [environments.{environment}]")
    return text


def main() -> int:
    """Run one command of this file's docstring."""
    parser = argparse.ArgumentParser(prog="world.py", description="Make, start and stop a demo world for dhash.")
    parser.add_argument("command", choices=("install", "make", "start", "stop"))
    parser.add_argument("directory", type=Path)
    parser.add_argument("environments", nargs="*", help="start, stop: which (default all)")
    parser.add_argument("--python", type=Path, help="make: python that has dhash's requirements")
    parser.add_argument("--gates", help="make: gate profile of every environment instead of component.toml's")
    parser.add_argument("--live-span", action="store_true", help="make: metrics look back 300 s instead of 7.5 s")
    options = parser.parse_args()
    try:
        if options.command == "install":
            print(install(options.directory))
        elif options.command == "make":
            python = options.python or install(options.directory.resolve().parent / "dhash-venv")
            gates = dict.fromkeys(DEFAULT_PORTS, options.gates) if options.gates else None
            world = make(options.directory, python=python, demo_span=not options.live_span, gates=gates)
            print("\n".join(f"{name} {world.base_url(name)} {world.root(name)}" for name in world.ports))
        else:
            world = load(options.directory)
            for environment in options.environments or world.ports:
                print(f"{environment}: {getattr(world, options.command)(environment)}", flush=True)
    except (WorldError, InstallError, KeyError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
