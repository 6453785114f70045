"""Entries whose time, number or account somebody wrote over: every page that reads them says so, and goes on."""

import json
import zipfile
from io import BytesIO

import pytest
from django.contrib.auth.models import User
from django.db import connection

from approvals.models import SignOff
from monitoring import audit, checks, guards
from monitoring.models import AuditEntry, Checkpoint
from rollout import permits
from rollout.models import Rollout, Target
from rollout.permits import TargetHeldError
from tests import factories
from tests.factories import NOW
from tests.rollout.signed_in import browser
from tests.rollout.test_views_history import lines

Cast = dict[str, User]
# what is written there -> what the page must show of it, without its quotes
TIMES = {
    "sqlite": {"'garbage'": "garbage", "5": "5", "'0000-00-00 00:00:00'": "0000-00-00",
               "'2026-02-30 00:00:00'": "02-30",
               "'10000-01-01 00:00:00'": "10000-01-01", "CAST(at||x'ff' AS TEXT)": "12:00:00"},
    "postgresql": {"'infinity'": "infinity", "'-infinity'": "-infinity", "'0044-03-15 BC'": "0044-03-15 00:00:00+00 BC",
                   "'12000-01-01'": "12000-01-01"},
}  # fmt: skip
ODD = [(vendor, *one) for vendor, times in TIMES.items() for one in times.items()]


@pytest.fixture
def rollout(cast: Cast, target: Target) -> Rollout:
    return factories.make_approved(target, cast)


def write(what: str, action: str = "rollout.created") -> AuditEntry:
    """Set columns of an entry in SQL, as somebody who took the guards away."""
    entry = AuditEntry.objects.get(action=action)
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE monitoring_auditentry SET {what} WHERE id = {entry.pk}")
    return entry


def page(cast: Cast, path: str) -> str:
    answer = browser(cast["aud"]).get(path)
    assert answer.status_code == 200
    return str(answer.content.decode())


@pytest.fixture(params=ODD, ids=[one[1] for one in ODD])
def odd(request: pytest.FixtureRequest, rollout: Rollout) -> tuple[AuditEntry, str]:
    """Return an entry whose time cannot be read, and what stands there."""
    vendor, what, shown = request.param
    if connection.vendor != vendor:
        pytest.skip(f"{vendor} keeps this")
    return write(f"at={what}"), shown


@pytest.fixture
def unnumbered(rollout: Rollout) -> Rollout:
    """Return a rollout that has an entry without a number."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps numbers only")
    write("seq='abc'")
    return rollout


def test_the_history_says_that_a_time_cannot_be_read(cast: Cast, odd: tuple[AuditEntry, str]) -> None:
    (line,) = [one for one in page(cast, "/history/").split("<li ") if f'"entry-{odd[0].seq}"' in one]
    said = line.partition("cannot be read: ")[2].partition("</span>")[0]
    assert odd[1] in said and "&amp;" not in said  # escaped once


def test_an_entry_says_that_its_time_cannot_be_read(cast: Cast, odd: tuple[AuditEntry, str]) -> None:
    said = page(cast, f"/history/{odd[0].seq}/").partition("its time cannot be read: ")[2].partition("</span>")[0]
    assert odd[1] in said


def test_a_rollout_says_that_a_time_cannot_be_read(cast: Cast, rollout: Rollout, odd: tuple[AuditEntry, str]) -> None:
    assert odd[1] in page(cast, f"/rollouts/{rollout.pk}/").partition("cannot be read: ")[2].partition("</span>")[0]


def test_what_is_signed_can_be_read_beside_it(cast: Cast, rollout: Rollout, odd: tuple[AuditEntry, str]) -> None:
    page(cast, f"/rollouts/{rollout.pk}/sign/")


def test_the_csv_holds_the_time_as_it_is_kept(cast: Cast, odd: tuple[AuditEntry, str]) -> None:
    (row,) = [one for one in lines(browser(cast["aud"]).get("/history.csv")) if one["seq"] == str(odd[0].seq)]
    assert odd[1].replace(" ", "T") in row["at"].replace(" ", "T")


def test_nothing_starts_beside_a_time_that_cannot_be_read(rollout: Rollout) -> None:
    write("at='infinity'", "sign_off.opened")
    sign_off = SignOff.objects.get()
    with pytest.raises(TargetHeldError, match="cannot be read"):
        permits.require_clock(sign_off, now=NOW)


@pytest.mark.parametrize("query", ["", "?action=rollout.", "?since=2026-01-01&until=2026-12-31"])
def test_the_history_tells_of_a_number_that_is_none(cast: Cast, unnumbered: Rollout, query: str) -> None:
    assert "<code>&#x27;abc&#x27;</code>" in page(cast, f"/history/{query}")


@pytest.mark.parametrize(
    "path", ["/population/", "/population.csv", "/rollouts/{}/bundle.zip", "/population/bundle.zip"]
)
def test_a_number_that_is_none_keeps_nothing_back(cast: Cast, unnumbered: Rollout, path: str) -> None:
    answer = browser(cast["aud"]).get(path.format(unnumbered.pk) + f"?since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}")
    assert answer.status_code == 200


@pytest.fixture(params=["artifact.attached", "audit.person_erased", "all"])
def lost(request: pytest.FixtureRequest, cast: Cast, rollout: Rollout) -> Rollout:
    """Return a rollout of whose bundle an entry lost its number: what it rests on, what every bundle holds, or all."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps numbers only")
    audit.erase_person(99, before=NOW, by=audit.SYSTEM, why="asked", now=NOW)
    which = "1 = 1" if request.param == "all" else f"action = '{request.param}'"
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE monitoring_auditentry SET seq = CAST(x'6e6fff' AS TEXT) || id WHERE {which}")
    return rollout


@pytest.mark.parametrize("path", ["/rollouts/{}/bundle.zip", "/population/bundle.zip"])
def test_a_bundle_says_that_an_entry_lost_its_number(cast: Cast, lost: Rollout, path: str) -> None:
    answer = browser(cast["aud"]).get(path.format(lost.pk) + f"?since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}")
    with zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content))) as archive:  # type: ignore[attr-defined]
        assert "AN ENTRY LOST ITS NUMBER" in archive.read("README.txt").decode()
        assert json.loads(archive.read("bundle.json"))["unnumbered"][0].startswith("'no\\xff")


def test_a_bundle_is_made_beside_a_checkpoint_without_a_number(cast: Cast, rollout: Rollout) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps numbers only")
    Checkpoint.objects.create(seq=1, hash="0" * 64, at=NOW, key="k" * 64, body="{}", signature="00")
    guards.remove(connection, checks.checkpoint_guard())
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_checkpoint SET seq = 'abc'")
    assert browser(cast["aud"]).get(f"/rollouts/{rollout.pk}/bundle.zip").status_code == 200


def test_a_bundle_says_nothing_of_numbers_when_all_have_one(cast: Cast, rollout: Rollout) -> None:
    answer = browser(cast["aud"]).get(f"/rollouts/{rollout.pk}/bundle.zip")
    with zipfile.ZipFile(BytesIO(b"".join(answer.streaming_content))) as archive:  # type: ignore[attr-defined]
        assert "LOST" not in archive.read("README.txt").decode()


@pytest.mark.parametrize("column", ["subject_label", "why", "actor_name", "environment"])
@pytest.mark.parametrize("path", ["", "?q=x", "{}/change/", "{}/history/"])
def test_the_admin_site_shows_bytes_that_are_no_text(cast: Cast, rollout: Rollout, path: str, column: str) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps texts only")
    entry = write(f"{column}=CAST(x'78ff' AS TEXT)")
    answer = browser(cast["ada"]).get("/admin/monitoring/auditentry/" + path.format(entry.pk))
    assert answer.status_code == 200


def test_the_admin_site_shows_the_bytes_themselves(cast: Cast, rollout: Rollout) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps texts only")
    write("why=CAST(x'78ff' AS TEXT)")
    assert "x\\xff" in browser(cast["ada"]).get("/admin/monitoring/auditentry/").content.decode()


def test_a_rollout_is_shown_beside_an_account_that_is_none(cast: Cast, rollout: Rollout) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL keeps numbers only")
    write("actor_id='x'")
    assert "Draft made" in page(cast, f"/rollouts/{rollout.pk}/")
