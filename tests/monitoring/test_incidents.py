"""Incidents: opened with a clock and a message, told as a timeline, moved by compare-and-swap."""

from datetime import timedelta

import pytest

from monitoring import incidents, storage
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry, Incident, Notice
from monitoring.routes import Route

from .effects import NOW, RITA, ROLLOUT, later

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def var(settings, tmp_path):
    settings.GR_VAR = tmp_path


def open_one(**changes) -> Incident:
    values = {
        "subject": ROLLOUT,
        "severity": "P1",
        "title": "p95 above its limit",
        "summary": "3000 ms, limit 2000 ms",
        "runbook": "incident",
        "by": SYSTEM,
        "routes": [Route(channel="console"), Route(channel="file")],
        "url": "http://localhost/incidents/1",
        "now": NOW,
    }
    return incidents.open(**{**values, **changes})


def test_opening_tells_every_route_and_the_audit():
    incident = open_one()
    assert sorted(Notice.objects.values_list("channel", flat=True)) == ["console", "file"]
    entry = AuditEntry.objects.get(action="incident.opened")
    assert entry.subject_id == str(incident.pk) and '"severity":"P1"' in entry.body


@pytest.mark.parametrize(("severity", "within"), [("P0", 0), ("P1", 3600), ("P2", 14400)])
def test_severity_sets_the_clock(severity, within):
    assert open_one(severity=severity).respond_by == later(within)


def test_an_unknown_severity_is_refused_before_anything_is_written():
    with pytest.raises(ValueError, match="expected P0, P1 or P2"):
        open_one(severity="P9")
    assert not Incident.objects.exists()


def test_the_incident_keeps_its_subject_as_text():
    incident = open_one()
    assert (incident.subject_label, incident.component) == ("dhash 1.1.0 → production", "dhash")


def test_a_note_is_a_line_of_the_timeline(cast):
    incident = open_one()
    entry = incidents.note(incident, text="looking", by=RITA, user=cast["rita"], now=later(5))
    assert list(incident.entries.all())[-1] == entry and entry.by == cast["rita"]


def test_an_empty_note_is_refused():
    with pytest.raises(ValueError, match="needs a text"):
        incidents.note(open_one(), text=" \n", by=RITA, now=NOW)


def test_an_attachment_is_kept_by_its_sha256(tmp_path):
    kept = incidents.attach(open_one(), name="../restore.log", data=b"restored\n", by=RITA, now=NOW)
    assert kept.name == "restore.log"
    assert storage.path_of(incidents.attachment_root(), kept.sha256).read_bytes() == b"restored\n"


def test_a_file_can_be_attached_by_its_path(tmp_path):
    log = tmp_path / "x.log"
    log.write_bytes(b"abc")
    assert incidents.attach(open_one(), name="x.log", path=log, by=RITA, now=NOW).size == 3


def test_an_empty_attachment_leaves_no_row():
    incident = open_one()
    with pytest.raises(storage.EmptyError):
        incidents.attach(incident, name="x.log", data=b"", by=RITA, now=NOW)
    assert not incident.attachments.exists()


def test_acknowledging_names_who_has_it():
    incident = incidents.acknowledge(open_one(), by=RITA, now=later(60))
    assert (incident.state, incident.acknowledged_by) == ("ACKNOWLEDGED", "Rita")


def test_acknowledging_twice_is_a_conflict_that_says_what_stands():
    incident = incidents.acknowledge(open_one(), by=RITA, now=NOW)
    with pytest.raises(incidents.Conflict, match="is acknowledged"):
        incidents.acknowledge(incident, by=SYSTEM, now=NOW)


def test_closing_needs_a_resolution():
    with pytest.raises(ValueError, match="sentence"):
        incidents.close(open_one(), resolution="", by=RITA, now=NOW)


def test_closing_keeps_the_resolution_and_tells_whom_the_opening_told():
    incident = incidents.close(open_one(), resolution="index rebuilt", by=RITA, now=later(60))
    assert (incident.state, incident.resolution, incident.closed_by) == ("CLOSED", "index rebuilt", "Rita")
    told = Notice.objects.filter(event="incident_closed")
    assert sorted(told.values_list("channel", flat=True)) == ["console", "file"]


def test_of_two_who_close_one_loses_and_nothing_of_his_stays():
    incident = open_one()
    stale = Incident.objects.get(pk=incident.pk)
    incidents.close(incident, resolution="index rebuilt", by=RITA, now=NOW)
    with pytest.raises(incidents.Conflict, match="closed"):
        incidents.close(stale, resolution="restarted", by=SYSTEM, now=NOW)
    assert AuditEntry.objects.filter(action="incident.closed").count() == 1
    assert stale.entries.count() == 2


def test_a_changed_severity_counts_the_clock_from_the_opening():
    incident = incidents.change_severity(open_one(), severity="P2", why="few users", by=RITA, now=later(600))
    assert incident.respond_by == NOW + timedelta(hours=4)
    entry = AuditEntry.objects.get(action="incident.severity_changed")
    assert (entry.old, entry.new, entry.why) == ("P1", "P2", "few users")


def test_a_closed_incident_keeps_its_severity():
    incident = incidents.close(open_one(), resolution="done", by=RITA, now=NOW)
    with pytest.raises(incidents.Conflict):
        incidents.change_severity(incident, severity="P0", why="worse", by=RITA, now=NOW)
