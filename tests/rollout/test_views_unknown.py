"""The page of a step whose end nobody saw: what is known, what each decision brings, and who may make it."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.utils import timezone

from monitoring.audit import SYSTEM
from monitoring.models import Notice
from rollout import attempted, endings, journal, nudge, transitions
from rollout.models import Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.views import unknown
from tests import factories
from tests.base import Client
from tests.factories import NOW, fresh, later
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
WHY = "I looked at the machine myself"
NEVER_BEGAN = "its log has no line of it"


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def lost(target: Target, cast: Cast) -> Rollout:
    """Return a rollout whose switch was started, after its migration, and nobody saw how it ended."""
    return lose(factories.make_approved(target, cast), cast["olaf"], "switch")


def lose(rollout: Rollout, operator: User, kind: str) -> Rollout:
    run = views_world.started(rollout, operator)
    step = views_world.ran(run, run.steps.get(kind=kind).number, running=True)
    endings.unknown(Run.objects.get(pk=run.pk), step, why="the worker was killed", now=later(20))
    return fresh(rollout)


def test_a_run_that_was_parked_without_a_step_is_put_right_by_hand(lost: Rollout, cast: Cast) -> None:
    transitions.move(Step.objects.get(state="UNKNOWN"), "PENDING", by=SYSTEM, now=later(21))
    html = browser(cast["olaf"]).get(f"/rollouts/{lost.pk}/").content.decode()
    assert "until a person puts it right by hand, and says so" in html
    assert 'popovertarget="sheet-settle"' in html and "#decisions" not in html


def answered(rollout: Rollout, answer: str, **more: object) -> None:
    """Let the target have been asked."""
    probe = {"held": False, "answer": answer, "live": "", "sentence": f"so it says: {answer}", **more}
    Run.objects.filter(rollout=rollout, state=N.UNKNOWN).update(probe=probe, probed_at=later(25))


def asked_by(rollout: Rollout, user: User, *, ago: timedelta = timedelta(0)) -> None:
    """Let somebody have asked to try the step again."""
    runs = Run.objects.filter(rollout=rollout, state=N.UNKNOWN)
    runs.update(again_by=user, again_why=NEVER_BEGAN, again_at=timezone.now() - ago, version=F("version") + 1)


def card(rollout: Rollout, user: User) -> unknown.Unknown:
    """Return the card as the page shows it to somebody."""
    found = browser(user).get(rollout.get_absolute_url()).context["page"].unknown
    assert found is not None
    return found


def words(rollout: Rollout, user: User) -> str:
    html = browser(user).get(rollout.get_absolute_url()).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def seen(rollout: Rollout) -> str:
    """Return what the forms of the page say that they are about."""
    return str(rollout.runs.filter(state=N.UNKNOWN).values_list("version", flat=True).first() or 0)


def click(client: Client, rollout: Rollout, verb: str, **fields: str) -> int:
    about = {"seen": fields["seen"] if "seen" in fields else seen(rollout)}
    return client.post(f"{rollout.get_absolute_url()}{verb}/", {"why": WHY, **about}).status_code


def test_it_says_what_was_about_to_happen_where_and_why_nobody_knows(lost: Rollout, cast: Cast) -> None:
    said = words(lost, cast["tom"])
    assert "make 1.1.0 the live release, and reload the service" in said
    assert "on host local" in said
    assert "the worker was killed" in said


def test_it_shows_the_end_of_the_output(lost: Rollout, cast: Cast) -> None:
    step = Step.objects.get(run__rollout=lost, state="UNKNOWN")
    folder = unknown.live.folder_of(step)
    folder.mkdir(parents=True)
    (folder / "output.log").write_text("reloading <b>now</b>\n")
    assert card(lost, cast["tom"]).tail == "reloading <b>now</b>\n"


@pytest.mark.parametrize("answer", ["done", "not_done", "unknown"])
def test_the_answer_of_the_target_is_told_in_plain_words(lost: Rollout, cast: Cast, answer: str) -> None:
    answered(lost, answer)
    said = words(lost, cast["tom"])
    assert unknown.ANSWERS[answer].lead in said
    assert f"What was seen: so it says: {answer}." in said


@pytest.mark.parametrize(
    ("answer", "agrees"), [("done", ["done"]), ("not_done", ["not_done"]), ("unknown", []), ("", [])]
)
def test_the_choice_that_agrees_with_the_target_is_marked(
    lost: Rollout, cast: Cast, answer: str, agrees: list[str]
) -> None:
    answered(lost, answer)
    assert [one.name for one in card(lost, cast["tom"]).choices if one.agrees] == agrees


def test_what_follows_from_done_is_the_next_step(lost: Rollout, cast: Cast) -> None:
    done = card(lost, cast["tom"]).choices[0]
    assert "goes on at once with step 7, “Smoke tests on the live service”" in done.follows


def test_not_done_after_another_change_rolls_back(lost: Rollout, cast: Cast) -> None:
    assert "rolled back by itself" in card(lost, cast["tom"]).choices[1].follows


def test_not_done_without_another_change_just_fails(target: Target, cast: Cast) -> None:
    lost = lose(factories.make_approved(target, cast), cast["olaf"], "migrate")
    choice = card(lost, cast["tom"]).choices[1]
    assert "ends as failed" in choice.follows
    assert "nobody watches it" in choice.wrong


def test_nothing_can_be_decided_while_a_command_holds_the_target(lost: Rollout, cast: Cast) -> None:
    answered(lost, "unknown", held=True)
    assert all("still holds" in one.blocked for one in card(lost, cast["tom"]).choices)
    html = browser(cast["tom"]).get(lost.get_absolute_url()).content.decode()
    assert html.count(' disabled aria-describedby="blocked-') == 3


def test_done_is_not_offered_against_the_answer_of_the_target(lost: Rollout, cast: Cast) -> None:
    answered(lost, "not_done")
    blocked = {one.name: bool(one.blocked) for one in card(lost, cast["tom"]).choices}
    assert blocked == {"done": True, "not_done": False, "try_again": False}


def test_a_reader_without_the_role_sees_it_and_no_button(lost: Rollout, cast: Cast) -> None:
    html = browser(cast["aud"]).get(lost.get_absolute_url()).content.decode()
    assert 'id="decisions"' in html
    assert "sheet-done" not in html


def test_who_asked_sees_that_he_cannot_confirm_and_who_can(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"])
    said = words(lost, cast["olaf"])
    assert "You cannot confirm it yourself: Abe or Tom can" in said
    assert "You asked for it" in card(lost, cast["olaf"]).choices[2].blocked


def test_the_others_see_who_asked_why_and_until_when(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"])
    said = words(lost, cast["tom"])
    assert "A second person is needed: Olaf asked to try it again" in said
    assert NEVER_BEGAN in said
    assert "13:01:00" in said


def test_a_request_of_more_than_an_hour_ago_is_no_longer_shown(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"], ago=timedelta(minutes=61))
    assert card(lost, cast["tom"]).again is None


def test_the_inbox_of_the_others_calls_for_the_second_person(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"])
    need = browser(cast["abe"]).get("/inbox/").context["needs"][0]
    assert (need.rank, need.do) == (0, "Confirm, or decide otherwise")
    assert "Olaf asks" in need.why
    assert NEVER_BEGAN in need.why


def test_the_inbox_of_who_asked_says_that_he_waits(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"])
    need = browser(cast["olaf"]).get("/inbox/").context["needs"][0]
    assert (need.rank, need.do) == (1, "Wait for a second person")


def test_two_people_try_it_again_on_the_page(lost: Rollout, cast: Cast) -> None:
    first = click(browser(cast["olaf"]), lost, "try-again")
    assert Notice.objects.filter(event="try_again_asked").exists()
    second = click(browser(cast["tom"]), lost, "try-again")
    assert (first, second) == (302, 302)
    assert fresh(lost).state == R.RUNNING


def test_who_asks_is_not_taken_for_the_second_person_unawares(lost: Rollout, cast: Cast) -> None:
    before = seen(lost)
    asked_by(lost, cast["olaf"])
    assert click(browser(cast["tom"]), lost, "try-again", seen=before) == 409
    assert fresh(lost).state == R.UNKNOWN


def test_the_same_person_twice_is_refused(lost: Rollout, cast: Cast) -> None:
    client = browser(cast["olaf"])
    assert click(client, lost, "try-again") == 302
    assert click(client, lost, "try-again") == 409


@pytest.mark.parametrize(("verb", "state"), [("done", R.RUNNING), ("not-done", R.FAILED)])
def test_a_decision_is_made_on_the_page(target: Target, cast: Cast, verb: str, state: str) -> None:
    lost = lose(factories.make_approved(target, cast), cast["olaf"], "migrate")
    assert click(browser(cast["tom"]), lost, verb) == 302
    assert fresh(lost).state == state


@pytest.mark.parametrize("changed", [True, False])
def test_the_page_and_the_engine_agree_whether_anything_was_changed(target: Target, cast: Cast, changed: bool) -> None:
    lost = lose(factories.make_approved(target, cast), cast["olaf"], "migrate")
    if not changed:
        journal.did_not_happen(Step.objects.get(state="UNKNOWN"), "it was never started", now=later(21))
    page = browser(cast["tom"]).get(lost.get_absolute_url()).context["page"]
    assert (page.changed, attempted.has_effects(lost)) == (changed, changed)


@pytest.mark.parametrize("verb", ["done", "not-done", "try-again"])
@pytest.mark.parametrize("about", ["0", "", "x"])
def test_a_page_of_another_situation_decides_nothing(lost: Rollout, cast: Cast, verb: str, about: str) -> None:
    assert click(browser(cast["tom"]), lost, verb, seen=about) == 409
    assert fresh(lost).state == R.UNKNOWN


def test_the_forms_say_what_they_are_about(lost: Rollout, cast: Cast) -> None:
    html = browser(cast["tom"]).get(lost.get_absolute_url()).content.decode()
    assert html.count(f'name="seen" value="{seen(lost)}"') == 3


def test_the_second_person_is_not_enough_when_the_first_may_no_more(lost: Rollout, cast: Cast) -> None:
    asked_by(lost, cast["olaf"])
    User.objects.filter(pk=cast["olaf"].pk).update(is_active=False)
    assert click(browser(cast["tom"]), lost, "try-again") == 409
    assert fresh(lost).state == R.UNKNOWN


@pytest.mark.parametrize("verb", ["done", "not-done", "try-again"])
def test_an_old_proof_asks_for_the_password_and_keeps_the_words(lost: Rollout, cast: Cast, verb: str) -> None:
    client = browser(cast["tom"], stale=True)
    answer = client.post(f"{lost.get_absolute_url()}{verb}/", {"why": WHY, "password": "wrong", "seen": seen(lost)})
    assert answer.status_code == 422
    assert WHY in answer.content.decode()
    assert fresh(lost).state == R.UNKNOWN


@pytest.mark.parametrize("verb", ["done", "not-done", "try-again", "probe"])
def test_only_who_may_stop_a_rollout_may_decide(lost: Rollout, cast: Cast, verb: str) -> None:
    assert click(browser(cast["ann"]), lost, verb) == 403


def test_the_target_is_asked_again_on_a_click(lost: Rollout, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(nudge, "probe", asked.append)
    assert click(browser(cast["tom"]), lost, "probe") == 302
    assert asked == [Run.objects.get(rollout=lost, state=N.UNKNOWN).pk]


def test_a_target_that_is_not_in_question_is_not_asked(target: Target, cast: Cast) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    assert click(browser(cast["tom"]), rollout, "probe") == 409


def test_not_done_of_a_rollback_leaves_it_not_restored(target: Target, cast: Cast, tmp_path) -> None:
    rollout = factories.make_approved(target, cast)
    views_world.watched(rollout, cast["olaf"], tmp_path)
    run = unknown_rollback(rollout, cast["olaf"])
    choice = card(fresh(rollout), cast["tom"]).choices[1]
    assert run.kind == "rollback"
    assert "counts as not restored (P0)" in choice.follows


def unknown_rollback(rollout: Rollout, operator: User) -> Run:
    run = views_world.actions.roll_back(
        fresh(rollout), user=operator, why="too slow", by=factories.actor(operator), now=later(40)
    )
    step = run.steps.get(kind="restore")
    transitions.move(step, "RUNNING", by=SYSTEM, now=later(41), attempt=1, started_at=later(41))
    endings.unknown(Run.objects.get(pk=run.pk), step, why="killed", now=NOW)
    return run
