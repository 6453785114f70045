"""The dhash example's release archives: the same bytes each time, each built on the one before it."""

import hashlib
import json
import re
import tomllib
import zipfile

import pytest

from tests.dhash_world import EXAMPLE, world

VERSIONS = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("releases")
    world.build_releases.build(directory)
    return directory


def names(built, version: str) -> set[str]:
    with zipfile.ZipFile(built / f"dhash-{version}.zip") as archive:
        return set(archive.namelist())


def test_building_twice_gives_the_same_bytes(built, tmp_path):
    world.build_releases.build(tmp_path)
    for version in VERSIONS:
        assert (tmp_path / f"dhash-{version}.zip").read_bytes() == (built / f"dhash-{version}.zip").read_bytes()


def test_releases_json_tells_the_truth_about_the_archives(built):
    for release in json.loads((built / "releases.json").read_text()):
        data = (built / release["file"]).read_bytes()
        assert (release["sha256"], release["size"]) == (hashlib.sha256(data).hexdigest(), len(data))


def test_every_release_names_its_commits_and_authors(built):
    releases = json.loads((built / "releases.json").read_text())
    assert [release["version"] for release in releases] == VERSIONS
    for release in releases:
        assert release["commit"] == release["commits"][-1]["sha"]
        assert all(len(commit["sha"]) == 40 and "@" in commit["email"] for commit in release["commits"])


@pytest.mark.parametrize(("version", "migrations"), [("1.0.0", 1), ("1.1.0", 2), ("1.2.0", 3), ("1.3.0", 2)])
def test_each_release_brings_its_migrations(built, version, migrations):
    assert len([name for name in names(built, version) if name.startswith("migrations/")]) == migrations


@pytest.mark.parametrize("version", VERSIONS)
def test_a_release_has_version_code_and_golden_set(built, version):
    assert {"VERSION", "dhash/app.py", "dhash/ctl.py", "golden/expected.json"} <= names(built, version)
    with zipfile.ZipFile(built / f"dhash-{version}.zip") as archive:
        assert archive.read("VERSION").decode() == f"{version}\n"


def test_no_cache_file_gets_into_a_release(built):
    assert not [name for name in names(built, "1.2.0") if "__pycache__" in name or name.endswith(".pyc")]


def test_the_golden_set_is_complete():
    expected = json.loads((EXAMPLE / "src" / "golden" / "expected.json").read_text())
    images = {path.name for path in (EXAMPLE / "src" / "golden").iterdir()} - {"expected.json"}
    assert set(expected) == images
    assert len(expected) == 12


def test_component_toml_names_three_environments_and_every_command():
    said = tomllib.loads((EXAMPLE / "component.toml").read_text())
    assert {name: said["environments"][name]["port"] for name in said["environments"]} == world.DEFAULT_PORTS
    assert set(said["commands"]) == {"start", "stop", "reload", "migrate", "smoke", "logging", "golden", "traffic"}


RUNBOOKS = ["deploy", "escalation", "incident", "monitor", "rollback"]
PLACEHOLDERS = {
    *("component", "environment", "release", "previous_release", "rollout_url", "backup", "backup_sha256"),
    *("base_url", "incident_url", "owner", "deploy_operator", "triage"),
}


@pytest.mark.parametrize("name", RUNBOOKS)
def test_a_runbook_has_boxes_to_tick_and_only_known_placeholders(name):
    text = (EXAMPLE / "runbooks" / f"{name}.md").read_text()
    used = set(re.findall(r"{{(\w+)}}", text))
    assert text.startswith("# ")
    assert "- [ ] " in text
    assert used
    assert used <= PLACEHOLDERS


def test_there_is_no_other_runbook():
    assert sorted(path.stem for path in (EXAMPLE / "runbooks").iterdir()) == RUNBOOKS
