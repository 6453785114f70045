"""The dead man's switch is pinged while all is well, never while something is wrong, and delays nobody."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rollout import deadman, readiness
from rollout.deadman import Switch
from rollout.readiness import Check


class Receiver:
    """A server that counts pings and may hang until it is released."""

    def __init__(self) -> None:
        self.pings: list[str] = []
        self.pinged = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.status = 200
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                receiver.pings.append(self.path)
                receiver.pinged.set()
                receiver.free.wait(20)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/ping/secret"


class Clock:
    """A clock that stands until it is moved."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def receiver(settings) -> Iterator[Receiver]:
    """Let a server receive the pings of an installation."""
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    settings.GR_HEARTBEAT_URL = made.url
    yield made
    made.free.set()
    made.server.shutdown()
    thread.join()
    made.server.server_close()


@pytest.fixture(autouse=True)
def checks(monkeypatch: pytest.MonkeyPatch) -> list[Check]:
    """Return what /readyz says; all is well."""
    found = [Check(name="database", ok=True, detail="")]
    monkeypatch.setattr(readiness, "look", lambda: found)
    monkeypatch.setattr(deadman.connection, "close", lambda: None)  # no test of a database
    return found


def ended(switch: Switch) -> None:
    """Wait for a ping's end."""
    assert switch.thread is not None
    switch.thread.join(20)
    assert not switch.thread.is_alive()


def test_it_is_pinged_while_all_is_well(receiver: Receiver) -> None:
    switch = Switch()
    switch.tick()
    ended(switch)
    assert receiver.pings == ["/ping/secret"]


def test_it_is_not_pinged_while_something_is_wrong(
    receiver: Receiver, checks: list[Check], caplog: pytest.LogCaptureFixture
) -> None:
    checks.append(Check(name="worker", ok=False, detail=""))
    switch = Switch()
    switch.tick()
    ended(switch)
    assert receiver.pings == [] and "not pinged: worker" in caplog.text


def test_it_is_pinged_again_only_after_a_while(receiver: Receiver, settings) -> None:
    clock = Clock()
    switch = Switch(clock)
    for _ in range(3):
        switch.tick()
        ended(switch)
    assert len(receiver.pings) == 1
    clock.at += settings.GR_HEARTBEAT_SECONDS
    switch.tick()
    ended(switch)
    assert len(receiver.pings) == 2


def test_a_server_that_hangs_delays_nobody_and_is_asked_once(receiver: Receiver) -> None:
    receiver.free.clear()
    clock = Clock()
    switch = Switch(clock)
    switch.tick()  # returns, although nobody answers
    assert receiver.pinged.wait(20)
    clock.at += 1000
    switch.tick()
    assert len(receiver.pings) == 1 and switch.thread is not None and switch.thread.is_alive()
    receiver.free.set()
    ended(switch)


def test_a_server_that_hangs_is_given_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.free.clear()
    monkeypatch.setattr(deadman, "TIMEOUT_S", 0.2)
    deadman.ping()
    assert "did not answer within 0.2 s" in caplog.text and "secret" not in caplog.text


def test_a_refusal_is_logged_without_the_address(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.status = 404
    deadman.ping()
    assert "answered 404" in caplog.text and "secret" not in caplog.text


def test_without_an_address_nothing_is_asked(settings) -> None:
    settings.GR_HEARTBEAT_URL = ""
    switch = Switch()
    switch.tick()
    assert switch.thread is None
