"""Releases and drafts: who may make them, what is refused, and which older ones give way."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.ledger import Refused
from rollout import drafting
from rollout.models import Component, Release, Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import COMMIT, NOW, actor, fresh

pytestmark = pytest.mark.django_db


def create(component: Component, user: User, **changed: Any) -> Release:
    values: dict[str, Any] = {"version": "1.1.0", "commit": COMMIT}
    return drafting.create_release(component, **{**values, **changed}, user=user, by=actor(user), now=NOW)


@pytest.mark.parametrize("version", ["", "-1", "1/2", "../1", "1 0", "x" * 61, "1\n", "ä"])
def test_a_version_that_could_mean_a_place_is_refused(target: Target, cast: dict, version: str) -> None:
    with pytest.raises(Refused, match="is no version"):
        create(target.component, cast["rita"], version=version)


@pytest.mark.parametrize("commit", ["", "abc", "A" * 40, "g" * 40, COMMIT + "a", COMMIT + "\n"])
def test_a_commit_is_given_whole(target: Target, cast: dict, commit: str) -> None:
    with pytest.raises(Refused, match="40 lower-case"):
        create(target.component, cast["rita"], commit=commit)


def test_a_release_never_changes(target: Target, cast: dict) -> None:
    create(target.component, cast["rita"])
    with pytest.raises(Refused, match="exists already"):
        create(target.component, cast["rita"], commit="b" * 40)


@pytest.mark.parametrize("name", ["ann", "olaf", "aud", "ada", "otto"])
def test_only_a_release_owner_makes_a_release(target: Target, cast: dict, name: str) -> None:
    with pytest.raises(PermissionDenied, match="release-owner"):
        create(target.component, cast[name])


def test_a_draft_needs_a_reason(target: Target, cast: dict) -> None:
    release, rita = create(target.component, cast["rita"]), cast["rita"]
    with pytest.raises(Refused, match="Say why"):
        drafting.create_rollout(release, target, reason=" no ", user=rita, by=actor(rita), now=NOW)


def test_what_is_live_already_is_not_rolled_out(target: Target, cast: dict) -> None:
    with pytest.raises(Refused, match=r"runs 1\.0\.0 already"):
        factories.make_draft(target, cast["rita"], "1.0.0")


def test_nothing_is_drafted_for_a_retired_target(target: Target, cast: dict) -> None:
    target.retired = True
    with pytest.raises(Refused, match="retired"):
        factories.make_draft(target, cast["rita"])


def test_a_release_goes_to_its_own_component_only(target: Target, cast: dict) -> None:
    release, rita = create(Component.objects.create(name="other", title="Other"), cast["rita"]), cast["rita"]
    with pytest.raises(Refused, match="another component"):
        drafting.create_rollout(release, target, reason="customers wait", user=rita, by=actor(rita), now=NOW)


@pytest.mark.parametrize("state", [R.DRAFT, R.WAITING, R.APPROVED])
def test_a_newer_rollout_takes_the_place_of_one_that_has_not_begun(target: Target, cast: dict, state: str) -> None:
    older = factories.put_in(factories.make_draft(target, cast["rita"]), state)
    newer = factories.make_draft(target, cast["rita"], "1.2.0")
    assert (fresh(older).state, fresh(older).superseded_by) == (R.SUPERSEDED, newer)


@pytest.mark.parametrize("state", [R.QUEUED, R.RUNNING, R.WATCHING, R.SUCCEEDED, R.CANCELLED])
def test_a_newer_rollout_leaves_alone_what_has_begun_or_ended(target: Target, cast: dict, state: str) -> None:
    older = factories.put_in(factories.make_draft(target, cast["rita"]), state)
    factories.make_draft(target, cast["rita"], "1.2.0")
    assert fresh(older).state == state


def test_a_rollout_for_another_target_is_left_alone(target: Target, cast: dict) -> None:
    staging = target.component.targets.get(environment__name="staging")
    older = factories.make_draft(staging, cast["rita"])
    factories.make_draft(target, cast["rita"], "1.2.0")
    assert fresh(older).state == R.DRAFT


@pytest.mark.parametrize("changes", [{"p95.limit": "5000"}, {"p95.limit": "1"}, {"health.limit": "9"}, {"x": "1"}])
def test_a_tuning_out_of_bounds_is_refused(target: Target, cast: dict, changes: dict[str, str]) -> None:
    draft, rita = factories.make_draft(target, cast["rita"]), cast["rita"]
    with pytest.raises(Refused, match="not allowed"):
        drafting.tune(draft, changes=changes, accepted=True, user=rita, by=actor(rita), now=NOW)


def test_accepting_the_defaults_makes_nobody_a_tuner(target: Target, cast: dict) -> None:
    assert fresh(factories.make_draft(target, cast["rita"])).tuned_by is None


def tune(draft: Rollout, user: User, **changes: str) -> None:
    """Tune like the page does, from the row as it stands; `p95_limit` is the key p95.limit."""
    named = {key.replace("_", "."): value for key, value in changes.items()}
    drafting.tune(fresh(draft), changes=named, accepted=True, user=user, by=actor(user), now=NOW)


def test_saving_a_tuning_again_takes_nobody_over(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    tune(draft, cast["ann"], p95_limit="1500")
    tune(draft, cast["rita"], p95_limit="1500.0")
    assert fresh(draft).tuners == {"p95.limit": [cast["ann"].pk]} and fresh(draft).tuned_by == cast["ann"]


def test_everybody_who_had_a_part_in_a_number_stays_its_tuner(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    tune(draft, cast["ann"], p95_limit="1500")
    tune(draft, cast["rita"], p95_limit="1400")
    assert fresh(draft).tuners == {"p95.limit": [cast["ann"].pk, cast["rita"].pk]}


def test_taking_a_tuning_back_lets_its_tuners_go(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    tune(draft, cast["ann"], p95_limit="1500")
    tune(draft, cast["rita"])
    assert fresh(draft).tuners == {} and fresh(draft).tuned_by is None


def test_a_tuning_over_one_that_came_in_between_keeps_its_tuner(target: Target, cast: dict) -> None:
    draft, rita = factories.make_draft(target, cast["rita"]), cast["rita"]
    stale = fresh(draft)
    tune(draft, cast["ann"], p95_limit="1500")
    drafting.tune(stale, changes={"p95.limit": "1500"}, accepted=True, user=rita, by=actor(rita), now=NOW)
    assert fresh(draft).tuners == {"p95.limit": [cast["ann"].pk]}


def test_what_runs_cannot_be_tuned(target: Target, cast: dict) -> None:
    draft = factories.put_in(factories.make_draft(target, cast["rita"]), R.RUNNING)
    with pytest.raises(Refused, match="no longer be tuned"):
        drafting.tune(draft, changes={}, accepted=True, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
