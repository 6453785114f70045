"""The turn comes before every other row; the fixture `turns` looks at that in every test, and here is looked at."""

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction

from monitoring import audit
from tests.monitoring.test_audit import append
from tests.turns import Turns

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
