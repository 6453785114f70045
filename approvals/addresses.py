"""Whose an e-mail address is: it says who wrote a commit, and whoever wrote one cannot approve the release it is in."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model

from .people import person_of, printed_name
from .proof import Refused
from .roles import Rights


def folded(address: str) -> str:
    """Return an address as it is compared: without case and without the space around it."""
    return address.strip().casefold()


def users_by_commit_email(emails: Iterable[str]) -> dict[str, frozenset[int]]:
    """Return commit e-mail -> the ids of all who own it: entered on the person, or the account's own.

    A disabled user is matched too: a commit does not stop being his. Two cannot come to own one, but where two do,
    because a database is older than that rule, it bars both.
    """
    wanted = {folded(email) for email in emails} - {""}
    found: dict[str, frozenset[int]] = {}
    for user in get_user_model().objects.select_related("person"):
        for email in wanted & _owned(user):
            found[email] = found.get(email, frozenset()) | {user.pk}
    return found


def require_free(user: Any, old: Rights, new: Rights) -> None:
    """Raise Refused when an address that comes is another person's; what stands already may stay."""
    come = _addresses(new.email, new.commit_emails) - _addresses(old.email, old.commit_emails)
    if not come:
        return
    for other in get_user_model().objects.select_related("person").exclude(pk=user.pk):
        if both := sorted(come & _owned(other)):
            name = f"{printed_name(other)} ({other.get_username()})"
            raise Refused(f"{both[0]} is an address of {name}: a commit under it has to have one author.")


def _owned(user: Any) -> set[str]:
    person = person_of(user)
    return _addresses(user.email, person.commit_emails if person else ())


def _addresses(email: str, commit_emails: Iterable[str]) -> set[str]:
    return {folded(one) for one in (email, *commit_emails)} - {""}
