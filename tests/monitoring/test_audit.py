"""The audit chain: what an append writes, and what the database refuses."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction

from monitoring import audit, audit_verify, canonical, checks, guards
from monitoring.models import AuditEntry, AuditHead

from .effects import NOW, RITA, ROLLOUT, later

pytestmark = pytest.mark.django_db


def append(**changes):
    values = {"action": "rollout.approved", "by": RITA, "subject": ROLLOUT, "now": NOW, **changes}
    return audit.append(**values)


def test_first_entry_is_number_one_after_64_zeros():
    entry = append()
    assert (entry.seq, entry.prev) == (1, "0" * 64)


def test_each_entry_names_the_hash_of_the_one_before():
    first, second = append(), append()
    assert (second.seq, second.prev) == (2, first.hash)


def test_hash_is_the_sha256_of_the_stored_bytes():
    entry = AuditEntry.objects.get(pk=append(why="läuft").pk)
    assert hashlib.sha256(entry.body.encode()).hexdigest() == entry.hash


def test_body_is_canonical_and_tells_everything():
    entry = append(why="good", old="WAITING", new="APPROVED", data={"digest": "ab"})
    told = json.loads(entry.body)
    assert canonical.dumps(told) == entry.body
    assert told["data"] == {"digest": "ab"} and told["at"] == "2026-11-23T12:00:00.000000+00:00"
    assert (told["old"], told["new"], told["why"]) == ("WAITING", "APPROVED", "good")


def test_body_holds_no_personal_data():
    body = append().body
    assert "Rita" not in body and "192.0.2.7" not in body and "secret-session-key" not in body


def test_session_key_is_kept_nowhere():
    assert "secret-session-key" not in append().person


def test_head_follows_the_newest_entry():
    append()
    newest = append()
    assert audit.head() == (2, newest.hash)


def test_a_rolled_back_append_leaves_no_gap():
    append()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        append()
        _ = 1 / 0
    assert append().seq == 2


def test_a_float_is_refused_and_takes_no_number():
    with pytest.raises(canonical.NotCanonicalError), transaction.atomic():
        append(data={"p95": 1.5})
    assert append().seq == 1


def test_a_lost_head_row_cannot_fork_the_chain():
    append()
    AuditHead.objects.all().delete()
    with pytest.raises(DatabaseError), transaction.atomic():
        append()


@pytest.mark.django_db(transaction=True)
def test_append_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match=r"audit\.turn"):
        append()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE monitoring_auditentry SET why = 'other'",
        "UPDATE monitoring_auditentry SET actor_name = 'Otto'",
        "UPDATE monitoring_auditentry SET person = '', actor_name = '', why = 'other'",
        "DELETE FROM monitoring_auditentry",
    ],
)
def test_database_refuses_to_change_history(sql):
    append()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute(sql)


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="SQLite's own way round a trigger")
def test_insert_or_replace_is_refused_even_without_recursive_triggers():
    append()
    connection.cursor().execute("PRAGMA recursive_triggers = OFF")
    try:
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            connection.cursor().execute(
                "INSERT OR REPLACE INTO monitoring_auditentry SELECT * FROM monitoring_auditentry"
            )
    finally:
        connection.cursor().execute("PRAGMA recursive_triggers = ON")  # the connection outlives the test


@pytest.mark.skipif("connection.vendor != 'postgresql'", reason="SQLite has no TRUNCATE")
def test_truncate_is_refused():
    append()
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute("TRUNCATE monitoring_auditentry")


def test_check_finds_a_missing_trigger():
    guards.remove(connection, checks.audit_guard())
    found = checks.guards_stand(None, databases=["default"])
    guards.install(connection, checks.audit_guard())
    assert {error.id for error in found} == {"monitoring.E001"} and len(found) == 3


def test_what_the_check_advises_creates_the_triggers_again():
    guards.remove(connection, checks.audit_guard())
    call_command("migrate", "monitoring", skip_checks=True, verbosity=0)
    assert checks.guards_stand(None, databases=["default"]) == []


def test_check_is_silent_while_the_triggers_stand():
    assert checks.guards_stand(None, databases=["default"]) == []


def test_erasing_a_person_empties_name_and_address_and_is_audited():
    entry = append()
    assert audit.erase_person(7, before=later(1), by=audit.SYSTEM, why="left the company", now=later(1)) == 1
    entry.refresh_from_db()
    assert (entry.actor_name, entry.person) == ("", "")
    assert AuditEntry.objects.first().action == "audit.person_erased"


def test_what_is_younger_keeps_its_person():
    entry = append()
    assert audit.erase_person(7, before=NOW, by=audit.SYSTEM, why="left the company", now=NOW) == 0
    entry.refresh_from_db()
    assert entry.actor_name == "Rita"


@pytest.mark.django_db(transaction=True)
def test_guards_stand_again_after_the_flush_of_a_test_that_left_history():
    with transaction.atomic():
        append()
    assert checks.guards_stand(None, databases=["default"]) == []


@pytest.mark.skipif("connection.vendor == 'sqlite' and connection.is_in_memory_db()", reason="cannot wait for a lock")
@pytest.mark.django_db(transaction=True)
def test_two_appends_at_once_leave_no_gap_and_no_fork():
    def one():
        try:
            with transaction.atomic():
                append()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(one) for _ in range(8)]:
            done.result()
    result = audit_verify.verify_database()
    assert (result.count, result.problems) == (8, [])
