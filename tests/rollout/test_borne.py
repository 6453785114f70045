"""Rows that somebody wrote into the database start nothing: a run goes on only where the audit bears it out."""

import hashlib
import json

import pytest
from django.contrib.auth.models import User

from approvals.models import SignOff
from monitoring import canonical
from monitoring.models import Incident
from rollout import actions, borne, engine, freezing, opened, plan
from rollout.models import Artifact, BreakGlass, Rollout, Run, Step, Target
from tests import factories
from tests.approvals import forger
from tests.factories import NOW, actor, break_glass, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture
def deploy(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return a deploy run whose first step runs."""
    rollout = factories.make_approved(target, cast)
    run = actions.start(rollout, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    engine.advance(run.pk)
    return run


@pytest.fixture
def validate(target: Target, cast: Cast, fake: FakeRunner) -> Run:
    """Return a validate run whose first step runs."""
    rollout = factories.make_draft(target, cast["rita"])
    run = actions.submit(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    engine.advance(run.pk)
    return run


def write(rollout: Rollout, kind: str, steps: list[plan.StepPlan], **values: object) -> Run:
    """Write a run and its steps as somebody would who knows the tables."""
    made: Run = Run.objects.create(rollout=rollout, target=rollout.target, kind=kind, created_at=NOW, **values)
    for number, step in enumerate(steps, 1):
        Step.objects.create(run=made, number=number, **step.to_dict())
    return made


def go_on(run: Run, fake: FakeRunner) -> None:
    fake.succeed()
    engine.advance(run.pk)


def test_a_deploy_that_nobody_started_does_nothing(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    Rollout.objects.filter(pk=rollout.pk).update(state="RUNNING")
    steps = plan.deploy(target.spec, "1.1.0", plan.release_dir(rollout.pk, "1.1.0"))
    run = write(rollout, "deploy", list(steps), state="RUNNING", epoch=1)
    engine.advance(run.pk)
    assert (fake.started, Run.objects.get(pk=run.pk).state, fresh(rollout).state) == ([], "FAILED", "WAITING")
    assert "no entry of the audit tells" in Incident.objects.get().summary


def test_a_rollback_that_nobody_started_does_nothing(target: Target, cast: Cast, fake: FakeRunner) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    Rollout.objects.filter(pk=rollout.pk).update(state="ROLLING_BACK")
    run = write(rollout, "rollback", list(plan.rollback("1.0.0")), state="RUNNING", epoch=1)
    engine.advance(run.pk)
    assert fake.started == [] and Run.objects.get(pk=run.pk).state == "FAILED"


def test_a_validate_run_changes_no_target(validate: Run, fake: FakeRunner) -> None:
    Step.objects.create(run=validate, number=99, kind="switch", title="Switch", effect=True, params={}, timeout_s=60)
    go_on(validate, fake)
    why = fresh(validate.rollout).state_why
    assert fresh(validate.rollout).state == "DRAFT" and "its steps are not those with which it was opened" in why


@pytest.mark.parametrize("effect", [True, False])
def test_a_step_with_an_effect_is_known_by_its_kind(validate: Run, effect: bool) -> None:
    validate.steps.filter(number=2).update(kind="switch", effect=effect)
    assert list(borne._problems(validate))[-1] == "no validate run has such a step: switch"


@pytest.mark.parametrize(
    "change", [{"kind": "check"}, {"params": {"what": "migrate"}}, {"timeout_s": 9}, {"effect": True}, {"number": 77}]
)
def test_a_deploy_with_other_steps_than_those_that_were_signed_goes_no_further(
    deploy: Run, fake: FakeRunner, change: dict[str, object]
) -> None:
    deploy.steps.filter(kind="dry_run").update(**change)
    go_on(deploy, fake)
    why = fresh(deploy.rollout).state_why
    assert fresh(deploy.rollout).state == "FAILED" and "not those with which it was opened" in why
    assert "its steps are not those of the plan that was signed" in list(borne._problems(deploy))


def test_a_manifest_that_is_swapped_with_every_digest_after_the_start_deploys_nothing(
    deploy: Run, fake: FakeRunner
) -> None:
    rollout = fresh(deploy.rollout)
    forger.edit(Artifact.objects.get(kind="release_archive"), sha256="e" * 64)
    text = canonical.dumps(freezing.manifest_of(rollout))
    digest = hashlib.sha256(text.encode()).hexdigest()
    forger.edit(rollout, manifest=text, digest=digest)
    forger.edit(SignOff.objects.get(), manifest=text, digest=digest)
    go_on(deploy, fake)
    assert fresh(rollout).state == "FAILED" and "its digest is not what #" in fresh(rollout).state_why


def test_a_deploy_that_began_once_does_not_begin_again(deploy: Run, fake: FakeRunner) -> None:
    fake.fail()
    engine.advance(deploy.pk)
    Run.objects.filter(pk=deploy.pk).update(state="QUEUED")
    Rollout.objects.filter(pk=deploy.rollout_id).update(state="QUEUED")
    SignOff.objects.update(state="COMPLETE")
    deploy.steps.update(state="PENDING")
    engine.advance(deploy.pk)
    assert len(fake.started) == 1


def test_a_break_glass_begins_one_run_once(target: Target, cast: Cast, fake: FakeRunner) -> None:
    run = break_glass(factories.make_waiting(target, cast["rita"]), cast["olaf"]).run
    engine.advance(run.pk)
    fake.fail()
    engine.advance(run.pk)
    Run.objects.filter(pk=run.pk).update(state="QUEUED")
    Rollout.objects.filter(pk=run.rollout_id).update(state="QUEUED")
    run.steps.update(state="PENDING")
    engine.advance(run.pk)
    assert len(fake.started) == 1


def test_a_break_glass_of_another_rollout_begins_nothing(target: Target, cast: Cast, fake: FakeRunner) -> None:
    run = break_glass(factories.make_waiting(target, cast["rita"]), cast["olaf"]).run
    other = factories.make_waiting(target, cast["rita"], "1.2.0")
    Run.objects.filter(pk=run.pk).update(rollout=other)
    Rollout.objects.filter(pk=other.pk).update(state="QUEUED")
    engine.advance(run.pk)
    assert fake.started == []


def test_a_break_glass_goes_on_to_its_end(target: Target, cast: Cast, fake: FakeRunner) -> None:
    run = break_glass(factories.make_waiting(target, cast["rita"]), cast["olaf"]).run
    drive(run, fake, stop_at="watch")
    assert run.steps.get(kind="watch").state == "RUNNING" and BreakGlass.objects.get().run_id == run.pk


def test_a_sign_off_over_something_else_is_no_consent(target: Target, cast: Cast) -> None:
    one, other = (factories.make_waiting(target, cast["rita"], version) for version in ("1.1.0", "1.2.0"))
    assert borne.not_about(one.sign_off, other) == "the sign-off is about something else"
    assert borne.not_about(one.sign_off, one) == ""


def test_the_steps_are_compared_as_json_holds_them(deploy: Run) -> None:
    assert (
        opened.plan_of(deploy.steps.order_by("number")) == json.loads(fresh(deploy.rollout).manifest)["plan"]["deploy"]
    )
