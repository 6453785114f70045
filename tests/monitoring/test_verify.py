"""The stand-alone verifier: every kind of tampering is seen, and told."""

import json
import subprocess
import sys

import pytest

from monitoring import audit, audit_export, sound, verify

from .effects import NOW, RITA, ROLLOUT, later
from .tampering import as_read

pytestmark = pytest.mark.django_db


@pytest.fixture
def rows():
    for number in range(4):
        audit.append(action=f"test.{number}", by=RITA, subject=ROLLOUT, why="because", now=later(number))
    return [list(row) for row in audit_export.rows()]


def problems(rows, **known):
    """Return what is found, which is the same whether bodies are read or, faster, made again."""
    found = verify.verify_entries([tuple(row) for row in rows], **known).problems
    quick = sound.verify(map(as_read, rows), named=known.get("anchors", ()))
    verify.verify_anchors(known.get("anchors", {}), quick)
    assert found == quick.problems
    return found


def test_an_honest_chain_holds(rows):
    result = verify.verify_entries(rows)
    assert (result.problems, result.count, result.head) == ([], 4, rows[-1][3])


def test_entries_that_hold_are_seen_to_hold_at_first_sight(rows):
    assert all(sound.is_plain(*as_read(row)) for row in rows)


def test_an_empty_chain_holds():
    assert verify.verify_entries([]).ok


def test_a_changed_body_is_seen(rows):
    rows[1][1] = rows[1][1].replace("because", "becauze")
    assert any("the sha256 of the body is not the hash" in problem for problem in problems(rows))


def test_a_body_changed_together_with_its_hash_breaks_the_next_link(rows):
    rows[1][1] = rows[1][1].replace("because", "becauze")
    rows[1][3] = verify.hashlib.sha256(rows[1][1].encode()).hexdigest()
    assert any(problem.startswith("#3: prev") for problem in problems(rows))


@pytest.mark.parametrize("lie", [{"seq": 9}, {"prev": "f" * 64}])
def test_a_body_that_tells_of_another_place_in_the_chain_is_seen(rows, lie):
    rows[3][1] = verify.canonical(json.loads(rows[3][1]) | lie)
    rows[3][3] = verify.sha256(rows[3][1])
    assert any(problem.startswith("#4: the body says #") for problem in problems(rows))


@pytest.mark.parametrize("column", sorted(verify.SHOWN))
def test_a_changed_column_is_seen(rows, column):
    rows[2][4][column] = later(99).isoformat() if column == "at" else "other"
    assert any(problem.startswith(f"#3: {column} shows") for problem in problems(rows))


def test_a_changed_name_is_seen(rows):
    rows[0][4]["actor_name"] = "Otto"
    assert any("Otto" in problem for problem in problems(rows))


def test_swapped_personal_data_is_seen(rows):
    rows[0][4]["person"] = rows[1][4]["person"]
    assert problems(rows) == ["#1: the personal data is not what was hashed"]


def test_a_removed_entry_is_seen(rows):
    del rows[1]
    assert "#3: expected #2: entries are missing, doubled or out of order" in problems(rows)


def test_a_doubled_entry_is_seen(rows):
    assert problems([*rows[:2], rows[1], *rows[2:]])


def test_a_missing_beginning_is_seen(rows):
    assert problems(rows[1:])


def test_a_cut_tail_is_seen_only_with_a_head_from_outside(rows):
    seq, digest = rows[3][0], rows[3][3]
    assert problems(rows[:3]) == []
    assert len(problems(rows[:3], anchors={seq: digest})) == 1


def test_a_chain_rewritten_from_scratch_fails_against_a_head_from_outside(rows):
    assert problems(rows, anchors={2: "f" * 64})


def test_an_erased_person_still_verifies(rows):
    audit.erase_person(7, before=later(9), by=audit.SYSTEM, why="asked", now=NOW)
    result = verify.verify_entries(audit_export.rows())
    verify.verify_checkpoints([], result)
    assert (result.problems, len(result.erased)) == ([], 4)


def test_personal_data_that_is_gone_without_an_entry_is_named(rows):
    seq, *rest, columns = rows[1]
    emptied = [rows[0], (seq, *rest, {**columns, "person": "", "actor_name": ""}), *rows[2:]]
    result = verify.verify_entries(emptied)
    verify.verify_checkpoints([], result)
    assert result.problems == ["#2: its personal data is gone, but no entry audit.person_erased tells of it"]


@pytest.mark.parametrize("column", audit_export.COLUMNS)
def test_a_column_that_is_left_out_is_named(rows, column):
    del rows[1][4][column]
    assert f"#2: {column}: missing, or no column" in verify.verify_entries(rows).problems


def test_a_column_that_no_entry_has_is_named(rows):
    rows[1][4]["approved_by"] = "Otto"
    assert verify.verify_entries(rows).problems == ["#2: approved_by: missing, or no column"]


def test_an_erasure_tells_of_nothing_that_is_younger(rows):
    audit.erase_person(7, before=NOW, by=audit.SYSTEM, why="asked", now=NOW)
    seq, *rest, columns = rows[3]
    told = list(audit_export.rows())
    told[3] = (seq, *rest, {**columns, "person": "", "actor_name": ""})
    result = verify.verify_entries(told)
    verify.verify_checkpoints([], result)
    assert result.problems == ["#4: its personal data is gone, but no entry audit.person_erased tells of it"]


def test_the_file_alone_verifies_an_export(rows, tmp_path):
    export = tmp_path / "audit.jsonl"
    export.write_text("".join(audit_export.jsonl()), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", verify.__file__, export], capture_output=True, text=True)
    assert done.returncode == 0 and "4 entries" in done.stdout and "the chain holds" in done.stdout


def test_the_file_alone_exits_1_on_a_broken_export(rows, tmp_path):
    lines = list(audit_export.jsonl())
    told = json.loads(lines[2])
    told["columns"]["why"] = "another reason"
    export = tmp_path / "audit.jsonl"
    export.write_text("".join([*lines[:2], json.dumps(told) + "\n", lines[3]]), encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", verify.__file__, export], capture_output=True, text=True)
    assert done.returncode == 1 and "#3: why shows 'another reason'" in done.stderr


@pytest.mark.parametrize("hidden", [False, True], ids=["line", "body"])
def test_json_that_is_nested_too_deeply_is_told_in_a_line(rows, tmp_path, hidden):
    deep = "[" * 100_000
    told = json.loads(next(audit_export.jsonl()))
    export = tmp_path / "audit.jsonl"
    export.write_text(f"{json.dumps({**told, 'body': deep}) if hidden else deep}\n", encoding="utf-8")
    done = subprocess.run([sys.executable, "-I", verify.__file__, export], capture_output=True, text=True)
    assert done.returncode == 1 and "cannot be read" in done.stderr and "Traceback" not in done.stderr
