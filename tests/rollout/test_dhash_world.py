"""The demo world of dhash: what it holds before anything is started."""

import json
import os
import tomllib

import pytest

from tests.dhash_world import dhash_python, make_world, world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("made") / "world")


@pytest.mark.parametrize("environment", ["canary", "staging", "production"])
def test_each_environment_has_the_first_release_live(made, environment):
    root = made.root(environment)
    assert os.readlink(root / "current") == "releases/0001-1.0.0"
    assert (root / "current" / "VERSION").read_text() == "1.0.0\n"
    assert sorted(path.name for path in (root / "shared").iterdir()) == ["config", "dhash.sqlite3", "log", "run"]


def test_the_component_file_is_valid_where_it_stands(made):
    said = tomllib.loads(made.component_file.read_text())
    assert said["vars"]["python"] == str(dhash_python())
    assert {name: table["port"] for name, table in said["environments"].items()} == made.ports
    for table in said["environments"].values():
        assert (made.directory / table["root"] / "current").is_dir()


def test_gates_can_be_chosen_for_an_environment(tmp_path):
    chosen = world.make(tmp_path / "world", python=dhash_python(), gates={"production": "demo"})
    said = tomllib.loads(chosen.component_file.read_text())["environments"]
    assert {name: table["gates"] for name, table in said.items()} == {
        "canary": "canary",
        "staging": "staging",
        "production": "demo",
    }


def test_metrics_of_the_demo_look_back_a_fortieth_of_five_minutes(made):
    config = json.loads((made.root("production") / "shared" / "config" / "dhash.json").read_text())
    assert config["metrics_span_s"] * 40 == 300


def test_a_world_is_found_again_by_its_directory(made):
    assert world.load(made.directory) == made


def test_a_directory_in_use_is_refused(made):
    with pytest.raises(world.WorldError, match="is not empty"):
        world.make(made.directory, python=dhash_python())


def test_a_directory_without_a_world_is_named(tmp_path):
    with pytest.raises(world.WorldError, match="holds no world"):
        world.load(tmp_path)


def test_ports_that_are_taken_are_replaced(monkeypatch):
    monkeypatch.setattr(world, "_is_free", lambda port: port != 8103)
    ports = world.free_ports()
    assert (ports["canary"], ports["staging"]) == (8101, 8102)
    assert ports["production"] not in world.DEFAULT_PORTS.values()
