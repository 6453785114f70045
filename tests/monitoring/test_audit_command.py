"""`manage.py audit`: what it prints and how it exits."""

import csv
import io
import json

import pytest
from django.core.management import CommandError, call_command

from monitoring import audit, checks, guards
from monitoring.models import AuditEntry

from .effects import NOW, RITA, ROLLOUT

pytestmark = pytest.mark.django_db


@pytest.fixture
def entry():
    return audit.append(action="rollout.approved", by=RITA, subject=ROLLOUT, why="=1+1", now=NOW)


def run(*argv):
    out = io.StringIO()
    call_command("audit", *argv, stdout=out)
    return out.getvalue()


@pytest.fixture
def tampered(entry):
    from django.db import connection

    guards.remove(connection, checks.audit_guard())
    AuditEntry.objects.update(why="another reason")
    guards.install(connection, checks.audit_guard())


def test_verify_prints_count_and_head(entry):
    said = run("verify")
    assert said.startswith(f"1 entries, head #1 {entry.hash}\n") and said.endswith("the chain holds\n")


def test_verify_as_json_can_be_read_by_a_script(entry):
    told = json.loads(run("verify", "--json"))
    assert (told["ok"], told["count"], told["head"], told["problems"]) == (True, 1, entry.hash, [])


def test_verify_exits_1_and_names_the_entry_when_the_chain_is_broken(tampered):
    with pytest.raises(CommandError, match="#1: why shows 'another reason'") as broken:
        run("verify")
    assert broken.value.returncode == 1


def test_verify_takes_a_head_from_outside(entry):
    with pytest.raises(CommandError, match="known from outside"):
        run("verify", "--head", f"2:{'a' * 64}")


def test_verify_sees_a_head_row_that_disagrees_with_the_last_entry(entry):
    audit.AuditHead.objects.update(seq=5)
    with pytest.raises(CommandError, match="the head row says #5"):
        run("verify")


def test_export_as_csv_defuses_formulas(entry):
    row, _ = csv.DictReader(io.StringIO(run("export", "--format", "csv")))
    assert (row["why"], row["actor_name"], row["at"]) == ("'=1+1", "Rita", "2026-11-23T12:00:00+00:00")


def test_export_as_json_lines_holds_the_hashed_bytes(entry):
    line, _ = run("export").splitlines()
    assert json.loads(line)["body"] == entry.body


def test_export_goes_to_a_file(entry, tmp_path):
    run("export", "--output", str(tmp_path / "audit.jsonl"))
    assert (tmp_path / "audit.jsonl").read_text(encoding="utf-8").count("\n") == 2


def test_export_to_a_place_that_is_not_there_exits_1(entry, tmp_path):
    with pytest.raises(CommandError, match="cannot be written") as refused:
        run("export", "--output", str(tmp_path / "none" / "audit.jsonl"))
    assert refused.value.returncode == 1


def test_an_export_is_audited_with_how_far_it_reaches(entry):
    told = json.loads(run("export").splitlines()[-1])
    assert told["columns"]["action"] == "audit.exported" and '"up_to":1' in told["body"]
