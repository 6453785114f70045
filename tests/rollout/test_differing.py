"""What two manifests differ in: values, gates, configuration text, files, and what a migration takes away."""

import zipfile
from pathlib import Path

import pytest

from rollout import differing
from rollout.archive.listing import listing, text_of

BASE = {
    "policy": {"approvers": 2, "plus": [["deploy-operator", 1]]},
    "target": {"driver": "release_dir", "commands": {"start": ["a", "b"]}},
    "runbooks": {"rollback": "1" * 64},
    "plan": {"deploy": [{"kind": "stage", "title": "Stage 1.0.0"}], "rollback": []},
}


def test_equal_manifests_differ_in_nothing() -> None:
    assert differing.values(BASE, BASE) == ()


@pytest.mark.parametrize(
    ("part", "value", "said"),
    [
        ("policy", {"approvers": 1, "plus": [["deploy-operator", 1]]}, ("Policy: approvers", "2", "1")),
        ("policy", {"approvers": 2, "plus": []}, ("Policy: plus", "deploy-operator 1", "none")),
        (
            "target",
            {"driver": "release_dir", "commands": {"start": ["a", "c"]}},
            ("Target: commands.start", "a, b", "a, c"),
        ),
        ("target", {"driver": "release_dir", "commands": {}}, ("Target: commands.start", "a, b", "absent")),
        ("runbooks", {"rollback": "2" * 64}, ("Runbook: rollback", "1" * 64, "2" * 64)),
        ("plan", {"deploy": [], "rollback": []}, ("Plan: steps of the deploy", "stage", "")),
    ],
)
def test_a_changed_value_is_named_with_both(part: str, value: dict, said: tuple[str, str, str]) -> None:
    assert said in differing.values(BASE, {**BASE, part: value})


def test_another_version_in_the_titles_of_the_plan_is_no_change_of_the_plan() -> None:
    plan = {"deploy": [{"kind": "stage", "title": "Stage 1.1.0"}], "rollback": []}
    assert differing.values(BASE, {**BASE, "plan": plan}) == ()


def test_gates_say_which_way_they_lean() -> None:
    gates = {"sources": [], "gates": [{"name": "p95", "limit": "2000"}], "bounds": {}}
    looser = {**gates, "gates": [{"name": "p95", "limit": "2500"}]}
    (one,) = differing.gates({"gates": gates}, {"gates": looser})
    assert (one.name, one.before, one.after, one.looser) == ("gates.p95.limit", "2000", "2500", True)


def test_texts_are_told_apart_by_line() -> None:
    assert "-a = 1\n+a = 2" in differing.text("a = 1\nb = 1", "a = 2\nb = 1")
    assert differing.text("a", "a") == ""


def test_files_are_added_removed_changed_or_the_same() -> None:
    found = differing.files({"a": (1, 1), "b": (1, 1), "c": (1, 1)}, {"a": (1, 1), "b": (2, 1), "d": (1, 1)})
    assert (found.added, found.removed, found.changed, found.same, found.count) == (("d",), ("c",), ("b",), 1, 3)


@pytest.mark.parametrize(
    ("sql", "takes"),
    [
        ("ALTER TABLE images ADD COLUMN width INTEGER; CREATE INDEX i ON images (width);", ()),
        ("drop table images", ("DROP TABLE",)),
        ("ALTER TABLE images DROP   COLUMN width", ("DROP COLUMN",)),
        ("DELETE FROM images WHERE old", ("DELETE FROM",)),
        ("UPDATE images SET width = 0", ("UPDATE",)),
        ("ALTER TABLE a RENAME TO b; DELETE FROM c", ("RENAME", "DELETE FROM")),
        ("-- DROP TABLE images\n/* DELETE\nFROM x */ CREATE TABLE y (z)", ()),
    ],
)
def test_a_migration_says_what_it_takes_away(sql: str, takes: tuple[str, ...]) -> None:
    found = differing.migration("0002.sql", sql)
    assert (found.takes, found.adds_only) == (takes, not takes)


def test_a_migration_whose_text_is_not_there_does_not_count_as_harmless() -> None:
    assert not differing.migration("0002.sql", "").adds_only


def test_an_archive_is_listed_and_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("migrations/0002.sql", "SELECT 1")
    names = listing(tmp_path / "a.zip")
    assert [(name, size) for name, (_, size) in names.items()] == [("migrations/0002.sql", 8)]
    assert text_of(tmp_path / "a.zip", "migrations/0002.sql") == "SELECT 1"


def test_what_is_no_archive_lists_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")
    assert (listing(tmp_path / "a.zip"), listing(tmp_path / "b.zip"), text_of(tmp_path / "a.zip", "x")) == ({}, {}, "")
