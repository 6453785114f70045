"""A PostgreSQL server of a test's own, that may be killed, copied and replaced by its standby."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from tests.conftest import lacks
from tests.faults.proc import free_ports

# A test server needs no disk that survives a power cut; the standby and a restart need everything else.
QUICK = "-c fsync=off -c shared_buffers=16MB -c max_wal_senders=4 -c wal_level=replica -c checkpoint_timeout=1h"


def binaries() -> Path:
    """Return where initdb and pg_ctl are; skip loudly where they are missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4]))
    if not found:
        lacks("postgres", "no /usr/lib/postgresql/*/bin/initdb: apt install postgresql")
    return found[-1].parent


class Cluster:
    """A server on a port of its own; leave it with `close`, after which nothing of it is left."""

    def __init__(self, origin: "Cluster | None" = None, *, listen: str = "127.0.0.1") -> None:
        """Make and start an empty server, or a standby of `origin` that streams from it."""
        self.bin, self.port, self.listen = binaries(), free_ports(1)[0], listen
        self.folder = Path(tempfile.mkdtemp(prefix="gr-cluster-"))
        try:
            self._make(origin)
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Return the URL of its first database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses={self.listen} -c unix_socket_directories={self.folder} {QUICK}"
        self._run("pg_ctl", "-D", self._data, "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it, as a crash does unless another mode is named."""
        self._run("pg_ctl", "-D", self._data, "-w", "-m", mode, "stop")

    def restart(self) -> None:
        """Let it crash and come back."""
        self.stop()
        self.start()

    def promote(self) -> None:
        """Make a standby the server that takes writes."""
        self._run("pg_ctl", "-D", self._data, "-w", "promote")

    def close(self) -> None:
        """Stop it and remove its files."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _make(self, origin: "Cluster | None") -> None:
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        if origin is None:
            self._run("initdb", "-D", self._data, "-A", "trust", "-U", "postgres", "--no-sync")
            with (self._data / "pg_hba.conf").open("a") as access:
                access.write("host all all samenet trust\n")
        else:
            self._run("pg_basebackup", "-d", origin.url, "-D", self._data, "-R", "-c", "fast", "--no-sync")

    def _run(self, tool: str, *arguments: object) -> None:
        who = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        # into a file: a server that was started would keep a pipe open for ever
        with (self.folder / "tools.log").open("ab") as log:
            argv = [*who, str(self.bin / tool), *map(str, arguments)]
            subprocess.run(argv, stdout=log, stderr=log, cwd="/", check=True, timeout=60)
