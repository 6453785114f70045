"""The turn comes before every other row; the fixture `turns` looks at that in every test, and here is looked at."""

import contextlib

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from monitoring import audit, audit_verify
from tests.monitoring.test_audit import append
from tests.turns import TURN, Turns

pytestmark = pytest.mark.django_db


def touch() -> None:
    Group.objects.filter(name="ops").update(name="ops")


def test_a_row_that_is_touched_before_the_turn_is_found():
    watched = Turns()
    with connection.execute_wrapper(watched), transaction.atomic():
        touch()
        watched._look('SELECT "set_back_us" FROM "monitoring_audithead"')
    assert watched.faults == ["auth_group"]


def test_a_row_that_is_touched_after_the_turn_is_right():
    watched = Turns()
    with connection.execute_wrapper(watched), audit.turn():
        touch()
        append()
    assert watched.faults == []


def test_a_turn_is_of_its_own_transaction():
    watched = Turns()
    with connection.execute_wrapper(watched):
        with audit.turn():
            append()
        with transaction.atomic():
            touch()
            watched._look('SELECT "set_back_us" FROM "monitoring_audithead"')
    assert watched.faults == ["auth_group"]


def test_a_turn_reads_the_head_once_however_much_is_appended():
    append()  # which makes the head's row
    asked: list[str] = []

    def listen(execute, sql, *rest):
        asked.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(listen), audit.turn():
        append()
        with audit.turn():
            append()
    assert sum(TURN in sql for sql in asked) == 1


def test_what_was_rolled_back_within_a_turn_is_not_remembered():
    with audit.turn():
        append()
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            append()
            _ = 1 / 0
        assert append().seq == 2
    assert append().seq == 3 and audit_verify.verify_database().ok


def test_a_turn_that_failed_is_not_remembered_by_the_next():
    with contextlib.suppress(ZeroDivisionError), audit.turn():
        append()
        _ = 1 / 0
    assert append().seq == 1
