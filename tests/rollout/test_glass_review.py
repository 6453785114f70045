"""The review of a break-glass: by two others, in 24 hours; until then the component starts nothing normally."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from approvals.ledger import Refused
from monitoring import incidents
from monitoring.models import AuditEntry, IncidentEntry, Notice
from rollout import actions, engine, glass_review, permits, tasks
from rollout.models import BreakGlass, GlassReview, Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, break_glass, fresh, later, review_glass
from tests.fakes import FakeRunner

pytestmark = pytest.mark.django_db
Cast = dict[str, User]
DUE = NOW + timedelta(hours=24)


@pytest.fixture
def glass(target: Target, cast: Cast) -> BreakGlass:
    """Return a break-glass by Olaf."""
    return break_glass(factories.make_waiting(target, cast["rita"]), cast["olaf"])


def next_one(target: Target, cast: Cast) -> Rollout:
    """Return the next rollout of the component, approved, for another environment."""
    staging = target.component.targets.get(environment__name="staging")
    return factories.make_approved(staging, cast, "1.2.0")


def start(rollout: Rollout, cast: Cast) -> None:
    actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


def test_two_others_close_it(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"])
    assert not BreakGlass.objects.get().closed_at
    review_glass(glass, cast["abe"])
    assert BreakGlass.objects.get().closed_at == NOW


def test_who_had_a_part_or_could_not_have_approved_does_not_review(glass: BreakGlass, cast: Cast) -> None:
    for name in ("olaf", "rita", "tom", "mia", "aud", "ada", "otto"):
        with pytest.raises(Refused, match="You cannot review this"):
            review_glass(glass, cast[name])
    assert not GlassReview.objects.exists()


def test_the_requester_does_not_review_whatever_his_roles(glass: BreakGlass, cast: Cast) -> None:
    cast["rita"].groups.add(Group.objects.get(name="ops"))
    with pytest.raises(Refused, match="requester and uploader of this release"):
        review_glass(glass, cast["rita"])


def test_nobody_reviews_twice(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"])
    with pytest.raises(Refused, match="has reviewed it"):
        review_glass(glass, cast["ann"])


def test_a_third_review_is_refused(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"])
    review_glass(glass, cast["abe"])
    cast["tom"].groups.add(Group.objects.get(name="approver"))
    with pytest.raises(Refused, match="by two others already"):
        review_glass(glass, cast["tom"])


def test_a_role_that_was_lost_since_does_not_review(glass: BreakGlass, cast: Cast) -> None:
    cast["ann"].groups.clear()
    with pytest.raises(Refused, match="none of the roles"):
        review_glass(glass, cast["ann"])


def test_a_review_is_words_by_a_person_who_proved_himself(glass: BreakGlass, cast: Cast) -> None:
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"words": "fine"}, "in a sentence"),
        ({"verdict": ""}, "agree or object"),
        ({"authenticated_at": None}, "password again"),
        ({"authenticated_at": NOW - timedelta(minutes=6)}, "password again"),
    )
    for changed, said in refused:
        with pytest.raises(Refused, match=said):
            review_glass(glass, cast["ann"], **changed)


def test_a_token_does_not_review(glass: BreakGlass, cast: Cast) -> None:
    with pytest.raises(Refused, match="token can never"):
        review_glass(glass, cast["ann"], by=actor(cast["ann"], "api"))


def test_nobody_reviews_in_the_name_of_another(glass: BreakGlass, cast: Cast) -> None:
    with pytest.raises(Refused, match="another person's name"):
        review_glass(glass, cast["ann"], by=actor(cast["abe"]))


def test_until_it_is_closed_the_component_starts_nothing_normally(
    glass: BreakGlass, target: Target, cast: Cast
) -> None:
    other = next_one(target, cast)
    review_glass(glass, cast["ann"])
    with pytest.raises(permits.ReviewDueError, match="a review by another person must be there") as refused:
        start(other, cast)
    assert refused.value.url == f"/rollouts/{glass.rollout_id}/#glass"
    review_glass(glass, cast["abe"])
    start(other, cast)
    assert other.state == R.QUEUED


def test_what_was_queued_before_waits_for_the_review(target: Target, cast: Cast, fake: FakeRunner) -> None:
    queued = next_one(target, cast)
    start(queued, cast)
    glass = break_glass(factories.make_waiting(target, cast["rita"]), cast["abe"])
    run = queued.runs.get()
    engine.advance(run.pk)
    assert fresh(queued).state == R.QUEUED and "broke the glass" in fresh(queued).state_why
    review_glass(glass, cast["ann"])
    review_glass(glass, cast["olaf"])
    engine.advance(run.pk)
    assert fresh(queued).state == R.RUNNING


def test_another_component_is_not_held(glass: BreakGlass) -> None:
    assert not BreakGlass.objects.holding(None).exclude(component=glass.component).exists()


def test_another_break_glass_stays_possible_and_names_the_first(glass: BreakGlass, target: Target, cast: Cast) -> None:
    second = break_glass(next_one(target, cast), cast["olaf"])
    assert second.missing == [] and "Olaf broke the glass for rollout" in second.passed[0]


def test_an_objection_holds_until_the_incident_is_closed(glass: BreakGlass, target: Target, cast: Cast) -> None:
    review_glass(glass, cast["ann"], "OBJECT")
    review_glass(glass, cast["abe"])
    other = next_one(target, cast)
    with pytest.raises(Refused, match="a reviewer objects"):
        start(other, cast)
    incidents.close(glass.incident, resolution="the fix was reverted", by=actor(cast["tom"]), now=NOW)
    start(other, cast)
    assert other.state == R.QUEUED


def test_a_closed_incident_alone_frees_nothing(glass: BreakGlass, target: Target, cast: Cast) -> None:
    incidents.close(glass.incident, resolution="it works again", by=actor(cast["tom"]), now=NOW)
    with pytest.raises(Refused, match="reviews by two others"):
        start(next_one(target, cast), cast)


def test_a_review_is_told_noted_and_audited(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"], "OBJECT")
    assert "Ann objects: read the log" in AuditEntry.objects.get(action="rollout.glass_reviewed").why
    assert IncidentEntry.objects.filter(incident=glass.incident, text__contains="Ann objects").exists()
    assert Notice.objects.filter(event="glass_reviewed", severity="warning").exists()


def test_what_is_not_due_is_not_reminded_of(glass: BreakGlass) -> None:
    glass_review.remind_due(DUE - timedelta(seconds=1))
    assert not Notice.objects.filter(event="glass_overdue").exists()


def test_what_is_overdue_is_told_once_a_day_until_it_is_reviewed(glass: BreakGlass, cast: Cast) -> None:
    for hours in (0, 1, 23):
        glass_review.remind_due(DUE + timedelta(hours=hours))
    assert AuditEntry.objects.filter(action="rollout.glass_overdue").count() == 1
    glass_review.remind_due(DUE + timedelta(hours=25))
    assert AuditEntry.objects.filter(action="rollout.glass_overdue").count() == 2
    review_glass(glass, cast["ann"])
    review_glass(glass, cast["abe"])
    glass_review.remind_due(DUE + timedelta(hours=50))
    assert AuditEntry.objects.filter(action="rollout.glass_overdue").count() == 2


def test_an_overdue_review_stands_in_the_incident_and_is_loud(glass: BreakGlass) -> None:
    glass_review.remind_due(DUE)
    assert IncidentEntry.objects.filter(incident=glass.incident, text__contains="overdue").exists()
    assert set(Notice.objects.filter(event="glass_overdue").values_list("severity", flat=True)) == {"critical"}


def test_the_sweep_reminds(glass: BreakGlass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.timezone, "now", lambda: DUE)
    tasks.sweep()
    assert Notice.objects.filter(event="glass_overdue").exists()


def test_a_late_review_still_closes_it(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"], now=later(200_000))
    review_glass(glass, cast["abe"], now=later(200_000))
    assert not BreakGlass.objects.holding(glass.component).exists()


def test_the_database_keeps_it_at_two(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"])
    made = GlassReview.objects.get()
    for seq in (0, 3):
        made.pk, made.seq, made.user = None, seq, cast["abe"]
        made._state.adding = True
        with pytest.raises(IntegrityError, match="two_glass_reviews"), transaction.atomic():
            made.save()


def test_the_database_takes_one_review_a_person(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"])
    made = GlassReview.objects.get()
    made.pk, made.seq = None, 2
    made._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        made.save()


def test_a_review_is_not_edited(glass: BreakGlass, cast: Cast) -> None:
    review_glass(glass, cast["ann"], "OBJECT")
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        GlassReview._base_manager.update(verdict="AGREE")
