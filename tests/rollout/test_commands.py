"""Commands of the shell: who may, what is refused before anything is touched, exit codes, what is printed."""

import io
import json
import shutil
import socket
import sqlite3
import subprocess
import sys
import zipfile
from datetime import UTC, datetime

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from monitoring import checkpoints
from monitoring.models import AuditEntry
from rollout import driving, nudge, shell
from rollout.archive import writer
from rollout.models import Artifact, Backup, BreakGlass, Configuration
from rollout.states import RolloutState as R
from rollout.steps.backup import spec_of
from tests.base import PASSWORD
from tests.factories import (
    NOW,
    TOML,
    load,
    make_approved,
    make_draft,
    make_release,
    make_waiting,
    put_in,
    write_component,
)
from tests.monitoring.signed import house


def run(monkeypatch, *argv, password=PASSWORD):
    """Run a command as user rita would type it, and return what it printed."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(password + "\n"))
    out = io.StringIO()
    call_command(*argv, stdout=out, stderr=io.StringIO(), skip_checks=True)
    return out.getvalue()


@pytest.fixture
def ask(monkeypatch):
    return lambda *argv, **more: run(monkeypatch, *argv, **more)


@pytest.fixture(autouse=True)
def quiet_queue(monkeypatch):
    monkeypatch.setattr(nudge, "_soon", lambda *_: None)


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def target(cast, tmp_path):
    text = TOML.replace("port = 8103", f"port = {free_port()}")
    target = load(write_component(tmp_path, text=text)).targets.get(environment__name="production")
    shared = target.spec.root_path / "shared"
    (shared / "config").mkdir(parents=True)
    (shared / "config" / "app.conf").write_text("rate = 7\n")
    with sqlite3.connect(shared / "dhash.sqlite3") as database:
        database.execute("CREATE TABLE images (id INTEGER PRIMARY KEY)")
    database.close()
    return target


@pytest.fixture
def backup(target, tmp_path):
    """A real backup of the target, not registered yet."""
    spec = spec_of(target.spec, "releases/0001-1.0.0")
    folder = tmp_path / "backups"
    moment = datetime(2026, 11, 23, 12, tzinfo=UTC)
    return writer.create(spec, folder, now=moment, log=str, progress=lambda _: None).path


PLACE = ("--component", "dhash", "--env", "production")
AS_RITA = ("--as", "rita", "--password-stdin")


def test_attach_prints_what_sha256sum_would(ask, target, cast, tmp_path):
    release = make_release(target.component, cast["rita"])
    file = tmp_path / "premerge.zip"
    file.write_bytes(b"bundle")
    printed = ask("attach", str(file), "--release", "dhash/1.1.0", "--kind", "premerge_artifacts", *AS_RITA)
    kept = Artifact.objects.get(kind="premerge_artifacts")
    assert printed.split() == [kept.sha256, "premerge.zip"]
    assert (kept.via, kept.release) == ("shell", release)


def test_attach_checks_the_sidecar(ask, target, cast, tmp_path):
    release = make_release(target.component, cast["rita"])
    file, sidecar = tmp_path / "premerge.zip", tmp_path / "premerge.zip.sha256"
    file.write_bytes(b"bundle")
    sidecar.write_text("0" * 64 + "  premerge.zip\n")
    with pytest.raises(CommandError, match="does not match"):
        ask(
            "attach",
            str(file),
            "--release",
            str(release.pk),
            "--kind",
            "premerge_artifacts",
            "--sha256",
            str(sidecar),
            *AS_RITA,
        )


@pytest.mark.parametrize(
    ("who", "password", "why"),
    [
        ("rita", "wrong", "not the password of rita"),
        ("nobody", PASSWORD, "no active account"),
        ("ann", PASSWORD, "release-owner"),
    ],
)
def test_a_person_must_prove_himself_and_hold_the_role(ask, target, cast, tmp_path, who, password, why):
    make_release(target.component, cast["rita"])
    file = tmp_path / "premerge.zip"
    file.write_bytes(b"bundle")
    argv = ("attach", str(file), "--release", "dhash/1.1.0", "--kind", "premerge_artifacts")
    with pytest.raises(CommandError, match=why):
        ask(*argv, "--as", who, "--password-stdin", password=password)
    assert not Artifact.objects.filter(kind="premerge_artifacts").exists()


def test_a_shell_says_so_in_the_audit_with_the_system_user(ask, target, cast, tmp_path):
    make_release(target.component, cast["rita"])
    file = tmp_path / "premerge.zip"
    file.write_bytes(b"bundle")
    ask("attach", str(file), "--release", "dhash/1.1.0", "--kind", "premerge_artifacts", *AS_RITA)
    entry = AuditEntry.objects.get(action="artifact.attached", via="shell")
    assert json.loads(entry.person)["os_user"] == shell.os_user() and entry.actor_id == cast["rita"].pk


def test_a_password_is_not_asked_without_a_terminal(ask, target, cast):
    draft = make_draft(target, cast["rita"])
    with pytest.raises(CommandError, match="--password-stdin"):
        ask("submit", "--rollout", str(draft.pk), "--as", "rita")


def test_wrong_tries_are_counted(ask, target, cast):
    draft = make_draft(target, cast["rita"])
    argv = ("submit", "--rollout", str(draft.pk), *AS_RITA)
    for _ in range(5):
        with pytest.raises(CommandError):
            ask(*argv, password="guess")
    with pytest.raises(CommandError, match="too many tries"):
        ask(*argv)


def test_a_deploy_without_sign_offs_names_what_is_missing(ask, target, cast):
    make_waiting(target, cast["rita"])
    with pytest.raises(CommandError, match=r"Sign-offs are missing: .*deploy-operator"):
        ask("deploy", *PLACE, "--as", "olaf", "--password-stdin")


def test_a_dry_run_of_a_deploy_asks_nobody_and_starts_nothing(ask, target, cast, monkeypatch):
    rollout = make_approved(target, cast)
    monkeypatch.setattr("rollout.management.commands.deploy.timezone.now", lambda: NOW)
    printed = ask("deploy", *PLACE, "--dry-run")
    assert "Migrate the database (changes the target)" in printed and "Nothing was done." in printed
    rollout.refresh_from_db()
    assert rollout.state == R.APPROVED


EMERGENCY = (
    "--break-glass",
    "--cannot-wait",
    "uploads fail for everybody",
    "--checked",
    "it ran on staging for an hour",
)


def test_a_break_glass_in_a_shell_starts_what_was_named(ask, target, cast, monkeypatch):
    rollout = make_waiting(target, cast["rita"])
    monkeypatch.setattr("rollout.management.commands.deploy.timezone.now", lambda: NOW)
    monkeypatch.setattr(driving, "drive", lambda run, say: None)
    with pytest.raises(CommandError, match="is queued"):  # nobody drives it here
        named = ("--rollout", str(rollout.pk), "--digest", rollout.digest)
        ask("deploy", *PLACE, *EMERGENCY, *named, "--as", "olaf", "--password-stdin")
    glass = BreakGlass.objects.get()
    assert (glass.via, glass.printed_name, glass.digest) == ("shell", "Olaf", rollout.digest)


@pytest.mark.parametrize("left_out", [2, 4, 6, 8])
def test_a_break_glass_in_a_shell_wants_everything_named(ask, target, cast, left_out):
    rollout = make_waiting(target, cast["rita"])
    argv = ["--break-glass", *EMERGENCY[1:], "--rollout", str(rollout.pk), "--digest", rollout.digest]
    del argv[left_out - 1 : left_out + 1]
    with pytest.raises(CommandError, match="needs --rollout, --cannot-wait, --checked and --digest") as refused:
        ask("deploy", *PLACE, *argv)
    assert refused.value.returncode == 2


def test_a_rollout_of_another_target_is_not_deployed(ask, target, cast):
    rollout = make_waiting(target, cast["rita"])
    with pytest.raises(CommandError, match="not for dhash/staging"):
        ask("deploy", "--component", "dhash", "--env", "staging", "--rollout", str(rollout.pk))


def test_an_unknown_place_lists_those_that_there_are(ask, target):
    with pytest.raises(CommandError, match="known are: production, staging"):
        ask("backup", "--component", "dhash", "--env", "moon")
    with pytest.raises(CommandError, match="known are: dhash"):
        ask("backup", "--component", "other", "--env", "production")


def test_another_environments_backup_is_refused_with_the_right_command(ask, backup):
    with pytest.raises(CommandError, match=r"nothing was touched.*rollback_dhash.sh --backup .* --env production"):
        ask("rollback", "--component", "dhash", "--env", "staging", "--backup", str(backup))


def test_a_corrupt_backup_is_refused_before_anything(ask, backup, target):
    content = bytearray(backup.read_bytes())
    content[len(content) // 2] ^= 1
    backup.write_bytes(content)
    with pytest.raises(CommandError, match="not intact"):
        ask("rollback", *PLACE, "--backup", str(backup), "--as", "tom", "--password-stdin")
    assert not Backup.objects.exists() and not AuditEntry.objects.filter(action__startswith="user.password").exists()


def test_there_is_nothing_to_roll_back_before_a_deploy(ask, backup):
    with pytest.raises(CommandError, match="no rollout changed it yet"):
        ask("rollback", *PLACE, "--backup", str(backup))


def deployed(rollout):
    """Give a rollout a deploy run whose switch was done."""
    made = rollout.runs.create(target=rollout.target, kind="deploy", state="SUCCEEDED", created_at=NOW)
    made.steps.create(number=1, kind="switch", title="Switch", effect=True, attempt=1, state="SUCCEEDED")
    return put_in(rollout, R.SUCCEEDED, started_at=NOW)


def test_a_dry_run_of_a_rollback_says_what_would_be_undone(ask, target, cast, backup):
    rollout = deployed(make_waiting(target, cast["rita"]))
    printed = ask("rollback", *PLACE, "--backup", str(backup), "--dry-run")
    assert "intact" in printed and "goes back to 1.0.0" in printed and "Nothing was done." in printed
    rollout.refresh_from_db()
    assert rollout.state == R.SUCCEEDED and not Backup.objects.exists()


def test_a_given_backup_is_registered_and_restored(ask, target, cast, backup, monkeypatch):
    rollout = deployed(make_waiting(target, cast["rita"]))
    seen = []
    monkeypatch.setattr(driving, "drive", lambda one, say: seen.append(one))
    with pytest.raises(CommandError, match="rolling back"):  # nobody drives it here
        ask("rollback", *PLACE, "--backup", str(backup), "--as", "tom", "--password-stdin", "--reason", "too slow now")
    row = Backup.objects.get(path=str(backup))
    assert (seen[0].restores, seen[0].reason, row.release_version) == (row, "too slow now", "1.0.0")
    rollout.refresh_from_db()
    assert rollout.state == R.ROLLING_BACK


def test_a_registered_backup_that_changed_is_refused(ask, target, cast, backup):
    deployed(make_waiting(target, cast["rita"]))
    Backup.objects.create(
        target=target, path=str(backup), sha256="0" * 64, size=1, release_version="1.0.0", created_at=NOW
    )
    with pytest.raises(CommandError, match="was taken with 000"):
        ask("rollback", *PLACE, "--backup", str(backup), "--dry-run")


def test_restore_unpacks_into_an_empty_place_and_proves(ask, backup, tmp_path):
    printed = ask("restore", "--backup", str(backup), "--into", str(tmp_path / "into"))
    assert "equal to the backup" in printed
    assert (tmp_path / "into" / "shared" / "config" / "app.conf").read_text() == "rate = 7\n"
    with pytest.raises(CommandError, match="not empty"):
        ask("restore", "--backup", str(backup), "--into", str(tmp_path / "into"))


def test_a_dry_run_of_a_backup_names_what_would_be_saved(ask, target):
    printed = ask("backup", *PLACE, "--dry-run")
    assert "releases/0001-1.0.0" in printed and "shared/dhash.sqlite3" in printed and not Backup.objects.exists()


def test_check_loads_nothing(ask, target, tmp_path):
    path = write_component(tmp_path, text=TOML.replace("port = 8103", "port = 8104"))
    assert "would be: loaded and in force; nothing was loaded" in ask("load_component", str(path), "--check")
    assert Configuration.objects.count() == 1


@pytest.mark.parametrize("check", [["--check"], []])
def test_a_quorum_that_nobody_could_complete_is_loaded_with_a_warning(ask, cast, tmp_path, check):
    path = write_component(tmp_path, text=TOML.replace('unmatched_author = "show"', "approvers = 40"))
    said = ask("load_component", str(path), *check)
    assert "warning: as people are now, no sign-off of dhash could be completed" in said
    assert "approver (38 times)" in said


def test_a_quorum_that_can_be_complete_is_loaded_without(ask, target, tmp_path):
    assert "warning" not in ask("load_component", str(write_component(tmp_path)), "--check")


def test_a_change_is_loaded_by_an_admin_only(ask, target, tmp_path):
    path = write_component(tmp_path, text=TOML.replace("port = 8103", "port = 8104"))
    with pytest.raises(CommandError, match="--as USER"):
        ask("load_component", str(path))
    with pytest.raises(CommandError, match="role admin"):
        ask("load_component", str(path), *AS_RITA)
    assert Configuration.objects.count() == 1
    assert "in force" in ask("load_component", str(path), "--as", "ada", "--password-stdin")


def test_a_wrong_component_names_the_key(ask, db, tmp_path):
    path = write_component(tmp_path, text=TOML.replace("port = 8103", 'port = "x"'))
    with pytest.raises(CommandError, match=r"environments.production.port: expected .*\nNothing was loaded"):
        ask("load_component", str(path))


def test_doctor_tells_what_to_do(ask, target):
    shutil.rmtree(target.spec.root_path / "releases")
    out = io.StringIO()
    with pytest.raises(CommandError, match="bad"):
        call_command("doctor", "--json", stdout=out)
    found = json.loads(out.getvalue())
    assert any(one["level"] == "bad" and "no live release" in one["what"] and one["advice"] for one in found)
    assert any(one["level"] == "ok" and "migration" in one["what"] for one in found)


def test_a_bundle_is_verified_without_the_product(ask, target, cast, tmp_path, settings):
    rollout = make_approved(target, cast)
    house(settings, tmp_path)
    checkpoints.Notary(()).look(NOW)
    path = tmp_path / "bundle.zip"
    ask("bundle", "--rollout", str(rollout.pk), "--output", str(path))
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(tmp_path / "out")
    checked = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "out")
    verified = subprocess.run([sys.executable, "-I", "verify.py"], cwd=tmp_path / "out")
    assert (checked.returncode, verified.returncode) == (0, 0)
    decisions = json.loads((tmp_path / "out" / "decisions.json").read_text())
    assert {one["digest"] for one in decisions} == {rollout.digest} and len(decisions) == 3
    with pytest.raises(CommandError, match="exists"):
        ask("bundle", "--rollout", str(rollout.pk), "--output", str(path))


def test_a_bundle_of_a_period_is_that_of_its_days(ask, target, cast, tmp_path):
    rollout = make_approved(target, cast)
    for name, day in (("of", "2026-11-23"), ("before", "2026-11-22")):
        ask("bundle", "--since", day, "--until", day, "--output", str(tmp_path / name))
        with zipfile.ZipFile(tmp_path / name) as bundle:
            told = json.loads(bundle.read("bundle.json"))["rollouts"]
        assert told == ([rollout.pk] if name == "of" else [])


@pytest.mark.parametrize("argv", [[], ["--since", "yesterday"], ["--rollout", "1", "--since", "2026-11-23"]])
def test_what_a_bundle_is_of_is_said_in_one_way(ask, argv):
    with pytest.raises(CommandError, match="Error:"):
        ask("bundle", *argv)


def test_a_bundle_of_a_period_that_ends_before_it_begins_is_refused(ask, db):
    with pytest.raises(CommandError, match="ends before it begins"):
        ask("bundle", "--since", "2026-11-23", "--until", "2026-11-22")


def test_monitor_describes_without_measuring(ask, target):
    printed = ask("monitor", *PLACE, "--dry-run")
    assert "source health: http /health" in printed and "gate p95" in printed


def test_monitor_without_a_watch_asks_once_and_fails_when_nobody_answers(ask, target):
    with pytest.raises(CommandError, match="no good answer from: health, p95"):
        ask("monitor", *PLACE)
