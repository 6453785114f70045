"""What the page of a rollout shows after the start: what was signed, what a rollback did, in names and not accounts."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals.models import Person
from monitoring import storage
from monitoring.models import Notice
from rollout import evidence
from rollout.models import Artifact, Rollout, Run, Step, Target
from rollout.views import story
from tests import factories
from tests.factories import NOW, fresh, later
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


def page(rollout: Rollout, user: User) -> str:
    """Return the words of the page."""
    html = browser(user).get(rollout.get_absolute_url()).content.decode()
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def replace_archive(rollout: Rollout, cast: Cast) -> None:
    """Let other bytes take the place of the release archive, past every check."""
    old = rollout.release.artifacts.get(kind="release_archive", replaced_at=None)
    Artifact.objects.filter(pk=old.pk).update(replaced_at=later(30))
    old.pk, old.sha256, old.name, old.replaced_at = None, "d" * 64, "other.zip", None
    old.save(force_insert=True)


def kept_log(run: Run, kind: str, text: bytes, settings, folder: Path) -> Artifact:
    settings.GR_ARTIFACTS = folder / "artifacts"
    path = folder / "made.log"
    path.write_bytes(text)
    return evidence.keep_from_run(run, kind=kind, path=path, now=NOW)


def test_after_the_start_the_checklist_is_what_was_signed(target: Target, cast: Cast) -> None:
    rollout = factories.make_approved(target, cast)
    views_world.started(rollout, cast["olaf"])
    replace_archive(rollout, cast)
    said = page(rollout, cast["aud"])
    assert "as it was signed" in said
    assert "other.zip" not in said


def test_before_the_start_a_manifest_that_no_longer_holds_names_what_changed(target: Target, cast: Cast) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    assert "no longer holds" not in page(rollout, cast["aud"])
    replace_archive(rollout, cast)
    said = page(rollout, cast["aud"])
    assert "What was frozen here no longer holds: the evidence and the release changed since." in said
    assert fresh(rollout).state == "WAITING"


def test_the_card_of_a_rollback_names_backup_proof_and_lock(target: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = factories.make_approved(target, cast)
    run = views_world.rolled_back(rollout, cast["olaf"], tmp_path)
    for step in run.steps.all():
        outcome = {"result": "ok", "sentence": f"{step.params.get('what', step.kind)} was proved"}
        Step.objects.filter(pk=step.pk).update(state="SUCCEEDED", attempt=1, outcome=outcome)
    Target.objects.filter(pk=target.pk).update(
        locked=True, locked_by="system", lock_reason="rolled back", locked_at=NOW
    )
    said = page(rollout, cast["aud"])
    assert "dhash_production_20261123_1200" in said
    assert "b" * 64 in said
    assert "Proof Restored was proved" in said
    assert "Health Health was proved" in said
    assert "dhash/production is locked since" in said


def test_a_rollback_that_broke_off_says_what_it_did_not_come_to(target: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = factories.make_approved(target, cast)
    run = views_world.rolled_back(rollout, cast["olaf"], tmp_path)
    wrong = {"result": "failed", "sentence": "3 files differ"}
    Step.objects.filter(run=run, params__what="restored").update(state="FAILED", attempt=1, outcome=wrong)
    Rollout.objects.filter(pk=rollout.pk).update(state="NOT_RESTORED", state_why="3 files differ")
    said = page(rollout, cast["aud"])
    assert "Proof 3 files differ" in said
    assert "Smoke tests It did not come to this." in said
    assert "Rollback runbook, filled in" in said


def test_the_timeline_prints_names_and_lets_the_system_act_by_itself(target: Target, cast: Cast) -> None:
    Person.objects.update_or_create(user=cast["ann"], defaults={"printed_name": "Ann Lindqvist"})
    rollout = factories.make_waiting(target, cast["rita"])
    factories.decide(rollout, cast["ann"], "approver")
    said = page(rollout, cast["aud"])
    assert "Ann Lindqvist · " in said.partition("Timeline")[2]
    assert "system via system" not in said


def test_a_sent_notice_has_no_next_try(target: Target, cast: Cast) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    Notice.objects.update(state="SENT", next_attempt_at=NOW + timedelta(minutes=5))
    assert "next try" not in page(rollout, cast["aud"])
    Notice.objects.update(state="PENDING")
    assert "next try" in page(rollout, cast["aud"])


def test_the_dry_run_is_read_on_the_page_with_its_control_characters_shown(
    target: Target, cast: Cast, settings, tmp_path: Path
) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    run = rollout.runs.create(target=target, kind="validate", state="SUCCEEDED", created_at=NOW)
    kept_log(run, "deploy_dryrun", b"first \x1b[31mline\n" + b"x" * 40_000 + b"\nlast line", settings, tmp_path)
    html = browser(cast["aud"]).get(rollout.get_absolute_url()).content.decode()
    assert "\x1b" not in html
    assert "last line" in html
    assert "bytes are left out here" in html
    assert html.count("x" * 9000) == 0


def test_a_dry_run_whose_bytes_are_gone_says_so(target: Target, cast: Cast, settings, tmp_path: Path) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    run = rollout.runs.create(target=target, kind="validate", state="SUCCEEDED", created_at=NOW)
    kept = kept_log(run, "migrate_dryrun", b"one line", settings, tmp_path)
    storage.path_of(settings.GR_ARTIFACTS, kept.sha256).unlink()
    assert "no longer where they were kept" in page(rollout, cast["aud"])


def test_the_rail_never_calls_a_target_restored_that_is_not() -> None:
    assert story.stages("NOT_RESTORED")[-1].label == "Not restored"
    assert story.stages("ROLLED_BACK")[-1].label == "Restored"


def test_every_page_links_the_messages_that_were_sent(cast: Cast) -> None:
    assert f'href="{reverse("notice_list")}"' in browser(cast["aud"]).get("/").content.decode()
