"""The good journey: 1.1.0 is proved, signed by four people, deployed, watched and stays, on real dhash processes."""

import io
import json
import subprocess
import urllib.request
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from monitoring import storage
from monitoring.models import Watch
from rollout import evidence
from rollout.component import FROM_RUNS
from rollout.models import Rollout
from tests.journeys.house import PRODUCTION, SIGNERS, House

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def test_production_answers_with_the_new_column(house: House, succeeded: Rollout) -> None:
    image = sorted((house.world.root(PRODUCTION) / "current" / "golden").glob("*.png"))[0]
    request = urllib.request.Request(f"{house.world.base_url(PRODUCTION)}/images", data=image.read_bytes())
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["average_colour"].startswith("#")


def test_what_is_live_is_recorded_and_linked(house: House, succeeded: Rollout) -> None:
    link = house.world.root(PRODUCTION) / "current"
    assert (house.target().live_version, link.readlink().name.endswith("-1.1.0")) == ("1.1.0", True)


def test_four_people_signed_the_digest_that_was_deployed(house: House, succeeded: Rollout) -> None:
    given = succeeded.sign_off.decisions.values_list("user__username", "duty", "digest", "kind").order_by("pk")
    assert list(given) == [(name, duty, succeeded.digest, "APPROVE") for name, duty in SIGNERS]


def test_backup_is_accepted_by_sha256sum_and_unzip(succeeded: Rollout) -> None:
    folder = Path(succeeded.backup.path).parent
    name = f"{folder.name}/{Path(succeeded.backup.path).name}"
    for argv in (["sha256sum", "-c", f"{name}.sha256"], ["unzip", "-tq", name]):
        done = subprocess.run(argv, cwd=folder.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_step_was_started_once(succeeded: Rollout) -> None:
    attempts = {step.attempt for run in succeeded.runs.all() for step in run.steps.all()}
    assert attempts == {1}


def test_every_required_evidence_is_there_with_its_bytes(succeeded: Rollout) -> None:
    here = {one.kind: one for one in succeeded.artifacts.filter(run__kind="validate", replaced_at=None)}
    assert set(FROM_RUNS) - {"backup"} <= set(here)
    assert {storage.sha256_of(evidence.path_of(one)) == one.sha256 for one in here.values()} == {True}


def test_migration_dry_run_names_the_migration_and_the_live_rows_stayed(succeeded: Rollout) -> None:
    text = evidence.path_of(succeeded.artifacts.get(kind="migrate_dryrun", replaced_at=None)).read_text()
    assert "migrations that the release adds: 0002_average_colour.sql" in text


def test_watch_passed_and_is_closed(succeeded: Rollout) -> None:
    watch = succeeded.runs.get(kind="deploy").watch
    assert (watch.outcome, watch.state) == (Watch.Outcome.PASSED, Watch.State.CLOSED)


def test_audit_verifies(succeeded: Rollout) -> None:
    said = io.StringIO()
    call_command("audit", "verify", stdout=said)
    assert said.getvalue().endswith("the chain holds\n")


def test_notices_of_every_station_stand_in_the_file(succeeded: Rollout) -> None:
    told = [json.loads(line) for line in Path(settings.GR_NOTICE_FILE).read_text().splitlines()]
    events = {one["event"] for one in told}
    stations = {"signoff_requested", "signoff_complete", "run_started", "watch_started", "rollout_succeeded"}
    assert stations <= events


def test_everybody_can_read_the_story(house: House, succeeded: Rollout) -> None:
    for name in ("rita", "ann", "olaf", "tom", "aud", "ada"):
        assert "1.1.0" in house.person(name).read(f"/rollouts/{succeeded.pk}/")


def test_deploy_of_what_is_live_already_is_refused(house: House, succeeded: Rollout) -> None:
    rita, page = house.person("rita"), "/rollouts/new/"
    fields = {"release": str(succeeded.release_id), "target": str(succeeded.target_id), "reason": "Once more."}
    answer = rita.post(page, page=page, **fields)
    assert (answer.status_code, "runs 1.1.0 already" in answer.content.decode()) == (422, True)
