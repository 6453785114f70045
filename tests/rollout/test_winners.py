"""Whoever was too late is told who was faster: by page and by JSON, with the number of what that one did."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError
from django.http import HttpResponse
from django.urls import reverse

from approvals.models import Decision
from rollout import actions, once
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.transitions import ConflictError
from tests import factories
from tests.base import Client
from tests.factories import NOW, actor, fresh, later
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
WHY = "because it must be"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch, later(60))


def post(user: User, verb: str, rollout: Rollout, *, looked: float | None = None, **data: str) -> HttpResponse:
    """Send a verb from a page that was rendered that many seconds after NOW."""
    key = {once.FIELD: once.new_key(later(looked))} if looked is not None else {}
    sent = {"digest": rollout.digest, **data, **key}
    return browser(user).post(reverse(f"rollout_{verb}", args=[rollout.pk]), sent)


def start(rollout: Rollout, user: User, at: float = 30) -> Run:
    return actions.start(fresh(rollout), user=user, by=actor(user), now=later(at))


def test_the_second_start_is_told_the_run_of_the_first_and_led_to_it(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    run = start(approved, cast["olaf"])
    answer = post(cast["abe"], "start", approved, looked=20)
    page = answer.content.decode()
    assert answer.status_code == 409 and f'data-winner="run {run.pk}"' in page
    assert "Olaf was faster" in page and f'href="{approved.get_absolute_url()}">See how it stands' in page


def test_what_was_done_before_the_page_was_loaded_is_not_called_faster(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    start(approved, cast["olaf"])
    page = post(cast["abe"], "start", approved, looked=40).content.decode()
    assert "What was done here last" in page and "was faster" not in page


def test_ones_own_first_click_is_called_ones_own(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    start(approved, cast["olaf"])
    page = post(cast["olaf"], "start", approved, looked=20).content.decode()
    assert "You did something here yourself since this page was loaded" in page


def test_a_second_approval_is_told_the_decision_that_stands(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    values = {"kind": "APPROVE", "duty": "approver", "digest": waiting.digest, "reason": "", "diff_opened": ""}
    post(cast["ann"], "decide", waiting, **values)
    answer = post(cast["ann"], "decide", waiting, looked=20, **values)
    made = Decision.objects.get()
    assert answer.status_code == 409 and f'data-winner="decision {made.pk}"' in answer.content.decode()
    assert "you have approved this already" in answer.content.decode()


def test_an_approval_after_the_rejection_is_told_who_rejected(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    factories.decide(waiting, cast["abe"], "", kind="REJECT", reason="the migration locks")
    values = {"kind": "APPROVE", "duty": "approver", "digest": waiting.digest, "reason": "", "diff_opened": ""}
    page = post(cast["ann"], "decide", waiting, **values).content.decode()
    assert f'data-winner="decision {Decision.objects.get().pk}"' in page and "<dd>Abe</dd>" in page


def test_an_approval_after_the_start_is_told_the_run(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    run = start(approved, cast["olaf"])
    values = {"kind": "REVOKE", "duty": "", "digest": approved.digest, "reason": "", "diff_opened": ""}
    page = post(cast["ann"], "decide", approved, **values).content.decode()
    assert f'data-winner="run {run.pk}"' in page


def test_a_start_after_the_cancellation_is_told_who_gave_it_up(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    post(cast["rita"], "cancel", approved, why=WHY)
    page = post(cast["olaf"], "start", approved).content.decode()
    assert f'data-winner="rollout {approved.pk}"' in page and "<dd>Rita</dd>" in page


def test_a_second_abort_is_told_who_asked_first(target: Target, cast: Cast) -> None:
    run = views_world.started(factories.make_approved(target, cast), cast["olaf"])
    post(cast["tom"], "abort", run.rollout, why=WHY)
    page = post(cast["abe"], "abort", run.rollout, why=WHY).content.decode()
    assert f'data-winner="run {run.pk}"' in page and "<dd>Tom</dd>" in page and "Abort asked for" in page


def test_a_rollback_of_a_target_that_another_run_holds_is_told_that_run(
    target: Target, cast: Cast, tmp_path: Path
) -> None:
    done = factories.make_approved(target, cast)
    views_world.watched(done, cast["olaf"], tmp_path)
    done.runs.filter(kind="deploy").update(state="SUCCEEDED")
    factories.put_in(done, R.SUCCEEDED)
    other = Run.objects.create(
        rollout=factories.make_draft(target, cast["rita"], "1.2.0"),
        target=target,
        kind="validate",
        state="RUNNING",
        created_at=later(30),
        started_by=cast["rita"],
    )
    actions.opening.audit.append(
        action="run.validate.opened",
        by=actor(cast["rita"]),
        subject=actions.transitions.subject_of(other),
        now=later(30),
    )
    answer = post(cast["tom"], "rollback", done, looked=20, why=WHY)
    page = answer.content.decode()
    assert answer.status_code == 409 and f'data-winner="run {other.pk}"' in page
    assert "Rita was faster" in page and f'href="/rollouts/{other.rollout_id}/">See how it stands' in page


def test_a_second_lock_is_told_who_locked(target: Target, cast: Cast) -> None:
    url = reverse("target_lock", args=[target.pk])
    browser(cast["tom"]).post(url, {"why": WHY})
    page = browser(cast["abe"]).post(url, {"why": WHY}).content.decode()
    assert f'data-winner="target {target.pk}"' in page and "<dd>Tom</dd>" in page


def test_what_was_written_is_not_lost(target: Target, cast: Cast) -> None:
    run = views_world.started(factories.make_approved(target, cast), cast["olaf"])
    post(cast["tom"], "abort", run.rollout, why=WHY)
    assert "the disk smells" in post(cast["abe"], "abort", run.rollout, why="the disk smells").content.decode()


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[int]:
    """Let `actions.start` fail so many times; return what counts its calls."""
    calls, real, left = [], actions.start, list(errors)

    def start(*args: Any, **values: Any) -> Run:
        calls.append(1)
        if left:
            raise left.pop(0)
        return real(*args, **values)

    monkeypatch.setattr(actions, "start", start)
    return calls


def deadlock() -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = psycopg.errors.DeadlockDetected()
    return error


def test_what_a_deadlock_undid_is_done_again(target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    approved = factories.make_approved(target, cast)
    calls = failing(monkeypatch, deadlock(), deadlock())
    assert post(cast["olaf"], "start", approved, looked=20).status_code == 302
    assert (len(calls), Run.objects.filter(kind="deploy").count()) == (3, 1)


def test_a_writer_that_waited_too_long_for_its_turn_waits_again(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, OperationalError("database is locked"))
    assert post(cast["olaf"], "start", approved, looked=20).status_code == 302


def test_a_database_that_stays_too_busy_is_told_and_nothing_was_done(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, *(deadlock() for _ in range(9)))
    answer = post(cast["olaf"], "start", approved)
    assert answer.status_code == 503 and "too busy" in answer.content.decode()
    assert fresh(approved).state == "APPROVED"


def test_a_database_that_is_gone_is_an_error_of_ours(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, OperationalError("disk I/O error"))
    with pytest.raises(OperationalError):
        post(cast["olaf"], "start", approved)


@pytest.mark.parametrize(
    "said",
    [
        'duplicate key value violates unique constraint "one_active_run_per_target"',
        "UNIQUE constraint failed: rollout_run.target_id",
    ],
)
def test_the_constraint_of_one_active_run_is_a_409(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, IntegrityError(said))
    answer = post(cast["olaf"], "start", approved)
    assert answer.status_code == 409 and "Another run of this target began" in answer.content.decode()


def test_another_broken_constraint_is_an_error_of_ours(
    target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, IntegrityError("NOT NULL constraint failed: rollout_step.kind"))
    with pytest.raises(IntegrityError):
        post(cast["olaf"], "start", approved)


def test_a_lost_compare_and_swap_is_a_409(target: Target, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    approved = factories.make_approved(target, cast)
    failing(monkeypatch, ConflictError("rollout 1 was approved when you looked; it is queued now"))
    assert post(cast["olaf"], "start", approved).status_code == 409


def test_the_last_entry_of_an_erased_person_names_nobody(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    start(approved, cast["olaf"])
    later = NOW + timedelta(hours=1)
    actions.audit.erase_person(cast["olaf"].pk, before=later, by=actor(cast["ada"]), why="left", now=later)
    assert "<dd>(erased)</dd>" in post(cast["abe"], "start", approved).content.decode()


def test_a_reader_without_script_or_session_is_not_told_anything(target: Target, cast: Cast) -> None:
    approved = factories.make_approved(target, cast)
    start(approved, cast["olaf"])
    answer = Client().post(reverse("rollout_start", args=[approved.pk]))
    assert answer.status_code == 302 and answer.url.startswith("/login/")
