"""The good journey: 1.1.0 is proved, signed by four people, deployed, watched and stays, on real dhash processes."""

import io
import json
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from monitoring import storage
from monitoring.models import Watch
from rollout import evidence
from rollout.component import FROM_RUNS
from tests.journeys.house import SIGNERS, House
from tests.journeys.sight import Chapter

pytestmark = [pytest.mark.slow, pytest.mark.django_db]


def test_production_answers_with_the_new_column(succeeded: Chapter) -> None:
    assert "average_colour" not in succeeded.before.image
    assert succeeded.after.image["average_colour"].startswith("#")


def test_current_points_at_the_release_that_answers(succeeded: Chapter) -> None:
    assert (succeeded.after.link[-6:], succeeded.after.health["version"]) == ("-1.1.0", "1.1.0")


def test_release_before_stays_beside_it_untouched(house: House, succeeded: Chapter) -> None:
    assert succeeded.before.link.removeprefix("releases/") in succeeded.after.releases


def test_four_people_signed_the_digest_that_was_deployed_and_one_of_them_started_it(succeeded: Chapter) -> None:
    sign_off, digest = succeeded.rollout.sign_off, succeeded.rollout.digest
    given = sign_off.decisions.values_list("user__username", "duty", "digest", "kind").order_by("seq")
    assert list(given) == [*((name, duty, digest, "APPROVE") for name, duty in SIGNERS), ("olaf", "", digest, "START")]


def test_who_asked_for_it_is_refused_as_approver(house: House, succeeded: Chapter) -> None:
    answer = house.person("rita").ask(succeeded.rollout, "decide", kind="APPROVE", duty="approver", digest="0" * 64)
    assert answer.status_code == 403


def test_backup_is_accepted_by_sha256sum_and_unzip(succeeded: Chapter) -> None:
    backup = Path(succeeded.rollout.backup.path)
    name = f"{backup.parent.name}/{backup.name}"
    for argv in (["sha256sum", "-c", f"{name}.sha256"], ["unzip", "-tq", name]):
        done = subprocess.run(argv, cwd=backup.parent.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_step_was_started_once(succeeded: Chapter) -> None:
    runs = succeeded.rollout.runs.filter(kind__in=["validate", "deploy"])
    assert {step.attempt for run in runs for step in run.steps.all()} == {1}


def test_every_evidence_of_the_validate_run_is_kept_with_its_bytes(succeeded: Chapter) -> None:
    here = {one.kind: one for one in succeeded.rollout.artifacts.filter(run__kind="validate", replaced_at=None)}
    assert set(FROM_RUNS) - {"backup"} <= set(here)
    assert [one.kind for one in here.values() if storage.sha256_of(evidence.path_of(one)) != one.sha256] == []


def test_migration_dry_run_names_the_migration(succeeded: Chapter) -> None:
    kept = succeeded.rollout.artifacts.get(kind="migrate_dryrun", replaced_at=None)
    assert "migrations that the release adds: 0002_average_colour.sql" in evidence.path_of(kept).read_text()


def test_watch_passed_and_is_closed(succeeded: Chapter) -> None:
    watch = succeeded.rollout.runs.get(kind="deploy").watch
    assert (watch.outcome, watch.state) == (Watch.Outcome.PASSED, Watch.State.CLOSED)


def test_audit_verifies(succeeded: Chapter) -> None:
    said = io.StringIO()
    call_command("audit", "verify", stdout=said)
    assert said.getvalue().endswith("the chain holds\n")


def test_notices_of_every_station_stand_in_the_file(succeeded: Chapter) -> None:
    told = [json.loads(line) for line in Path(settings.GR_NOTICE_FILE).read_text().splitlines()]
    stations = {"signoff_requested", "signoff_complete", "run_started", "watch_started", "rollout_succeeded"}
    assert stations <= {one["event"] for one in told}


def test_everybody_can_read_the_story(house: House, succeeded: Chapter) -> None:
    for name in ("rita", "ann", "olaf", "tom", "aud", "ada"):
        assert "1.1.0" in house.person(name).read(f"/rollouts/{succeeded.rollout.pk}/")


def test_outsider_is_told_which_roles_could_read_it(house: House, succeeded: Chapter) -> None:
    answer = house.person("otto").client.get(f"/rollouts/{succeeded.rollout.pk}/")
    assert (answer.status_code, "auditor" in answer.content.decode()) == (403, True)
