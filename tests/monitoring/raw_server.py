"""A local server that answers with exactly the bytes a test gives it, well formed or not."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Answer = Callable[[socket.socket, bytes], None]
Talk = Callable[[socket.socket], None]


class RawServer:
    """Listens on 127.0.0.1 and counts the connections; `talk` has each of them in a thread of its own."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.heads: list[bytes] = []
        self.connections = 0
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            self._talk(connection)


@contextmanager
def raw_server(answer: Answer | Talk, heads: bool = True) -> Iterator[RawServer]:
    """Serve with `answer` for each request's head, which is kept; without `heads`, `answer` is the whole talk."""

    def by_heads(connection: socket.socket) -> None:
        while not server.stopped.is_set():
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(65536)
                if not more:
                    return
                head += more
            server.heads.append(head)
            answer(connection, head)

    server = RawServer(by_heads if heads else answer)
    try:
        yield server
    finally:
        server.close()


def plain(body: bytes = b"ok", status: str = "200 OK", *headers: str) -> Answer:
    """Answer every request alike, keeping the connection open."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda connection, _: connection.sendall(whole)
