#!/usr/bin/env python3
"""Start Guarded Rollout on this machine; needs Python 3.11 or newer and nothing else."""

import sys

if sys.platform == "win32":
    print("up.py: Windows is not a server platform of Guarded Rollout: use WSL2 and run this there.", file=sys.stderr)
    sys.exit(2)
if sys.version_info < (3, 11):  # noqa: UP036 - an older Python must be told so, hence this file parses on 3.6
    print(
        "up.py: Python 3.11 or newer is needed, this is %s: try python3.11 up.py" % sys.version.split()[0],  # noqa: UP031
        file=sys.stderr,
    )
    sys.exit(2)

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from scripts.supervise import Child, House, Refused, answers, free_port, only_one, say

ROOT = Path(__file__).resolve().parent
PYTHON = str(ROOT / ".venv" / "bin" / "python")
DEMO = ROOT / "var" / "demo"
DHASH_VENV = ROOT / "var" / "dhash-venv"
OUTWARD = [f"GR_{name}WEBHOOK_URL" for name in ("SLACK_", "TEAMS_", "DISCORD_", "")]
OUTWARD += ["GR_EMAIL_TO", "GR_GITHUB_TOKEN", "DATABASE_URL", "EMAIL_URL"]
START_WITHIN = 60.0  # seconds until the web process must answer

USAGE = """
python3 up.py                    start this installation (an empty one prints a link that makes the first two admins)
python3 up.py demo               a demo world of its own under var/demo and the tour of it; stays up afterwards
        demo --no-tour           the world without the tour
        demo --exit              stop after the tour; the exit code is the tour's verdict
python3 up.py test [ARGS...]     linters and every test; with ARGS only `pytest ARGS`
"""


# The ground: interpreter, libraries, .env


def install(lock: str) -> None:
    """Bring .venv to the state that a hash-locked requirements file names; nothing to do when it is there already."""
    stamp = ROOT / ".venv" / f".{lock}.sha256"
    want = hashlib.sha256((ROOT / lock).read_bytes()).hexdigest()
    if os.path.exists(PYTHON) and stamp.exists() and stamp.read_text() == want:
        return
    uv = shutil.which("uv")
    if not os.path.exists(PYTHON) or not (uv or has_pip()):
        make_venv()
    say(f"installing {lock} (hashes checked) into .venv")
    tool = (
        [uv, "pip", "install", "--python", PYTHON, "-q"]
        if uv
        else [PYTHON, "-m", "pip", "install", "-qq", "--no-input"]
    )
    call([*tool, "--require-hashes", "-r", lock])
    stamp.write_text(want)
    say("installed")


def has_pip() -> bool:
    """Say whether .venv is whole: one that was interrupted, or made by uv, has no pip."""
    return subprocess.run([PYTHON, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    """Make .venv, or name the Debian package that is missing."""
    if not all(importlib.util.find_spec(module) for module in ("venv", "ensurepip")):
        raise Refused("this Python cannot make a .venv: on Debian or Ubuntu run `apt install python3-venv` first")
    say(f"making .venv with Python {sys.version.split()[0]}")
    call([sys.executable, "-m", "venv", "--clear", ".venv"])


def call(argv: list[str], env: dict[str, str] | None = None) -> None:
    """Run a command that must succeed."""
    code = subprocess.run(argv, cwd=ROOT, env=env, check=False).returncode
    if code:
        raise Refused(f"failed with exit code {code}: {' '.join(argv)}")


def ensure_env(path: Path) -> None:
    """Write .env with a random key, readable by its owner only, unless there is one."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    with open(handle, "w", encoding="utf-8") as file:
        file.write(f"# Every setting is described in .env.example.\nDJANGO_SECRET_KEY={secrets.token_urlsafe(50)}\n")
    say("wrote .env with a random key")


def settings(path: Path) -> dict[str, str]:
    """Return what .env and the environment say; the environment wins."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {**{key.strip(): value.strip().strip("'\"") for key, value in pairs}, **os.environ}


# The stories


def serve(house: House, port: int, env: dict[str, str], logs: Path) -> None:
    """Migrate, start web, worker and pulse, and wait until the web process answers."""
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    # without the checks: they report guard triggers that only this very command creates
    code, _ = house.run([PYTHON, "manage.py", "migrate", "--noinput", "-v", "0", "--skip-checks"], env)
    if code:
        raise Refused("the database could not be migrated; see above")
    web = [PYTHON, "-m", "gunicorn", "rollout.wsgi"]
    house.add(Child("web", [*web, "--bind", f"127.0.0.1:{port}"], env, logs / "web.log"))
    deadline = time.monotonic() + START_WITHIN
    if not house.keep(lambda: answers(port) or house.children[0].failures > 2 or time.monotonic() > deadline):
        raise KeyboardInterrupt
    if not answers(port):
        tail = (logs / "web.log").read_text(encoding="utf-8", errors="replace").splitlines()[-60:]
        raise Refused("\n".join([f"the web process does not answer on port {port}; the end of web.log:", *tail]))
    for name in ("worker", "pulse"):  # after the web process, which a person waits for
        house.add(Child(name, [PYTHON, "manage.py", name], env, logs / f"{name}.log"))
    say(f"Guarded Rollout is up: {env['GR_BASE_URL']}   (logs: {logs}; Ctrl-C stops it)")


def start(options: argparse.Namespace, values: dict[str, str]) -> int:
    """Run this installation until Ctrl-C."""
    var = (ROOT / (values.get("GR_VAR") or "var")).resolve()
    with only_one(var / "up.lock") as lock, House() as house:
        port = free_port(options.port)
        url = values.get("GR_BASE_URL") or f"http://localhost:{port}"
        env = {**os.environ, "GR_PORT": str(port), "GR_BASE_URL": url, "PYTHONUNBUFFERED": "1"}
        house.run_dir = Path(values.get("GR_RUN_DIR") or var / "run")
        serve(house, port, env, var / "log")
        print(url, file=lock, flush=True)
        _, link = house.run([PYTHON, "manage.py", "first_admins_link", "--base-url", url], env, capture=True)
        if link.strip():
            say(f"nobody can sign in yet; this link makes the first two admins, once:\n\n    {link.strip()}\n")
        house.keep()
    return 0


def demo_settings(port: int) -> dict[str, str]:
    """Return settings with which the demo touches no real database, directory, channel or repository."""
    silent = {f"{name}{suffix}": "" for name in OUTWARD for suffix in ("", "_FILE")}
    own = {
        "GR_VAR": str(DEMO / "gr"),
        "GR_RUN_DIR": str(DEMO / "gr" / "run"),
        "GR_BACKUPS": str(DEMO / "backups"),
        "DATABASE_URL": f"sqlite:///{DEMO}/gr/db.sqlite3",
        "EMAIL_URL": "consolemail://",
        "GR_PORT": str(port),
        "GR_BASE_URL": f"http://localhost:{port}",
        "GR_HTTPS": "0",
        "DJANGO_ALLOWED_HOSTS": "localhost,127.0.0.1",
    }
    return silent | own


def world(*arguments: str) -> None:
    """Let the dhash processes of the demo world be installed, made, started or stopped."""
    call([PYTHON, "examples/dhash/world.py", *arguments])


def make_world() -> None:
    """Make a fresh world in var/demo; dhash's own libraries stand beside it, and survive."""
    if (DEMO / "world.json").exists():
        say("resetting the demo world that an earlier run left in var/demo")
        world("stop", str(DEMO))
    shutil.rmtree(DEMO, ignore_errors=True)
    say("installing dhash's own libraries")
    world("install", str(DHASH_VENV))
    say("building the dhash releases")
    world("make", str(DEMO), "--gates", "demo", "--python", str(DHASH_VENV / "bin" / "python"))


def demo(options: argparse.Namespace) -> int:
    """Make the demo world, show it, and return the tour's verdict."""
    with only_one(ROOT / "var" / "demo.lock") as lock, contextlib.ExitStack() as stack:
        port = free_port(options.port)
        make_world()
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in demo_settings(port).items())
        (DEMO / "settings.sh").write_text("".join(lines), encoding="utf-8")
        env = {**os.environ, **demo_settings(port), "PYTHONUNBUFFERED": "1"}
        stack.callback(world, "stop", str(DEMO))
        say("starting dhash 1.0.0 in canary, staging and production")
        world("start", str(DEMO))
        house = stack.enter_context(House())
        house.run_dir = Path(env["GR_RUN_DIR"])
        serve(house, port, env, DEMO / "log")
        traffic = [PYTHON, "examples/dhash/demo_traffic.py", str(DEMO)]
        house.add(Child("traffic", traffic, dict(os.environ), DEMO / "log" / "traffic.log"))
        print(env["GR_BASE_URL"], file=lock, flush=True)
        show_logins(house, env)
        code = 0 if options.no_tour else tour(house, env)
        if not options.exit:
            house.keep()
    return code


def show_logins(house: House, env: dict[str, str]) -> None:
    """Let demo_world set up people, component and rollouts, and print who can sign in."""
    say("setting up people, component and rollouts")
    argv = [PYTHON, "manage.py", "demo_world", "--dir", str(DEMO), "--base-url", env["GR_BASE_URL"]]
    code, text = house.run(argv, env, capture=True)
    if code:
        raise Refused(f"manage.py demo_world failed with exit code {code}\n{text}")
    facts = json.loads(text)
    print("\n    user          password              role")
    for login in facts["logins"]:
        print(f"    {login['username']:<13} {login['password']:<21} {login['role']}")
    for name, url in facts["urls"].items():
        print(f"    {name}: {url}")
    print(flush=True)


def tour(house: House, env: dict[str, str]) -> int:
    """Run the tour, an HTTP client that owns the verdict."""
    say("the tour begins; watch it in the browser as well")
    argv = [PYTHON, "examples/dhash/tour.py", "--base-url", env["GR_BASE_URL"], "--world", str(DEMO)]
    code, _ = house.run(argv, env)
    say("the tour has passed" if code == 0 else f"THE TOUR HAS FAILED (exit code {code})")
    return code


def test(arguments: list[str]) -> int:
    """Install what the tests need and hand over to tests/run.py."""
    install("requirements-dev.txt")
    return subprocess.run([PYTHON, "tests/run.py", *arguments], cwd=ROOT, check=False).returncode


def main(argv: list[str]) -> int:
    """Parse the command line, prepare the ground, tell the story that was asked for; return the exit code."""
    if argv[:1] == ["test"]:
        return test(argv[1:])
    values = settings(ROOT / ".env")
    parser = argparse.ArgumentParser("up.py", usage=USAGE, description=__doc__)
    parser.add_argument("command", nargs="?", choices=["start", "demo", "test"], default="start")
    parser.add_argument("--port", type=int, default=values.get("GR_PORT") or None, help="a port that must be free")
    parser.add_argument("--no-tour", action="store_true", help="demo: the world without the tour")
    parser.add_argument("--exit", action="store_true", help="demo: stop after the tour, exit with its verdict")
    options = parser.parse_args(argv)
    if options.command != "demo" and (options.no_tour or options.exit):
        parser.error("--no-tour and --exit belong to `up.py demo`")
    install("requirements.txt")
    ensure_env(ROOT / ".env")
    return demo(options) if options.command == "demo" else start(options, values)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Refused as refusal:
        print(f"up.py: {refusal}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
