"""The fast way through a chain accepts nothing that the verifier which travels alone refuses."""

import json

import pytest

from monitoring import audit, audit_export, sound, verify

from .effects import NOW, RITA, ROLLOUT, later
from .tampering import as_read

pytestmark = pytest.mark.django_db
# what stands between the pieces of a body that have columns, and around them: text, and what somebody makes of it
REFUSED = {
    "no JSON": ('"data":{}', '"data":{@@@'),
    "a second actor": ('"data":{}', '"data":{},"actor":{"id":99,"via":"shell","person":"0"}'),
    "a second time": ('"data":{}', '"data":{},"at":"1999"'),
    "a float": ('"data":{}', '"data":{"x":1.5}'),
    "an exponent": ('"data":{}', '"data":{"x":1e9}'),
    "NaN": ('"data":{}', '"data":{"x":NaN}'),
    "Infinity": ('"data":{}', '"data":{"x":-Infinity}'),
    "nested too deeply": ('"data":{}', '"data":{"x":' + "[" * 5000 + "]" * 5000 + "}"),
    "a line break in the request": ('"request_id":"', '"request_id":"a\nb'),
    "an escape that is none": ('"request_id":"', '"request_id":"\\x'),
    "cut": ('"data":{}', ""),
}
# not as we write it, and yet it says what the columns show
READ = {
    "text": ('"data":{}', '"data":"x"'),
    "a list": ('"data":{}', '"data":[]'),
    "a subject before the right one": ('"data":{}', '"data":{},"subject":[]'),
    "a request that is no text": ('"request_id":"', '"request_id":1,"x":"'),
    "an escaped quote in the request": ('"request_id":"', '"request_id":"\\"'),
    "no text in UTF-8": ('"request_id":"', '"request_id":"\ud800'),
    "a space after the data": ('"data":{}', '"data":{} '),
    "a space before it all": ('{"action"', ' {"action"'),
    "spaces before all that ends": ('"}', '"} '),
}
PERSONS = {
    "no JSON": ('{"address"', '@@{"address"'),
    "a second name": ('"os_user":', '"name":"evil","os_user":'),
    "a float": ('"os_user":', '"age":1.5,"os_user":'),
    "a list": ("{", "[{"),
    "no name": ('"name"', '"nom"'),
    "more after it": ("}", "}}"),
    "a control": ('"os_user":"', '"os_user":"\n'),
    "null": ("{", "null{"),
}


def chained(row, body, **columns):
    """Return a row with that body, and the hash that belongs to it."""
    return [row[0], body, row[2], verify.sha256(body), {**row[4], **columns}]


def both(row):
    """Return what is found in either way, which has to be the same."""
    found = sound.verify([as_read(row)]).problems
    assert found == verify.verify_entries([tuple(row)]).problems
    return found


@pytest.fixture
def row():
    audit.append(action="test.first", by=RITA, subject=ROLLOUT, why="because", now=later(0))
    return list(next(audit_export.rows()))


@pytest.mark.parametrize("what", REFUSED)
def test_a_body_that_says_something_else_is_found_in_both_ways(row, what):
    body = row[1].replace(*REFUSED[what])
    assert body != row[1] and both(chained(row, body))


@pytest.mark.parametrize("what", READ)
def test_a_body_that_says_the_same_is_read_in_both_ways(row, what):
    body = row[1].replace(*READ[what])
    assert body != row[1] and both(chained(row, body)) == []


@pytest.mark.parametrize("depth", [400, 900, 930, 960, 990])
def test_data_that_is_nested_deeply_is_judged_alike_in_both_ways(row, depth):
    both(chained(row, row[1].replace('"data":{}', '"data":{"x":' + "[" * depth + "]" * depth + "}")))


@pytest.mark.parametrize("what", PERSONS)
def test_personal_data_that_is_none_is_found_wrong_in_both_ways(row, what):
    person = row[4]["person"].replace(*PERSONS[what])
    told = json.loads(row[1])
    told["actor"]["person"] = verify.sha256(person)
    assert person != row[4]["person"] and both(chained(row, verify.canonical(told), person=person))


@pytest.mark.parametrize("name", [*audit_export.COLUMNS])
@pytest.mark.parametrize("value", [None, b"", b"w", 7.5, "7 ", "null", "", "w\0", '","x":"', "w\udcff"])
def test_a_column_of_any_kind_is_judged_alike_in_both_ways(row, name, value):
    row[4][name] = value
    assert both(row) or value == ""  # which old and new are, and the personal data after an erasure


@pytest.mark.parametrize("seq", [1.0, True])
def test_a_number_that_equals_a_whole_one_is_judged_alike_in_both_ways(row, seq):
    body = row[1].replace('"seq":1,', f'"seq":{json.dumps(seq)},')
    both([seq, *chained(row, body)[1:]])


@pytest.mark.parametrize("name", ["Rita", 'Rita "Q" Q', "Zoë \\ Ö", "a\nb", "リタ"])
def test_names_of_all_kinds_hold_in_both_ways(name):
    by = audit.Actor(id=7, name=name, via="browser", printed=name, on_behalf="Otto")
    entry = audit.append(action="test.first", by=by, subject=ROLLOUT, data={"x": [name, 1, None]}, now=NOW)
    assert both(list(next(audit_export.rows()))) == [] and entry.actor_name == name


def test_who_signs_holds_at_first_sight():
    by = audit.Actor(id=7, name="rita", via="browser", printed="Rita", on_behalf="Otto", request_id='a"b')
    audit.append(action="test.first", by=by, subject=ROLLOUT, data={"x": [1, None]}, now=NOW)
    assert sound.is_plain(*next(audit_export.read()))


def test_an_export_without_the_personal_data_does_not_show_a_name(row):
    del row[4]["person"]
    row[4]["actor_name"] = "Otto"
    assert verify.verify_entries([tuple(row)]).problems
