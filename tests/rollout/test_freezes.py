"""Freezes: kept under the name of who asked, lengthened by one admin, shortened by two, never rewritten."""

import json
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.utils import timezone

from approvals import stepup
from monitoring.models import AuditEntry
from rollout.models import Freeze, Target
from tests.base import Client
from tests.rollout.signed_in import browser

Cast = dict[str, User]
ADD, LIST = "/admin/rollout/freeze/add/", "/admin/rollout/freeze/"
SPAN = {"starts_at_0": "2027-12-24", "starts_at_1": "00:00:00", "ends_at_0": "2027-12-27", "ends_at_1": "00:00:00"}
SHORT = {**SPAN, "ends_at_0": "2027-12-25"}


def freeze(user: User, target: Target, **changed):
    """Post a freeze."""
    values = {"component": target.component_id, "environment": "", "reason": "end of quarter", **SPAN}
    return browser(user).post(ADD, {**values, **changed})


@pytest.fixture
def standing(cast: Cast, target: Target) -> Freeze:
    freeze(cast["ada"], target)
    return Freeze.objects.get()


def ask(user: User, standing: Freeze, span: dict[str, str] = SHORT, client: Client | None = None, **changed):
    """Post another span."""
    values = {**span, "why": "the auditors are through", **changed}
    return (client or browser(user)).post(f"{LIST}{standing.pk}/change/", values)


def ends_on(standing: Freeze) -> int:
    standing.refresh_from_db()
    return standing.ends_at.day


def newest() -> tuple[str, dict]:
    entry = AuditEntry.objects.filter(subject_kind="freeze").latest("seq")
    return entry.action, json.loads(entry.body)["data"]


def test_a_freeze_is_kept_under_the_name_of_who_asked_and_audited(cast: Cast, target: Target) -> None:
    assert freeze(cast["ada"], target, by=cast["rita"].pk).status_code == 302
    entry = AuditEntry.objects.get(action="freeze.added")
    assert (Freeze.objects.get().by, entry.actor_name, entry.why) == (cast["ada"], "ada", "end of quarter")


def test_a_freeze_that_ends_before_it_begins_is_refused(cast: Cast, target: Target) -> None:
    answer = freeze(cast["ada"], target, ends_at_0="2027-12-23")
    assert answer.status_code == 200 and "ends before it begins" in answer.content.decode()
    assert not Freeze.objects.exists()


def test_a_freeze_is_ended_and_not_removed(cast: Cast, target: Target) -> None:
    now = timezone.now()
    made = Freeze.objects.create(component=target.component, starts_at=now, ends_at=now, reason="x", by=cast["ada"])
    assert browser(cast["ada"]).post(f"/admin/rollout/freeze/{made.pk}/delete/", {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("url", [ADD, f"{LIST}1/change/"])
def test_a_freeze_asks_for_a_recent_proof(cast: Cast, standing: Freeze, url: str) -> None:
    client = browser(cast["ari"])
    session = client.session
    del session[stepup.KEY]
    session.save()
    url = url.replace("1", str(standing.pk))
    assert client.get(url).url.startswith("/confirm/")
    assert client.post(url, SHORT).url.startswith("/confirm/")
    assert Freeze.objects.count() == 1 and newest()[0] == "freeze.added"


def test_one_admin_alone_does_not_shorten_a_freeze(cast: Cast, standing: Freeze) -> None:
    for name in ("ada", "ada", "ari"):
        other = SHORT if name == "ada" else {**SPAN, "ends_at_0": "2027-12-26"}
        answer = ask(cast[name], standing, other)
        assert answer.status_code == 302 and ends_on(standing) == 27
    assert newest()[0] == "freeze.shortening_asked"


def test_a_second_admin_who_asks_for_the_same_shortens_it_and_the_audit_has_both_spans(
    cast: Cast, standing: Freeze
) -> None:
    ask(cast["ada"], standing)
    shown = browser(cast["ari"]).get(f"{LIST}{standing.pk}/change/").content.decode()
    assert "2027-12-25T00:00:00" in shown and "asked for by Ada" in shown
    ask(cast["ari"], standing)
    action, data = newest()
    assert (ends_on(standing), action, data["asked_by"]) == (25, "freeze.changed", cast["ada"].pk)
    assert (data["was"]["to"][:10], data["span"]["to"][:10]) == ("2027-12-27", "2027-12-25")


def test_to_begin_later_is_to_shorten(cast: Cast, standing: Freeze) -> None:
    ask(cast["ada"], standing, {**SPAN, "starts_at_0": "2027-12-26"})
    standing.refresh_from_db()
    assert standing.starts_at.day == 24


def test_one_admin_lengthens_it_at_once(cast: Cast, standing: Freeze) -> None:
    ask(cast["ari"], standing, {**SPAN, "ends_at_0": "2027-12-31"})
    assert ends_on(standing) == 31 and newest()[1]["was"]["to"][:10] == "2027-12-27"


def test_reason_author_and_place_stay(cast: Cast, standing: Freeze) -> None:
    longer = {**SPAN, "ends_at_0": "2027-12-31"}
    ask(cast["ari"], standing, longer, reason="nothing at all", by=cast["ari"].pk, component="2")
    standing.refresh_from_db()
    assert (standing.reason, standing.by, standing.component.name) == ("end of quarter", cast["ada"], "dhash")


def test_what_was_asked_too_long_ago_counts_no_more(cast: Cast, standing: Freeze, settings: LazySettings) -> None:
    ask(cast["ada"], standing)
    settings.GR_CHANGE_SECONDS = -1
    ask(cast["ari"], standing)
    assert ends_on(standing) == 27


def test_what_an_admin_asked_who_is_none_any_more_does_not_count(cast: Cast, standing: Freeze) -> None:
    ask(cast["ada"], standing)
    cast["ada"].groups.clear()
    ask(cast["ari"], standing)
    assert ends_on(standing) == 27


def test_a_freeze_that_is_over_is_not_changed(cast: Cast, target: Target) -> None:
    now = timezone.now()
    times = {"starts_at": now - timedelta(days=2), "ends_at": now - timedelta(days=1)}
    over = Freeze.objects.create(component=target.component, reason="x", by=cast["ada"], **times)
    answer = ask(cast["ari"], over)
    assert "is over" in browser_text(answer, cast["ari"], over)
    assert AuditEntry.objects.filter(subject_kind="freeze").count() == 0


def browser_text(answer, user: User, standing: Freeze) -> str:
    """Return what the page says to whom the answer leads back."""
    return answer.client.get(f"{LIST}{standing.pk}/change/").content.decode()
