"""`python -m dhash.ctl start|stop|reload|status`: the service's processes in one environment."""

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dhash import database, launch, processes, settings
from dhash.service import Failed, Service

HEALTHY_WITHIN_S = 20.0
STOP_PATIENCE_S = 10.0
TAKEOVER_S = 6.0


def start(service: Service) -> str:
    """Start the release that `current` names; return what to tell."""
    wanted = launch.prepare(service.settings, service.root, service.release_dir())
    if service.processes():
        return _already_running(service, wanted.version)
    _refuse_busy_port(service)
    offset = _size(service.error_log)
    wanted.save(service.run_dir / "launch.json")
    with service.error_log.open("ab") as log:
        child = subprocess.Popen(
            wanted.argv,
            cwd=wanted.cwd,
            env=wanted.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )
    well = _wait_for(service, wanted, gone=lambda: child.poll() is not None)
    if not well:
        processes.end(service.processes, patience_s=2.0)
        service.forget()
        raise Failed(f"{wanted.version} did not come up; it is stopped. Its log:\n{service.log_since(offset)}")
    service.remember(wanted, child.pid)
    return f"started {wanted.version} at {service.settings.base_url} (pid {child.pid}, {wanted.cwd})"


def stop(service: Service) -> str:
    """Stop every process; return what to tell."""
    found = service.processes()
    if not processes.end(service.processes, patience_s=STOP_PATIENCE_S):
        raise Failed(f"still alive after KILL: {[process.pid for process in service.processes()]}")
    service.forget()
    database.fold_log(service.settings.database)
    return f"stopped {len(found)} processes" if found else "nothing was running"


def reload(service: Service) -> str:
    """Let the release that `current` names take over the listening socket; the old one serves until it is well."""
    found = service.processes()
    if not found:
        return start(service)
    old = _serving_master(service, found)
    wanted = launch.prepare(service.settings, service.root, service.release_dir())
    offset = _size(service.error_log)
    wanted.save(service.run_dir / "launch.json")

    def fresh() -> list[processes.Process]:
        return [process for process in service.processes() if process.launch == wanted.id]

    def rest() -> list[processes.Process]:
        return [process for process in service.processes() if process.launch != wanted.id]

    appeared = _take_over(old, fresh)
    if not appeared or not _wait_for(service, wanted, gone=lambda: not fresh()):
        processes.end(fresh, patience_s=2.0)
        still = (service.health() or {}).get("version", "nothing well")
        raise Failed(f"{wanted.version} did not come up; {still} serves on. The log:\n{service.log_since(offset)}")
    service.remember(wanted, processes.masters(fresh())[0].pid)
    processes.end(rest, patience_s=launch.GRACEFUL_S + 4)
    return f"reloaded: {wanted.version} serves at {service.settings.base_url} ({wanted.cwd})"


def status(service: Service) -> str:
    """Return the state as JSON; raise Failed when the service is not well."""
    found, health = service.processes(), service.health()
    said = json.dumps({"processes": [process.pid for process in found], "health": health})
    if not found or health is None:
        raise Failed(said)
    return said


def _already_running(service: Service, version: str) -> str:
    if not processes.wait_until(lambda: service.health() is not None, timeout_s=HEALTHY_WITHIN_S, every_s=0.2):
        raise Failed("its processes run but /health is not well; run stop, then start")
    running = (service.health() or {}).get("version")
    if running != version:
        raise Failed(f"{running} is running and current is {version}; run reload, or stop and start")
    return f"{version} is already running at {service.settings.base_url}"


def _refuse_busy_port(service: Service) -> None:
    address = (service.settings.host, service.settings.port)
    with socket.socket() as probe:
        probe.settimeout(1.0)
        if probe.connect_ex(address) == 0:
            raise Failed(f"{address[0]}:{address[1]} is taken by another program; nothing was started")


def _wait_for(service: Service, wanted: launch.Launch, *, gone: Callable[[], bool]) -> bool:
    """Wait until this very launch answers, which is more than its version; give up at once when it is gone."""
    deadline = time.monotonic() + HEALTHY_WITHIN_S
    while time.monotonic() < deadline:
        answered, said = service.said()
        ours = (said.get("launch"), said.get("version")) == (wanted.id, wanted.version)
        if ours and answered == 200:
            return True
        if ours and "needed_schema" in said:
            print(
                f"/health of {wanted.version}: schema {said['schema']}, needs {said['needed_schema']}", file=sys.stderr
            )
            return False  # waiting migrates nothing
        if gone():
            return False
        time.sleep(0.05)
    return False


def _serving_master(service: Service, found: list[processes.Process]) -> processes.Process:
    """Return the master to take over from; end what a reload that was killed half-way left beside it."""
    try:
        serving = launch.load(service.run_dir / "serving.json").id
    except (OSError, ValueError, TypeError):
        serving = found[0].launch
    stray = [process for process in found if process.launch != serving]
    if stray and len(stray) < len(found):
        strays = {process.launch for process in stray}
        processes.end(lambda: [one for one in service.processes() if one.launch in strays], patience_s=5.0)
    kept = [process for process in processes.masters(service.processes()) if process.launch == serving]
    if len(kept) != 1:
        raise Failed(f"expected one master to take over from, found {len(kept)}; run stop, then start")
    return kept[0]


def _take_over(old: processes.Process, fresh: Callable[[], list[processes.Process]]) -> bool:
    """Ask the old master to start the new one; a master promoted a moment ago ignores the first request."""
    deadline = time.monotonic() + TAKEOVER_S
    while time.monotonic() < deadline:
        processes.send([old], signal.SIGUSR2)
        if processes.wait_until(lambda: bool(fresh()), timeout_s=1.2, every_s=0.02):
            return True
    return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0 when it holds, 1 when not."""
    commands = {"start": start, "stop": stop, "reload": reload, "status": status}
    parser = argparse.ArgumentParser(prog="dhash.ctl", description=__doc__)
    parser.add_argument("command", choices=commands)
    chosen = parser.parse_args(argv).command
    if not processes.supported():
        print(
            "error: dhash.ctl finds its processes in /proc, which this system lacks; run it on Linux", file=sys.stderr
        )
        return 1
    try:
        service = Service()
        with service.locked():
            print(commands[chosen](service), flush=True)
    except (Failed, settings.SettingsError, OSError) as error:
        print(f"{chosen} failed: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
