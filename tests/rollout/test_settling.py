"""A rollout that the system cannot end is settled by a person, with a reason, on what is really live."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.ledger import Refused
from monitoring.models import AuditEntry
from rollout import runner, settling, states
from rollout.commands import lock_path
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.base import PASSWORD, Client

WHY = "restored by hand from the copy on the second disk"


@pytest.fixture
def stuck(cast: dict[str, User], tmp_path: Path) -> Rollout:
    """Return a rollout whose rollback did not restore the target."""
    return factories.put_in(factories.make_draft(factories.make_target(tmp_path), cast["rita"]), R.NOT_RESTORED)


def settle(rollout: Rollout, user: User, why: str = WHY) -> None:
    settling.settle(rollout, user=user, why=why, by=factories.actor(user), now=factories.NOW)


def test_it_ends_and_frees_the_target(stuck: Rollout, cast: dict[str, User]) -> None:
    settle(stuck, cast["tom"])
    stuck.refresh_from_db()
    assert stuck.state == R.ROLLED_BACK_UNHEALTHY
    assert stuck.state not in states.ACTIVE


def test_the_target_stays_locked(stuck: Rollout, cast: dict[str, User]) -> None:
    settle(stuck, cast["tom"])
    assert WHY in Target.objects.get(pk=stuck.target_id).lock_reason


def test_the_reason_stands_in_the_audit(stuck: Rollout, cast: dict[str, User]) -> None:
    settle(stuck, cast["tom"])
    entry = AuditEntry.objects.get(action="rollout.rolled_back_unhealthy")
    assert WHY in entry.why
    assert entry.actor_name == "tom"


def test_what_is_live_is_read_from_the_target(stuck: Rollout, cast: dict[str, User]) -> None:
    Target.objects.filter(pk=stuck.target_id).update(live_version="9.9.9")
    settle(stuck, cast["tom"])
    assert Target.objects.get(pk=stuck.target_id).live_version == "1.0.0"


def test_what_is_live_on_another_host_is_asked_there(stuck: Rollout, cast: dict[str, User]) -> None:
    Target.objects.filter(pk=stuck.target_id).update(live_version="9.9.9", host_id="elsewhere")
    settle(Rollout.objects.get(pk=stuck.pk), cast["tom"])
    assert Target.objects.get(pk=stuck.target_id).live_version == ""


def test_an_unknown_run_is_ended_with_it(stuck: Rollout, cast: dict[str, User]) -> None:
    Rollout.objects.filter(pk=stuck.pk).update(state=R.UNKNOWN)
    stuck.refresh_from_db()
    run = Run.objects.create(
        rollout=stuck, target=stuck.target, kind="deploy", state="UNKNOWN", created_at=factories.NOW
    )
    settle(stuck, cast["tom"])
    assert Run.objects.get(pk=run.pk).state == "FAILED"


def test_it_says_that_the_host_of_an_unknown_run_has_not_answered(stuck: Rollout, cast: dict[str, User]) -> None:
    Rollout.objects.filter(pk=stuck.pk).update(state=R.UNKNOWN)
    Target.objects.filter(pk=stuck.target_id).update(host_id="b")
    stuck = Rollout.objects.get(pk=stuck.pk)
    Run.objects.create(
        rollout=stuck, target=stuck.target, host_id="b", kind="deploy", state="UNKNOWN", created_at=factories.NOW
    )
    settle(stuck, cast["tom"])
    assert "Host b has not answered since" in AuditEntry.objects.get(action="rollout.rolled_back_unhealthy").why


def test_another_role_may_not(stuck: Rollout, cast: dict[str, User]) -> None:
    with pytest.raises(PermissionDenied, match="deploy-operator"):
        settle(stuck, cast["rita"])


def test_it_needs_a_reason(stuck: Rollout, cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="in a sentence"):
        settle(stuck, cast["tom"], why="ok")


def test_nothing_is_settled_while_a_command_holds_the_target(stuck: Rollout, cast: dict[str, User]) -> None:
    with runner.lock(lock_path(stuck.target)), pytest.raises(Refused, match="still holds"):
        settle(stuck, cast["tom"])


def test_a_healthy_rollout_has_nothing_to_settle(stuck: Rollout, cast: dict[str, User]) -> None:
    Rollout.objects.filter(pk=stuck.pk).update(state=R.SUCCEEDED)
    stuck.refresh_from_db()
    with pytest.raises(Refused, match="nothing to settle"):
        settle(stuck, cast["tom"])


def test_the_page_offers_it_to_who_may_and_does_it(stuck: Rollout, cast: dict[str, User], client: Client) -> None:
    client.force_login(cast["tom"])
    page = client.get(stuck.get_absolute_url()).content.decode()
    answer = client.post(f"{stuck.get_absolute_url()}settle/", {"why": WHY, "password": PASSWORD})
    assert "Put right by hand" in page
    assert answer.status_code == 302
    assert Rollout.objects.get(pk=stuck.pk).state == R.ROLLED_BACK_UNHEALTHY


def test_the_page_offers_it_to_nobody_else(stuck: Rollout, cast: dict[str, User], client: Client) -> None:
    client.force_login(cast["rita"])
    assert "Put right by hand" not in client.get(stuck.get_absolute_url()).content.decode()
