"""Whose name a signature prints: everybody's own, told apart, proved, and told by the audit."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User

from approvals import changes, naming
from approvals.models import Person
from approvals.proof import Refused
from monitoring.models import AuditEntry
from tests.base import Client

from .people_world import asker, with_roles
from .world import NOW

Cast = dict[str, User]


def rename(user: User, name: str, **changed: object) -> str:
    naming.set_profile(user, name=name, zone="UTC", asker=asker(user, **changed))
    return Person.objects.get(user=user).printed_name


def add(cast: Cast, username: str, name: str) -> None:
    rights = with_roles(cast["otto"], "triage", email="zoe@example.org")
    changes.add_person(username=username, name=name, rights=rights, why="joined", asker=asker(cast["ada"]))


def test_a_person_renames_himself(cast: Cast) -> None:
    assert rename(cast["mia"], "Анна Каренина") == "Анна Каренина"
    assert rename(cast["mia"], "Mia") == "Mia"


@pytest.mark.parametrize("name", ["Abe", "ABE", "\u0410be", "Ari", "Olat", "tom"])
def test_no_name_that_looks_like_another_persons(cast: Cast, name: str) -> None:
    Person.objects.filter(user=cast["tom"]).update(printed_name="Thomas")
    Person.objects.filter(user=cast["olaf"]).update(printed_name="0lat")
    with pytest.raises(Refused, match="looks like the name of the account"):
        rename(cast["mia"], name)


def test_a_name_takes_the_proof_of_a_decision_and_a_zone_does_not(cast: Cast) -> None:
    late = {"authenticated_at": NOW - timedelta(minutes=6)}
    with pytest.raises(Refused, match="Enter your password again"):
        rename(cast["mia"], "Mia Mann", **late)
    naming.set_profile(cast["mia"], name="Mia", zone="Asia/Tokyo", asker=asker(cast["mia"], **late))
    assert Person.objects.get(user=cast["mia"]).zone == "Asia/Tokyo"


def test_the_audit_can_show_both_names_until_they_are_erased(cast: Cast) -> None:
    rename(cast["mia"], "Mia Mann")
    entry = AuditEntry.objects.get(action="person.changed")
    salt = json.loads(entry.person)["salt"]
    told = json.loads(entry.body)["data"]["printed_name"]
    both = {"old": "Mia", "new": "Mia Mann"}
    assert told == {key: hashlib.sha256(f"{salt}:{name}".encode()).hexdigest() for key, name in both.items()}


def test_the_entry_of_a_renaming_is_under_the_old_name(cast: Cast) -> None:
    rename(cast["mia"], "Mia Mann")
    assert json.loads(AuditEntry.objects.get(action="person.changed").person)["printed"] == "Mia"


@pytest.mark.parametrize(("username", "name"), [("\u0430nn", "Zoe"), ("zoe", "ANN"), ("Ann.", "Ann"), ("T0M", "Zoe")])
def test_no_account_comes_with_a_name_that_looks_like_anothers(cast: Cast, username: str, name: str) -> None:
    with pytest.raises(Refused, match="looks like"):
        add(cast, username, name)
    assert User.objects.count() == len(cast)


@pytest.mark.parametrize(
    ("username", "name"), [("System", "Zoe"), ("zoe", "Guarded Rollout"), ("zoe", "unknown account")]
)
def test_no_account_comes_with_a_name_that_the_history_prints_for_nobody(cast: Cast, username: str, name: str) -> None:
    with pytest.raises(Refused, match="no person did"):
        add(cast, username, name)
    assert User.objects.count() == len(cast)


def test_nobody_renames_himself_to_what_the_history_prints_for_nobody(cast: Cast) -> None:
    with pytest.raises(Refused, match="no person did"):
        rename(cast["mia"], "System")


@pytest.mark.parametrize("name", ["Abe\u202eiesO", "System", "Abe (abe)", "Abe\u2800", "\u0410be Osei", "Abe\nOsei"])
def test_the_page_refuses_what_hides_something(client: Client, cast: Cast, name: str) -> None:
    client.force_login(cast["mia"])
    answer = client.post(f"/people/{cast['mia'].pk}/", {"part": "profile", "printed_name": name, "zone": "UTC"})
    assert answer.status_code == 200 and Person.objects.get(user=cast["mia"]).printed_name == "Mia"


def test_the_page_says_why_a_name_is_taken(client: Client, cast: Cast) -> None:
    client.force_login(cast["mia"])
    answer = client.post(f"/people/{cast['mia'].pk}/", {"part": "profile", "printed_name": "Abe", "zone": "UTC"})
    assert answer.status_code == 200 and "looks like the name of the account abe" in answer.content.decode()
