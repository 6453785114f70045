"""A request ends in time, whatever the server does to prolong it."""

import socket
import time

import pytest

from monitoring import deadline, http
from tests.monitoring.raw_server import plain, raw_server

pytestmark = pytest.mark.slow
TIMEOUT = 0.5


def drip(server_says: bytes, pause: float = 0.05):
    def answer(connection, _):
        connection.sendall(server_says)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(pause)

    return answer


def endless_headers(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n")
        time.sleep(0.05)


def time_to_fail(url):
    begun = time.monotonic()
    with pytest.raises(http.HttpError) as caught:
        http.fetch(url, timeout_s=TIMEOUT, allow=None)
    return time.monotonic() - begun, caught.value


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(drip(b"", 0.05), id="status line"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nX-Slow: "), id="header"),
        pytest.param(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"), id="body"),
        pytest.param(endless_headers, id="endless headers"),
        pytest.param(lambda connection, _: connection.recv(1), id="silence"),
    ],
)
def test_a_server_that_delays_is_left_at_the_deadline(answer):
    with raw_server(answer) as server:
        took, problem = time_to_fail(server.origin)
    assert TIMEOUT * 0.9 <= took < TIMEOUT + 1
    assert problem.message == f"{server.origin} did not answer within 0.5 s" and not problem.permanent


def test_endless_headers_at_full_speed_end_early():
    def flood(connection, _):
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + b"X-More: and more\r\n" * 10_000)

    with raw_server(flood) as server:
        took, problem = time_to_fail(server.origin)
    assert took < TIMEOUT + 1 and "broke the connection" in problem.message


def test_a_tls_handshake_that_never_comes_is_left_at_the_deadline():
    with raw_server(lambda connection, _: None) as server:
        took, problem = time_to_fail(server.origin.replace("http:", "https:"))
    assert TIMEOUT * 0.9 <= took < TIMEOUT + 1 and "did not answer" in problem.message


def test_a_name_look_up_that_hangs_is_left_at_the_deadline(monkeypatch):
    real = socket.getaddrinfo

    def hang(host, *args, flags=0, **kwargs):
        if flags:
            return real(host, *args, flags=flags, **kwargs)
        time.sleep(TIMEOUT * 2)
        raise socket.gaierror("late")

    monkeypatch.setattr(deadline.socket, "getaddrinfo", hang)
    took, problem = time_to_fail("http://target.example/")
    assert TIMEOUT * 0.9 <= took < TIMEOUT + 0.4 and "did not answer" in problem.message


def test_a_deadline_of_one_request_does_not_hang_over_the_next():
    with raw_server(plain()) as server:
        http.fetch(server.origin, timeout_s=0.1, allow=None)
        time.sleep(0.15)
        assert http.fetch(server.origin, timeout_s=1, allow=None).status == 200
        assert server.connections == 1
