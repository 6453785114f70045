"""What a step leaves can be kept, whatever a component's last words were."""

import json
from pathlib import Path

import pytest

from rollout.intent import OUTCOME, Outcome


def left(folder: Path, sentence: str) -> Outcome:
    (folder / OUTCOME).write_text(json.dumps({"result": "failed", "sentence": sentence, "facts": {"a": [sentence]}}))
    outcome = Outcome.read(folder)
    assert outcome is not None
    assert outcome.facts == {"a": [outcome.sentence]}
    return outcome


@pytest.mark.parametrize(
    ("said", "kept"), [("a\x00b", "a\\x00b"), ("a\ud800b", "a\\ud800b"), ("é\u202e", "é\u202e"), ("plain", "plain")]
)
def test_what_no_database_takes_is_made_visible(tmp_path: Path, said: str, kept: str) -> None:
    assert left(tmp_path, said).sentence == kept


def test_last_words_are_kept_within_reason(tmp_path: Path) -> None:
    assert len(left(tmp_path, "x" * 10**6).sentence) == 4001


def test_a_step_that_left_nothing_has_no_outcome(tmp_path: Path) -> None:
    assert Outcome.read(tmp_path) is None
