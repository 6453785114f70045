"""An uploaded name with a directory in it is refused, not silently shortened."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from rollout import once
from rollout.models import Artifact, Target
from tests import factories
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db
EDGE = "edge"


def posted(name: str) -> bytes:
    """Return a multipart body as a client writes it that does not clean its names; Django's own test client does."""
    parts = [
        ('form-data; name="kind"', "premerge_artifacts"),
        (f'form-data; name="{once.FIELD}"', once.new_key(factories.NOW)),
        (f'form-data; name="file"; filename="{name}"', "bundle"),
    ]
    body = "".join(f"--{EDGE}\r\nContent-Disposition: {head}\r\n\r\n{text}\r\n" for head, text in parts)
    return f"{body}--{EDGE}--\r\n".encode()


def upload(cast: dict[str, User], target: Target, name: str):
    release = factories.make_release(target.component, cast["rita"])
    url = reverse("artifact_upload", args=[release.pk])
    return browser(cast["rita"]).generic("POST", url, posted(name), f"multipart/form-data; boundary={EDGE}")


@pytest.mark.parametrize("name", ["../../premerge.zip", "/etc/premerge.zip", "a/premerge.zip", "..&#47;premerge.zip"])
def test_a_name_with_a_directory_is_refused(cast: dict[str, User], target: Target, name: str) -> None:
    answer = upload(cast, target, name)
    assert answer.status_code == 409
    assert "is not accepted as a file name" in answer.content.decode()
    assert not Artifact.objects.filter(kind="premerge_artifacts").exists()


def test_a_name_with_a_drive_is_refused(cast: dict[str, User], target: Target) -> None:
    assert upload(cast, target, "C:\\\\bundles\\\\premerge.zip").status_code == 409


def test_a_plain_name_is_kept(cast: dict[str, User], target: Target) -> None:
    assert upload(cast, target, "premerge.zip").status_code == 302
    assert Artifact.objects.get(kind="premerge_artifacts").name == "premerge.zip"
