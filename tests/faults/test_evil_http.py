"""A target that lies about its answer, or never ends it: a reading without data, in time, in little memory."""

import gzip
import socket
import time
from collections.abc import Callable
from decimal import Decimal

import pytest

from monitoring import http, probes, watch_data
from monitoring.gates import Source
from tests.monitoring.raw_server import raw_server

LIMIT_S = 1.0
OK = b"HTTP/1.1 200 OK\r\n"
BLOCK = b"1" * 65536
BOMB = gzip.compress(b"1" * 50_000_000)


def says(answer: bytes) -> Callable[[socket.socket, bytes], None]:
    """Send these bytes and close."""

    def act(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)

    return act


def packed(body: bytes) -> bytes:
    """Return an answer whose body is packed, although nobody asked for that."""
    return OK + f"Content-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


EVIL = {
    "a length that never comes": says(OK + b"Content-Length: 10000000000\r\n\r\n1"),
    "a length below zero": says(OK + b"Content-Length: -1\r\n\r\n" + BLOCK * 2),
    "two lengths": says(OK + b"Content-Length: 1\r\nContent-Length: 70000\r\n\r\n" + BLOCK),
    "a length that is no number": says(OK + b"Content-Length: \xc2\xb2\r\n\r\nx"),
    "a chunk without end": says(OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n1"),
    "a chunk that is none": says(OK + b"Transfer-Encoding: chunked\r\n\r\nevil\r\n1\r\n0\r\n\r\n"),
    "a bomb": says(packed(BOMB)),
    "half a packed body": says(packed(BOMB)[:200]),
    "packed, but not really": says(packed(b"no gzip at all")),
    "another charset": says(OK + b"Content-Type: application/json; charset=utf-7\r\n\r\n+AHs-\xff"),
    "a header of a megabyte": says(OK + b"X: " + BLOCK * 16 + b"\r\n\r\n1"),
    "a status of its own": says(b"HTTP/1.1 two hundred\r\n\r\n1"),
    "an older protocol": says(b"1\n"),
    "nothing": says(b""),
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_answer_that_cannot_be_believed_is_no_data(kind: str) -> None:
    source = Source(name="p95", kind="json_metric", title="p95", path="/", key="ms", timeout_s=Decimal(str(LIMIT_S)))
    with raw_server(EVIL[kind]) as server:
        began = time.monotonic()
        (reading,) = probes.read_all([source], server.origin, fetch=watch_data.fetch, now=0.0, max_workers=1)
    assert (reading.ok, reading.value) == (False, None)
    assert reading.error
    assert time.monotonic() - began < LIMIT_S + 1


def test_an_endless_body_is_left_after_its_first_bytes() -> None:
    sent = [0]

    def pour(connection: socket.socket, _: bytes) -> None:
        connection.sendall(OK + b"\r\n")
        while sent[0] < 10_000_000_000:
            connection.sendall(BLOCK)
            sent[0] += len(BLOCK)

    with raw_server(pour) as server, pytest.raises(http.HttpError, match="more than 65536 bytes"):
        http.fetch(server.origin, timeout_s=5, allow=None)
    assert sent[0] < 50_000_000
