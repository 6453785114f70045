"""Connections that know when their request must be over; for monitoring/http.py alone.

A read time-out restarts with every byte, so it never catches a server that drips. These sockets shrink their own
time-out before each read and write to what is left: no watchdog thread, and it holds for TLS, headers and body alike.
"""

import functools
import math
import queue
import socket
import ssl
import threading
import time
from http.client import HTTPResponse
from typing import Any

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError


class _Request(threading.local):
    """The one request that a thread is doing: when it must be over, and whether it opened a connection of its own."""

    ends = math.inf
    dialled = False


current = _Request()


def start(timeout_s: float) -> None:
    """Give this thread's next request `timeout_s` seconds in all."""
    current.ends, current.dialled = time.monotonic() + timeout_s, False


def remaining() -> float:
    """Return the seconds that are left; raise TimeoutError when none are."""
    left = current.ends - time.monotonic()
    if left <= 0:
        raise TimeoutError("the request's time is over")
    return min(left, 3600.0)


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the verifying context: certifi's authorities and the system's, so that a company's own are trusted too."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    context.sslsocket_class = _TlsSocket
    return context


class _DeadlineMixin:
    # The ignores: what is called is the socket's, and this class does not know that it is mixed into one.

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())  # type: ignore[attr-defined]
        return super().recv_into(*args, **kwargs)  # type: ignore[misc, no-any-return]

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(remaining())  # type: ignore[attr-defined]
        super().sendall(*args, **kwargs)  # type: ignore[misc]

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())  # type: ignore[attr-defined]
        return super().send(*args, **kwargs)  # type: ignore[misc, no-any-return]


class _Socket(_DeadlineMixin, socket.socket):
    pass


class _TlsSocket(_DeadlineMixin, ssl.SSLSocket):
    pass


class _Response(HTTPResponse):
    def begin(self) -> None:
        # http.client takes a connection that ends within the headers for the end of the headers: "200 OK", no body.
        answer: Any = self
        answer.fp = whole = _WholeLines(answer.fp)
        super().begin()
        if answer.fp is whole:
            answer.fp = whole.file


class _WholeLines:
    def __init__(self, file: Any) -> None:
        self.file = file

    def readline(self, *args: Any) -> bytes:
        line: bytes = self.file.readline(*args)
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the connection ended within the headers")
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class _DialMixin:
    response_class: Any = _Response

    def _new_conn(self) -> socket.socket:
        current.dialled = True
        conn: Any = self
        try:
            return _dial(conn._dns_host.strip("[]"), conn.port)
        except TimeoutError as problem:
            raise ConnectTimeoutError(conn, "connect") from problem
        except (OSError, UnicodeError) as problem:
            raise NewConnectionError(conn, "connect") from problem


class _Connection(_DialMixin, HTTPConnection):
    pass


class _TlsConnection(_DialMixin, HTTPSConnection):
    pass


class Pool(urllib3.HTTPConnectionPool):
    """Plain connections under a deadline."""

    ConnectionCls = _Connection


class TlsPool(urllib3.HTTPSConnectionPool):
    """TLS connections under a deadline; the handshake takes over the time-out that dialling left."""

    ConnectionCls = _TlsConnection


def _dial(host: str, port: int) -> socket.socket:
    addresses = _addresses(host, port)
    problem: OSError = socket.gaierror("no address")
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        sock = _Socket(family, kind, protocol)
        try:
            # A share each, so that an address which is a black hole leaves time for the next.
            sock.settimeout(remaining() / (len(addresses) - number))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(remaining())
            return sock
        except OSError as caught:
            sock.close()
            problem = caught
    raise problem


def _addresses(host: str, port: int) -> list[Any]:
    """Resolve in a thread that can be left behind: the system's resolver knows no time-out of ours."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name, not a number
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as problem:
            answers.put(problem)

    threading.Thread(target=look_up, daemon=True, name="look-up").start()
    try:
        answer = answers.get(timeout=remaining())
    except queue.Empty:
        raise TimeoutError("the name look-up took too long") from None
    if isinstance(answer, Exception):
        raise answer
    return list(answer)
