"""Two documents differ field by field, and one is laid out as fields."""

from typing import Any

import pytest

from monitoring.field_diff import Field, differences, flat, told


def test_what_changed_came_and_went_is_told_by_its_path() -> None:
    before = {"policy": {"approvers": 2, "groups": ["approver"]}, "gone": "x", "same": [1, 2]}
    after = {"policy": {"approvers": 3, "groups": ["approver", "ops"]}, "new": True, "same": [1, 2]}
    assert differences(before, after) == (
        Field(path="policy.approvers", before="2", after="3"),
        Field(path="policy.groups", before="approver", after="approver, ops"),
        Field(path="gone", before="x", after=None),
        Field(path="new", before=None, after="yes"),
    )


def test_an_object_of_a_list_is_told_by_its_name_so_that_none_shifts_the_others() -> None:
    before = [{"kind": "logs", "sha256": "a"}, {"kind": "archive", "sha256": "b"}]
    after = [{"kind": "archive", "sha256": "c"}]
    assert [(one.path, one.change) for one in differences({"evidence": before}, {"evidence": after})] == [
        ("evidence[logs].kind", "removed"),
        ("evidence[logs].sha256", "removed"),
        ("evidence[archive].sha256", "changed"),
    ]


@pytest.mark.parametrize(
    ("steps", "names"),
    [
        ([{"kind": "check", "n": 1}, {"kind": "check", "n": 2}], ["1", "2"]),
        ([{"kind": "check", "name": "a"}, {"kind": "check", "name": "b"}], ["a", "b"]),
        ([{"kind": "stop"}, {"kind": "start"}], ["stop", "start"]),
        ([{"kind": "instant", "name": "p95"}], ["p95"]),
        ([{"kind": "archive", "name": "dhash-1.1.0.zip", "sha256": "ab"}], ["archive"]),
    ],
)
def test_objects_go_by_what_none_of_them_shares(steps: list[dict[str, Any]], names: list[str]) -> None:
    assert list(dict.fromkeys(path for path, _ in flat({"plan": steps}) if path.endswith(".kind"))) == [
        f"plan[{name}].kind" for name in names
    ]


def test_an_empty_list_that_was_filled_is_told_by_what_is_inside() -> None:
    assert [one.path for one in differences({"tuning": []}, {"tuning": [{"name": "p95"}]})] == ["tuning[p95].name"]


@pytest.mark.parametrize("document", [{}, [], {"a": {}}, {"a": [[1, 2], [3]]}, {"a": None}, "text"])
def test_a_document_does_not_differ_from_itself(document: Any) -> None:
    assert differences(document, document) == ()


def test_an_entry_that_tells_old_and_new_tells_a_change_and_the_rest() -> None:
    changed, rest = told({"old": {"roles": ["ops"]}, "new": {"roles": []}, "entries": 3})
    assert changed == (Field(path="roles", before="ops", after="(none)"),)
    assert rest == (("entries", "3"),)


def test_an_entry_without_a_change_tells_its_fields() -> None:
    assert told({"digest": "ab", "ok": False}) == ((), (("digest", "ab"), ("ok", "no")))
