"""A request that meets a full disk, or brings too much, is told so in words; a removed backup is shown as removed."""

import errno
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.urls import reverse

from rollout import ballast
from rollout.models import Backup, Rollout, Target
from rollout.views import trouble
from tests import factories
from tests.base import Client
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def client(cast: dict) -> Client:
    """Return the browser of an operator."""
    made = Client(raise_request_exception=False)
    made.force_login(cast["olaf"])
    return made


@pytest.fixture
def rollout(target: Target, cast: dict, settings: LazySettings, tmp_path: Path) -> Rollout:
    """Return a rollout in an installation that has its reserve."""
    settings.GR_VAR = tmp_path
    ballast.path().write_bytes(b"the reserve")
    return factories.make_approved(target, cast)


def post_when(monkeypatch: pytest.MonkeyPatch, client: Client, rollout: Rollout, name: str, error: Exception) -> Any:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rollout.views.verbs.page_of", fails)
    return client.post(reverse(name, args=[rollout.pk]), {"reason": "it is slow"})


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("name", ["rollout_rollback", "rollout_abort"])
def test_the_reserve_is_given_up_for_what_cannot_wait(
    name: str, client: Client, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = post_when(monkeypatch, client, rollout, name, FULL)
    assert (answer.status_code, ballast.path().exists()) == (507, False)
    assert "press the button once more" in answer.content.decode()


def test_the_reserve_is_kept_from_everything_else(
    client: Client, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = post_when(monkeypatch, client, rollout, "rollout_cancel", FULL)
    assert (answer.status_code, ballast.path().exists()) == (507, True)
    assert "once more" not in answer.content.decode()


def test_another_fault_is_answered_as_ever(client: Client, rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = post_when(monkeypatch, client, rollout, "rollout_rollback", RuntimeError("a bug"))
    assert (answer.status_code, ballast.path().exists()) == (500, True)


def test_a_disk_that_fails_under_the_database_ends_the_process(
    client: Client, rollout: Rollout, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Driver(Exception):
        sqlite_errorname = "SQLITE_IOERR_FSYNC"

    error = OperationalError("disk I/O error")
    error.__cause__ = Driver()
    died: list[str] = []
    monkeypatch.setattr(trouble.storage, "die_of_disk", died.append)
    post_when(monkeypatch, client, rollout, "rollout_rollback", error)
    assert died == ["the database: disk I/O error"]


@pytest.mark.parametrize(
    ("name", "full"), [("SQLITE_FULL", True), ("SQLITE_IOERR_SHMSIZE", True), ("SQLITE_IOERR_READ", False)]
)
def test_sqlite_says_in_several_ways_that_the_disk_is_full(name: str, full: bool) -> None:
    cause = Exception("of the driver")
    cause.sqlite_errorname = name  # type: ignore[attr-defined]
    error = OperationalError("of Django")
    error.__cause__ = cause
    assert (ballast.is_full(error), ballast.is_broken(error)) == (full, not full)


def test_a_form_that_is_too_long_is_refused_before_it_is_read(client: Client, settings: LazySettings) -> None:
    settings.GR_UPLOAD_LIMIT = 1000
    answer = client.post("/", b"", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH=str(3 << 20))
    assert (answer.status_code, "at most 1000 bytes" in answer.content.decode()) == (413, True)


def test_the_page_says_when_and_why_a_backup_went(client: Client, target: Target) -> None:
    row = {"sha256": "c" * 64, "size": 10, "release_version": "1.0.0", "created_at": NOW}
    gone = {"removed_at": NOW, "removed_why": "removed by retention after 30 days"}
    Backup.objects.create(target=target, path="/x/dhash_production_1.zip", **row, **gone)
    page = client.get(reverse("component", args=["dhash"])).content.decode()
    assert "removed by retention after 30 days" in page


@pytest.fixture
def strict(cast: dict) -> Client:
    """Return a browser whose forms need the proof that they are of our pages, as all browsers' do."""
    made = Client(enforce_csrf_checks=True)
    made.force_login(cast["tom"])
    return made


def test_a_form_of_another_sign_in_is_refused_on_a_page_of_ours(strict: Client, target: Target) -> None:
    answer = strict.post(reverse("target_lock", args=[target.pk]), {"why": "looked at it"})
    page = answer.content.decode()
    assert (answer.status_code, Target.objects.get(pk=target.pk).locked) == (403, False)
    assert "The form is out of date" in page and "Nothing was done" in page


@pytest.mark.parametrize(("path", "status"), [("/api/v1/components/dhash/releases", 401), ("/api/v1/nowhere", 404)])
def test_the_api_asks_for_no_such_proof(strict: Client, path: str, status: int) -> None:
    answer = strict.post(path, "{}", content_type="application/json")
    assert (answer.status_code, "error" in answer.json()) == (status, True)
