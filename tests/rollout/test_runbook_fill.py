"""Runbooks are filled and their boxes numbered, whatever the values hold."""

import pytest

from rollout.runbook_fill import fill

VALUES = {"release": "1.1.0", "rollout_url": "https://rollout.example/rollouts/7/", "owner": "Rita", "empty": ""}


def texts(markdown: str, **values: str) -> list[str]:
    """Return the texts of the parts of a filled runbook."""
    return [part.text for part in fill(markdown, {**VALUES, **values}).parts]


def test_the_first_heading_is_the_title_and_leaves_the_text() -> None:
    filled = fill("# Deploy {{release}}\n\nGo on.", VALUES)
    assert (filled.title, [part.text for part in filled.parts]) == ("Deploy 1.1.0", ["Go on."])


def test_boxes_are_numbered_through_the_whole_runbook() -> None:
    filled = fill("- [ ] one\n\ntext\n\n* [x] two\n+ [ ] three {{release}}", VALUES)
    assert filled.items == {1: "one", 2: "two", 3: "three 1.1.0"}


def test_an_indented_line_belongs_to_the_box_above_it() -> None:
    assert fill("- [ ] one\n  and more\n- [ ] two", VALUES).items == {1: "one and more", 2: "two"}


def test_a_box_below_a_box_keeps_its_depth() -> None:
    assert [part.depth for part in fill("- [ ] one\n  - [ ] two", VALUES).parts] == [0, 1]


@pytest.mark.parametrize("fence", ["```", "~~~~", "   ```"])
def test_nothing_inside_a_fence_is_a_box(fence: str) -> None:
    assert fill(f"{fence}\n- [ ] no\n{fence}\n- [ ] yes", VALUES).items == {1: "yes"}


def test_a_url_becomes_a_link_with_its_path() -> None:
    assert texts("See {{rollout_url}}, then {{rollout_url}}/live.") == [
        "See <https://rollout.example/rollouts/7/>, then <https://rollout.example/rollouts/7//live>."
    ]


def test_a_url_in_code_stays_as_it_is() -> None:
    assert texts("Run `curl {{rollout_url}}`") == ["Run `curl https://rollout.example/rollouts/7/`"]


def test_what_has_no_value_stays_visible_and_is_named() -> None:
    filled = fill("{{release}} {{backup}} {{empty}}", VALUES)
    assert (filled.parts[0].text, filled.unfilled) == ("1.1.0 ‹backup› ‹empty›", ("backup", "empty"))


def test_a_value_brings_no_markdown_of_its_own() -> None:
    assert texts("By {{owner}}", owner="[x](https://evil) <b>*you*</b>") == [
        r"By \[x\](https://evil) \<b\>\*you\*\</b\>"
    ]


def test_a_value_cannot_leave_a_code_span() -> None:
    assert texts("`{{owner}}`", owner="a` **b**") == ["`a' **b**`"]


def test_a_value_cannot_begin_a_new_line_with_a_box() -> None:
    assert fill("- [ ] {{owner}}", {"owner": "a\n- [ ] forged"}).items == {1: r"a - \[ \] forged"}


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert texts("{{owner}}", owner="{{release}}") == ["{{release}}"]


def test_an_empty_runbook_has_no_parts() -> None:
    assert fill("", VALUES).parts == ()
