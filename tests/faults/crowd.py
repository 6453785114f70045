"""A crowd of processes, forked from one warmed one: each has its own connection and browser, and clicks at a barrier.

Imported after `django.setup()`.
"""

import gc
import io
import json
import os
import random
import re
import traceback
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import got_request_exception
from django.db import connections

from rollout import engine
from rollout.models import Run
from tests.base import Client

WINNER = re.compile(r'data-winner="(\w+) (\d+)"')
ROUND_S = 300.0
SESSIONS: dict[str, str] = {}


@dataclass
class Click:
    """One form that one process sends, and what came back."""

    user: str
    url: str
    data: dict[str, str]
    file: str = ""
    advance: int = 0  # a run that this process hands to the engine afterwards, as a worker would

    def sent(self, client: Client) -> dict[str, Any]:
        """Send it."""
        errors: list[str] = []

        def failed(**told: Any) -> None:
            errors.append(traceback.format_exc()[-3000:])

        got_request_exception.connect(failed)
        file = {"file": SimpleUploadedFile("premerge.zip", self.file.encode())} if self.file else {}
        answer = client.post(self.url, {**self.data, **file})
        winner = WINNER.search(answer.content.decode(errors="replace"))
        if answer.status_code == 302 and self.advance:
            for run in Run.objects.filter(rollout=self.advance, kind="deploy"):
                engine.advance(run.pk)
        got_request_exception.disconnect(failed)
        return {
            "status": answer.status_code,
            "to": answer.headers.get("Location", ""),
            "winner": [winner[1], int(winner[2])] if winner else None,
            "errors": errors,
        }


@dataclass
class Crowd:
    """The processes, each waiting on its pipe for a click."""

    barrier: Barrier
    pipes: list[tuple[io.TextIOWrapper, io.TextIOWrapper]] = field(default_factory=list)

    @classmethod
    def gather(cls, size: int) -> "Crowd":
        """Fork them; the parent's connection is closed before, so that nobody shares one."""
        connections.close_all()
        gc.freeze()  # what is shared stays shared
        crowd = cls(get_context("fork").Barrier(size))
        for _ in range(size):
            crowd.fork()
        return crowd

    def fork(self) -> None:
        """Fork one."""
        (down_r, down_w), (up_r, up_w) = os.pipe(), os.pipe()
        if os.fork() == 0:
            code = 1
            try:
                os.close(down_w), os.close(up_r)
                for one in self.pipes:
                    one[0].close(), one[1].close()
                serve(os.fdopen(down_r), os.fdopen(up_w, "w"), self.barrier)
                code = 0
            finally:
                os._exit(code)
        os.close(down_r), os.close(up_w)
        self.pipes.append((os.fdopen(down_w, "w"), os.fdopen(up_r)))

    def click(self, clicks: list[Click]) -> list[dict[str, Any]]:
        """Let every process send its form at once; return what came back."""
        connections.close_all()
        pipes = random.sample(self.pipes, len(self.pipes))  # whoever was sent first is not always the first
        for (down, _), click in zip(pipes, clicks, strict=True):
            down.write(json.dumps(click.__dict__) + "\n")
            down.flush()
        return [json.loads(up.readline()) for _, up in pipes]

    def leave(self) -> None:
        """Let them go."""
        for down, up in self.pipes:
            down.close(), up.close()
        for _ in self.pipes:
            os.wait()


def serve(down: io.TextIOWrapper, up: io.TextIOWrapper, barrier: Barrier) -> None:
    """Be one of the fifty until the pipe is closed."""
    browsers: dict[str, Client] = {}
    for line in down:
        click = Click(**json.loads(line))
        if click.user not in browsers:
            browsers[click.user] = browser(click.user)
        barrier.wait(ROUND_S)
        try:
            told = click.sent(browsers[click.user])
        except Exception:
            told = {"status": 0, "to": "", "winner": None, "errors": [traceback.format_exc()[-3000:]]}
        up.write(json.dumps(told) + "\n")
        up.flush()


def browser(name: str) -> Client:
    """Return a browser in which somebody proved a moment ago who he is."""
    client = Client(raise_request_exception=False)
    client.cookies[settings.SESSION_COOKIE_NAME] = SESSIONS[name]
    return client


def one_winner(told: list[dict[str, Any]], winner: tuple[str, int]) -> list[str]:
    """Return what is wrong unless exactly one won and every other was told so."""
    won = sum(one["status"] == 302 for one in told)
    # the tabs of the winning side of a race of two verbs are losers too
    wrong = [one["winner"] for one in told if one["status"] == 409 and tuple(one["winner"] or ()) != winner]
    return (
        expect(won == 1, f"{won} winners")
        + expect(not wrong, f"losers were told of {wrong[:3]}, not {winner}")
        + broken(told)
    )


def losers(told: list[dict[str, Any]], *kinds: str) -> list[str]:
    """Return what is wrong unless every loser was told of something of these kinds."""
    wrong = [one["winner"] for one in told if one["status"] == 409 and (one["winner"] or [""])[0] not in kinds]
    return expect(not wrong, f"losers were told of {wrong[:3]}")


def broken(told: list[dict[str, Any]]) -> list[str]:
    """Return every answer that is neither a win nor a plain refusal."""
    bad = [one for one in told if one["status"] not in (302, 409) or "/login/" in one["to"] or one["errors"]]
    return [json.dumps(one) for one in bad[:2]]


def expect(holds: bool, what: str) -> list[str]:
    return [] if holds else [what]
