"""Tokens: shown once, kept as a hash, bound to a component, ended by time or by hand; the page that makes them."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import PermissionDenied

from approvals import changes, factors, roles
from approvals.ledger import Refused
from monitoring.audit import Actor
from monitoring.models import AuditEntry
from rollout import locking, scan, tokens
from rollout.models import Token
from tests.approvals.soft_passkey import SoftPasskey
from tests.factories import NOW, actor, asker, make_target


@pytest.fixture
def dhash(cast, tmp_path):
    return make_target(tmp_path).component


def make(dhash, user, **changes):
    values = {"name": "ci", "scopes": ["release:write"], "days": 30, "user": user, "by": actor(user), "now": NOW}
    return tokens.create(dhash, **{**values, **changes})


def test_the_text_is_kept_nowhere(dhash, cast):
    token, text = make(dhash, cast["rita"])
    kept = [str(value) for value in Token.objects.values_list().get()]
    assert text.startswith(token.prefix) and not any(text in value for value in kept)
    assert text not in AuditEntry.objects.get(action="token.created").body


def test_a_token_is_found_by_its_text(dhash, cast):
    token, text = make(dhash, cast["rita"])
    assert tokens.find(text, now=NOW) == token
    token.refresh_from_db()
    assert token.last_used_at == NOW


@pytest.mark.parametrize("text", ["", "gr_", "gr_12345678_nonsense", "Bearer"])
def test_another_text_finds_nothing(db, text):
    assert tokens.find(text, now=NOW) is None


def test_an_expired_token_finds_nothing(dhash, cast):
    _, text = make(dhash, cast["rita"], days=1)
    assert tokens.find(text, now=NOW + timedelta(days=1)) is None


def test_a_revoked_token_finds_nothing(dhash, cast):
    token, text = make(dhash, cast["rita"])
    tokens.revoke(token, user=cast["ada"], by=actor(cast["ada"]), now=NOW)
    assert tokens.find(text, now=NOW) is None
    assert AuditEntry.objects.filter(action="token.revoked").count() == 1


def test_a_token_ends_with_its_owners_account(dhash, cast):
    _, text = make(dhash, cast["rita"])
    cast["rita"].is_active = False
    cast["rita"].save()
    assert tokens.find(text, now=NOW) is None


def opened_again(cast):
    rights = replace(roles.rights_of(cast["rita"]), active=True)
    asked = changes.propose(cast["rita"], rights, kind="RIGHTS", why="back", asker=asker(cast["ada"]))
    changes.confirm(asked, asker=asker(cast["ari"]))


def test_a_token_does_not_wake_up_with_its_owners_account(dhash, cast):
    _, text = make(dhash, cast["rita"])
    changes.disable(cast["rita"], why="laptop stolen", asker=asker(cast["ada"]))
    opened_again(cast)
    assert tokens.find(text, now=NOW) is None


def test_closing_an_account_tells_of_each_token_that_ends(dhash, cast):
    kept = [make(dhash, cast["rita"])[0], make(dhash, cast["rita"])[0]]
    tokens.revoke(make(dhash, cast["rita"])[0], user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    changes.disable(cast["rita"], why="laptop stolen", asker=asker(cast["ada"]))
    told = AuditEntry.objects.filter(action="token.revoked", actor_name="ada", why="laptop stolen")
    assert [int(one.subject_id) for one in told.order_by("seq")] == [one.pk for one in kept]


def test_a_token_that_was_made_while_its_account_was_closed_ends_as_it_opens(dhash, cast):
    token, _ = make(dhash, cast["rita"])
    changes.disable(cast["rita"], why="laptop stolen", asker=asker(cast["ada"]))
    Token.objects.filter(pk=token.pk).update(revoked_at=None)  # as if it had come a moment after
    opened_again(cast)
    token.refresh_from_db()
    assert token.revoked_at == NOW


@pytest.mark.parametrize("lost", ["PASSWORD", "FACTORS"])
def test_a_token_does_not_outlive_what_its_owner_lost(dhash, cast, lost):
    _, text = make(dhash, cast["rita"])
    factors.add_passkey(cast["rita"], "Laptop", SoftPasskey().created("AA"), by=actor(cast["rita"]), now=NOW)
    Authenticator.objects.update(created_at=NOW - timedelta(days=1))  # before it was lost
    asked = changes.propose(cast["rita"], None, kind=lost, why="bag stolen", asker=asker(cast["ada"]))
    changes.confirm(asked, asker=asker(cast["ari"]))
    assert tokens.find(text, now=NOW) is None
    assert AuditEntry.objects.get(action="token.revoked").why == "bag stolen"


def test_other_changes_of_rights_end_no_token(dhash, cast):
    _, text = make(dhash, cast["rita"])
    proposed = changes.propose(
        cast["rita"],
        replace(roles.rights_of(cast["rita"]), email="new@example.org"),
        kind="RIGHTS",
        why="moved",
        asker=asker(cast["ada"]),
    )
    changes.confirm(proposed, asker=asker(cast["ari"]))
    assert tokens.find(text, now=NOW) is not None


def test_revoking_twice_is_refused(dhash, cast):
    token, _ = make(dhash, cast["rita"])
    tokens.revoke(token, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    with pytest.raises(Refused, match="revoked already"):
        tokens.revoke(token, user=cast["rita"], by=actor(cast["rita"]), now=NOW)


def test_a_stranger_revokes_nothing(dhash, cast):
    token, _ = make(dhash, cast["rita"])
    with pytest.raises(PermissionDenied):
        tokens.revoke(token, user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"days": 91}, "1 to 90 days"),
        ({"days": 0}, "1 to 90 days"),
        ({"scopes": []}, "at least one"),
        ({"scopes": ["rollout:start"]}, "at least one"),
        ({"name": "  "}, "Name the token"),
    ],
)
def test_a_wrong_token_is_refused(dhash, cast, changes, why):
    with pytest.raises(Refused, match=why):
        make(dhash, cast["rita"], **changes)
    assert not Token.objects.exists()


def test_an_approver_makes_no_token(dhash, cast):
    with pytest.raises(PermissionDenied, match="release-owner"):
        make(dhash, cast["ann"])


def test_a_token_makes_no_token(dhash, cast):
    through_api = Actor(id=cast["rita"].pk, name="rita", via="api")
    with pytest.raises(Refused, match="A token can never"):
        make(dhash, cast["rita"], by=through_api)


def test_a_token_locks_no_target(dhash, cast):
    through_api = Actor(id=cast["olaf"].pk, name="olaf", via="api")
    with pytest.raises(Refused, match="A token can never"):
        locking.lock(dhash.targets.first(), user=cast["olaf"], why="because I can", by=through_api, now=NOW)


def test_a_token_with_the_prefix_of_another_finds_nothing(dhash, cast):
    _, text = make(dhash, cast["rita"])
    assert tokens.find(text[:-1] + ("A" if text[-1] != "A" else "B"), now=NOW) is None


def test_a_token_was_good_until_it_was_revoked(dhash, cast):
    token, text = make(dhash, cast["rita"])
    before = tokens.find(text, now=NOW)
    tokens.revoke(token, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    assert (before, tokens.find(text, now=NOW)) == (token, None)


def test_leak_scanners_and_our_own_scan_know_a_token(dhash, cast):
    _, text = make(dhash, cast["rita"])
    assert re.fullmatch(r"gr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)
    assert any(pattern.search(text) for pattern in scan.MoreKeysDetector.denylist)
