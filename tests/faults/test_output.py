"""A command prints what a terminal would obey, what is no text, and far too much: kept raw, shown harmless, cut off."""

import sys
import time
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from rollout import commands, runner
from rollout.models import Step
from tests import factories
from tests.rollout import views_world

pytestmark = pytest.mark.django_db
HOSTILE = (
    b"\x1b[2J\x1b[31mred\x1b]0;title\x07\x1b]8;;http://evil.example\x07link\n"  # colours, a title, a hidden link
    b"all is well\rEVERYTHING BURNS\n"  # the end overwrites the beginning
    b"null \x00 byte, \xff\xfe\xc3( no UTF-8, \x9b31m\n"
    b"invoice\xe2\x80\xaefdp.exe\n"  # read backwards
    b"<script>alert(1)</script>\n"
)
OBEYED = "\x1b\x07\x00\r\x9b\u202e"
CAP = 16 * 1024**2


@pytest.fixture
def step(cast: dict[str, User], tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> Step:
    """Return a running step of a run."""
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    views_world.stop_clock(monkeypatch)
    target = factories.make_target(tmp_path / "dhash")
    run = views_world.started(factories.make_approved(target, cast), cast["olaf"])
    return views_world.ran(run, 2, running=True)


@pytest.fixture
def reader(cast: dict[str, User]) -> Client:
    return views_world.browser(cast["olaf"])


def run_it(step: Step, code: str) -> Path:
    """Let the real runner run Python code as the step's command; return the folder when that ended."""
    folder = commands.folder_of(step)
    with runner.lock(commands.lock_path(step.run.target)) as lock:
        lock.start(folder, [sys.executable, "-c", code], cwd=folder, env={}, timeout_s=60)
    deadline = time.monotonic() + 60
    while runner.read_exit(folder) is None:
        assert time.monotonic() < deadline, "the command does not end"
        time.sleep(0.02)
    return folder


def test_hostile_output_is_kept_byte_by_byte_and_shown_so_that_nothing_obeys_it(step: Step, reader: Client) -> None:
    folder = run_it(step, f"import sys; sys.stdout.buffer.write({HOSTILE!r})")
    assert (folder / runner.OUTPUT).read_bytes() == HOSTILE
    log = reverse("step_log", args=[step.pk])
    for url, headers in ((log, {"HX-Request": "true"}), (reverse("rollout_live", args=[step.run.rollout_id]), {})):
        html = reader.get(url, headers=headers).content.decode()
        assert "EVERYTHING BURNS" in html
        assert "&lt;script&gt;" in html and "<script>alert" not in html
        assert not set(OBEYED) & set(html)
    raw = reader.get(log)
    assert b"".join(raw.streaming_content) == HOSTILE
    assert raw.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert raw.headers["X-Content-Type-Options"] == "nosniff"


def test_a_line_of_100_megabytes_is_cut_off_and_its_end_is_shown(step: Step, reader: Client) -> None:
    many = "import os\nfor _ in range(100): os.write(1, b'x' * 1_000_000)\nimport time; time.sleep(30)"
    folder = run_it(step, many)
    ended = runner.read_exit(folder)
    assert ended is not None
    assert ended["truncated"]
    assert (folder / runner.OUTPUT).stat().st_size == CAP
    html = reader.get(reverse("step_log", args=[step.pk]), headers={"HX-Request": "true"}).content.decode()
    assert "xxxxxxxx" in html
    assert len(html) < 200_000
