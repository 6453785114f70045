"""The head row tells the newest time and the furthest way back, as the entries do: pages are found by them."""

from datetime import timedelta

import pytest
from django.db import connection

from monitoring import audit, audit_verify
from monitoring.audit_times import Times
from monitoring.models import AuditHead

from .effects import NOW, RITA, ROLLOUT

pytestmark = pytest.mark.django_db
HOURS = (0, 5, 2, 6, 1, 7, 3)  # the furthest way back is over a seam of any pieces: from 6 to 1


def append(hours):
    for hour in hours:
        at = NOW + timedelta(hours=hour, microseconds=hour)
        audit.append(action="test.at", by=RITA, subject=ROLLOUT, now=at)


def problems(number=1):
    chosen = audit_verify.pieces(number, worth=1)
    return audit_verify.verify_database(chosen=chosen, spread=lambda work, of: [work(one) for one in of]).problems


@pytest.mark.parametrize("number", range(1, len(HOURS) + 1))
@pytest.mark.parametrize("hours", [HOURS, HOURS[::-1], sorted(HOURS), [3, 3, 3, 3, 3, 3, 3]])
def test_an_honest_head_holds_in_any_number_of_pieces(hours, number):
    append(hours)
    assert problems(number) == []


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize(
    "lie", [{"set_back_us": 0}, {"set_back_us": 10**12}, {"newest_at": NOW}, {"newest_at": NOW + timedelta(days=1)}]
)
def test_a_head_that_tells_another_time_is_named(lie, number):
    append(HOURS)
    AuditHead.objects.update(**lie)
    assert [one[:36] for one in problems(number)] == ["the head row says that the newest ti"]


def test_a_head_that_knew_no_times_is_not_compared():
    append(HOURS)
    AuditHead.objects.update(newest_at=None, set_back_us=0)
    assert problems() == []


def test_no_entries_have_no_times():
    assert problems() == []


def test_a_head_whose_time_is_none_is_named():
    append(HOURS)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_audithead SET newest_at = 'infinity'")
    assert len(problems()) == 1


def test_the_way_back_over_a_seam_is_found():
    before, after = Times(), Times()
    before.see("2026-11-23T12:00:05.000000+00:00")
    after.see("2026-11-23T12:00:09.000000+00:00")
    after.see("2026-11-23T12:00:01.000000+00:00")
    before.follow(after)
    assert (before.newest[17:19], before.earliest[17:19], before.back_us) == ("09", "01", 8 * 10**6)


def test_what_is_no_moment_went_nowhere():
    times = Times()
    for at in ("b", "a"):
        times.see(at)
    assert times.back_us == 0
