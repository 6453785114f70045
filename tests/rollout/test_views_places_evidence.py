"""The pages of releases: creating one, bringing evidence, reading it."""

import hashlib
import io

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from approvals.models import Person
from monitoring.models import AuditEntry
from rollout.models import Artifact, EvidenceLink, Release, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
GOOD = {"version": "2.0.0", "commit": "B" * 40, "branch": "main", "pull_request": "7", "commits": "", "notes": ""}


@pytest.fixture
def release(cast: Cast, target: Target) -> Release:
    """Return a release with its archive."""
    return factories.make_release(target.component, cast["rita"])


def upload(cast: Cast, release: Release, content: bytes, name: str = "premerge.zip", **more):
    """Post a file as Rita."""
    values = {"kind": "premerge_artifacts", "file": SimpleUploadedFile(name, content), **more}
    return browser(cast["rita"]).post(reverse("artifact_upload", args=[release.pk]), values)


def test_a_release_is_created_with_the_pasted_commits(cast: Cast, target: Target) -> None:
    pasted = "9fceb02 Rita Okafor <rita@example.com> Add the colour\n\nabcdef0 Sam <sam@example.org> "
    answer = browser(cast["rita"]).post("/components/dhash/releases/new/", {**GOOD, "commits": pasted})
    made = Release.objects.get(version="2.0.0")
    assert answer.headers["Location"] == f"/releases/{made.pk}/"
    assert (made.commit, made.pull_request) == ("b" * 40, 7)
    assert made.commits == [
        {"sha": "9fceb02", "author": "Rita Okafor", "email": "rita@example.com", "subject": "Add the colour"},
        {"sha": "abcdef0", "author": "Sam", "email": "sam@example.org", "subject": ""},
    ]


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"commits": "no commit at all"}, 400, "Line 1 is no commit"),
        ({"commit": "abc"}, 400, "at least 40 characters"),
        ({"commit": "z" * 40}, 409, "40 lower-case hexadecimal digits"),
        ({"version": "../2"}, 409, "is no version"),
        ({"version": "1.1.0"}, 409, "exists already"),
    ],
)
def test_a_bad_release_is_refused_with_the_reason_and_keeps_what_was_typed(
    cast: Cast, release: Release, changed: dict[str, str], status: int, said: str
) -> None:
    answer = browser(cast["rita"]).post(
        "/components/dhash/releases/new/", {**GOOD, "notes": "do not lose me", **changed}
    )
    page = answer.content.decode()
    assert (answer.status_code, said in page, "do not lose me" in page) == (status, True, True)


def test_only_a_release_owner_of_the_component_creates_releases(cast: Cast, target: Target) -> None:
    assert browser(cast["ann"]).get("/components/dhash/releases/new/").status_code == 403
    Person.objects.filter(user=cast["rita"]).update(components=["player"])
    assert browser(cast["rita"]).post("/components/dhash/releases/new/", GOOD).status_code == 404


def test_the_page_says_what_is_missing(cast: Cast, target: Target) -> None:
    bare = Release.objects.create(
        component=target.component,
        version="3.0",
        commit="c" * 40,
        created_by=cast["rita"],
        created_via="api",
        created_at=factories.NOW,
    )
    page = browser(cast["ann"]).get(f"/releases/{bare.pk}/").content.decode()
    assert "Before a rollout can be submitted, bring:" in page and "Release archive" in page


def test_a_file_is_kept_under_its_sha256(cast: Cast, release: Release) -> None:
    answer = upload(cast, release, b"bundle")
    made = Artifact.objects.get(kind="premerge_artifacts")
    assert answer.headers["Location"] == f"/releases/{release.pk}/#evidence"
    assert (made.sha256, made.size, made.uploaded_by) == (hashlib.sha256(b"bundle").hexdigest(), 6, cast["rita"])


def test_a_right_sidecar_is_accepted(cast: Cast, release: Release) -> None:
    line = f"{hashlib.sha256(b'bundle').hexdigest()}  premerge.zip\n".encode()
    assert upload(cast, release, b"bundle", sidecar=SimpleUploadedFile("premerge.zip.sha256", line)).status_code == 302


@pytest.mark.parametrize(
    ("content", "name", "sidecar", "said"),
    [
        (b"bundle", "premerge.zip", b"0" * 64, "does not match its .sha256 file"),
        (b"bundle", "premerge.zip", b"nothing of the sort", "holds no sha256"),
        (b"bundle", "premerge.zip", b"", "holds no sha256"),
        (b"bundle", "premerge.zip", b"x" * 5000, "is larger than 4096 bytes"),
        (b"", "premerge.zip", None, "The file is empty"),
        (b"bundle", "-rf.zip", None, "is not accepted as a file name"),
        (b"bundle", "a b.zip", None, "is not accepted as a file name"),
    ],
)
def test_a_bad_upload_is_refused_beside_its_form(
    cast: Cast, release: Release, content: bytes, name: str, sidecar: bytes | None, said: str
) -> None:
    more = {} if sidecar is None else {"sidecar": SimpleUploadedFile("x.sha256", sidecar)}
    answer = upload(cast, release, content, name, **more)
    assert answer.status_code == 409
    assert said in answer.content.decode() and "has-problem" in answer.content.decode()
    assert not Artifact.objects.filter(kind="premerge_artifacts").exists()


def test_too_large_a_file_is_refused_and_leaves_nothing(cast: Cast, release: Release, settings) -> None:
    settings.GR_UPLOAD_LIMIT = 10
    answer = upload(cast, release, b"x" * 11)
    assert answer.status_code == 409 and "larger than 10 bytes" in answer.content.decode()
    assert not list(settings.GR_ARTIFACTS.glob(".incoming-*"))


def test_an_upload_without_a_file_says_so(cast: Cast, release: Release) -> None:
    url = reverse("artifact_upload", args=[release.pk])
    answer = browser(cast["rita"]).post(url, {"kind": "premerge_artifacts"})
    assert answer.status_code == 400 and "Choose a file first." in answer.content.decode()


def test_a_file_of_a_kind_that_nobody_brings_is_refused(cast: Cast, release: Release) -> None:
    url = reverse("artifact_upload", args=[release.pk])
    answer = browser(cast["rita"]).post(url, {"kind": "backup", "file": io.BytesIO(b"x")})
    assert answer.status_code == 409 and not Artifact.objects.filter(kind="backup").exists()


def test_a_replaced_file_stays_as_history(cast: Cast, release: Release) -> None:
    upload(cast, release, b"first")
    upload(cast, release, b"second")
    page = browser(cast["aud"]).get(f"/releases/{release.pk}/").content.decode()
    assert "Replaced files" in page and hashlib.sha256(b"first").hexdigest() in page


def test_new_evidence_voids_the_sign_off_that_rests_on_the_old(cast: Cast, target: Target) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    upload(cast, rollout.release, b"another bundle")
    assert factories.fresh(rollout).state == R.DRAFT


def test_evidence_is_closed_while_the_release_is_on_its_way(cast: Cast, target: Target) -> None:
    rollout = factories.put_in(factories.make_draft(target, cast["rita"]), R.WATCHING)
    assert upload(cast, rollout.release, b"late").status_code == 409
    assert "The evidence is closed" in browser(cast["rita"]).get(f"/releases/{rollout.release_id}/").content.decode()


def test_a_link_that_nobody_could_check_is_kept_and_shown_so(cast: Cast, release: Release) -> None:
    url = "https://github.com/example-org/dhash/actions/runs/1"
    client = browser(cast["rita"])
    client.post(reverse("link_add", args=[release.pk]), {"kind": "ci_ubuntu", "url": url})
    assert EvidenceLink.objects.get().url == url
    page = client.get(f"/releases/{release.pk}/").content.decode()
    assert "Not configured" in page and 'rel="noopener noreferrer nofollow"' in page


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://ci.example/1", "https://user:pw@ci.example/1", "x"])
def test_a_link_that_is_none_is_refused_and_stays_in_the_form(cast: Cast, release: Release, url: str) -> None:
    answer = browser(cast["rita"]).post(reverse("link_add", args=[release.pk]), {"kind": "ci_ubuntu", "url": url})
    assert answer.status_code == 409 and not EvidenceLink.objects.exists()


def test_only_a_release_owner_brings_evidence(cast: Cast, release: Release) -> None:
    url = reverse("artifact_upload", args=[release.pk])
    assert browser(cast["olaf"]).post(url, {"kind": "premerge_artifacts", "file": io.BytesIO(b"x")}).status_code == 403


def test_a_file_is_given_out_sealed_and_its_reader_is_audited(cast: Cast, release: Release) -> None:
    answer = browser(cast["aud"]).get(reverse("artifact", args=[release.artifacts.get().pk]))
    assert b"".join(answer.streaming_content) == factories.ARCHIVE
    assert answer.headers["Content-Disposition"] == 'attachment; filename="dhash-1.1.0.zip"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("sandbox")
    entry = AuditEntry.objects.get(action="artifact.read")
    assert (entry.actor_name, entry.subject_kind) == ("aud", "release")


def test_a_file_of_another_component_is_not_given_out(cast: Cast, release: Release) -> None:
    Person.objects.filter(user=cast["aud"]).update(components=["player"])
    assert browser(cast["aud"]).get(reverse("artifact", args=[release.artifacts.get().pk])).status_code == 404
    assert not AuditEntry.objects.filter(action="artifact.read").exists()


def test_a_file_whose_bytes_are_gone_is_not_found(cast: Cast, release: Release, settings) -> None:
    settings.GR_ARTIFACTS = settings.GR_ARTIFACTS / "elsewhere"
    assert browser(cast["aud"]).get(reverse("artifact", args=[release.artifacts.get().pk])).status_code == 404


def test_the_manifest_given_out_has_the_digest_that_was_signed(cast: Cast, target: Target) -> None:
    rollout = factories.make_waiting(target, cast["rita"])
    answer = browser(cast["aud"]).get(reverse("manifest", args=[rollout.pk]))
    assert hashlib.sha256(answer.content).hexdigest() == rollout.digest


def test_a_draft_has_no_manifest(cast: Cast, target: Target) -> None:
    rollout = factories.make_draft(target, cast["rita"])
    assert browser(cast["aud"]).get(reverse("manifest", args=[rollout.pk])).status_code == 404


def test_the_release_page_takes_the_same_queries_however_much_there_is(cast: Cast, target: Target) -> None:
    first = factories.make_draft(target, cast["rita"])
    client, url = browser(cast["rita"]), f"/releases/{first.release_id}/"
    few = queries(client, url)
    for number in range(5):
        upload(cast, first.release, f"bundle {number}".encode())
        factories.make_draft(target, cast["rita"], release=first.release)
    assert queries(client, url) == few
