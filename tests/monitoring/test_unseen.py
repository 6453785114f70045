"""What a reason says is counted by what somebody sees of it."""

import pytest

from monitoring.reasons import Reason
from monitoring.unseen import seen_length

INVISIBLE = [
    "\u2060\u200b\u200b\u200b\u200b\u200b",
    "\u3164" * 30,
    "\u00a0 \u2003\u3000" * 9,
    "\ufe0f\u0301" * 9,
    "\u202e" * 9,
]


@pytest.mark.parametrize("text", INVISIBLE)
def test_what_nobody_sees_has_no_length(text: str) -> None:
    assert seen_length(text) == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [("p95 is 9  s", 10), ("\u2060slow\u200b ", 4), ("zu langsam für Übertragung", 26), ("太慢了不行", 5), ("-- ?", 0)],
)
def test_what_is_seen_counts_in_any_script(text: str, count: int) -> None:
    assert seen_length(text) == count


@pytest.mark.parametrize("text", [*INVISIBLE, "slow", "....."])
def test_a_field_for_a_reason_refuses_what_says_too_little(text: str) -> None:
    with pytest.raises(Exception, match=r"at least 5 characters|required"):
        Reason().clean(text)


def test_it_takes_a_reason_as_it_was_written() -> None:
    assert Reason().clean("p95\u202e at 9 s") == "p95\u202e at 9 s"
