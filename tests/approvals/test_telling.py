"""Whoever's ways into the own account change is told so, by mail, whoever did it."""

import pytest
from allauth.mfa.models import Authenticator
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from approvals import changes, factors, handover, identities
from approvals.change_rules import Asker
from approvals.models import Change
from monitoring import audit, notices
from monitoring.models import Notice
from tests.base import PASSWORD, Client

from .app import SECRET, app_code
from .soft_passkey import SoftPasskey
from .world import NOW, actor

Cast = dict[str, User]
NEW = "another horse battery"


@pytest.fixture(autouse=True)
def with_mail(settings: LazySettings) -> None:
    settings.GR_EMAIL_TO = ["ops@example.com"]


def who(user: User) -> dict[str, object]:
    return {"by": actor(user), "now": NOW}


def told() -> list[str]:
    """Return what the owners were told, without the beginning that all have."""
    rows = Notice.objects.filter(event="sign_in_changed", channel="person").order_by("pk")
    return [row.title.removeprefix("The sign-in of Ann has changed: ") for row in rows]


def test_an_app_that_is_set_up_and_removed_is_told(cast: Cast) -> None:
    ann = cast["ann"]
    factors.add_app(ann, SECRET, app_code(NOW), **who(ann))  # type: ignore[arg-type]
    factors.remove(ann, Authenticator.objects.get().pk, **who(ann))  # type: ignore[arg-type]
    assert told() == ["an authenticator app was set up", "the authenticator app was removed"]


def test_a_passkey_that_is_added_and_removed_is_told(cast: Cast) -> None:
    ann = cast["ann"]
    made = SoftPasskey().created("AA")
    factors.add_passkey(ann, "Phone", made, **who(ann))  # type: ignore[arg-type]
    factors.remove(ann, Authenticator.objects.get().pk, **who(ann))  # type: ignore[arg-type]
    assert told() == ["a passkey was added", "a passkey was removed"]


def test_new_recovery_codes_are_told(cast: Cast) -> None:
    SoftPasskey().register(cast["ann"])
    factors.make_recovery_codes(cast["ann"], **who(cast["ann"]))  # type: ignore[arg-type]
    assert told()[-1] == "new recovery codes were made"


def test_a_changed_password_goes_to_the_mail_of_its_owner(cast: Cast) -> None:
    client = Client()
    client.force_login(cast["ann"])
    client.post(reverse("password"), {"old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW})
    notices.deliver_due(timezone.now())
    [sent] = mail.outbox
    assert sent.to == ["ann@example.com"] and "the password was changed" in sent.subject
    assert "If it was not you" in sent.body and NEW not in sent.body


def test_a_wrong_old_password_tells_nobody(cast: Cast) -> None:
    client = Client()
    client.force_login(cast["ann"])
    client.post(reverse("password"), {"old_password": "guess", "new_password1": NEW, "new_password2": NEW})
    assert told() == []


def handed_over(cast: Cast) -> Change:
    """Return the change by which two admins let ann choose a new password."""
    ada, ari = (Asker(user=cast[one], authenticated_at=NOW, by=actor(cast[one]), now=NOW) for one in ("ada", "ari"))
    change = changes.propose(cast["ann"], None, kind="PASSWORD", why="forgotten", asker=ada)
    changes.confirm(change, asker=ari)
    return change


def test_a_password_that_was_chosen_with_a_link_is_told(cast: Cast) -> None:
    change = handed_over(cast)
    code = handover.code_of(change)
    handover.choose(change, code=code, password=NEW, by=actor(cast["ann"]), now=NOW)
    assert told() == ["a new password was chosen, with the link that two admins gave"]


def test_an_identity_that_is_linked_and_unlinked_is_told(cast: Cast) -> None:
    ann, came = cast["ann"], identities.SocialAccount(provider="sso", uid="4711", extra_data={})
    with audit.turn():
        identities.link(ann, came, **who(ann))  # type: ignore[arg-type]
    identities.unlink(ann, identities.of(ann)[0].pk, **who(ann))  # type: ignore[arg-type]
    assert told() == ["an identity for single sign-on was linked", "an identity for single sign-on was unlinked"]
