"""The list of commits of a release: well-formed, and never empty without being noticed."""

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from approvals.policy import Policy
from approvals.rules import may_open
from rollout import commits, freezing
from rollout.models import Rollout, Target
from tests import factories

GOOD = {"sha": "C" * 40, "author": " Ann ", "email": " Ann@Example.com ", "subject": "faster "}


def test_what_stands_around_a_value_is_taken_off() -> None:
    assert commits.rows([GOOD]) == [
        {"sha": "c" * 40, "author": "Ann", "email": "Ann@Example.com", "subject": "faster"},
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"sha": sha} for sha in ("", "zz", "c" * 6, "c" * 41, "c" * 39 + "g")),
        *({"author": author} for author in ("", " \t")),
        *({"email": email} for email in ("", "ann", "@x", "a@", "a b@x", "<a@x>", "a@b@c")),
    ],
)
def test_a_commit_without_sha_author_or_address_is_refused_by_its_number(wrong: dict[str, str]) -> None:
    with pytest.raises(Refused, match="Commit 2"):
        commits.rows([GOOD, {**GOOD, **wrong}])


def test_an_author_is_named_once_by_address() -> None:
    found = commits.authors(commits.rows([GOOD, {**GOOD, "email": "ANN@example.com"}, {**GOOD, "email": "b@x"}]))
    assert [one["email"].casefold() for one in found] == ["ann@example.com", "b@x"]


@pytest.mark.django_db
def test_a_release_without_commits_has_an_author_whom_nobody_matches(target: Target, cast: dict[str, User]) -> None:
    waiting: Rollout = factories.make_waiting(target, cast["rita"])
    assert waiting.sign_off is not None and waiting.sign_off.unmatched_authors == [commits.NOBODY]


@pytest.mark.django_db
def test_where_unknown_authors_are_refused_an_empty_list_is(target: Target, cast: dict[str, User]) -> None:
    asked = freezing._asked(factories.make_draft(target, cast["rita"]))
    unmatched = [one["name"] for one in asked["unmatched_authors"]]
    allowed, why = may_open(Policy(), [], barred={}, unmatched=unmatched)
    assert not allowed and "the release lists no commits" in why
