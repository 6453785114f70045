"""Changes of people: one admin proposes, another answers, and nothing happens in between."""

import hashlib
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError, transaction

from approvals import changes, ledger, roles
from approvals.append_only import AppendOnlyError
from approvals.models import Change, ChangeAnswer, Delegation, Person
from approvals.proof import Refused
from approvals.roles import Rights
from monitoring.models import AuditEntry, Notice
from tests.base import make_user

from .people_world import asker, password_proposed, proposed, with_roles
from .test_delegation import give
from .world import DAY, NOW, actor

Cast = dict[str, User]


def held(user: User) -> frozenset[str]:
    return ledger.current_roles(user, "dhash")


def entry(action: str) -> AuditEntry:
    return AuditEntry.objects.get(action=action)


def test_a_proposal_changes_nothing(cast: Cast) -> None:
    proposed(cast["ada"], cast["ann"], "triage")
    assert held(cast["ann"]) == {"approver"}


def test_another_admin_puts_it_in_force(cast: Cast) -> None:
    changes.confirm(proposed(cast["ada"], cast["ann"], "triage"), asker=asker(cast["ari"]))
    assert held(cast["ann"]) == {"triage"} and ChangeAnswer.objects.get().by == cast["ari"]


def test_everything_of_a_person_is_put_in_force(cast: Cast) -> None:
    wanted = {
        "components": ("dhash",),
        "commit_emails": ("ann@work.example",),
        "email": "a@example.com",
        "active": False,
    }
    change = proposed(cast["ada"], cast["ann"], "ops", **wanted)
    changes.confirm(change, asker=asker(cast["ari"]))
    assert roles.rights_of(cast["ann"]) == Rights.of_text(change.new) == with_roles(cast["ann"], "ops", **wanted)


def test_whoever_becomes_admin_may_enter_the_admin_site_and_no_longer_when_not(cast: Cast) -> None:
    changes.confirm(proposed(cast["ada"], cast["tom"], "admin"), asker=asker(cast["ari"]))
    assert User.objects.get(pk=cast["tom"].pk).is_staff
    changes.confirm(proposed(cast["ada"], cast["tom"], "triage"), asker=asker(cast["ari"]))
    assert not User.objects.get(pk=cast["tom"].pk).is_staff


def test_the_audit_tells_who_proposed_who_confirmed_and_both_rights(cast: Cast) -> None:
    changes.confirm(proposed(cast["ada"], cast["ann"], "triage"), asker=asker(cast["ari"]))
    assert (entry("change.proposed").actor_id, entry("change.confirmed").actor_id) == (cast["ada"].pk, cast["ari"].pk)
    data = json.loads(entry("change.confirmed").body)["data"]
    assert data["proposed_by"] == cast["ada"].pk
    assert (data["old"]["roles"], data["new"]["roles"]) == (["approver"], ["triage"])
    assert entry("person.rights_changed").why == "new on call"


def test_the_audit_can_show_the_addresses_before_and_after_until_they_are_erased(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage", commit_emails=("ann@work.example",), email="a@home.example")
    changes.confirm(change, asker=asker(cast["ari"]))
    told, salt = entry("person.rights_changed"), json.loads(entry("person.rights_changed").person)["salt"]
    old, new = (json.loads(told.body)["data"][key] for key in ("old", "new"))
    hashes = [hashlib.sha256(f"{salt}:{email}".encode()).hexdigest() for email in ("ann@example.com", "a@home.example")]
    assert [old["email"], new["email"]] == hashes and (old["commit_emails"], len(new["commit_emails"])) == ([], 1)


def test_no_address_stands_in_the_audit_itself(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage", commit_emails=("ann@work.example",), email="a@home.example")
    changes.confirm(change, asker=asker(cast["ari"]))
    bodies = " ".join(AuditEntry.objects.values_list("body", flat=True))
    assert "work.example" not in bodies and "home.example" not in bodies


def test_what_waits_is_told_outside(cast: Cast) -> None:
    proposed(cast["ada"], cast["ann"], "triage")
    notice = Notice.objects.get(event="change_proposed")
    assert notice.title == "A second admin is needed: change of rights of Ann" and "new on call" in notice.body


@pytest.mark.parametrize("name", ["ada", "ann", "abe", "rita", "olaf", "mia", "tom", "aud", "otto"])
@pytest.mark.parametrize("verb", ["confirm", "refuse"])
def test_neither_proposer_nor_person_nor_anybody_else_answers(cast: Cast, name: str, verb: str) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    answer = {"confirm": changes.confirm, "refuse": lambda *a, **k: changes.refuse(*a, why="no", **k)}[verb]
    with pytest.raises(Refused):
        answer(change, asker=asker(cast[name]))
    assert held(cast["ann"]) == {"approver"} and not ChangeAnswer.objects.exists()


def test_an_admin_does_not_confirm_what_is_about_him(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ari"], "admin", "approver")
    with pytest.raises(Refused, match="two other admins"):
        changes.confirm(change, asker=asker(cast["ari"]))


@pytest.mark.parametrize("name", ["abe", "rita", "aud", "otto"])
def test_only_an_admin_proposes(cast: Cast, name: str) -> None:
    with pytest.raises(Refused, match="People are changed by an admin"):
        proposed(cast[name], cast["ann"], "triage")


def test_nobody_proposes_a_change_of_himself(cast: Cast) -> None:
    with pytest.raises(Refused, match="Two other admins"):
        proposed(cast["ada"], cast["ada"], "admin", "approver")


def test_an_admin_of_some_components_changes_nobody(cast: Cast) -> None:
    change = proposed(cast["ari"], cast["ann"], "triage")
    Person.objects.filter(user=cast["ada"]).update(components=["player"])
    with pytest.raises(Refused, match="every component"):
        proposed(cast["ada"], cast["tom"], "approver")
    with pytest.raises(Refused, match="every component"):
        changes.confirm(change, asker=asker(cast["ada"]))


@pytest.mark.parametrize("verb", ["propose", "confirm", "refuse", "disable"])
def test_both_have_just_proved_who_they_are(cast: Cast, verb: str) -> None:
    ann, change = cast["ann"], None if verb == "propose" else proposed(cast["ada"], cast["ann"], "triage")
    late = asker(cast["ari"], authenticated_at=NOW - timedelta(minutes=6))
    acts = {
        "propose": lambda: changes.propose(ann, None, kind="PASSWORD", why="x", asker=late),
        "confirm": lambda: changes.confirm(change, asker=late),
        "refuse": lambda: changes.refuse(change, why="no", asker=late),
        "disable": lambda: changes.disable(ann, why="left", asker=late),
    }
    with pytest.raises(Refused, match="Enter your password again"):
        acts[verb]()
    assert held(ann) == {"approver"} and not ChangeAnswer.objects.exists()


@pytest.mark.parametrize("via", ["api", "system"])
def test_no_token_and_no_machinery_answers(cast: Cast, via: str) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    with pytest.raises(Refused, match="A token cannot decide"):
        changes.confirm(change, asker=asker(cast["ari"], by=actor(cast["ari"], via)))


def test_a_refused_change_never_comes_into_force(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    changes.refuse(change, why="not yet", asker=asker(cast["ari"]))
    with pytest.raises(Refused, match="was refused already"):
        changes.confirm(change, asker=asker(cast["ari"]))
    assert (entry("change.refused").why, held(cast["ann"])) == ("not yet", {"approver"})


def test_a_refusal_needs_a_reason(cast: Cast) -> None:
    with pytest.raises(Refused, match="Say why"):
        changes.refuse(proposed(cast["ada"], cast["ann"], "triage"), why=" ", asker=asker(cast["ari"]))


def test_only_the_proposer_withdraws(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    with pytest.raises(Refused, match="Only whoever proposed"):
        changes.withdraw(change, asker=asker(cast["ari"]))
    changes.withdraw(change, asker=asker(cast["ada"]))
    with pytest.raises(Refused, match="was withdrawn already"):
        changes.confirm(change, asker=asker(cast["ari"]))


def test_a_change_waits_for_a_day(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    with pytest.raises(Refused, match="has expired"):
        changes.confirm(change, asker=asker(cast["ari"], NOW + DAY))
    changes.confirm(change, asker=asker(cast["ari"], NOW + DAY - timedelta(seconds=1)))
    assert held(cast["ann"]) == {"triage"}


def test_what_waited_too_long_is_answered_once(cast: Cast, settings) -> None:
    settings.GR_CHANGE_SECONDS = 600
    proposed(cast["ada"], cast["ann"], "triage")
    assert [changes.expire_due(NOW + timedelta(seconds=wait)) for wait in (599, 600, 601)] == [0, 1, 0]
    assert ChangeAnswer.objects.get().kind == "EXPIRED" and entry("change.expired").via == "system"


def test_an_expired_change_that_nobody_closed_yet_does_not_keep_the_next_one_out(cast: Cast) -> None:
    proposed(cast["ada"], cast["ann"], "triage")
    assert proposed(cast["ada"], cast["ann"], "triage", now=NOW + DAY)


def test_one_change_of_a_person_waits_at_a_time(cast: Cast) -> None:
    proposed(cast["ada"], cast["ann"], "triage")
    with pytest.raises(Refused, match="waits already"):
        proposed(cast["ari"], cast["ann"], "ops")


@pytest.mark.parametrize("what", ["role", "address", "components", "account"])
def test_a_person_who_changed_meanwhile_is_not_changed_by_an_old_proposal(cast: Cast, what: str) -> None:
    change, ann = proposed(cast["ada"], cast["ann"], "triage"), cast["ann"]
    {
        "role": lambda: ann.groups.add(Group.objects.get(name="ops")),
        "address": lambda: User.objects.filter(pk=ann.pk).update(email="other@example.com"),
        "components": lambda: Person.objects.filter(user=ann).update(components=["player"]),
        "account": lambda: User.objects.filter(pk=ann.pk).update(is_active=False),
    }[what]()
    with pytest.raises(Refused, match="changed meanwhile"):
        changes.confirm(change, asker=asker(cast["ari"]))


def test_what_somebody_proposed_who_is_no_admin_any_more_is_not_confirmed(cast: Cast) -> None:
    make_user("eve", "admin")
    change = proposed(cast["ada"], cast["ann"], "triage")
    cast["ada"].groups.clear()
    with pytest.raises(Refused, match="not an admin any more"):
        changes.confirm(change, asker=asker(cast["ari"]))


def test_a_confirmed_change_is_not_confirmed_again(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    changes.confirm(change, asker=asker(cast["ari"]))
    with pytest.raises(Refused, match="was confirmed already"):
        changes.confirm(change, asker=asker(cast["ari"]))
    assert AuditEntry.objects.filter(action="person.rights_changed").count() == 1


def test_two_admins_can_be_no_fewer(cast: Cast) -> None:
    """Whoever takes the role admin away is two others: so two always stay."""
    change = proposed(cast["ada"], cast["ari"])
    for admin in cast.values():
        with pytest.raises(Refused):
            changes.confirm(change, asker=asker(admin))
    assert held(cast["ari"]) == {"admin"}


def test_history_is_not_edited(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    changes.confirm(change, asker=asker(cast["ari"]))
    for row in (change, ChangeAnswer.objects.get()):
        with pytest.raises(AppendOnlyError):
            type(row).objects.filter(pk=row.pk).update(why="because")
        with pytest.raises(AppendOnlyError):
            row.delete()


def test_a_change_has_one_answer(cast: Cast) -> None:
    change = proposed(cast["ada"], cast["ann"], "triage")
    changes.withdraw(change, asker=asker(cast["ada"]))
    with pytest.raises(IntegrityError), transaction.atomic():
        ChangeAnswer.objects.create(change=change, kind="CONFIRMED", at=NOW)


def test_an_account_is_closed_at_once_by_one_admin(cast: Cast) -> None:
    changes.disable(cast["ann"], why="lost the laptop", asker=asker(cast["ada"]))
    assert held(cast["ann"]) == frozenset() and entry("person.rights_changed").why == "lost the laptop"


def test_to_open_it_again_takes_two(cast: Cast) -> None:
    changes.disable(cast["ann"], why="lost the laptop", asker=asker(cast["ada"]))
    change = proposed(cast["ada"], cast["ann"], "approver", active=True)
    assert not User.objects.get(pk=cast["ann"].pk).is_active
    changes.confirm(change, asker=asker(cast["ari"]))
    assert held(cast["ann"]) == {"approver"}


@pytest.mark.parametrize(("gives", "stands_in"), [("ann", "abe"), ("abe", "ann")])
def test_what_a_closed_account_delegated_or_stood_in_for_does_not_wake_with_it(
    cast: Cast, gives: str, stands_in: str
) -> None:
    give(cast[gives], cast[stands_in])
    changes.disable(cast["ann"], why="lost the laptop", asker=asker(cast["ada"]))
    changes.confirm(proposed(cast["ada"], cast["ann"], "approver", active=True), asker=asker(cast["ari"]))
    assert Delegation.objects.get().ended_by == cast["ada"] and entry("delegation.ended").why == "lost the laptop"


def test_a_closed_account_overtakes_the_change_that_waited(cast: Cast) -> None:
    proposed(cast["ada"], cast["ann"], "triage")
    changes.disable(cast["ann"], why="left", asker=asker(cast["ari"]))
    assert ChangeAnswer.objects.get().kind == "OVERTAKEN"


@pytest.mark.parametrize(("who", "whom"), [("ada", "ari"), ("ada", "ada"), ("abe", "ann"), ("otto", "ann")])
def test_no_admin_is_closed_by_one_and_nobody_by_who_is_no_admin(cast: Cast, who: str, whom: str) -> None:
    with pytest.raises(Refused):
        changes.disable(cast[whom], why="x", asker=asker(cast[who]))
    assert User.objects.get(pk=cast[whom].pk).is_active


def test_a_password_of_a_closed_account_is_not_proposed(cast: Cast) -> None:
    changes.disable(cast["ann"], why="left", asker=asker(cast["ada"]))
    with pytest.raises(Refused, match="closed"):
        password_proposed(cast["ada"], cast["ann"])


def test_a_user_name_is_taken_whatever_its_letters(cast: Cast) -> None:
    rights = with_roles(cast["ann"], "triage")
    with pytest.raises(Refused, match="already"):
        changes.add_person(username="ANN", name="Ann", rights=rights, why="x", asker=asker(cast["ada"]))
    assert not Change.objects.exists()
