"""The foreground loop, and a backup taken by the command: the real runner, no worker, no web server."""

import io
import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import backups, commands, driving, nudge, runner, transitions
from rollout.models import Backup, Run
from rollout.states import RunState as N
from tests.factories import NOW, TOML, fresh, load, make_draft, told, write_component


@pytest.fixture
def target(cast, tmp_path, monkeypatch):
    monkeypatch.setattr(nudge, "_soon", lambda *_: None)
    text = TOML.replace("port = 8103", "port = 1")  # nobody listens there
    target = load(write_component(tmp_path, text=text)).targets.get(environment__name="production")
    shared = target.spec.root_path / "shared"
    (shared / "config").mkdir(parents=True)
    (shared / "config" / "app.conf").write_text("rate = 7\n")
    with sqlite3.connect(shared / "dhash.sqlite3") as database:
        database.execute("CREATE TABLE images (id INTEGER PRIMARY KEY)")
    database.close()
    return target


@pytest.mark.slow
def test_a_backup_on_request_is_verified_and_registered(target):
    out = io.StringIO()
    call_command("backup", "--component", "dhash", "--env", "production", "--json", stdout=out, stderr=io.StringIO())
    row, told = Backup.objects.get(), json.loads(out.getvalue())
    assert (told["sha256"], told["release"], row.run) == (row.sha256, "1.0.0", None)
    place = Path(row.path).parents[1]  # where backups/ stands: the .sha256 says backups/NAME.zip
    checked = subprocess.run(["sha256sum", "-c", f"{row.path}.sha256"], cwd=place)
    assert checked.returncode == 0
    assert AuditEntry.objects.get(action="backup.taken").via == "shell"


@pytest.mark.slow
def test_a_backup_that_cannot_be_taken_says_why(target):
    (target.spec.root_path / "shared" / "dhash.sqlite3").unlink()
    with pytest.raises(CommandError, match="No backup was taken"):
        call_command("backup", "--component", "dhash", "--env", "production", stdout=io.StringIO())
    assert not Backup.objects.exists()


def test_a_busy_target_is_not_backed_up(target):
    with runner.lock(commands.lock_path(target)), pytest.raises(backups.Refused, match="A step is running"):
        backups.take(target, by=SYSTEM, now=NOW, say=str)


@pytest.mark.slow
def test_a_run_is_driven_to_its_end_and_told_step_by_step(target, cast):
    draft = make_draft(target, cast["rita"])
    run = Run.objects.create(rollout=draft, target=target, kind="validate", created_at=NOW)
    run.steps.create(number=1, kind="preflight", title="Health checked", timeout_s=30)
    told(run)
    transitions.move(draft, "VALIDATING", by=SYSTEM, now=NOW)
    lines: list[str] = []
    ended = driving.drive(run, lines.append)
    assert ended.state == N.FAILED and fresh(draft).state == "DRAFT"
    said = "\n".join(lines)
    assert "[1/1] Health checked: running" in said and "[1/1] Health checked: failed" in said
    assert lines[-1].endswith(f"validate run {run.pk}: failed {ended.reason}")
