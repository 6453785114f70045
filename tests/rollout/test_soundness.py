"""A configuration that would destroy data or can never work is refused by key, and nothing of it is loaded."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from approvals.ledger import Refused
from rollout import loading
from rollout.config_reader import ComponentError
from rollout.models import Component, Configuration
from tests import factories
from tests.factories import NOW, TOML, actor

pytestmark = pytest.mark.django_db
PRODUCTION, STAGING = '"./env/production"', '"./env/staging"'


def load(folder: Path, text: str = TOML) -> Component:
    return factories.load(factories.write_component(folder, text=text))


def other(text: str = TOML) -> str:
    """Return the file of another component, with ports of its own."""
    return text.replace('"dhash"', '"web"').replace("8103", "9103").replace("8102", "9102")


BAD = {
    "the same root": (STAGING, PRODUCTION, r"environments\.staging\.root: expected a directory apart from"),
    "a root inside another": (STAGING, '"./env/production/shared"', r"environments\.staging\.root: .* apart from"),
    "a root around another": (STAGING, '"./env"', r"environments\.staging\.root: expected a directory apart from"),
    "the same root by another name": (STAGING, '"./env/x/../production"', r"environments\.staging\.root: .* apart"),
    "the same address": ("8102", "8103", r"environments\.staging\.port: expected a host and port that dhash/prod"),
    "the same address by another name": (
        "port = 8102",
        'host = "localhost"\nport = 8103',
        r"environments\.staging\.port: expected a host and port",
    ),
    "the whole disk": (PRODUCTION, '"/"', r"environments\.production\.root: expected .* two levels deep, found '/'"),
    "the whole disk by another name": (PRODUCTION, '"/srv/.."', r"environments\.production\.root: .* two levels"),
    "a directory of the system": (PRODUCTION, '"/usr"', r"environments\.production\.root: .* two levels"),
    "the component's own directory": (PRODUCTION, '"./"', r"production\.root: .* does not hold .*component\.toml"),
    "a directory above the component": (PRODUCTION, '"./.."', r"production\.root: .* does not hold"),
}
ROLES = {
    "approver_groups": '["approver", "ops", "king"]',
    "plus": "{ king = 1 }",
    "golden_group": '"king"',
    "starter_groups": '["king"]',
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_a_place_that_is_not_its_own_is_refused(tmp_path: Path, case: str) -> None:
    old, new, expected = BAD[case]
    with pytest.raises(ComponentError, match=expected):
        load(tmp_path / "dhash", TOML.replace(old, new, 1))
    assert not Component.objects.exists()


@pytest.mark.parametrize("name", ["HOME", "GR_BACKUPS", "GR_VAR"])
def test_a_root_that_holds_what_must_stay_is_refused(
    tmp_path: Path, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place = tmp_path / "house" / "inner"
    monkeypatch.setenv(name, str(place))
    if name != "HOME":
        setattr(settings, name, place)
    with pytest.raises(ComponentError, match=r"environments\.production\.root: .* does not hold .*/house/inner"):
        load(tmp_path / "dhash", TOML.replace(PRODUCTION, f'"{place.parent}"'))


@pytest.mark.parametrize("key", sorted(ROLES))
def test_a_role_that_nobody_can_hold_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ComponentError, match=rf"policy\.{key}: expected roles out of release-owner, .*, found 'king'"):
        load(tmp_path / "dhash", TOML.replace("[policy]", f"[policy]\n{key} = {ROLES[key]}"))
    assert not Component.objects.exists()


def test_a_reserved_seat_for_a_role_that_nobody_can_hold_is_refused(tmp_path: Path) -> None:
    policy = '[policy]\napprover_groups = ["ops", "king"]\nrequired_within = { king = 1 }'
    with pytest.raises(ComponentError, match=r"policy\.approver_groups: expected roles out of"):
        load(tmp_path / "dhash", TOML.replace("[policy]", policy))


def test_a_component_with_places_of_its_own_is_loaded_beside_another(tmp_path: Path) -> None:
    load(tmp_path / "dhash")
    load(tmp_path / "web", other())
    assert Component.objects.count() == 2


def test_an_address_of_another_component_is_refused(tmp_path: Path) -> None:
    load(tmp_path / "dhash")
    with pytest.raises(ComponentError, match=r"environments\.staging\.port: .* that dhash/production does not use"):
        load(tmp_path / "web", other().replace("9102", "8103"))
    assert Component.objects.count() == 1


def test_a_directory_of_another_component_is_refused(tmp_path: Path) -> None:
    load(tmp_path / "dhash")
    taken = f'"{tmp_path}/dhash/env/staging"'
    with pytest.raises(ComponentError, match=r"environments\.production\.root: .* apart from that of dhash/staging"):
        load(tmp_path / "web", other().replace(PRODUCTION, taken))


def test_a_place_that_was_taken_while_it_waited_is_refused_at_the_confirmation(tmp_path: Path, cast: dict) -> None:
    load(tmp_path / "dhash")
    waiting = TOML.replace("8102", "9103").replace('"show"', '"refuse"')
    made = loading.load(
        factories.write_component(tmp_path / "dhash", text=waiting), by=actor(cast["ada"], "shell"), now=NOW
    )
    load(tmp_path / "web", other())
    with pytest.raises(Refused, match=r"environments\.staging\.port: .* that web/production does not use"):
        factories.confirm(made.configuration, asker=factories.asker(cast["ari"]))
    assert Configuration.objects.get(pk=made.configuration.pk).state == "PENDING"


def test_a_missing_gates_file_is_named_by_its_key(tmp_path: Path) -> None:
    path = factories.write_component(tmp_path)
    (tmp_path / "quality-gates-config.json").unlink()
    with pytest.raises(ComponentError, match=r"^component\.gates: expected a readable UTF-8 file"):
        factories.load(path)
