"""What the API answers where no route does: JSON with what was expected, too."""

import pytest
from django.test import Client

from rollout.models import Artifact
from tests.factories import make_release
from tests.rollout.test_api import NEW, Ci, secret, target  # noqa: F401 - fixtures


@pytest.fixture
def ci(secret):  # noqa: F811
    return Ci(secret())


@pytest.mark.parametrize("path", ["/nothing", "/releases/x/y", "/", "/components/dhash/releases/"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.django_db
def test_an_unknown_route_is_404_in_json(method, path):
    answer = Client(enforce_csrf_checks=True).generic(method, f"/api/v1{path}")
    assert answer.status_code == 404 and set(answer.json()) == {"error", "expected"}
    assert path in answer.json()["error"]


def test_another_method_is_405_in_json_with_those_that_are_taken(ci):
    answer = ci.client.delete(f"/api/v1{NEW}", headers=ci.headers)
    assert answer.status_code == 405 and "does not take DELETE" in answer.json()["error"]
    assert {"GET", "POST"} <= {one.strip() for one in answer.headers["Allow"].split(",")}
    assert "GET" in answer.json()["expected"]


@pytest.mark.parametrize("kind", ["application/octet-stream", "multipart/form-data; boundary=x", "application/json"])
def test_a_body_in_chunks_is_411_and_nothing_is_kept(ci, target, cast, kind):  # noqa: F811
    release = make_release(target.component, cast["rita"])
    path = f"/api/v1/releases/{release.pk}/artifacts/premerge_artifacts"
    headers = {**ci.headers, "Transfer-Encoding": "chunked", "X-Filename": "premerge.zip"}
    answer = ci.client.generic("PUT", path, content_type=kind, headers=headers)
    assert answer.status_code == 411 and "Content-Length" in answer.json()["expected"]
    assert not Artifact.objects.filter(kind="premerge_artifacts").exists()
