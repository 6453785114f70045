"""A component.toml is live at once, or waits for a second admin, when it changes who decides, bounds, who is told."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied

from approvals.ledger import Refused
from monitoring.models import AuditEntry, Notice
from rollout import component, loading, second_admin, told
from rollout.config_reader import ComponentError
from rollout.loading import Loaded
from rollout.models import Component, Configuration, Runbook, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.factories import GATES, NOW, TOML, actor

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder that the component stands in."""
    return tmp_path / "dhash"


def load(folder: Path, user: User, text: str = TOML, gates: dict[str, Any] = GATES) -> Loaded:
    path = factories.write_component(folder, text=text, gates=gates)
    return loading.load(path, by=actor(user, "shell"), now=NOW)


def confirm(made: Loaded, user: User, **changed: Any) -> None:
    factories.confirm(made.configuration, asker=factories.asker(user, **changed))


def refuse(made: Loaded, user: User, why: str = "too early") -> None:
    second_admin.refuse(made.configuration, why=why, asker=factories.asker(user))


def pending(folder: Path, cast: dict) -> Loaded:
    """Return a configuration that ada loaded and that waits."""
    load(folder, cast["ada"])
    return load(folder, cast["ada"], *WEIGHTY["the policy"])


def looser() -> dict[str, Any]:
    gates = copy.deepcopy(GATES)
    gates["profiles"]["production"]["gates"]["p95"]["limit"] = 2900
    return gates


WEIGHTY = {
    "the policy": (TOML.replace('"show"', '"refuse"'), GATES),
    "the evidence": (TOML.replace('["release_archive"]', "[]"), GATES),
    "a route": (TOML + '\n[[notifications.routes]]\nchannel = "console"\n', GATES),
    "a gate": (TOML, looser()),
}


def test_the_first_load_is_live(folder: Path, cast: dict) -> None:
    assert load(folder, cast["ada"]).state == "first"


def test_a_second_load_of_the_same_is_no_news(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    assert load(folder, cast["ada"]).state == "same"
    assert Configuration.objects.count() == 1


def test_a_changed_command_is_live_at_once_because_manifests_tell_it(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    assert load(folder, cast["ada"], TOML.replace('stop = ["true"]', 'stop = ["false"]')).state == "live"


def test_the_same_bytes_from_another_directory_wait_for_a_second_admin(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    live = Component.objects.get().live
    made = load(folder.parent / "elsewhere", cast["ada"])
    assert made.state == "pending" and Component.objects.get().live == live
    assert f"-it stands in {folder}\n" in made.difference
    assert f"+production changes {folder.parent / 'elsewhere'}" in made.difference
    confirm(made, cast["ari"])
    assert Target.objects.get(environment__name="production").spec.root_path.is_relative_to(folder.parent / "elsewhere")


def test_the_entry_of_a_load_tells_the_places(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    told = json.loads(AuditEntry.objects.get(action="configuration.loaded").body)["data"]["places"]
    assert told[0] == f"it stands in {folder}" and any(one.startswith("production changes ") for one in told)


def test_a_root_that_moves_in_the_file_waits_for_a_second_admin(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    moved = TOML.replace('root = "./env/production"', 'root = "./env/staging/../other"')
    made = load(folder, cast["ada"], moved)
    assert made.state == "pending" and f"+production changes {folder / 'env' / 'other'}" in made.difference


@pytest.mark.parametrize("case", sorted(WEIGHTY))
def test_a_weighty_change_waits_for_a_second_admin(folder: Path, cast: dict, case: str) -> None:
    load(folder, cast["ada"])
    live = Component.objects.get().live
    assert load(folder, cast["ada"], *WEIGHTY[case]).state == "pending"
    assert Component.objects.get().live == live


def test_the_difference_is_shown(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    made = load(folder, cast["ada"], *WEIGHTY["the policy"])
    assert '-unmatched_author = "show"\n+unmatched_author = "refuse"' in made.difference


def test_a_second_admin_puts_it_in_force(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    made = load(folder, cast["ada"], *WEIGHTY["the policy"])
    confirm(made, cast["ari"])
    assert Component.objects.get().live == made.configuration


def test_who_loaded_it_cannot_confirm_it(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    with pytest.raises(Refused, match="another admin"):
        confirm(load(folder, cast["ada"], *WEIGHTY["the policy"]), cast["ada"])


@pytest.mark.parametrize("name", ["rita", "abe", "olaf", "aud"])
def test_only_an_admin_confirms(folder: Path, cast: dict, name: str) -> None:
    load(folder, cast["ada"])
    with pytest.raises(PermissionDenied, match="admin"):
        confirm(load(folder, cast["ada"], *WEIGHTY["the policy"]), cast[name])


def test_a_refused_configuration_never_comes_into_force(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    made = load(folder, cast["ada"], *WEIGHTY["the policy"])
    refuse(made, cast["ari"])
    with pytest.raises(Refused, match="does not wait"):
        confirm(made, cast["ari"])


def test_a_bad_file_loads_nothing(folder: Path, cast: dict) -> None:
    with pytest.raises(ComponentError, match=r"environments\.production\.port"):
        load(folder, cast["ada"], TOML.replace("8103", '"x"'))
    assert not Component.objects.exists()


def test_a_missing_file_is_named(folder: Path, cast: dict) -> None:
    with pytest.raises(ComponentError, match=r"none\.toml: expected a readable UTF-8 file"):
        loading.load(folder / "none.toml", by=actor(cast["ada"], "shell"), now=NOW)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 200_001])
def test_a_runbook_that_cannot_be_shown_loads_nothing(folder: Path, cast: dict, content: bytes) -> None:
    path = factories.write_component(folder)
    (folder / "runbooks" / "monitor.md").write_bytes(content)
    with pytest.raises(ComponentError, match=r"component\.runbooks: expected monitor\.md"):
        loading.load(path, by=actor(cast["ada"], "shell"), now=NOW)


def test_the_live_release_is_read_from_the_target(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    assert set(Target.objects.values_list("live_version", flat=True)) == {"1.0.0"}


def test_a_new_text_of_a_runbook_is_a_new_row(folder: Path, cast: dict) -> None:
    path = factories.write_component(folder)
    loading.load(path, by=actor(cast["ada"], "shell"), now=NOW)
    (folder / "runbooks" / "rollback.md").write_text("# Back\n")
    loading.load(path, by=actor(cast["ada"], "shell"), now=NOW)
    assert list(Runbook.objects.order_by("pk").values_list("title", "current")) == [
        ("Roll back", False),
        ("Back", True),
    ]


def test_an_environment_that_is_gone_is_retired(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    begin = TOML.index("[environments.staging]")
    text = TOML[:begin] + TOML[TOML.index("[policy]") :]
    made = load(folder, cast["ada"], text)
    if made.state == "pending":
        confirm(made, cast["ari"])
    assert Target.objects.get(environment__name="staging").retired


WITHOUT_STAGING = TOML[: TOML.index("[environments.staging]")] + TOML[TOML.index("[policy]") :]


def test_an_environment_stays_while_a_rollout_is_on_its_way_there(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    waiting = load(folder, cast["ada"], text=WITHOUT_STAGING)
    staging = Target.objects.get(environment__name="staging")
    factories.put_in(factories.make_draft(staging, cast["rita"]), R.WATCHING)
    with pytest.raises(Refused, match=r"environments\.staging.* while rollout \d+ is watching"):
        confirm(waiting, cast["ari"])


def test_a_target_that_left_the_configuration_can_still_be_reached(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    confirm(load(folder, cast["ada"], text=WITHOUT_STAGING), cast["ari"])
    assert Target.objects.get(environment__name="staging").spec.port == 8102


def test_a_refused_configuration_declares_nothing(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    changed = TOML.replace("port = 8102", "port = 8199").replace('"show"', '"refuse"')
    refuse(load(folder, cast["ada"], text=changed), cast["ari"])
    assert Configuration.objects.get(state="REFUSED").text == changed
    assert Target.objects.get(environment__name="staging").spec.port == 8102


def test_what_waits_is_told_and_audited(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    load(folder, cast["ada"], *WEIGHTY["the policy"])
    assert Notice.objects.filter(event="config_pending").exists()
    assert AuditEntry.objects.filter(action="configuration.loaded").count() == 2


POLICY = WEIGHTY["the policy"][0]


def edit_in_force(folder: Path, cast: dict, text: str = POLICY, **changed: Any) -> Configuration:
    """Load a component, then write another text in force into the database, with a digest that fits."""
    load(folder, cast["ada"])
    live = Component.objects.get().live
    forger.edit(live, **{"text": text, "sha256": component.sha256_of(text, live.gates_text), **changed})
    return live


@pytest.mark.parametrize("text", [POLICY, POLICY.replace("title =", "# no more\ntitle =", 1), "no TOML ="])
def test_beside_an_edited_configuration_everything_waits(folder: Path, cast: dict, text: str) -> None:
    edit_in_force(folder, cast, text)
    made = load(folder, cast["ada"], POLICY)
    assert made.state == "pending" and Component.objects.get().live != made.configuration
    assert "-unmatched_author" not in made.difference and '+unmatched_author = "refuse"' in made.difference


def test_the_difference_is_to_what_the_audit_tells_where_that_is_found(folder: Path, cast: dict) -> None:
    load(folder, cast["ada"])
    past = Component.objects.get().live
    forger.edit(load(folder, cast["ada"], "# a line\n" + TOML).configuration, state="REFUSED")
    forger.edit(past, text=POLICY, sha256=component.sha256_of(POLICY, past.gates_text), state="LIVE")
    made = load(folder, cast["ada"], POLICY)
    assert made.state == "pending" and '-unmatched_author = "show"\n+unmatched_author = "refuse"' in made.difference


def test_what_waited_beside_an_edited_configuration_is_as_told_once_confirmed(folder: Path, cast: dict) -> None:
    edit_in_force(folder, cast)
    confirm(made := load(folder, cast["ada"], POLICY), cast["ari"])
    assert Component.objects.get().live == made.configuration
    assert list(told.configuration_problems(Component.objects.get())) == []


def test_what_the_audit_tells_is_in_force_again_without_a_second_admin(folder: Path, cast: dict) -> None:
    edit_in_force(folder, cast, state="PAST")
    made = load(folder, cast["ada"])
    assert made.state == "live" and Component.objects.get().live == made.configuration


def test_a_row_that_was_taken_out_of_force_makes_no_first_load(folder: Path, cast: dict) -> None:
    edit_in_force(folder, cast, state="PAST")
    assert load(folder, cast["ada"], POLICY).state == "pending"


def test_a_component_whose_row_is_gone_is_not_loaded_for_the_first_time(folder: Path, cast: dict) -> None:
    edit_in_force(folder, cast, state="PAST")
    forger.edit(Component.objects.get(), name="another")
    with pytest.raises(ComponentError, match="the database lost its row"):
        load(folder, cast["ada"], POLICY)


def test_beside_a_hidden_entry_everything_waits(folder: Path, cast: dict) -> None:
    first = load(folder, cast["ada"]).configuration
    second = load(folder, cast["ada"], POLICY).configuration
    confirm(Loaded(configuration=second, state="pending", difference=""), cast["ari"])
    forger.edit(AuditEntry.objects.get(action="configuration.confirmed"), action="x", subject_id="0")
    forger.edit(second, state="PAST")
    forger.edit(first, state="LIVE")
    assert load(folder, cast["ada"], "# a line\n" + TOML).state == "pending"


def test_a_difference_to_an_edited_configuration_is_not_confirmed(folder: Path, cast: dict) -> None:
    made = pending(folder, cast).configuration
    live = Component.objects.get().live
    forger.edit(live, text=made.text, sha256=made.sha256)
    forger.edit(made, against=made.sha256, difference="")
    with pytest.raises(Refused, match="not the one of which the audit tells"):
        factories.confirm(made, asker=factories.asker(cast["ari"]))
