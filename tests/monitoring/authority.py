"""A real authority for time: `openssl ts` behind a small HTTP server on this machine, with a root of its own."""

import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from tests.conftest import lacks

CONF = """
[ca]
basicConstraints = critical, CA:TRUE
[tsa]
extendedKeyUsage = critical, timeStamping
[stamps]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
"""
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


class Authority:
    """Keys and certificates of an authority; `stamp` answers a query as RFC 3161 has it.

    `chain`: its root vouches for a certificate between, which vouches for the signer's; an answer carries both.
    """

    def __init__(self, folder: Path, name: str = "Test Time", *, chain: bool = False) -> None:
        self.folder, self.conf, self.chain = folder, folder / "ts.cnf", chain
        folder.mkdir(exist_ok=True)
        self.conf.write_text(f"[req]\ndistinguished_name = dn\n[dn]\n{CONF.format(folder=folder)}")
        (folder / "serial").write_text("01")
        root = ("-subj", f"/CN={name} Root", "-extensions", "ca", "-keyout", "ca.key", "-out", "ca.pem")
        self._openssl("req", "-x509", *KEY, "-days", "2", "-config", self.conf, *root)
        if chain:
            self._certify("mid", f"{name} Between", by="ca", as_a="ca")
        self._certify("tsa", name, by="mid" if chain else "ca", as_a="tsa")

    @property
    def root(self) -> Path:
        """Return the file with the certificate of the root."""
        return self.folder / "ca.pem"

    def stamp(self, query: bytes) -> bytes:
        """Return the answer to a query."""
        (self.folder / "query").write_bytes(query)
        made = ("-section", "stamps", "-signer", "tsa.pem", "-inkey", "tsa.key", "-out", "answer")
        between = ("-chain", "mid.pem") if self.chain else ()
        self._openssl("ts", "-reply", "-config", self.conf, "-queryfile", "query", *made, *between)
        return (self.folder / "answer").read_bytes()

    def says(self, text: Path, answer: Path) -> bool:
        """Say whether openssl itself finds that an answer is of a text."""
        asked = ("openssl", "ts", "-verify", "-data", text, "-in", answer, "-CAfile", self.root)
        done = subprocess.run(asked, capture_output=True, text=True)
        return done.returncode == 0 and "Verification: OK" in done.stdout

    def _certify(self, file: str, name: str, *, by: str, as_a: str) -> None:
        """Make a key, and a certificate for it by another one."""
        self._openssl(
            "req", *KEY, "-config", self.conf, "-subj", f"/CN={name}", "-keyout", f"{file}.key", "-out", "csr"
        )
        signed = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2", "-extfile", self.conf)
        self._openssl("x509", "-req", "-in", "csr", *signed, "-extensions", as_a, "-out", f"{file}.pem")

    def _openssl(self, *argv: str | Path) -> None:
        subprocess.run(["openssl", *argv], cwd=self.folder, check=True, capture_output=True)


def found(folder: Path, name: str = "Test Time", *, chain: bool = False) -> Authority:
    """Return a new authority, or skip loudly where openssl is missing."""
    if shutil.which("openssl") is None:
        lacks("openssl", "the openssl command is not there (Debian: apt install openssl)")
    return Authority(folder, name, chain=chain)


@contextmanager
def serving(answer: Callable[[bytes], bytes], status: int = 200) -> Iterator[str]:
    """Serve what a function makes of each query, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = answer(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/tsr"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
