"""Fixtures of the rollout tests: a target of a freshly loaded component, and a runner that starts nothing."""

from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from rollout.models import Target
from tests import factories
from tests.fakes import FakeRunner
from tests.rollout import views_world
from tests.rollout.posts import World


@pytest.fixture
def target(cast: dict[str, User], tmp_path: Path, settings: LazySettings) -> Target:
    """Return dhash in production, with folders of this test's own."""
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    return factories.make_target(tmp_path / "dhash")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeRunner:
    """Return a runner that starts no process, in the place of the real one."""
    made = FakeRunner(tmp_path)
    made.install(monkeypatch)
    return made


@pytest.fixture
def world(
    target: Target, cast: dict[str, User], tmp_path: Path, fake: FakeRunner, monkeypatch: pytest.MonkeyPatch
) -> World:
    """Return a world with a stopped clock, in which every form can be sent."""
    views_world.stop_clock(monkeypatch)
    return World(target, cast, tmp_path, fake, monkeypatch)
