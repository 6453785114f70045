"""The auditor's pages: the population of a period, decisions without the difference, controls and their evidence."""

import csv
import hashlib
import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet
from django.urls import reverse

from approvals.models import Decision, Person, SignOff
from monitoring import guards
from monitoring.chain_watch import ChainWatch
from monitoring.models import AuditEntry
from rollout import controls, population
from rollout.models import Rollout, Target
from rollout.views import verified
from tests import factories
from tests.factories import NOW
from tests.rollout import views_world
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
DAY = f"since={NOW:%Y-%m-%d}&until={NOW:%Y-%m-%d}"


def taken(answer: Any) -> bytes:
    """Return the bytes of a download."""
    return b"".join(answer.streaming_content)


def rows(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a CSV."""
    return list(csv.DictReader(io.StringIO(content.decode(), newline="")))


@pytest.fixture
def life(target: Target, cast: Cast, tmp_path: Path) -> Rollout:
    """Return a rollout that was signed, started, watched and rolled back."""
    rollout = factories.make_approved(target, cast)
    views_world.rolled_back(rollout, cast["olaf"], tmp_path)
    return factories.fresh(rollout)


def test_the_population_has_a_row_with_the_whole_story(cast: Cast, life: Rollout) -> None:
    (row,) = rows(taken(browser(cast["aud"]).get(f"/population.csv?{DAY}")))
    told = {
        "rollout": str(life.pk),
        "requested_by": "Rita",
        "requested_by_user": "rita",
        "digest": life.digest,
        "approvals": "3",
        "approvals_without_difference": "0",
        "started_by": "Olaf",
        "outcome": "rolled back",
        "rolled_back_by": "Olaf",
        "rolled_back_by_user": "olaf",
        "rollback_automatic": "no",
        "break_glass": "no",
        "backup_sha256": "b" * 64,
    }
    assert {key: row[key] for key in told} == told
    assert [one.split(" at ")[0] for one in row["approved_by"].split("; ")] == [
        "Ann (ann) as approver",
        "Abe (abe) as approver",
        "Olaf (olaf) as deploy-operator",
    ]


def test_a_draft_is_in_the_population_too(cast: Cast, target: Target) -> None:
    factories.make_draft(target, cast["rita"])
    (row,) = rows(taken(browser(cast["aud"]).get(f"/population.csv?{DAY}")))
    assert (row["outcome"], row["digest"], row["approved_by"], row["backup"]) == ("draft", "", "", "")


def test_count_and_sha256_of_the_population_become_an_entry(cast: Cast, life: Rollout) -> None:
    answer = browser(cast["aud"]).get(f"/population.csv?{DAY}")
    content = taken(answer)
    data = json.loads(AuditEntry.objects.get(action="population.exported").body)["data"]
    assert (data["count"], data["told_by_the_chain"]) == (1, 1)
    assert data["sha256"] == hashlib.sha256(content).hexdigest() == answer.headers["X-Population-SHA256"]
    assert "-1-rollouts.csv" in answer.headers["Content-Disposition"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (DAY, 1),
        (f"{DAY}&basis=started", 1),
        (f"{DAY}&component=dhash&environment=production", 1),
        (f"{DAY}&environment=staging", 0),
        (f"since={NOW - timedelta(days=9):%Y-%m-%d}&until={NOW - timedelta(days=1):%Y-%m-%d}", 0),
    ],
)
def test_the_population_is_that_of_the_period(cast: Cast, life: Rollout, query: str, count: int) -> None:
    found = browser(cast["ann"]).get(f"/population/?{query}").context["found"]
    assert (found.count, found.told, found.complete) == (count, count, True)


def test_what_was_started_but_told_of_before_the_period_is_not_counted_twice(cast: Cast, life: Rollout) -> None:
    Rollout.objects.filter(pk=life.pk).update(started_at=NOW - timedelta(days=3))
    old = AuditEntry.objects.filter(action="rollout.running").first()
    assert old is not None
    AuditEntry.objects.bulk_create(
        [AuditEntry(seq=0, at=NOW - timedelta(days=3), action=old.action, via="system", hash="0" * 64, body="{}",
                    subject_kind="rollout", subject_id=str(life.pk), subject_label="", prev="")]
    )  # fmt: skip
    found = browser(cast["ann"]).get(f"/population/?{DAY}&basis=started").context["found"]
    assert (found.count, found.told) == (0, 0)


def test_a_rollout_that_only_the_chain_tells_of_is_named(cast: Cast, life: Rollout) -> None:
    Rollout.objects.filter(pk=life.pk).update(created_at=NOW - timedelta(days=400))
    page = browser(cast["ann"]).get(f"/population/?{DAY}")
    assert page.context["found"].only_in_chain == (life.pk,)
    assert "They differ" in page.content.decode()


def test_a_rollout_whose_entry_has_no_number_any_more_is_named(cast: Cast, target: Target) -> None:
    made = factories.make_draft(target, cast["rita"])
    guards.remove(connection, guards.Guard(model=AuditEntry))
    AuditEntry.objects.filter(action="rollout.created").update(subject_id="²")
    assert browser(cast["ann"]).get(f"/population/?{DAY}").context["found"].only_in_table == (made.pk,)


def test_a_rollout_that_the_chain_does_not_tell_of_is_named(cast: Cast, target: Target) -> None:
    made = factories.make_draft(target, cast["rita"])
    values = {"target": target, "release": made.release, "requester": cast["rita"], "reason": "past the product"}
    hidden = Rollout.objects.create(**values, state="CANCELLED", created_at=NOW)
    assert browser(cast["ann"]).get(f"/population/?{DAY}").context["found"].only_in_table == (hidden.pk,)


def test_a_long_population_takes_few_queries(cast: Cast, target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    factories.make_draft(target, cast["rita"], "1.1.0")
    client = browser(cast["ann"])
    few = queries(client, f"/population/?{DAY}")
    factories.make_draft(target, cast["rita"], "1.2.0")
    assert queries(client, f"/population/?{DAY}") == few
    monkeypatch.setattr(population, "CHUNK", 1)
    assert len(rows(taken(browser(cast["aud"]).get(f"/population.csv?{DAY}")))) == 2


@pytest.mark.parametrize("query", ["since=x", "since=2026-02-01&until=2026-01-01", "basis=guessed"])
@pytest.mark.parametrize("path", ["/population/", "/population.csv"])
def test_a_period_that_is_none_is_said_so(cast: Cast, target: Target, path: str, query: str) -> None:
    assert browser(cast["aud"]).get(f"{path}?{query}").status_code == 400


@pytest.mark.parametrize("path", ["/population.csv", "/unread-decisions.csv"])
def test_files_are_for_auditors(cast: Cast, target: Target, path: str) -> None:
    assert browser(cast["ann"]).get(path).status_code == 403


def unread(target: Target, cast: Cast) -> Rollout:
    """Return a rollout that one of two read."""
    rollout = factories.make_waiting(target, cast["rita"])
    factories.decide(rollout, cast["ann"], "approver", diff_opened=False)
    factories.decide(rollout, cast["abe"], "approver")
    return rollout


def test_a_decision_without_the_difference_is_reported(cast: Cast, target: Target) -> None:
    unread(target, cast)
    page = browser(cast["olaf"]).get("/unread-decisions/")
    assert [one.printed_name for one in page.context["page_obj"]] == ["Ann"]
    assert [(one["user__username"], one["unread"], one["all"]) for one in page.context["people"]] == [("ann", 1, 1)]


def test_people_who_print_one_name_are_told_apart(cast: Cast, target: Target) -> None:
    Person.objects.filter(user=cast["ann"]).update(printed_name="Abe")
    rollout = unread(target, cast)
    page = browser(cast["aud"]).get("/unread-decisions/").content.decode()
    assert page.count('<bdi>Abe</bdi></a> <span class="muted">ann</span>') == 1
    assert '<bdi>Abe</bdi> <span class="muted">ann as approver</span>' in page
    (row,) = rows(taken(browser(cast["aud"]).get(f"/population.csv?{DAY}")))
    assert [one.partition(" as ")[0] for one in row["approved_by"].split("; ")] == ["Abe (ann)", "Abe (abe)"]
    sign = browser(cast["olaf"]).get(f"/rollouts/{rollout.pk}/sign/").content.decode()
    assert '<bdi>Abe</bdi> <span class="muted">ann</span>' in sign and f"(user {cast['ann'].pk}, ann)" in sign


def test_taking_back_an_approval_needs_no_reading(cast: Cast, target: Target) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    factories.decide(rollout, cast["abe"], "approver")
    factories.decide(rollout, cast["abe"], "", kind="REVOKE", diff_opened=False)
    assert not browser(cast["ann"]).get("/unread-decisions/").context["page_obj"].object_list


def test_the_report_as_csv_is_audited_with_its_count(cast: Cast, target: Target) -> None:
    rollout = unread(target, cast)
    (row,) = rows(taken(browser(cast["aud"]).get("/unread-decisions.csv")))
    decision = Decision.objects.get(diff_opened=False)
    assert (row["decision"], row["person"], row["digest"]) == (str(decision.pk), "Ann", rollout.digest)
    data = json.loads(AuditEntry.objects.get(action="unread_decisions.exported").body)["data"]
    assert data == {"count": 1, "up_to_decision": Decision.objects.order_by("-pk")[0].pk}


def answers(page: Any) -> dict[str, Any]:
    """Return the facts of the page by key."""
    return {
        answer.fact.key: answer for _, lines in page.context["controls"] for line in lines for answer in line.answers
    }


def test_every_control_is_answered_by_facts_with_an_address_that_opens(cast: Cast, life: Rollout) -> None:
    client = browser(cast["aud"])
    found = answers(client.get("/controls/"))
    assert set(found) == {key for control in controls.CONTROLS for ask in control.asks for key in ask.facts}
    broken = {one.url for one in found.values() if not one.url or client.get(one.url).status_code != 200}
    assert broken == set()


def test_the_controls_of_the_four_standards_are_there() -> None:
    codes = [control.code for control in controls.CONTROLS]
    assert codes == ["CC8.1", "A.8.32", "A.5.3", "6.5.1", "CM-3", "CM-5", "AC-5", "AU-10"]


def test_facts_are_counted_not_told(cast: Cast, life: Rollout) -> None:
    found = {key: one.fact for key, one in answers(browser(cast["ann"]).get("/controls/")).items()}
    said = {key: found[key].value for key in ("requested", "reasons", "consent", "approvals", "backups", "separation")}
    assert said == {
        "requested": "1",
        "reasons": "1 of 1",
        "consent": "0 of 1",
        "approvals": "3 approved, 0 rejected, 0 revoked",
        "backups": "1 of 1",
        "separation": "0 of 0",
    }


def test_an_approval_by_somebody_who_was_barred_is_seen(cast: Cast, life: Rollout) -> None:
    used = {"state": "USED", "closed_at": NOW, "barred": {str(cast["ann"].pk): ["requester"]}}
    guards.remove(connection, guards.Guard(model=SignOff))
    QuerySet.update(SignOff._base_manager.filter(pk=life.sign_off_id), **used)
    found = {key: one.fact for key, one in answers(browser(cast["ann"]).get("/controls/")).items()}
    assert (found["separation"].value, found["separation"].ok) == ("1 of 1", False)
    assert (found["consent"].value, found["consent"].ok) == ("1 of 1", True)


def test_the_controls_take_the_same_queries_however_much_happened(cast: Cast, target: Target) -> None:
    factories.make_draft(target, cast["rita"], "1.1.0")
    client = browser(cast["ann"])
    few = queries(client, "/controls/")
    factories.approve(factories.make_waiting(target, cast["rita"], "1.2.0"), cast)
    assert abs(queries(client, "/controls/") - few) <= 1  # decisions are asked for when a sign-off was used


def test_every_auditor_page_says_how_far_the_chain_was_verified(
    cast: Cast, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified, "WATCH", ChainWatch(start=lambda work: None))
    client = browser(cast["ann"])
    for name in ("history", "population", "unread_decisions", "controls"):
        assert "Verified up to entry" in client.get(reverse(name)).content.decode(), name


def test_who_is_limited_to_another_component_counts_nothing_of_this_one(cast: Cast, life: Rollout) -> None:
    Person.objects.filter(user=cast["aud"]).update(components=["zebra"])
    client = browser(cast["aud"])
    found = client.get(f"/population/?{DAY}").context["found"]
    assert (found.count, found.told) == (0, 0)
    assert not client.get("/history/?action=rollout.").context["entries"]
    assert client.get("/controls/").status_code == 403
