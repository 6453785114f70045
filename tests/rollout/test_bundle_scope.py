"""What a bundle holds: exactly its rollouts, no secret, no name that was erased; and who takes it."""

import json
import zipfile
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from approvals import delegation
from approvals.models import Person
from monitoring import audit, incidents, storage
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import bundle, freezing, transitions
from rollout.models import Rollout, Step, Target
from rollout.population import Period
from tests import factories
from tests.factories import NOW, fresh, later
from tests.monitoring.signed import house, notary
from tests.rollout import bundle_world
from tests.rollout.bundle_world import unpacked, zipped
from tests.rollout.signed_in import browser

Cast = dict[str, User]
DAY = timedelta(days=1)
TODAY = f"since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}"
SECRET = "canary-2f6d1c0b9a"


@pytest.fixture
def own(target: Target, settings: LazySettings, tmp_path: Path) -> Target:
    """Return a target whose audit is signed by a key of this test."""
    house(settings, tmp_path / "house")
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path
    return target


def period(since: int = 0, days: int = 1, **more: Any) -> Period:
    """Return a period that begins so many days after NOW's."""
    start = NOW.replace(hour=0) + since * DAY
    return Period(since=start, until=start + days * DAY, **more)


def inside(content: bytes) -> dict[str, bytes]:
    """Return the files of a bundle by name."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def rollouts_of(content: bytes) -> list[int]:
    """Return the rollouts that a bundle says it is of; each has its story."""
    files = inside(content)
    told: list[int] = json.loads(files["bundle.json"])["rollouts"]
    assert sorted(int(name.split("/")[1]) for name in files if name.endswith("rollout.json")) == told
    return told


def aged(rollout: Rollout, days: int) -> Rollout:
    """Return a rollout that was requested so many days after NOW."""
    Rollout.objects.filter(pk=rollout.pk).update(created_at=NOW + days * DAY)
    return fresh(rollout)


# --- which rollouts --------------------------------------------------------------------------------------------------
def test_a_period_holds_exactly_its_rollouts(own: Target, cast: Cast) -> None:
    aged(factories.make_draft(own, cast["rita"], "1.1.0"), -1)
    today = [factories.make_draft(own, cast["rita"], version).pk for version in ("1.2.0", "1.3.0")]
    aged(factories.make_draft(own, cast["rita"], "1.4.0"), 1)
    assert rollouts_of(zipped(bundle.of_period(period()))) == today


def test_a_period_of_another_component_or_environment_holds_none(own: Target, cast: Cast) -> None:
    factories.make_draft(own, cast["rita"])
    assert rollouts_of(zipped(bundle.of_period(period(component="other")))) == []
    assert rollouts_of(zipped(bundle.of_period(period(environment="staging")))) == []
    assert len(rollouts_of(zipped(bundle.of_period(period(component="dhash", environment="production"))))) == 1


def test_an_empty_period_verifies(own: Target, tmp_path: Path) -> None:
    notary().look(NOW)
    code, said, wrong = unpacked(zipped(bundle.of_period(period(since=9))), tmp_path / "out").as_it_is()
    assert (code, wrong) == (0, "") and "0 rollouts" in said


def test_a_period_verifies_with_every_decision_of_its_rollouts(own: Target, cast: Cast, tmp_path: Path) -> None:
    first = bundle_world.signed_rollout(own, cast, tmp_path)
    factories.make_draft(own, cast["rita"], "1.2.0")
    notary().look(NOW)
    taken = unpacked(zipped(bundle.of_period(period())), tmp_path / "out")
    code, said, wrong = taken.as_it_is()
    assert (code, wrong) == (0, "") and "2 rollouts, 3 decisions" in said
    assert {row["sign_off"] for row in taken.read("decisions.json")} == {first.sign_off_id}


def test_a_rollout_that_is_dropped_from_a_period_is_named(own: Target, cast: Cast, tmp_path: Path) -> None:
    bundle_world.signed_rollout(own, cast, tmp_path)
    second = factories.make_draft(own, cast["rita"], "1.2.0")
    notary().look(NOW)
    for number, asked in enumerate((period(), period(component="dhash", environment="production"))):
        taken = unpacked(zipped(bundle.of_period(asked)), tmp_path / f"out{number}")
        with taken.editing("bundle.json") as about:
            about["rollouts"].remove(second.pk)
        assert f"rollout {second.pk}: it was requested in this period, but is not in the bundle" in taken.problems()[2]


@pytest.mark.parametrize("column", ["component", "environment", "subject_kind", "subject_id", "action", "at"])
def test_a_rollout_is_missed_though_a_column_of_its_entry_is_left_out(
    own: Target, cast: Cast, tmp_path: Path, column: str
) -> None:
    gone = factories.make_draft(own, cast["rita"])
    notary().look(NOW)
    asked = period(component="dhash", environment="production")
    taken = unpacked(zipped(bundle.of_period(asked)), tmp_path / "out")
    with taken.editing("bundle.json") as about:
        about["rollouts"].remove(gone.pk)

    def cut(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        del bundle_world.entry(rows, "rollout.created")["columns"][column]
        return rows

    taken.lines(cut)
    assert f"rollout {gone.pk}: it was requested in this period, but is not in the bundle" in taken.problems()[2]


def test_a_rollout_of_another_environment_is_not_missed(own: Target, cast: Cast, tmp_path: Path) -> None:
    factories.make_draft(own, cast["rita"])
    notary().look(NOW)
    taken = unpacked(zipped(bundle.of_period(period(environment="staging"))), tmp_path / "out")
    assert taken.as_it_is()[0] == 0 and '"action": "rollout.created"' in (taken.folder / "audit.jsonl").read_text()


def test_a_period_lists_artifacts_and_holds_their_bytes_when_asked(own: Target, cast: Cast) -> None:
    factories.make_draft(own, cast["rita"])
    listed = inside(zipped(bundle.of_period(period())))
    held = inside(zipped(bundle.of_period(period(), with_files=True)))
    assert [row["file"] for row in json.loads(listed["artifacts.json"])] == [""]
    (row,) = json.loads(held["artifacts.json"])
    assert held[row["file"]] == factories.ARCHIVE and not any(name.startswith("artifacts/") for name in listed)


def test_another_rollouts_decisions_in_the_same_piece_are_not_missed(own: Target, cast: Cast, tmp_path: Path) -> None:
    bundle_world.signed_rollout(own, cast, tmp_path)
    second = factories.make_draft(own, cast["rita"], "1.2.0")
    code, _, wrong = unpacked(zipped(bundle.of_rollout(second)), tmp_path / "out").as_it_is()
    assert (code, wrong) == (0, "")


# --- what is inside --------------------------------------------------------------------------------------------------
def test_all_that_happened_to_a_rollout_is_inside(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = bundle_world.signed_rollout(own, cast, tmp_path)
    incident = incidents.open(
        subject=transitions.subject_of(rollout), severity="P1", title="slow", summary="p95", runbook="",
        by=SYSTEM, routes=[], url="", now=NOW,
    )  # fmt: skip
    incidents.attach(incident, name="thread dump.log", data=b"lines", by=SYSTEM, now=NOW)
    files = inside(zipped(bundle.of_rollout(rollout)))
    story = json.loads(files[f"rollouts/{rollout.pk}/rollout.json"])
    (told,) = (one for one in json.loads(files["incidents.json"]) if one["id"] == incident.pk)
    looks = [line for name in files if "/samples/" in name for line in files[name].splitlines()]
    assert [run["kind"] for run in story["runs"]] == ["deploy", "rollback"] and story["state"] == "ROLLED_BACK"
    assert told["title"] == "slow" and told["attachments"][0]["name"] == "thread dump.log"
    assert files[f"attachments/incident-{incident.pk}/{incident.attachments.get().pk}-thread_dump.log"] == b"lines"
    assert [json.loads(line).get("number") for line in looks] == [None, 1, 2]
    assert {row["event"] for row in json.loads(files["notices.json"])} >= {"signoff_requested", "rollback_started"}


def test_a_break_glass_is_inside_and_its_decision_is_checked(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = factories.make_waiting(own, cast["rita"])
    glass = factories.break_glass(rollout, cast["olaf"])
    factories.review_glass(glass, cast["ann"], now=later(60))
    notary().look(later(61))
    taken = unpacked(zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out")
    (told,) = taken.read(f"rollouts/{rollout.pk}/rollout.json")["break_glass"]
    assert (told["why_now"], len(told["reviews"])) == (glass.why_now, 1)
    assert [row["kind"] for row in taken.read("decisions.json")] == ["BYPASS"] and taken.as_it_is()[0] == 0


def delegating(cast: Cast, settings: LazySettings, tmp_path: Path) -> Target:
    """Return a target whose policy lets olaf decide on ann's behalf."""
    settings.GR_ARTIFACTS = tmp_path / "artifacts"
    house(settings, tmp_path / "house")
    text = factories.TOML.replace("[policy]", "[policy]\ndelegation = true")
    path = factories.write_component(tmp_path / "dhash", text=text)
    own = factories.load(path).targets.get(environment__name="production")
    values = {"starts_at": NOW, "ends_at": NOW + DAY, "why": "away", "by": factories.actor(cast["ann"]), "now": NOW}
    delegation.give(cast["ann"], cast["olaf"], **values)
    return own


def test_a_decision_on_behalf_of_another_verifies_and_is_bound_to_him(
    cast: Cast, settings: LazySettings, tmp_path: Path
) -> None:
    own = delegating(cast, settings, tmp_path)
    key = bundle_world.registered(cast["olaf"])
    rollout = factories.make_waiting(own, cast["rita"])
    bundle_world.sign(rollout, cast["olaf"], "approver", key, on_behalf_of=cast["ann"].pk)
    notary().look(NOW)
    taken = unpacked(zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out")
    code, _, wrong = taken.as_it_is()
    assert (code, wrong) == (0, "")
    with taken.editing("decisions.json") as rows:
        assert rows[0]["on_behalf_name"] == "Ann"
        rows[0]["on_behalf_name"] = "Abe"
    found = taken.problems()[2]
    assert "its passkey signed on_behalf_of" in found and "on_behalf_name is 'Abe', but #" in found


def test_the_sentence_on_behalf_of_another_is_bound_without_a_passkey(
    cast: Cast, settings: LazySettings, tmp_path: Path
) -> None:
    own = delegating(cast, settings, tmp_path)
    rollout = factories.make_waiting(own, cast["rita"])
    factories.decide(rollout, cast["olaf"], "approver", on_behalf_of=cast["ann"].pk)
    notary().look(NOW)
    taken = unpacked(zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out")
    assert taken.as_it_is()[0] == 0
    with taken.editing("decisions.json") as rows:
        rows[0]["meaning"] = rows[0]["meaning"].replace("I have reviewed", "I have not seen")
    assert "decision_sha256 is " in taken.problems()[2]


def test_every_manifest_that_was_signed_is_inside(own: Target, cast: Cast) -> None:
    rollout = factories.make_waiting(own, cast["rita"])
    first = rollout.digest
    factories.bring_archive(rollout.release, cast["rita"], b"other bytes")
    freezing.recheck(fresh(rollout), now=NOW)
    second = factories.freeze(rollout).digest
    files = inside(zipped(bundle.of_rollout(fresh(rollout))))
    assert first != second and {f"manifests/{one}.json" for one in (first, second)} <= set(files)


def test_a_manifest_that_was_edited_in_the_database_is_named(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = factories.make_approved(own, cast)
    Rollout.objects.filter(pk=rollout.pk).update(manifest=rollout.manifest.replace("customers", "nobody"))
    code, _, wrong = unpacked(zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out").as_it_is()
    assert code == 1 and f"manifests/{rollout.digest}.json: the manifest that was signed is missing" in wrong


def test_reading_afterwards_does_not_lengthen_the_piece(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = bundle_world.signed_rollout(own, cast, tmp_path)
    before = json.loads(inside(zipped(bundle.of_rollout(rollout)))["bundle.json"])["pieces"]
    for _ in range(3):
        assert browser(cast["aud"]).get(f"/rollouts/{rollout.pk}/manifest.json").status_code == 200
    notary().look(later(9999))
    assert json.loads(inside(zipped(bundle.of_rollout(rollout)))["bundle.json"])["pieces"] == before


def test_a_passkey_registered_long_before_is_a_piece_of_its_own(own: Target, cast: Cast, tmp_path: Path) -> None:
    key = bundle_world.registered(cast["ann"])
    notary().look(NOW)
    for number in range(20):
        with audit.turn():
            audit.append(
                action=f"test.{number}", by=SYSTEM, subject=audit.Subject(kind="x", id="1", label="x"), now=NOW
            )
    notary().look(later(99))
    rollout = factories.make_waiting(own, cast["rita"])
    bundle_world.sign(rollout, cast["ann"], "approver", key)
    notary().look(later(199))
    taken = unpacked(zipped(bundle.of_rollout(fresh(rollout))), tmp_path / "out")
    assert len(taken.read("bundle.json")["pieces"]) == 2 and taken.as_it_is()[0] == 0


def test_what_nobody_signed_yet_verifies_and_is_told(own: Target, cast: Cast, tmp_path: Path) -> None:
    notary().look(NOW)
    before = audit.head()[0]
    rollout = factories.make_approved(own, cast)
    taken = unpacked(zipped(bundle.of_rollout(rollout)), tmp_path / "out")
    code, said, wrong = taken.as_it_is()
    assert (code, wrong) == (0, "") and "entries are signed by no checkpoint" in said
    assert taken.read("bundle.json")["pieces"][0] == [before, before]


def test_a_bundle_from_before_the_first_checkpoint_says_that_nothing_is_signed(
    own: Target, cast: Cast, tmp_path: Path
) -> None:
    rollout = factories.make_approved(own, cast)
    code, _, wrong = unpacked(zipped(bundle.of_rollout(rollout)), tmp_path / "out").as_it_is()
    assert (code, wrong) == (1, "nothing is signed: no checkpoint is inside\n")


# --- secrets and names -----------------------------------------------------------------------------------------------
def test_no_secret_gets_into_a_bundle(
    own: Target, cast: Cast, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DHASH_API_TOKEN", SECRET)  # others wrote it down before the process knew it
    rollout = bundle_world.signed_rollout(own, cast, tmp_path)
    Rollout.objects.filter(pk=rollout.pk).update(state_why=f"curl said {SECRET}")
    step = Step.objects.filter(run__rollout=rollout, attempt=1).order_by("pk")[0]
    output = settings.GR_RUN_DIR / "steps" / step.folder / "output.log"
    storage.make_directory(output.parent)
    output.write_text(f"token {SECRET}\nhex {SECRET.encode().hex()}\n")
    files = inside(zipped(bundle.of_rollout(fresh(rollout))))
    assert any("/steps/" in name for name in files)
    for form in (SECRET.encode(), SECRET.encode().hex().encode()):
        assert [name for name, data in files.items() if form in data] == []


def test_every_attempt_of_a_step_is_a_log(own: Target, cast: Cast, tmp_path: Path, settings: Any) -> None:
    rollout = bundle_world.signed_rollout(own, cast, tmp_path)
    step = Step.objects.filter(run__rollout=rollout, attempt=1).order_by("pk")[0]
    Step.objects.filter(pk=step.pk).update(attempt=2)
    for attempt in (1, 2):
        folder = settings.GR_RUN_DIR / "steps" / step.folder_of_attempt(attempt)
        storage.make_directory(folder)
        (folder / "output.log").write_text(f"attempt {attempt}")
    logs = sorted(name for name in inside(zipped(bundle.of_rollout(rollout))) if "/steps/" in name)
    assert [name.rsplit("/", 1)[1] for name in logs] == ["01-preflight-try2.log", "01-preflight.log"]


def test_who_was_erased_stays_erased(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = bundle_world.signed_rollout(own, cast, tmp_path)
    audit.erase_person(cast["ann"].pk, before=later(9999), by=SYSTEM, why="seven years", now=later(9999))
    notary().look(later(9999))
    taken = unpacked(zipped(bundle.of_rollout(rollout)), tmp_path / "out")
    lines = [json.loads(line) for line in (taken.folder / "audit.jsonl").read_text().splitlines()]
    mine = [row["columns"] for row in lines if row.get("columns", {}).get("actor_id") == cast["ann"].pk]
    code, said, wrong = taken.as_it_is()
    assert mine and all((one["person"], one["actor_name"]) == ("", "") for one in mine)
    assert (code, wrong) == (0, "") and "the personal data was erased" in said


def test_a_printed_name_stands_in_the_personal_data_and_not_in_what_is_hashed(own: Target, cast: Cast) -> None:
    Person.objects.filter(user=cast["ann"]).update(printed_name="Ann Example")
    factories.decide(factories.make_waiting(own, cast["rita"]), cast["ann"], "approver")
    row = AuditEntry.objects.get(action="sign_off.approved")
    assert json.loads(row.person)["printed"] == "Ann Example" and "Ann Example" not in row.body


# --- who takes it ----------------------------------------------------------------------------------------------------
def test_an_auditor_takes_a_rollout_and_the_audit_tells_of_it(own: Target, cast: Cast) -> None:
    rollout = factories.make_approved(own, cast)
    answer = browser(cast["aud"]).get(f"/rollouts/{rollout.pk}/bundle.zip")
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    told = json.loads(AuditEntry.objects.get(action="rollout.bundled").body)["data"]
    assert rollouts_of(content) == [rollout.pk]
    assert f'filename="rollout-{rollout.pk}-dhash-1.1.0.zip"' in answer.headers["Content-Disposition"]
    assert told["sha256"] == answer.headers["X-Bundle-SHA256"] and told["files"] == len(inside(content))


def test_the_audit_tells_the_sha256_that_verify_py_prints(own: Target, cast: Cast, tmp_path: Path) -> None:
    rollout = factories.make_approved(own, cast)
    answer = browser(cast["aud"]).get(f"/rollouts/{rollout.pk}/bundle.zip")
    _, said, _ = unpacked(b"".join(answer.streaming_content), tmp_path / "out").as_it_is()  # type: ignore[attr-defined]
    assert json.loads(AuditEntry.objects.get(action="rollout.bundled").body)["data"]["sums"] in said


def test_an_auditor_takes_a_period_and_the_audit_tells_of_what(own: Target, cast: Cast) -> None:
    rollout = factories.make_draft(own, cast["rita"])
    answer = browser(cast["aud"]).get(f"/population/bundle.zip?{TODAY}&component=dhash")
    told = json.loads(AuditEntry.objects.get(action="period.bundled").body)["data"]
    assert rollouts_of(b"".join(answer.streaming_content)) == [rollout.pk]  # type: ignore[attr-defined]
    assert (told["rollouts"], told["component"], told["since"][:10]) == (1, "dhash", f"{NOW:%Y-%m-%d}")
    assert answer.headers["Cache-Control"] == "private, no-store"


@pytest.mark.parametrize("query", ["since=x", "since=2026-02-01&until=2026-01-01"])
def test_a_period_that_is_none_is_said_so(own: Target, cast: Cast, query: str) -> None:
    assert browser(cast["aud"]).get(f"/population/bundle.zip?{query}").status_code == 400
    assert not AuditEntry.objects.filter(action="period.bundled").exists()


def test_others_take_none_and_are_offered_none(own: Target, cast: Cast) -> None:
    rollout = factories.make_approved(own, cast)
    for path in ("/population/bundle.zip", f"/rollouts/{rollout.pk}/bundle.zip"):
        assert browser(cast["ann"]).get(path).status_code == 403
    for page in ("/population/", f"/rollouts/{rollout.pk}/"):
        assert "bundle.zip" not in browser(cast["ann"]).get(page).content.decode()
        assert "bundle.zip" in browser(cast["aud"]).get(page).content.decode()


def test_an_auditor_of_one_component_takes_none(own: Target, cast: Cast) -> None:
    rollout = factories.make_approved(own, cast)
    Person.objects.filter(user=cast["aud"]).update(components=["dhash"])
    for path in ("/population/bundle.zip", f"/rollouts/{rollout.pk}/bundle.zip"):
        assert browser(cast["aud"]).get(path).status_code == 403
    assert "bundle.zip" not in browser(cast["aud"]).get("/population/").content.decode()


def test_a_bundle_of_many_rollouts_takes_as_many_queries_each(own: Target, cast: Cast) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as seen:
            zipped(bundle.of_period(period()))
        return len(seen)

    counts = []
    for version in ("1.1.0", "1.2.0", "1.3.0"):
        factories.make_draft(own, cast["rita"], version)
        counts.append(count())
    assert counts[2] - counts[1] <= counts[1] - counts[0] < 12
