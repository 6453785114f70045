"""Evidence is taken in whole or refused with the reason, and what is signed cannot be replaced on the way."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from rollout import evidence, opening
from rollout.models import Artifact, Release, Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor

pytestmark = pytest.mark.django_db
URL = "https://github.com/example-org/dhash/actions/runs/1"


@pytest.fixture
def release(target: Target, cast: dict[str, User]) -> Release:
    """Return a release with its archive."""
    return factories.make_release(target.component, cast["rita"])


def attach(release: Release, user: User, **changed: Any) -> Artifact:
    values: dict[str, Any] = {"kind": "premerge_artifacts", "name": "premerge.zip", "chunks": [b"some ", b"bytes"]}
    return evidence.attach(release, **{**values, **changed}, user=user, by=actor(user), now=NOW)


def link(release: Release, user: User, url: str, kind: str = "ci_ubuntu") -> None:
    evidence.link(release, kind=kind, url=url, user=user, by=actor(user), now=NOW)


def test_a_file_stands_under_its_sha256(release: Release, cast: dict) -> None:
    artifact = attach(release, cast["rita"])
    assert artifact.sha256 == hashlib.sha256(b"some bytes").hexdigest()
    assert evidence.path_of(artifact).read_bytes() == b"some bytes"


def test_a_later_file_takes_the_place_of_an_earlier_one_of_its_kind(release: Release, cast: dict) -> None:
    first, second = attach(release, cast["rita"]), attach(release, cast["rita"], chunks=[b"other"])
    assert Artifact.objects.get(pk=first.pk).replaced_at == NOW
    assert evidence._of_release(release)["premerge_artifacts"].sha256 == second.sha256


def test_the_archive_of_a_release_is_the_newest(release: Release, cast: dict) -> None:
    factories.bring_archive(release, cast["rita"], b"other bytes")
    assert release.archive is not None
    assert release.archive.sha256 == hashlib.sha256(b"other bytes").hexdigest()


def test_a_sidecar_that_matches_is_accepted(release: Release, cast: dict) -> None:
    digest = hashlib.sha256(b"some bytes").hexdigest()
    assert attach(release, cast["rita"], sidecar=f"{digest.upper()}  premerge.zip\n").sha256 == digest


@pytest.mark.parametrize(
    ("sidecar", "why"), [("0" * 64 + "  premerge.zip", "does not match"), ("no digest", "holds no sha256")]
)
def test_a_sidecar_that_does_not_match_is_refused(release: Release, cast: dict, sidecar: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        attach(release, cast["rita"], sidecar=sidecar)
    assert not release.artifacts.filter(kind="premerge_artifacts").exists()


def test_an_empty_file_is_refused(release: Release, cast: dict) -> None:
    with pytest.raises(Refused, match="empty"):
        attach(release, cast["rita"], chunks=[b""])


def test_a_file_that_is_too_large_is_refused(release: Release, cast: dict, settings: Any) -> None:
    settings.GR_UPLOAD_LIMIT = 4
    with pytest.raises(Refused, match="larger than 4 bytes"):
        attach(release, cast["rita"])


BAD_NAMES = [
    "../evil",
    "/etc/passwd",
    "a/b",
    "",
    ".hidden",
    "-rf",
    "a..b",
    "a\0b",
    "a\nb",
    "a b",
    "ä",
    "x" * 151,
    "a\u202eb",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_could_mean_a_place_is_refused(release: Release, cast: dict, name: str) -> None:
    with pytest.raises(Refused, match="not accepted as a file name"):
        attach(release, cast["rita"], name=name)


@pytest.mark.parametrize("kind", ["backup", "golden", "ci_ubuntu", "tea"])
def test_what_a_run_makes_cannot_be_brought_by_hand(release: Release, cast: dict, kind: str) -> None:
    with pytest.raises(Refused, match="not a kind of evidence"):
        attach(release, cast["rita"], kind=kind)


BAD_URLS = [
    "http://github.com/x",
    "javascript:alert(1)",
    "https://",
    "https://user:pw@github.com/x",
    "ftp://x/y",
    "https://ci.example.org/\u202e1",
    "https://[",
    "x" * 400,
]


@pytest.mark.parametrize("url", [*BAD_URLS, "https://github.com/" + "x" * 300])
def test_a_link_that_is_no_plain_https_url_is_refused(release: Release, cast: dict, url: str) -> None:
    with pytest.raises(Refused, match="not a link to a CI run"):
        link(release, cast["rita"], url)


def test_a_new_link_forgets_what_was_said_of_the_old_one(release: Release, cast: dict) -> None:
    link(release, cast["rita"], URL)
    release.links.update(check_state="failed", check_detail="the run failed")
    link(release, cast["rita"], URL[:-1] + "2")
    assert release.links.get().check_detail != "the run failed"
    assert release.links.get().check_state != "failed"


@pytest.mark.parametrize("state", [R.VALIDATING, R.QUEUED, R.RUNNING, R.WATCHING, R.ROLLING_BACK, R.UNKNOWN])
def test_nothing_is_replaced_while_the_release_is_on_its_way(
    target: Target, release: Release, cast: dict, state: str
) -> None:
    factories.put_in(factories.make_draft(target, cast["rita"], release=release), state)
    with pytest.raises(Refused, match="is on its way"):
        attach(release, cast["rita"])
    with pytest.raises(Refused, match="is on its way"):
        link(release, cast["rita"], URL)


def test_what_a_deploy_run_makes_is_kept_beside_what_was_signed(target: Target, cast: dict, tmp_path: Path) -> None:
    rollout: Rollout = factories.make_draft(target, cast["rita"])
    run = opening.deploy_run(rollout, user=cast["olaf"], via="browser", now=NOW)
    (tmp_path / "x.log").write_text("one line")
    evidence.keep_from_run(run, kind="golden", path=tmp_path / "x.log", now=NOW)
    assert "golden" not in evidence.found(rollout)
    assert rollout.artifacts.get().kind == "deploy-golden"
