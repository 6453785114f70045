"""component.toml is read whole or refused with the key, what was expected and what was found."""

import json
from pathlib import Path

import pytest

from rollout import component
from rollout.component import Component, ComponentError
from tests.factories import GATES, TOML

BASE = Path("/srv/dhash")


def parse(text: str = TOML, gates: str = json.dumps(GATES)) -> Component:
    return component.parse(text, gates_text=gates, base=BASE)


def changed(old: str, new: str) -> str:
    assert old in TOML
    return TOML.replace(old, new, 1)


def test_a_relative_root_stands_beside_the_file() -> None:
    assert parse().target("production").root == "/srv/dhash/env/production"


def test_a_variable_that_begins_with_a_dot_stands_beside_the_file() -> None:
    text = changed('["true"]', '["{python}"]') + '\n[vars]\npython = "./.venv/bin/python"\n'
    assert parse(text).target("production").placeholders == {"python": "/srv/dhash/.venv/bin/python"}


def test_every_environment_keeps_its_own_port() -> None:
    assert [one.target.port for one in parse().environments] == [8103, 8102]


def test_without_routes_notices_go_to_console_and_file() -> None:
    assert [route.channel for route in parse().routes] == ["console", "file"]


def test_the_digest_tells_apart_where_one_file_ends_and_the_other_begins() -> None:
    assert component.sha256_of("ab", "c") != component.sha256_of("a", "bc")


BAD = {
    "no TOML": ("[component", "component.toml: expected TOML"),
    "a name with capitals": (changed('"dhash"', '"Dhash"'), "component.name: expected lower-case"),
    "no name": (changed('name = "dhash"', ""), "component.name: expected a value .the key is missing."),
    "a misspelt key": (changed("title =", "titel ="), "component.titel: expected no such key"),
    "a misspelt table": (TOML + "\n[polizy]\n", "polizy: expected no such key"),
    "a missing command": (changed('stop = ["true"]', ""), "commands.stop: expected a value"),
    "an unknown command": (changed("start =", 'dance = ["x"]\nstart ='), "commands.dance: expected no such key"),
    "a command as a text": (changed('start = ["true"]', 'start = "true"'), "commands.start: expected a list"),
    "an empty argv": (changed('start = ["true"]', "start = []"), "commands.start: expected a list of at least 1"),
    "an unknown placeholder": (
        changed('["true"]', '["{secret}"]'),
        "commands.start: expected a placeholder as a whole",
    ),
    "a placeholder inside": (changed('["true"]', '["--root={root}"]'), "commands.start: expected a placeholder as a"),
    "a variable that hides ours": (TOML + '\n[vars]\nroot = "/"\n', "vars.root: expected another name"),
    "a variable that is no text": (TOML + "\n[vars]\nspeed = 3\n", "vars.speed: expected a non-empty text, found 3"),
    "vars that are no table": ("vars = 3\n" + TOML, "vars: expected a table, found 3"),
    "owners that are no table": ("owners = 3\n" + TOML, "owners: expected a table, found 3"),
    "an unknown driver": (changed('"release_dir"', '"magic"'), "environments.production.driver: expected one of"),
    "a port out of range": (changed("8103", "80000"), "environments.production.port: expected a whole number from 1"),
    "a port that is true": (changed("8103", "true"), "environments.production.port: expected a whole number"),
    "a relative root": (changed('"./env/production"', '"env"'), "environments.production.root: expected an absolute"),
    "a backup outside": (changed('"shared/config"', '"../x"'), "production.backup.directories: expected a path inside"),
    "an absolute backup": (changed('"shared/config"', '"/etc"'), "production.backup.directories: expected a path ins"),
    "no such profile": (changed('gates = "production"', 'gates = "none"'), "environments.production.gates .none."),
    "unknown evidence": (changed('"release_archive"', '"tea"'), "evidence.required: expected keys of the checklist"),
    "an unknown channel": (
        TOML + '\n[[notifications.routes]]\nchannel = "fax"\n',
        "routes.0..channel: expected one of",
    ),
    "a bad policy": (changed('"show"', '"guess"'), "policy.unmatched_author: expected"),
    "a policy that is no table": (
        "policy = 3\n" + changed('[policy]\nunmatched_author = "show"\n', ""),
        "policy: expected a table",
    ),
    "a bad environment name": (changed("[environments.staging]", "[environments.Stage]"), "environments.Stage: exp"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_bad_component_is_refused_by_key(case: str) -> None:
    text, expected = BAD[case]
    with pytest.raises(ComponentError, match=expected):
        parse(text)


@pytest.mark.parametrize("gates", ["[]", "{", "3"])
def test_a_gates_file_that_is_no_object_is_refused(gates: str) -> None:
    with pytest.raises(ComponentError, match=r"component\.gates: expected a JSON object"):
        parse(gates=gates)


def test_a_source_that_would_outlast_the_task_that_looks_is_refused() -> None:
    slow = json.loads(json.dumps(GATES))
    slow["profiles"]["production"]["sources"]["health"]["timeout_s"] = 61
    with pytest.raises(ComponentError, match=r"timeout_s: expected at most 60 seconds, found 61"):
        parse(gates=json.dumps(slow))


def test_a_component_that_requires_golden_declares_the_command() -> None:
    with pytest.raises(ComponentError, match=r"commands\.golden"):
        parse(changed('name = "dhash"', 'name = "dhash"\nrequires_golden = true'))


def test_an_environment_that_is_not_declared_names_those_that_are() -> None:
    with pytest.raises(ComponentError, match=r"environments\.canary: expected one of production, staging"):
        parse().environment("canary")
