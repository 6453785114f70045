"""Decisions are history, and what was signed never changes: at the door of the code and in the database."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import ProtectedError

from approvals import checks
from approvals.append_only import AppendOnlyError
from approvals.models import Decision, SignOff
from monitoring import guards

from .world import DIGEST, NOW, decide, opened

Cast = dict[str, User]


@pytest.fixture
def decision(cast: Cast) -> Decision:
    return decide(opened(cast["rita"]), cast["ann"])


WAYS: list[Callable[[Decision], object]] = [
    lambda one: one.save(),
    lambda one: one.delete(),
    lambda one: Decision.objects.filter(pk=one.pk).update(kind="REJECT"),
    lambda one: Decision.objects.filter(pk=one.pk).delete(),
    lambda one: Decision.objects.bulk_update([one], ["kind"]),
    lambda one: one.sign_off.save(),
    lambda one: one.sign_off.delete(),
    lambda one: SignOff.objects.filter(pk=one.sign_off_id).update(manifest="{}"),
    lambda one: SignOff.objects.filter(pk=one.sign_off_id).update(digest="0" * 64, state="OPEN"),
    lambda one: SignOff.objects.filter(pk=one.sign_off_id).update(expires_at=NOW),
    lambda one: SignOff.objects.filter(pk=one.sign_off_id).delete(),
    lambda one: SignOff.objects.bulk_update([one.sign_off], ["policy"]),
]


@pytest.mark.parametrize("way", WAYS)
def test_no_way_of_the_orm_changes_history(decision: Decision, way: Callable[[Decision], object]) -> None:
    with pytest.raises(AppendOnlyError):
        way(decision)
    assert Decision.objects.get().kind == "APPROVE"
    assert SignOff.objects.get().digest == DIGEST


@pytest.mark.parametrize(
    "statement", ["UPDATE approvals_decision SET kind = 'REJECT'", "DELETE FROM approvals_decision"]
)
def test_the_database_refuses_it_too(decision: Decision, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_two_decisions_cannot_have_one_number(decision: Decision) -> None:
    copy = Decision.objects.get()
    copy.pk = None
    copy._state.adding = True
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save()


def test_a_person_who_decided_cannot_be_removed(decision: Decision, cast: Cast) -> None:
    with pytest.raises(ProtectedError):
        cast["ann"].delete()


@pytest.mark.django_db
def test_a_missing_trigger_is_reported() -> None:
    assert checks.guards_stand(None, databases=["default"]) == []
    guards.remove(connection, checks.guarded()[0])
    found = checks.guards_stand(None, databases=["default"])
    assert len(found) == 3 and {one.id for one in found} == {"approvals.E001"}
    checks.install_guards(using="default")
    assert checks.guards_stand(None, databases=["default"]) == []
