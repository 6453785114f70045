"""When the machinery itself breaks, people are told once, and again only after they closed it."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User

from monitoring import incidents
from monitoring.audit import SYSTEM
from monitoring.models import Incident
from rollout import alarms, engine, tasks
from rollout.models import Run
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW

BROKEN = RuntimeError("the disk is on fire")


@pytest.fixture
def run(cast: dict[str, User], tmp_path: Path) -> Run:
    """Return a deploy run that goes on."""
    rollout = factories.put_in(factories.make_draft(factories.make_target(tmp_path), cast["rita"]), R.RUNNING)
    return Run.objects.create(rollout=rollout, target=rollout.target, kind="deploy", state="RUNNING", created_at=NOW)


def test_it_opens_an_incident_that_names_the_run_and_the_error(run: Run) -> None:
    incident = alarms.cannot_go_on(run.pk, BROKEN, now=NOW)
    assert incident is not None
    assert (incident.severity, f"deploy run {run.pk} raised RuntimeError: the disk is on fire" in incident.summary) == (
        "P0",
        True,
    )


def test_it_does_so_once(run: Run) -> None:
    alarms.cannot_go_on(run.pk, BROKEN, now=NOW)
    assert alarms.cannot_go_on(run.pk, BROKEN, now=NOW) is None
    assert Incident.objects.count() == 1


def test_it_tells_again_when_the_incident_was_closed(run: Run) -> None:
    first = alarms.cannot_go_on(run.pk, BROKEN, now=NOW)
    assert first is not None
    incidents.close(first, resolution="put out the fire", by=SYSTEM, now=NOW)
    assert alarms.cannot_go_on(run.pk, BROKEN, now=NOW) is not None


def test_the_task_alarms_and_still_fails(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def burn(run_id: int) -> None:
        raise BROKEN

    monkeypatch.setattr(engine, "advance", burn)
    with pytest.raises(RuntimeError, match="fire"):
        tasks.advance(run.pk)
    assert Incident.objects.get().title == alarms.TITLE
