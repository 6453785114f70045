"""The pages of incidents and notices."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from monitoring import incidents
from monitoring.audit import SYSTEM, Subject
from monitoring.models import AuditEntry, Incident, Notice
from monitoring.routes import Route
from monitoring.views import RESPONDERS
from rollout import access
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
ROLLOUT = Subject(
    kind="rollout", id="7", label="dhash 1.2.0 to production", component="dhash", environment="production"
)


def opened(severity: str = "P1", age: timedelta = timedelta(), **changed) -> Incident:
    """Open an incident as a breach does."""
    values = {
        "subject": ROLLOUT,
        "severity": severity,
        "title": "Quality gate breached",
        "summary": "p95 was 4000 ms",
        "runbook": "rollback",
        "by": SYSTEM,
        "routes": [Route(channel="console")],
        "url": "",
        "now": timezone.now() - age,
    }
    return incidents.open(**{**values, **changed})


@pytest.fixture
def incident(cast: Cast) -> Incident:
    """Return an open incident."""
    return opened()


def post(user: User, name: str, incident: Incident, **values: str):
    """Post one of the verbs."""
    return browser(user).post(reverse(f"incident_{name}", args=[incident.pk]), values)


def page(user: User, incident: Incident) -> str:
    """Return the page's text."""
    return browser(user).get(f"/incidents/{incident.pk}/").content.decode()


def test_an_open_incident_says_that_somebody_has_to_take_it(cast: Cast, incident: Incident) -> None:
    text = page(cast["tom"], incident)
    assert "Somebody has to take this incident." in text and "Respond by" in text and "p95 was 4000 ms" in text


def test_an_incident_whose_time_is_over_says_so_on_page_and_list(cast: Cast) -> None:
    late = opened(age=timedelta(hours=2))
    assert "the time to respond is over" in page(cast["tom"], late)
    assert "is-alarming" in browser(cast["tom"]).get("/incidents/").content.decode()


def test_it_leads_to_its_rollout_and_to_the_runbook_filled_with_it(cast: Cast, incident: Incident) -> None:
    text = page(cast["tom"], incident)
    assert 'href="/rollouts/7/"' in text and 'href="/runbooks/dhash/rollback/?rollout=7"' in text


def test_the_declaration_is_ready_to_be_copied(cast: Cast, incident: Incident) -> None:
    text = page(cast["tom"], incident)
    assert "[P1] dhash production: Quality gate breached, since" in text and f"/incidents/{incident.pk}/" in text


def test_the_list_leaves_closed_ones_out_until_they_are_asked_for(cast: Cast, incident: Incident) -> None:
    incidents.close(incident, resolution="rolled back", by=SYSTEM, now=timezone.now())
    client = browser(cast["aud"])
    shown = [
        len(client.get(f"/incidents/{query}").context["page_obj"]) for query in ("", "?state=all", "?state=CLOSED")
    ]
    assert shown == [0, 1, 1]


@pytest.mark.parametrize(
    ("query", "count"), [("severity=P1", 1), ("severity=P0", 0), ("component=dhash", 1), ("severity=P9", 0)]
)
def test_the_list_is_filtered_by_the_url(cast: Cast, incident: Incident, query: str, count: int) -> None:
    assert len(browser(cast["aud"]).get(f"/incidents/?{query}").context["page_obj"]) == count


def test_taking_an_incident_puts_the_name_on_it(cast: Cast, incident: Incident) -> None:
    assert post(cast["tom"], "acknowledge", incident).status_code == 302
    assert "tom has this incident in hand" in page(cast["aud"], incident)
    assert AuditEntry.objects.get(action="incident.acknowledged").actor_name == "tom"


def test_the_second_to_take_it_learns_who_was_faster(cast: Cast, incident: Incident) -> None:
    post(cast["tom"], "acknowledge", incident)
    answer = post(cast["olaf"], "acknowledge", incident)
    assert answer.status_code == 409 and "somebody was faster" in answer.content.decode()


def test_a_note_stands_in_the_timeline_with_its_author(cast: Cast, incident: Incident) -> None:
    post(cast["tom"], "note", incident, text="Traffic is back <b>now</b>")
    text = page(cast["aud"], incident)
    assert "Traffic is back &lt;b&gt;now&lt;/b&gt;" in text
    assert incident.entries.last().by == cast["tom"]


@pytest.mark.parametrize(
    ("verb", "values"),
    [("note", {"text": " "}), ("close", {"resolution": ""}), ("severity", {"severity": "P9", "why": "it is worse"})],
)
def test_what_is_missing_is_said_on_the_page(cast: Cast, incident: Incident, verb: str, values: dict[str, str]) -> None:
    answer = post(cast["tom"], verb, incident, **values)
    assert answer.status_code == 400 and 'class="errors"' in answer.content.decode()


def test_closing_needs_a_resolution_and_keeps_it(cast: Cast, incident: Incident) -> None:
    post(cast["tom"], "close", incident, resolution="rolled back to 1.1.0, cache bounded")
    incident.refresh_from_db()
    assert (incident.state, incident.closed_by) == ("CLOSED", "tom")
    assert "cache bounded" in page(cast["aud"], incident)


def test_closing_twice_is_refused_and_the_text_is_not_lost(cast: Cast, incident: Incident) -> None:
    post(cast["tom"], "close", incident, resolution="rolled back")
    answer = post(cast["olaf"], "close", incident, resolution="something else entirely")
    assert answer.status_code == 409 and "closed" in answer.content.decode()


def test_another_severity_is_told_with_the_reason(cast: Cast, incident: Incident) -> None:
    post(cast["tom"], "severity", incident, severity="P0", why="data is lost")
    assert "Severity P1 → P0: data is lost" in page(cast["aud"], incident)


@pytest.mark.parametrize("verb", ["note", "acknowledge", "severity", "close"])
def test_an_auditor_reads_and_changes_nothing(cast: Cast, incident: Incident, verb: str) -> None:
    assert post(cast["aud"], verb, incident, text="x").status_code == 403


def test_the_forms_are_shown_to_those_who_may_use_them(cast: Cast, incident: Incident) -> None:
    assert {access.ROUTES[f"incident_{verb}"].roles for verb in ("note", "acknowledge", "severity", "close")} == {
        RESPONDERS
    }
    shown = ["<textarea" in page(cast[name], incident) for name in ("tom", "olaf", "aud", "ann")]
    assert shown == [True, True, False, False]


@pytest.mark.parametrize("verb", ["note", "acknowledge", "severity", "close"])
def test_no_link_changes_anything(cast: Cast, incident: Incident, verb: str) -> None:
    assert browser(cast["tom"]).get(reverse(f"incident_{verb}", args=[incident.pk])).status_code == 405


def test_an_attachment_is_given_out_sealed_and_its_reader_is_audited(cast: Cast, incident: Incident) -> None:
    kept = incidents.attach(incident, name="restore.log", data=b"<script>", by=SYSTEM, now=timezone.now())
    answer = browser(cast["aud"]).get(reverse("attachment", args=[kept.pk]))
    assert b"".join(answer.streaming_content) == b"<script>"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="restore.log"'
    assert (answer.headers["X-Content-Type-Options"], answer.headers["Content-Security-Policy"][:7]) == (
        "nosniff",
        "sandbox",
    )
    assert AuditEntry.objects.get(action="attachment.read").actor_name == "aud"


def test_an_attachment_shows_its_sha256_once_and_short_in_the_timeline(cast: Cast, incident: Incident) -> None:
    kept = incidents.attach(incident, name="restore.log", data=b"log", by=SYSTEM, now=timezone.now())
    text = page(cast["aud"], incident)
    assert "Attached restore.log (3 bytes)" in text and kept.sha256 in text


def test_every_attempt_of_a_notice_is_shown(cast: Cast, incident: Incident) -> None:
    notice = Notice.objects.get(event="incident_opened")
    notice.attempt_set.create(at=timezone.now(), ok=False, detail="connection refused")
    for url in (f"/incidents/{incident.pk}/", "/notices/"):
        assert "connection refused" in browser(cast["aud"]).get(url).content.decode()


def test_the_pages_take_the_same_queries_however_much_there_is(cast: Cast, incident: Incident) -> None:
    client = browser(cast["tom"])
    urls = ("/incidents/", f"/incidents/{incident.pk}/", "/notices/")
    few = [queries(client, url) for url in urls]
    for number in range(6):
        opened(title=f"again {number}")
        incidents.note(incident, text="x", by=SYSTEM, now=timezone.now())
    assert [queries(client, url) for url in urls] == few
