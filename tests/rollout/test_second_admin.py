"""A configuration that waits: asked by the standard of a change of a person."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from approvals import stepup
from approvals.ledger import Refused
from monitoring import audit
from monitoring.audit import SYSTEM
from monitoring.models import AuditEntry
from rollout import loading, second_admin, told
from rollout.models import Component, Configuration
from tests import factories
from tests.approvals import forger
from tests.base import Client
from tests.factories import NOW, TOML, actor, asker

pytestmark = pytest.mark.django_db
WEIGHTY = TOML.replace('"show"', '"refuse"')
DAY = timedelta(days=1)


@pytest.fixture
def waiting(tmp_path: Path, cast: dict[str, User]) -> Configuration:
    """Return a configuration that ada loaded and that waits."""
    factories.load(factories.write_component(tmp_path / "dhash"))
    return load(tmp_path, cast["ada"], WEIGHTY)


def load(folder: Path, user: User, text: str, now: datetime = NOW) -> Configuration:
    path = factories.write_component(folder / "dhash", text=text)
    return loading.load(path, by=actor(user, "shell"), now=now).configuration


def state(row: Configuration) -> str:
    return Configuration.objects.get(pk=row.pk).state


def test_it_waits_for_a_day(waiting: Configuration, cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="expired"):
        factories.confirm(waiting, asker=asker(cast["ari"], NOW + DAY))
    factories.confirm(waiting, asker=asker(cast["ari"], NOW + DAY - timedelta(seconds=1)))
    assert state(waiting) == "LIVE"


def test_what_a_user_of_the_host_loaded_who_is_called_as_an_account_is_confirmed(
    tmp_path: Path, cast: dict[str, User]
) -> None:
    factories.load(factories.write_component(tmp_path / "dhash"))
    path = factories.write_component(tmp_path / "dhash", text=WEIGHTY)
    nobody = audit.Actor(id=None, name="ada", via="shell", os_user="ada")
    waits = loading.load(path, by=nobody, now=NOW).configuration
    factories.confirm(waits, asker=asker(cast["ari"]))
    assert state(waits) == "LIVE"


def test_what_waited_too_long_is_closed_once(waiting: Configuration) -> None:
    assert [second_admin.expire_due(NOW + DAY - timedelta(seconds=1)), second_admin.expire_due(NOW + DAY)] == [0, 1]
    assert second_admin.expire_due(NOW + DAY) == 0
    assert state(waiting) == "EXPIRED" and AuditEntry.objects.filter(action="configuration.expired").count() == 1


def test_it_takes_a_recent_proof(waiting: Configuration, cast: dict[str, User]) -> None:
    old = asker(cast["ari"], authenticated_at=NOW - timedelta(minutes=6))
    with pytest.raises(Refused, match="Enter your password again"):
        factories.confirm(waiting, asker=old)


@pytest.mark.parametrize("via", ["api", "system"])
def test_no_token_confirms(waiting: Configuration, cast: dict[str, User], via: str) -> None:
    with pytest.raises(Refused, match="A token cannot decide"):
        factories.confirm(waiting, asker=asker(cast["ari"], by=actor(cast["ari"], via)))


def test_a_difference_to_what_is_not_in_force_any_more_is_not_confirmed(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path
) -> None:
    load(tmp_path, cast["ada"], TOML.replace('stop = ["true"]', 'stop = ["false"]'))
    with pytest.raises(Refused, match="came into force meanwhile"):
        factories.confirm(waiting, asker=asker(cast["ari"]))
    assert 'stop = ["false"]' in Component.objects.get().live.text


def test_who_read_it_beside_another_configuration_does_not_confirm_it(
    waiting: Configuration, cast: dict[str, User]
) -> None:
    seen = second_admin.shown(waiting, None).digest
    with pytest.raises(Refused, match="another difference than the one that you were shown"):
        second_admin.confirm(waiting, seen=seen, asker=asker(cast["ari"]))
    assert state(waiting) == "PENDING"


def test_what_somebody_loaded_who_is_no_admin_any_more_is_not_confirmed(
    waiting: Configuration, cast: dict[str, User]
) -> None:
    cast["ada"].groups.clear()
    with pytest.raises(Refused, match="not an admin any more"):
        factories.confirm(waiting, asker=asker(cast["ari"]))


def test_only_the_loader_withdraws(waiting: Configuration, cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="Only whoever loaded"):
        second_admin.withdraw(waiting, asker=asker(cast["ari"]))
    second_admin.withdraw(waiting, asker=asker(cast["ada"]))
    with pytest.raises(Refused, match="does not wait"):
        factories.confirm(waiting, asker=asker(cast["ari"]))
    assert state(waiting) == "WITHDRAWN"


def test_a_refusal_needs_a_reason_and_keeps_it(waiting: Configuration, cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="Say why"):
        second_admin.refuse(waiting, why=" ", asker=asker(cast["ari"]))
    second_admin.refuse(waiting, why="too early", asker=asker(cast["ari"]))
    assert AuditEntry.objects.get(action="configuration.refused").why == "too early"


def test_the_page_offers_each_what_he_may_do(client: Client, waiting: Configuration, cast: dict[str, User]) -> None:
    offered = {}
    for name in ("ada", "ari", "aud"):
        client.force_login(cast[name])
        page = client.get(reverse("component", args=["dhash"])).content.decode()
        offered[name] = [value for value in ("confirm", "refuse", "withdraw") if f'value="{value}"' in page]
    assert offered == {"ada": ["withdraw"], "ari": ["confirm", "refuse"], "aud": []}


def test_what_was_loaded_over_a_chain_that_does_not_hold_is_shown_whole_and_can_be_put_in_force(
    client: Client, cast: dict[str, User], tmp_path: Path
) -> None:
    factories.load(factories.write_component(tmp_path / "dhash"))
    with audit.turn():
        audit.append(action="x", by=actor(cast["ada"]), subject=audit.Subject(kind="x", id="1", label="x"), now=NOW)
    forger.edit(AuditEntry.objects.get(action="x"), why="edited")
    load(tmp_path, cast["ada"], WEIGHTY)
    client.force_login(cast["ari"])
    page = client.get(reverse("component", args=["dhash"])).content.decode()
    assert "below is the whole text" in page and 'value="confirm"' in page


def test_the_page_asks_who_it_is_before_it_decides(
    client: Client, waiting: Configuration, cast: dict[str, User]
) -> None:
    client.force_login(cast["ari"])
    session = client.session
    session[stepup.KEY] = "2020-01-01T00:00:00+00:00"
    session.save()
    sent = client.post(reverse("configuration_confirm", args=[waiting.pk]), {"answer": "confirm"})
    assert sent.url.startswith(reverse("confirm")) and state(waiting) == "PENDING"


@pytest.mark.parametrize("answer", ["", "yes"])
def test_what_is_no_answer_does_nothing(
    client: Client, waiting: Configuration, cast: dict[str, User], answer: str
) -> None:
    client.force_login(cast["ari"])
    assert client.post(reverse("configuration_confirm", args=[waiting.pk]), {"answer": answer}).status_code == 409
    assert state(waiting) == "PENDING"


LATER = NOW + 200 * DAY
ANSWERS = {
    "withdrawn": lambda row, cast: second_admin.withdraw(row, asker=asker(cast["ada"])),
    "refused": lambda row, cast: second_admin.refuse(row, why="never", asker=asker(cast["ari"])),
    "expired": lambda row, cast: second_admin.expire_due(NOW + DAY),
    "confirmed": lambda row, cast: factories.confirm(row, asker=asker(cast["ari"])),
}


def forged(row: Configuration, cast: dict[str, User], at: datetime = LATER, **values: object) -> str:
    """Write into a row, let ari confirm it, and return why that is refused."""
    forger.edit(row, state="PENDING", **values)
    with pytest.raises(Refused) as refused:
        factories.confirm(Configuration.objects.get(pk=row.pk), asker=asker(cast["ari"], at))
    assert state(row) == "PENDING"
    return str(refused.value)


@pytest.mark.parametrize("how", sorted(ANSWERS))
@pytest.mark.parametrize("older", [True, False])
def test_what_was_answered_is_not_confirmed_when_it_is_written_as_waiting(
    waiting: Configuration,
    cast: dict[str, User],
    tmp_path: Path,
    how: str,
    older: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if older:
        waiting = load_as_older(tmp_path, cast, monkeypatch)
    ANSWERS[how](waiting, cast)
    if how == "confirmed":
        factories.confirm(load(tmp_path, cast["ada"], TOML), asker=asker(cast["ari"]))
    assert f"{how} already" in forged(waiting, cast, NOW)


def test_what_expired_is_not_young_again(waiting: Configuration, cast: dict[str, User]) -> None:
    assert "no entry of the audit tells that ada loaded it" in forged(waiting, cast, loaded_at=LATER)


def test_what_one_loaded_oneself_is_not_confirmed_under_anothers_name(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path
) -> None:
    second_admin.refuse(waiting, why="never", asker=asker(cast["ari"]))
    mine = load(tmp_path, cast["ari"], WEIGHTY, LATER)
    assert "no entry of the audit tells that ada loaded it" in forged(mine, cast, loaded_by="ada")


def test_what_one_loaded_oneself_stays_ones_own_when_the_name_was_erased(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path
) -> None:
    mine = load(tmp_path, cast["ari"], WEIGHTY, LATER)
    audit.erase_person(cast["ari"].pk, before=LATER + DAY, by=SYSTEM, why="asked", now=LATER)
    assert "no entry of the audit tells that ada loaded it" in forged(mine, cast, loaded_by="ada")


def test_what_somebody_loaded_whose_name_was_erased_is_confirmed(waiting: Configuration, cast: dict[str, User]) -> None:
    audit.erase_person(cast["ada"].pk, before=NOW + DAY, by=SYSTEM, why="asked", now=NOW)
    factories.confirm(waiting, asker=asker(cast["ari"]))
    assert state(waiting) == "LIVE"


def refused_unseen(row: Configuration, cast: dict[str, User]) -> Configuration:
    """Return a configuration that was refused, by an entry that nobody finds by its columns."""
    second_admin.refuse(row, why="never", asker=asker(cast["ari"]))
    forger.edit(AuditEntry.objects.get(action="configuration.refused"), action="x", subject_id="0")
    return row


def test_an_answer_that_was_hidden_still_counts(waiting: Configuration, cast: dict[str, User]) -> None:
    assert "the database was edited" in forged(refused_unseen(waiting, cast), cast, NOW)


def test_an_answer_that_was_hidden_counts_beside_an_edited_configuration(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path
) -> None:
    forger.edit(Component.objects.get().live, text=WEIGHTY)
    made = load(tmp_path, cast["ada"], WEIGHTY)
    assert "the database was edited" in forged(refused_unseen(made, cast), cast, NOW)


def test_what_was_refused_and_loaded_again_is_confirmed(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path
) -> None:
    second_admin.refuse(waiting, why="too early", asker=asker(cast["ari"]))
    again = load(tmp_path, cast["ada"], WEIGHTY)
    factories.confirm(again, asker=asker(cast["ari"]))
    assert (state(waiting), state(again)) == ("REFUSED", "LIVE")


def load_as_older(folder: Path, cast: dict[str, User], patch: pytest.MonkeyPatch) -> Configuration:
    """Let ada load what waits as an older version did, which did not tell the audit which row it is."""
    append = audit.append
    with patch.context() as older:
        older.setattr(audit, "append", lambda **telling: append(**{**telling, "data": without_row(telling["data"])}))
        return load(folder, cast["ada"], WEIGHTY)


def without_row(data: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in data.items() if name != "configuration"}


def test_what_waits_since_an_older_version_is_confirmed(
    waiting: Configuration, cast: dict[str, User], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = load_as_older(tmp_path, cast, monkeypatch)
    factories.confirm(old, asker=asker(cast["ari"]))
    assert state(old) == "LIVE"
    assert list(told.configuration_problems(old.component)) == []
