"""The smallest service that can be rolled out: one process answers for all its environments; run as a script.

`python small_target.py FOLDER PORT...`: each port answers /health with 200, after as many seconds as FOLDER/slow says.
"""

import contextlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main(folder: Path, ports: list[int]) -> None:
    """Answer until killed."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with contextlib.suppress(FileNotFoundError, ValueError):
                time.sleep(float((folder / "slow").read_text()))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    for port in ports:
        threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever).start()


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(port) for port in sys.argv[2:]])
