"""One entry with its proof, and a rollout's manifests compared field by field."""

import hashlib

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction

from approvals.models import Person, SignOff
from monitoring import audit, checks, guards
from monitoring.audit import Subject
from monitoring.models import AuditEntry
from rollout import drafting
from rollout.models import Rollout, Target
from tests import factories
from tests.approvals import forger
from tests.rollout.signed_in import browser

Cast = dict[str, User]


def newest(action: str) -> AuditEntry:
    """Return the newest entry of an action."""
    found = AuditEntry.objects.filter(action=action).first()
    assert found is not None
    return found


def text(user: User, entry: AuditEntry, **headers: str) -> str:
    """Return the page of an entry."""
    answer = browser(user).get(f"/history/{entry.seq}/", headers=headers)
    assert answer.status_code == 200
    return str(answer.content.decode())


def test_an_entry_shows_the_bytes_that_were_hashed(cast: Cast, target: Target) -> None:
    entry = newest("configuration.loaded")
    page = text(cast["ann"], entry)
    assert entry.body.replace('"', "&quot;") in page
    assert f"<code>{entry.hash}</code>" in page and f"<code>{entry.prev}</code>" in page


def test_the_list_gets_only_what_stands_below_the_line(cast: Cast, target: Target) -> None:
    page = text(cast["ann"], newest("configuration.loaded"), HX_Request="true")
    assert "<html" not in page and "<dt>Hash</dt>" in page


def test_a_change_of_rights_is_told_from_what_to_what(cast: Cast, target: Target) -> None:
    data = {"old": {"roles": ["approver"]}, "new": {"roles": ["ops"]}}
    with transaction.atomic():
        about = Subject(kind="user", id="1", label="ann")
        audit.append(action="person.rights_changed", by=audit.SYSTEM, subject=about, data=data, now=factories.NOW)
    page = text(cast["aud"], newest("person.rights_changed"))
    assert '<span class="sr-only">was </span>approver</del>' in page
    assert '<span class="sr-only">now </span>ops</ins>' in page


def test_an_entry_holds_and_shows_how_the_person_signs(cast: Cast, target: Target) -> None:
    Person.objects.filter(user=cast["rita"]).update(printed_name="Rita Rossi")
    client = browser(cast["rita"])
    body = {"version": "2.0.0", "commit": "b" * 40, "branch": "main", "commits": "", "notes": ""}
    assert client.post("/components/dhash/releases/new/", body).status_code == 302
    entry = newest("release.created")
    assert '"printed":"Rita Rossi"' in entry.person and "Rita Rossi" not in entry.body
    assert "<bdi>Rita Rossi</bdi>, <bdi>rita</bdi> via browser" in text(cast["ann"], entry)


def test_an_entry_says_that_it_holds(cast: Cast, target: Target) -> None:
    assert "sealed to entry" in text(cast["ann"], newest("configuration.loaded"))


def test_an_entry_that_was_edited_says_what_does_not_hold(cast: Cast, target: Target) -> None:
    entry = newest("configuration.loaded")
    guards.remove(connection, guards.Guard(model=AuditEntry))
    AuditEntry.objects.filter(pk=entry.pk).update(why="nothing to see")
    page = text(cast["ann"], entry)
    assert "why shows" in page and "sealed to entry" not in page


@pytest.mark.parametrize(("name", "shown"), [("aud", True), ("ann", False)])
def test_address_and_session_are_shown_to_auditors_only(cast: Cast, target: Target, name: str, shown: bool) -> None:
    browser(cast["aud"]).get("/history.csv")
    page = text(cast[name], newest("history.exported"))
    assert ("127.0.0.1" in page) is shown
    assert "salt" not in page


def test_a_number_that_no_entry_has_is_not_found(cast: Cast, target: Target) -> None:
    assert browser(cast["ann"]).get("/history/99999/").status_code == 404


def frozen_twice(target: Target, cast: Cast) -> Rollout:
    """Return a rollout with two manifests: a gate was tuned in between."""
    rollout = factories.make_waiting(target, cast["rita"])
    tom, changes = cast["tom"], {"p95.limit": "1500"}
    drafting.tune(rollout, changes=changes, accepted=True, user=tom, by=factories.actor(tom), now=factories.NOW)
    return factories.freeze(rollout)


def test_two_manifests_are_compared_field_by_field(cast: Cast, target: Target) -> None:
    rollout = frozen_twice(target, cast)
    page = browser(cast["ann"]).get(f"/rollouts/{rollout.pk}/manifests/")
    fields = [one.path for part in page.context["parts"] for one in part["fields"]]
    assert [path for path in fields if path.startswith("tuning") and "after" in path]
    assert not [path for path in fields if path.startswith("evidence")]


def test_the_entry_of_a_second_manifest_leads_to_the_comparison(cast: Cast, target: Target) -> None:
    rollout = frozen_twice(target, cast)
    first, second = SignOff.objects.order_by("pk").values_list("pk", flat=True)
    page = text(cast["ann"], newest("sign_off.opened"))
    assert f"/rollouts/{rollout.pk}/manifests/?from={first}&amp;to={second}" in page


def test_one_manifest_is_laid_out(cast: Cast, target: Target) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    page = browser(cast["ann"]).get(f"/rollouts/{rollout.pk}/manifests/").content.decode()
    assert f'<dt class="mono">release.commit</dt><dd class="says">{rollout.release.commit}</dd>' in page


def test_a_draft_has_nothing_frozen(cast: Cast, target: Target) -> None:
    rollout = factories.make_draft(target, cast["rita"])
    assert "Nothing was frozen yet" in browser(cast["ann"]).get(f"/rollouts/{rollout.pk}/manifests/").content.decode()


@pytest.mark.parametrize("query", ["from=1", "from=x&to=y", "from=99&to=98"])
def test_manifests_that_there_are_not_are_not_found(cast: Cast, target: Target, query: str) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    assert browser(cast["ann"]).get(f"/rollouts/{rollout.pk}/manifests/?{query}").status_code == 404


TAMPERED = {
    "body=CAST(x'7bff' AS TEXT)": "the sha256 of the body is not the hash",
    "body='no JSON'": "the sha256 of the body is not the hash",
    "body='[]'": "the sha256 of the body is not the hash",
    """body='{"actor":7,"data":7}'""": "the sha256 of the body is not the hash",
    "why=CAST(x'77ff' AS TEXT)": "why shows",
    "action=CAST(x'77ff' AS TEXT)": "action shows",
    "subject_label=CAST(x'77ff' AS TEXT)": "subject_label shows",
    "old=CAST(x'77ff' AS TEXT), new='x'": "old shows",
    "via=CAST(x'77ff' AS TEXT)": "via shows",
    "actor_name=CAST(x'77ff' AS TEXT)": "actor_name shows",
    "person='no JSON'": "person",
    "why=CAST(x'61ff' AS TEXT)": "why shows",
    "subject_kind='rollout', subject_id='²'": "subject_kind shows",
    "subject_kind='rollout', subject_id='" + "9" * 30 + "'": "subject_kind shows",
    "subject_kind='target', component='a/b'": "subject_kind shows",
    "seq=5000": "prev is not the hash",
}


@pytest.fixture(params=TAMPERED)
def tampered(request: pytest.FixtureRequest, cast: Cast, target: Target) -> tuple[AuditEntry, str]:
    """Return an entry that somebody wrote into in SQL, and what its page must say."""
    if connection.vendor != "sqlite" and "CAST" in request.param:
        pytest.skip("PostgreSQL keeps no text that is none")
    entry = newest("configuration.loaded")
    guards.remove(connection, checks.audit_guard())
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE monitoring_auditentry SET {request.param} WHERE seq = {entry.seq}")
    entry.seq = 5000 if "seq=" in request.param else entry.seq
    return entry, TAMPERED[request.param]


def test_an_entry_that_was_written_anew_alone_does_not_hold(cast: Cast, target: Target) -> None:
    entry = newest("configuration.loaded")
    body = entry.body.replace('"why":""', '"why":"because"')
    assert body != entry.body
    forger.edit(entry, body=body, why="because", hash=hashlib.sha256(body.encode()).hexdigest())
    assert "the chain does not go on from it" in text(cast["aud"], entry)


def test_an_entry_that_was_written_into_is_shown_and_named(cast: Cast, tampered: tuple[AuditEntry, str]) -> None:
    entry, problem = tampered
    assert problem in text(cast["aud"], entry)


def test_the_history_shows_what_was_written_into(cast: Cast, tampered: tuple[AuditEntry, str]) -> None:
    answer = browser(cast["aud"]).get("/history/")
    assert f"#{tampered[0].seq}<" in answer.content.decode()
