"""Fault 27: large, many, lying and broken uploads, against a real gunicorn: bounded memory, all or nothing."""

import contextlib
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.faults import scale
from tests.faults.proc import free_ports, wait_for

ROOT = Path(__file__).resolve().parents[2]
MIB = 1024**2
LARGE = scale.count(192, 2048) * MIB
LIMIT = 2048 * MIB
RSS_LIMIT_KIB = 150 * 1024
PARALLEL = 20
BLOCK = bytes(range(256)) * 4096  # 1 MiB


class Site:
    """A gunicorn over an installation of its own, as CI meets it."""

    def __init__(self, var: Path) -> None:
        self.var, self.port = var, free_ports(1)[0]
        self.env = {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DJANGO_SETTINGS_MODULE": "rollout.settings",
            "DJANGO_SECRET_KEY": "only-for-tests",
            "GR_VAR": str(var),
            "GR_RUN_DIR": str(var / "run"),
            "GR_BACKUPS": str(var / "backups"),
            "GR_UPLOAD_LIMIT_BYTES": str(LIMIT),
            "EMAIL_URL": "memorymail://",
        }
        filled = self.hand("fill")
        self.token = json.loads(filled[1])["token"]
        web = [sys.executable, "-m", "gunicorn", "rollout.wsgi"]
        more = ["--bind", f"127.0.0.1:{self.port}"]
        self.log = (var / "web.log").open("wb")
        self.process = subprocess.Popen(
            [*web, *more], cwd=ROOT, env=self.env, stdout=self.log, stderr=self.log, start_new_session=True
        )

    def hand(self, order: str) -> list[str]:
        """Let the hand that knows the database do a piece of work; return what it told."""
        argv = [sys.executable, "-m", "tests.faults.disk_hand"]
        done = subprocess.run(argv, cwd=ROOT, env=self.env, input=f"{order}\ng", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def answers(self) -> bool:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        return False

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()

    # --- what CI sends

    def head(self, length: int, *, method: str = "PUT", **headers: str) -> bytes:
        sent = {
            "Host": "localhost",
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "application/octet-stream",
            "X-Filename": "logs.zip",
            "Content-Length": str(length),
            "Connection": "close",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        lines = [f"{method} /api/v1/releases/3/artifacts/monitor_logs HTTP/1.1"]
        return "\r\n".join([*lines, *(f"{name}: {value}" for name, value in sent.items()), "", ""]).encode()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=300)

    def put(self, blocks: Iterator[bytes], length: int, **headers: str) -> tuple[int, dict[str, Any]]:
        with self.connect() as connection:
            connection.sendall(self.head(length, **headers))
            for block in blocks:
                connection.sendall(block)
            return read_answer(connection)

    # --- what stands on the disk

    def incoming(self) -> list[str]:
        """Return what is still being written, or was left."""
        places = [*(self.var / "artifacts").glob(".incoming-*"), *(self.var / "uploads").iterdir()]
        return [path.name for path in places]

    def kept(self) -> set[str]:
        return {path.name for path in (self.var / "artifacts").glob("??/*")}

    def peak_kib(self) -> int:
        """Return the most memory that any of the processes ever held."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return max(_peak_kib(int(pid)) for pid in children)


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def read_answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    body = response.read()
    return response.status, json.loads(body) if body.startswith(b"{") else {"text": body.decode(errors="replace")}


def blocks_of(size: int, seed: int) -> Iterator[bytes]:
    """Yield so many bytes, others for another seed."""
    block = seed.to_bytes(8, "big") + BLOCK[8:]
    for _ in range(size // MIB):
        yield block
    yield block[: size % MIB]


def sha256_of(size: int, seed: int) -> str:
    digest = hashlib.sha256()
    for block in blocks_of(size, seed):
        digest.update(block)
    return digest.hexdigest()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Return a running site."""
    made = Site(tmp_path_factory.mktemp("uploads"))
    try:
        wait_for(made.answers, "gunicorn answers")
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def nothing_is_left(site: Site) -> Iterator[None]:
    """After every test nothing half is left, and every file that stands has the bytes that its name says."""
    yield
    wait_for(lambda: not site.incoming(), "what was being written is gone", more=lambda: str(site.incoming()))
    assert site.answers()


def test_a_large_body_is_kept_in_little_memory(site: Site) -> None:
    sha256 = sha256_of(LARGE, 1)
    begun = time.monotonic()
    status, told = site.put(blocks_of(LARGE, 1), LARGE, X_SHA256=sha256)
    print(f"\n{LARGE // MIB} MiB in {time.monotonic() - begun:.1f} s, peak {site.peak_kib() // 1024} MiB")
    assert (status, told["sha256"], told["size"]) == (201, sha256, LARGE)
    assert site.peak_kib() < RSS_LIMIT_KIB
    remove(site, sha256)


def test_a_large_form_is_kept_in_little_memory(site: Site) -> None:
    front = b'--cut\r\nContent-Disposition: form-data; name="file"; filename="logs.zip"\r\n\r\n'
    back = b"\r\n--cut--\r\n"
    with site.connect() as connection:
        length = len(front) + LARGE + len(back)
        connection.sendall(site.head(length, method="POST", Content_Type="multipart/form-data; boundary=cut"))
        for block in (front, *blocks_of(LARGE, 2), back):
            connection.sendall(block)
        status, told = read_answer(connection)
    assert (status, told["sha256"]) == (201, sha256_of(LARGE, 2))
    assert site.peak_kib() < RSS_LIMIT_KIB
    remove(site, told["sha256"])


def remove(site: Site, sha256: str) -> None:
    """Give the room back: what a test proved about a large file needs no disk any longer."""
    (site.var / "artifacts" / sha256[:2] / sha256).unlink()


def test_twenty_at_once_are_all_kept_whole(site: Site) -> None:
    size = 2 * MIB + 17
    with ThreadPoolExecutor(PARALLEL) as pool:
        answers = list(pool.map(lambda seed: site.put(blocks_of(size, seed), size), range(100, 100 + PARALLEL)))
    assert [status for status, _ in answers] == [201] * PARALLEL
    wanted = {sha256_of(size, seed) for seed in range(100, 100 + PARALLEL)}
    assert {told["sha256"] for _, told in answers} == wanted
    assert wanted <= site.kept()
    assert site.peak_kib() < RSS_LIMIT_KIB


def test_a_length_that_is_larger_than_the_body_is_refused(site: Site) -> None:
    kept = site.kept()
    with site.connect() as connection:
        connection.sendall(site.head(2 * MIB) + BLOCK)
        connection.shutdown(socket.SHUT_WR)
        status, told = read_answer(connection)
    assert (status, kept) == (400, site.kept()), told


def test_a_length_that_is_smaller_than_the_body_never_passes_for_the_whole(site: Site) -> None:
    kept = site.kept()
    status, told = site.put(blocks_of(2 * MIB, 7), MIB, X_SHA256=sha256_of(2 * MIB, 7))
    assert (status, "does not match" in told["error"]) == (422, True)
    site_kept = site.kept() - kept
    assert site_kept <= {sha256_of(MIB, 7)}  # bytes that no row names: swept after a day


def test_a_body_over_the_limit_is_refused_before_it_is_sent(site: Site) -> None:
    with site.connect() as connection:
        connection.sendall(site.head(10 * 1024 * MIB))
        status, told = read_answer(connection)
    assert (status, f"at most {LIMIT} bytes" in told["expected"]) == (413, True)


def test_a_connection_that_breaks_at_99_percent_leaves_nothing(site: Site) -> None:
    kept, size = site.kept(), 32 * MIB
    with site.connect() as connection:
        connection.sendall(site.head(size))
        for block in blocks_of(size * 99 // 100, 3):
            connection.sendall(block)
        wait_for(site.incoming, "the body is being written")
        # a reset, as of a client that died
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_for(lambda: not site.incoming(), "what was written is taken back")
    assert site.kept() == kept


def test_every_row_has_its_file_and_its_bytes(site: Site) -> None:
    size = MIB + 1
    site.put(blocks_of(size, 55), size)
    *_, told, _ = site.hand("look")
    found = json.loads(told)
    large = {sha256_of(LARGE, seed) for seed in (1, 2)}
    assert (found["audit"], found["left"], len(found["torn"]) <= len(large)) == ([], [], True)
