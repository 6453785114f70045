"""The API: who gets in, what each route answers, and that every error is JSON with what was expected."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from monitoring.models import AuditEntry
from rollout import tokens
from rollout.models import Artifact, Idempotency, Release
from rollout.states import RolloutState as R
from tests.factories import COMMIT, actor, make_release, make_target, make_waiting, put_in

BOTH = ("release:write", "rollout:read")


class Ci:
    """A CI job with a token."""

    def __init__(self, text: str) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.headers = {"Authorization": f"Bearer {text}"}

    def ask(self, method: str, path: str, body=b"", **headers: str):
        """Send one request and return (status, document)."""
        kind = "application/json" if isinstance(body, dict) else "application/octet-stream"
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = self.client.generic(method, f"/api/v1{path}", data, content_type=kind, headers=sent)
        return answer.status_code, answer.json()


@pytest.fixture
def target(cast, tmp_path):
    return make_target(tmp_path)


@pytest.fixture
def secret(target, cast):
    def make(scopes=BOTH, owner="rita", days=30, now=None):
        user = cast[owner]
        values = {"name": "ci", "scopes": scopes, "days": days, "now": now or timezone.now()}
        return tokens.create(target.component, user=user, by=actor(user), **values)[1]

    return make


@pytest.fixture
def ci(secret):
    return Ci(secret())


BODY = {"version": "1.1.0", "commit": COMMIT}
NEW = "/components/dhash/releases"


def test_a_release_is_created(ci):
    status, document = ci.ask("POST", NEW, BODY)
    assert (status, document["version"]) == (201, "1.1.0")
    assert Release.objects.get().created_via == "api"
    assert AuditEntry.objects.get(action="release.created").via == "api"


def test_a_second_one_of_the_version_is_a_conflict(ci):
    ci.ask("POST", NEW, BODY)
    status, document = ci.ask("POST", NEW, BODY)
    assert status == 409 and "exists already" in document["error"] and document["expected"]


@pytest.mark.parametrize("body", [{}, {"version": "1.1.0"}, {**BODY, "commit": "abc"}, {**BODY, "version": "../1"}])
def test_a_malformed_release_is_422(ci, body):
    status, document = ci.ask("POST", NEW, body)
    assert status == 422 and set(document) == {"error", "expected"}
    assert not Release.objects.exists()


@pytest.mark.parametrize("wrong", [{"sha": "zz"}, {"author": " "}, {"email": ""}])
def test_a_commit_that_names_nobody_is_refused(ci, wrong):
    commit = {"sha": "c" * 40, "author": "Ann", "email": "ann@example.org", **wrong}
    status, said = ci.ask("POST", NEW, {**BODY, "commits": [commit]})
    assert 400 <= status < 500 and "Commit 1" in said["error"] and not Release.objects.exists()


def test_a_body_that_is_no_json_is_400(ci):
    answer = ci.client.generic("POST", f"/api/v1{NEW}", b"{", content_type="application/json", headers=ci.headers)
    assert answer.status_code == 400 and set(answer.json()) == {"error", "expected"}


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic cmk6dA=="}])
def test_without_a_valid_token_it_is_401(target, headers):
    answer = Client().get(f"/api/v1{NEW}", headers=headers)
    assert answer.status_code == 401 and "Authorization" in answer.json()["expected"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_401(secret):
    old = Ci(secret(days=1, now=timezone.now() - timedelta(days=2)))
    assert old.ask("GET", NEW)[0] == 401


def test_a_cookie_lets_nobody_in(target, cast):
    client = Client()
    client.force_login(cast["rita"])
    assert client.get(f"/api/v1{NEW}").status_code == 401


def test_a_token_without_the_scope_is_403(secret):
    reader = Ci(secret(scopes=("rollout:read",)))
    status, document = reader.ask("POST", NEW, BODY)
    assert status == 403 and "release:write" in document["expected"]


def test_an_owner_who_lost_his_role_is_403(ci, cast):
    cast["rita"].groups.clear()
    assert ci.ask("POST", NEW, BODY)[0] == 403


def test_another_component_is_404(ci):
    assert ci.ask("POST", "/components/other/releases", BODY)[0] == 404
    assert ci.ask("GET", "/rollouts?component=other")[0] == 404


def test_the_same_key_gets_the_same_answer(ci):
    first = ci.ask("POST", NEW, BODY, Idempotency_Key="build-7")
    assert ci.ask("POST", NEW, BODY, Idempotency_Key="build-7") == first
    assert Release.objects.count() == 1


def test_the_same_key_with_another_body_is_a_conflict(ci):
    ci.ask("POST", NEW, BODY, Idempotency_Key="build-7")
    status, _ = ci.ask("POST", NEW, {**BODY, "version": "1.2.0"}, Idempotency_Key="build-7")
    assert (status, Release.objects.count()) == (409, 1)


def test_a_refused_request_leaves_its_key_free(ci):
    ci.ask("POST", NEW, {**BODY, "commit": "abc"}, Idempotency_Key="build-7")
    assert not Idempotency.objects.exists()
    assert ci.ask("POST", NEW, BODY, Idempotency_Key="build-7")[0] == 201


def test_an_artifact_is_attached_as_a_raw_body(ci, target, cast):
    release = make_release(target.component, cast["rita"])
    digest = hashlib.sha256(b"bundle").hexdigest()
    path = f"/releases/{release.pk}/artifacts/premerge_artifacts"
    status, document = ci.ask("PUT", path, b"bundle", X_Filename="premerge.zip", X_SHA256=digest)
    assert (status, document["sha256"], document["size"]) == (201, digest, 6)
    assert ci.ask("PUT", path, b"bundle", X_Filename="premerge.zip", X_SHA256=digest)[0] == 200
    assert Artifact.objects.filter(kind="premerge_artifacts").count() == 1


def test_an_artifact_is_attached_as_multipart(ci, target, cast, tmp_path):
    release = make_release(target.component, cast["rita"])
    file = tmp_path / "premerge.zip"
    file.write_bytes(b"bundle")
    with file.open("rb") as source:
        path = f"/api/v1/releases/{release.pk}/artifacts/premerge_artifacts"
        answer = ci.client.post(path, {"file": source}, headers=ci.headers)
    assert answer.status_code == 201 and answer.json()["name"] == "premerge.zip"


@pytest.mark.parametrize(
    ("kind", "headers", "body", "status"),
    [
        ("premerge_artifacts", {"X_Filename": "a.zip", "X_SHA256": "0" * 64}, b"bundle", 422),
        ("premerge_artifacts", {"X_Filename": "a.zip", "X_SHA256": "short"}, b"bundle", 400),
        ("premerge_artifacts", {"X_Filename": "../a.zip"}, b"bundle", 422),
        ("premerge_artifacts", {"X_Filename": "a.zip"}, b"", 422),
        ("premerge_artifacts", {}, b"bundle", 400),
        ("backup", {"X_Filename": "a.zip"}, b"bundle", 422),
    ],
)
def test_a_bad_upload_is_refused_with_the_reason(ci, target, cast, kind, headers, body, status):
    release = make_release(target.component, cast["rita"])
    found, document = ci.ask("PUT", f"/releases/{release.pk}/artifacts/{kind}", body, **headers)
    assert found == status and document["error"]
    assert not Artifact.objects.filter(kind=kind).exists()


def test_an_upload_that_is_too_large_is_413(ci, target, cast, settings):
    settings.GR_UPLOAD_LIMIT = 5
    release = Release.objects.create(
        component=target.component, version="2", commit=COMMIT, created_by=cast["rita"], created_at=timezone.now()
    )
    path = f"/releases/{release.pk}/artifacts/premerge_artifacts"
    assert ci.ask("PUT", path, b"bundle", X_Filename="a.zip")[0] == 413


def test_evidence_voids_what_was_signed(ci, target, cast):
    rollout = make_waiting(target, cast["rita"])
    path = f"/releases/{rollout.release.pk}/artifacts/premerge_artifacts"
    assert ci.ask("PUT", path, b"other", X_Filename="a.zip")[0] == 201
    assert ci.ask("GET", f"/rollouts/{rollout.pk}")[1]["state"] == "DRAFT"


def test_a_release_on_its_way_takes_no_evidence(ci, target, cast):
    rollout = put_in(make_waiting(target, cast["rita"]), R.RUNNING)
    path = f"/releases/{rollout.release.pk}/artifacts/premerge_artifacts"
    assert ci.ask("PUT", path, b"other", X_Filename="a.zip")[0] == 409


def test_a_link_is_kept(ci, target, cast):
    release = make_release(target.component, cast["rita"])
    url = "https://github.com/example-org/dhash/actions/runs/7"
    path = f"/releases/{release.pk}/links"
    assert ci.ask("POST", path, {"kind": "ci_ubuntu", "url": url})[0] == 201
    assert ci.ask("POST", path, {"kind": "ci_ubuntu", "url": "http://x"})[0] == 422
    assert ci.ask("POST", path, {"kind": "ci_beos", "url": url})[0] == 422
    assert [one["url"] for one in ci.ask("GET", f"/releases/{release.pk}")[1]["links"]] == [url]


def test_a_rollout_tells_its_state_and_checklist(ci, target, cast):
    rollout = make_waiting(target, cast["rita"])
    status, document = ci.ask("GET", f"/rollouts/{rollout.pk}")
    assert (status, document["state"], document["digest"]) == (200, "WAITING", rollout.digest)
    assert document["sign_off"]["state"] == "OPEN" and document["url"].endswith(f"/rollouts/{rollout.pk}/")
    status, document = ci.ask("GET", f"/rollouts/{rollout.pk}/checklist")
    assert (status, document["complete"], document["items"][0]["state"]) == (200, True, "done")


def test_the_manifest_has_the_digest_that_is_signed(ci, target, cast):
    rollout = make_waiting(target, cast["rita"])
    answer = ci.client.get(f"/api/v1/rollouts/{rollout.pk}/manifest", headers=ci.headers)
    assert hashlib.sha256(answer.content).hexdigest() == rollout.digest


def test_evidence_is_downloaded_as_it_was_brought(ci, target, cast):
    release = make_release(target.component, cast["rita"])
    answer = ci.client.get(f"/api/v1/artifacts/{release.archive.pk}", headers=ci.headers)
    content = b"".join(answer.streaming_content)
    assert hashlib.sha256(content).hexdigest() == release.archive.sha256 == answer.headers["X-SHA256"]
    assert "attachment" in answer.headers["Content-Disposition"]
    assert AuditEntry.objects.get(action="artifact.read").via == "api"


def test_rollouts_are_filtered(ci, target, cast):
    rollout = make_waiting(target, cast["rita"])
    assert [one["id"] for one in ci.ask("GET", "/rollouts?component=dhash&state=WAITING")[1]] == [rollout.pk]
    assert ci.ask("GET", "/rollouts?state=SUCCEEDED")[1] == []
    assert ci.ask("GET", "/rollouts?state=DONE")[0] == 422


def test_there_is_no_route_that_decides_starts_or_rolls_back(client, db):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    verbs = {(method, path) for path, methods in paths.items() for method in methods if method != "get"}
    assert {path.rpartition("/api/v1")[2] for _, path in verbs} == {
        "/components/{name}/releases",
        "/releases/{pk}/artifacts/{kind}",
        "/releases/{pk}/links",
    }


def test_the_documentation_needs_no_inline_script(client, db):
    page = client.get("/api/v1/docs")
    assert page.status_code == 200 and "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert "https://" not in page.content.decode()
