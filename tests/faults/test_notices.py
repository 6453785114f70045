"""Every channel is down for an hour, or a worker dies while it tells: nothing is lost, each message carries its key."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import transaction

from monitoring import notices
from monitoring.channels import ChannelConfig
from monitoring.models import Notice
from monitoring.routes import Route
from tests.factories import NOW, later
from tests.monitoring.effects import ROLLOUT
from tests.monitoring.raw_server import raw_server

ROOT = Path(__file__).resolve().parents[2]
CHANNELS = ("slack", "teams", "discord", "webhook")
DOWN_S = 3600
TOLD_AT_S = (0, 1, 60, 900, 1800, 3400)


class Receiver:
    """Takes messages as a channel's server does, unless it is down: then it hangs, or breaks every connection."""

    def __init__(self, way_down: str) -> None:
        self.down, self.taken = way_down, list[str]()

    def __call__(self, connection: socket.socket) -> None:
        """Have one connection."""
        if down := self.down:
            time.sleep(5 if down == "hangs" else 0)
            return
        self.taken.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def read_request(connection: socket.socket) -> str:
    """Return one whole request."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    (length,) = [int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
    while len(body) < length:
        body += connection.recv(65536)
    return body.decode()


def tell(number: int, now: datetime) -> None:
    """Queue one message to every channel."""
    routes = [Route(channel=channel) for channel in CHANNELS]
    with transaction.atomic():
        notices.queue(
            "run_started",
            subject=ROLLOUT,
            severity="info",
            context={},
            routes=routes,
            key=f"message-{number}-",
            url="",
            now=now,
        )


def deliver(until: datetime, now: datetime) -> None:
    """Deliver at each moment at which pulse would ask for it."""
    while (due := notices.next_due(now)) is not None and due <= until:
        now = max(now, due)
        notices.deliver_due(now)


@pytest.fixture(params=["refuses", "hangs"])
def receivers(
    request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Receiver]]:
    """Return a server for each channel, all of them down; meanwhile a sender waits 0.1 s instead of 10."""
    settings.GR_NOTICE_FILE = tmp_path / "notices.log"
    made = {channel: Receiver(request.param) for channel in CHANNELS}
    real = notices.configured

    def impatient() -> dict[str, ChannelConfig]:
        return {name: replace(one, timeout_s=0.1 if made["slack"].down else 10) for name, one in real().items()}

    monkeypatch.setattr(notices, "configured", impatient)
    with ExitStack() as stack:
        for channel, receiver in made.items():
            server = stack.enter_context(raw_server(receiver, heads=False))
            name = "GR_WEBHOOK_URL" if channel == "webhook" else f"GR_{channel.upper()}_WEBHOOK_URL"
            setattr(settings, name, f"{server.origin}/hook")
        yield made


@pytest.mark.django_db
def test_after_an_hour_without_any_channel_each_gets_every_message_in_order(
    receivers: dict[str, Receiver], settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = set[str](), os.fsync

    def remember(descriptor: int) -> None:
        synced.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", remember)
    at = NOW
    for number, second in enumerate(TOLD_AT_S):
        deliver(later(second), at)
        at = later(second)
        tell(number, at)
    deliver(later(DOWN_S), at)
    fallen = [json.loads(line)["key"] for line in settings.GR_NOTICE_FILE.read_text().splitlines()]
    keys = [f"message-{number}-:{{}}" for number in range(len(TOLD_AT_S))]
    assert sorted(fallen) == sorted(key.format(channel) for key in keys for channel in CHANNELS)
    assert str(settings.GR_NOTICE_FILE) in synced
    for receiver in receivers.values():
        receiver.down = ""
    deliver(later(2 * DOWN_S), later(DOWN_S))
    assert set(Notice.objects.values_list("state", flat=True)) == {"SENT"}
    for channel, receiver in receivers.items():
        assert len(receiver.taken) == len(keys)
        assert all(key.format(channel) in text for key, text in zip(keys, receiver.taken, strict=True)), channel


TELLER = """
import sys, django; django.setup()
from django.core.management import call_command
from monitoring import notices
from tests.factories import later
from tests.faults import test_notices
if sys.argv[1] == "first":
    call_command("migrate", verbosity=0)
    test_notices.tell(1, later(0))
    notices.deliver_due(later(0))
else:
    notices.deliver_due(later(300))
"""


def test_a_worker_that_dies_after_it_sent_sends_again_with_the_same_key(tmp_path: Path) -> None:
    taken: list[str] = []

    def take(connection: socket.socket) -> None:
        taken.append(read_request(connection))
        if len(taken) == 1:
            teller.kill()  # the message is here; that it is will never be recorded
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")

    with raw_server(take, heads=False) as server:
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "GR_SUITE_DATABASE_URL": f"sqlite:///{tmp_path / 'db.sqlite3'}",
        }
        script = TELLER.replace(
            "django.setup()",
            f"django.setup(); from django.conf import settings; settings.GR_WEBHOOK_URL = {server.origin!r}",
        )
        for when in ("first", "second"):
            teller = subprocess.Popen([sys.executable, "-c", script, when], cwd=ROOT, env=env)
            teller.wait(60)
    keys = [json.loads(body)["key"] for body in taken]
    assert keys == ["message-1-:webhook", "message-1-:webhook"]
