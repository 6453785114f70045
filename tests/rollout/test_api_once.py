"""Keys and lost races through the API: the first answer again, and who was faster."""

import pytest

from monitoring.models import AuditEntry
from rollout import once
from rollout.models import Artifact, Release
from rollout.states import RolloutState as R
from tests.factories import COMMIT, make_release, make_waiting, put_in
from tests.rollout.test_api import BODY, NEW, ci, secret, target

__all__ = ["ci", "secret", "target"]
LINK = {"kind": "ci_ubuntu", "url": "https://ci.example.com/1"}


@pytest.fixture
def path(cast, target):
    """Return the address under which a file becomes evidence."""
    release = make_release(target.component, cast["rita"])
    return f"/releases/{release.pk}/artifacts/premerge_artifacts"


def put(ci, path, body=b"bundle", name="premerge.zip", key="build-7"):
    return ci.ask("PUT", path, body, X_Filename=name, Idempotency_Key=key)


def test_an_upload_that_comes_twice_is_kept_once(ci, path):
    first = put(ci, path)
    assert first[0] == 201 and put(ci, path) == first
    assert Artifact.objects.filter(kind="premerge_artifacts").count() == 1
    assert AuditEntry.objects.filter(action="artifact.attached", via="api").count() == 1


def test_an_upload_without_a_key_is_kept_as_often_as_it_comes(ci, path):
    for _ in "ab":
        assert ci.ask("PUT", path, b"bundle", X_Filename="premerge.zip")[0] == 201
    assert Artifact.objects.filter(kind="premerge_artifacts").count() == 2


@pytest.mark.parametrize("changed", [{"body": b"BUNDLE"}, {"name": "other.zip"}])
def test_other_bytes_or_another_name_under_the_same_key_are_a_conflict(ci, path, changed):
    put(ci, path)
    assert put(ci, path, **changed)[0] == 409


def test_the_upload_is_answered_as_before_though_its_release_is_on_its_way_by_now(ci, path, cast, target):
    first = put(ci, path)
    waiting = make_waiting(target, cast["rita"], "1.3.0")
    put_in(waiting, R.QUEUED)
    type(waiting).objects.filter(pk=waiting.pk).update(release=Release.objects.get(version="1.1.0"))
    assert put(ci, path) == first
    assert put(ci, path, key="another")[0] == 409


def test_a_link_that_comes_twice_is_kept_once(ci, cast, target):
    links = f"/releases/{make_release(target.component, cast['rita']).pk}/links"
    first = ci.ask("POST", links, LINK, Idempotency_Key="build-7")
    assert ci.ask("POST", links, LINK, Idempotency_Key="build-7") == first
    assert AuditEntry.objects.filter(action="link.attached").count() == 1


def test_a_twin_that_took_the_key_a_moment_before_answers_for_both(ci, monkeypatch):
    first = ci.ask("POST", NEW, BODY, Idempotency_Key="build-7")
    seen, blind = once.answer_to, iter([True])
    monkeypatch.setattr(once, "answer_to", lambda asked: None if next(blind, False) else seen(asked))
    assert ci.ask("POST", NEW, BODY, Idempotency_Key="build-7") == first
    assert Release.objects.count() == 1


def test_a_version_that_exists_tells_who_made_it(ci):
    made = ci.ask("POST", NEW, BODY)[1]
    status, document = ci.ask("POST", NEW, {**BODY, "commit": COMMIT[::-1]})
    winner = document["winner"]
    assert (status, winner["kind"], winner["id"], winner["by"]) == (409, "release", made["id"], "rita")
    assert winner["action"] == "release.created" and winner["at"].endswith("+00:00")


def test_a_version_made_between_look_and_write_is_the_same_conflict(ci, monkeypatch):
    ci.ask("POST", NEW, BODY)
    found, blind = Release.objects.filter, iter([True])
    none = Release.objects.none()
    monkeypatch.setattr(Release.objects, "filter", lambda **what: none if next(blind, False) else found(**what))
    status, document = ci.ask("POST", NEW, BODY)
    assert (status, document["winner"]["kind"]) == (409, "release")


def test_evidence_for_a_release_on_its_way_tells_the_rollout_that_holds_it(ci, cast, target):
    waiting = put_in(make_waiting(target, cast["rita"]), R.QUEUED)
    status, document = ci.ask("POST", f"/releases/{waiting.release_id}/links", LINK)
    assert (status, document["winner"]["kind"], document["winner"]["id"]) == (409, "rollout", waiting.pk)
