"""A TCP proxy that misbehaves: it passes bytes on, swallows them, drips them, resets, or cuts at a chosen moment."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Literal, Self

Mode = Literal["pass", "black hole", "reset", "half close", "drip"]
# What a judge says about bytes that a client sends: pass them on, or cut the connection before or after that.
Verdict = Literal["", "before", "after"]
DRIP_S = 1.0


class Proxy:
    """Listens on 127.0.0.1 (or another loopback address) and connects to `upstream`; both may change while it runs."""

    def __init__(self, upstream: tuple[str, int], *, listen: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.upstream, self.mode = upstream, "pass"
        self.judge: Callable[[bytes], Verdict] = lambda data: ""
        self.pairs: set[tuple[socket.socket, socket.socket]] = set()
        self.connections = 0
        self.listener = socket.create_server(listen)
        self.port: int = self.listener.getsockname()[1]
        self.closed = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def turn(self, mode: Mode) -> None:
        """Behave so from now on, on old connections too."""
        self.mode = mode

    def cut(self) -> None:
        """Reset every connection that stands."""
        for client, server in list(self.pairs):
            _reset(client)
            _reset(server)

    def close(self) -> None:
        """Stop listening and reset what stands."""
        self.closed.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def _accept(self) -> None:
        while not self.closed.is_set():
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self.mode == "reset":
            _reset(client)
            return
        try:
            server = socket.create_connection(self.upstream, timeout=5)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        pair = (client, server)
        self.pairs.add(pair)
        back = threading.Thread(target=self._pump, args=(server, client, self._answer), daemon=True)
        back.start()
        self._pump(client, server, self._ask)
        back.join()
        self.pairs.discard(pair)
        client.close()
        server.close()

    def _pump(
        self, source: socket.socket, sink: socket.socket, pass_on: Callable[[socket.socket, bytes], bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                while self.mode == "black hole" and not self.closed.wait(0.02):
                    pass  # not lost: a network that comes back delivers what was sent again and again
                if self.mode == "reset" or not pass_on(sink, data):
                    break
            else:
                sink.shutdown(socket.SHUT_WR)
                return
        _reset(source)
        _reset(sink)

    def _ask(self, server: socket.socket, data: bytes) -> bool:
        verdict = self.judge(data)
        if verdict != "before":
            server.sendall(data)
        if verdict == "after":
            time.sleep(0.05)  # the server does what it was asked; nobody hears of it
        return not verdict

    def _answer(self, client: socket.socket, data: bytes) -> bool:
        if self.mode == "half close":
            client.sendall(data[: len(data) // 2])
            client.shutdown(socket.SHUT_WR)
            self.closed.wait()
        if self.mode == "drip":
            for at in range(len(data)):
                client.sendall(data[at : at + 1])
                if self.mode == "drip":
                    self.closed.wait(DRIP_S)
        else:
            client.sendall(data)
        return True


def _reset(connection: socket.socket) -> None:
    """Close a connection so that the other side sees a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()
