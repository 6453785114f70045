"""Whatever somebody wrote into the database, past Django, is named; nobody who verifies falls over it."""

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection, transaction

from monitoring import audit, audit_export, audit_verify, checks, guards, raw_rows, verify
from monitoring.models import AuditEntry, Checkpoint

from .effects import NOW, RITA, ROLLOUT, later

pytestmark = pytest.mark.django_db
ON_SQLITE = {
    "why=CAST(x'77ff' AS TEXT)": "why shows",
    "why=CAST(why AS BLOB)": "why shows",
    "body=CAST(body AS BLOB)": "the body cannot be read",
    "body=CAST(CAST(body AS BLOB)||x'ff' AS TEXT)": "the body cannot be read",
    "person=CAST(person AS BLOB)": "the body cannot be read",
    "person=x'', actor_name=''": "the body cannot be read",
    "prev=CAST(x'ff' AS TEXT)": "prev is not the hash",
    "hash=CAST(x'ff' AS TEXT)": "the sha256 of the body is not the hash",
    "actor_id=7.5": "actor_id shows 7.5",
    "actor_id='null'": "actor_id shows 'null'",
    "at=CAST(at AS BLOB)": "at shows",
    "at=replace(at, ' ', 'T')": "at shows",
    "at=at||'.000000'": "at shows",
    "at=at||char(0)||'x'": "at shows",
    "at=at||'+00:00'": "at shows",
    "at=at||x'ff'": "at shows",
    "at=17": "at shows",
}
ON_POSTGRESQL = {
    "at='infinity'": "at shows",
    "at='-infinity'": "at shows",
    "at='0001-01-01 00:00:00 BC'": "at shows",
    "at=at + interval '10000 years'": "at shows",
    "actor_id=0": "actor_id shows 0",
}
KINDS = [("sqlite", *one) for one in ON_SQLITE.items()] + [("postgresql", *one) for one in ON_POSTGRESQL.items()]


@pytest.fixture
def chain():
    for number in range(3):
        audit.append(action=f"test.{number}", by=RITA, subject=ROLLOUT, why="because", now=later(number))


def write(what, *, seq=2):
    """Set columns of an entry, in SQL, as somebody who took the guards away."""
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE monitoring_auditentry SET {what} WHERE seq = {seq}")


def on(vendor):
    if connection.vendor != vendor:
        pytest.skip(f"{vendor} keeps this")


@pytest.mark.parametrize(("vendor", "what", "told"), KINDS)
def test_a_column_that_no_entry_of_ours_has_is_named(chain, vendor, what, told):
    on(vendor)
    write(what)
    found = audit_verify.verify_database().problems
    assert any(one.startswith(f"#2: {told}") for one in found) and not any(one.startswith("#1") for one in found)


@pytest.mark.parametrize(("vendor", "what", "told"), KINDS)
def test_an_export_of_it_is_found_wrong_by_the_file_alone(chain, vendor, what, told, tmp_path, capsys):
    on(vendor)
    write(what)
    export = tmp_path / "audit.jsonl"
    export.write_text("".join(audit_export.jsonl()), encoding="utf-8")
    assert verify.main([str(export)]) == 1
    assert "#2: " in capsys.readouterr().err


def test_the_entries_after_one_that_is_no_text_are_verified(chain):
    on("sqlite")
    write("why=CAST(x'77ff' AS TEXT)")
    write("old='other'", seq=3)
    found = audit_verify.verify_database()
    assert found.count == 3 and [one[:12] for one in found.problems] == ["#2: why show", "#3: old show"]


def test_links_of_a_hash_that_is_no_text_are_broken(chain):
    on("sqlite")
    write("prev=CAST(x'ff' AS TEXT)")
    assert audit_verify.verify_links(audit_verify.WHOLE) == ["#2: the chain breaks here"]


def test_a_number_that_is_none_is_named(chain):
    on("sqlite")
    write("seq='abc'", seq=3)
    found = audit_verify.verify_database(chosen=audit_verify.pieces(2, worth=1)).problems
    assert "#-1: expected #3: entries are missing, doubled or out of order" in found


def test_a_head_row_that_is_no_text_is_named(chain):
    on("sqlite")
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_audithead SET hash=CAST(x'ff' AS TEXT)")
    assert audit_verify.verify_database().problems[0].startswith("the head row says #3 ")


def test_the_command_says_it_and_exits_1(chain):
    on("sqlite")
    write("body=CAST(body AS BLOB)")
    with pytest.raises(CommandError, match="#2: the body cannot be read") as raised:
        call_command("audit", "verify")
    assert raised.value.returncode == 1


def test_texts_are_read_strictly_again_afterwards(chain):
    on("sqlite")
    write("why=CAST(x'77ff' AS TEXT)")
    assert len(list(audit_export.read())) == 3
    with pytest.raises(OperationalError), transaction.atomic():
        list(AuditEntry.objects.all())


def test_a_chunk_that_was_read_already_is_not_read_twice(chain):
    on("sqlite")
    write("why=CAST(x'77ff' AS TEXT)", seq=3)
    found = raw_rows.fetch("SELECT seq, why FROM monitoring_auditentry ORDER BY seq", [], 1)
    assert [rows[0][0] for rows in found] == [1, 2, 3]


def test_moments_with_and_without_microseconds_hold():
    for at in (NOW.replace(microsecond=0), NOW.replace(microsecond=1), NOW.replace(microsecond=100000)):
        audit.append(action="test.at", by=RITA, subject=ROLLOUT, now=at)
    assert audit_verify.verify_database().ok


@pytest.mark.parametrize("body", ["nonsense", '{"seq":Infinity,"hash":"","key":""}', "[]", '{"seq":1}', ""])
def test_a_checkpoint_that_cannot_be_read_is_named(chain, body):
    Checkpoint.objects.create(seq=1, hash="0" * 64, at=NOW, key="k" * 64, body=body, signature="00")
    found = audit_verify.verify_database().problems
    assert found[0] == "checkpoint at #1: its columns are not what was signed" and "cannot be read" in found[1]


@pytest.mark.parametrize("what", ["body=CAST(body AS BLOB)", "body=CAST(x'7bff' AS TEXT)", "at='no time'"])
def test_a_checkpoint_of_another_kind_is_named(chain, what):
    on("sqlite")
    Checkpoint.objects.create(seq=1, hash="0" * 64, at=NOW, key="k" * 64, body="{}", signature="00")
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        for (name,) in cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute(f"UPDATE monitoring_checkpoint SET {what}")
    assert "checkpoint at #1: its columns are not what was signed" in audit_verify.verify_database().problems
