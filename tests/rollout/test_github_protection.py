"""What protects a branch, read from a fake GitHub and judged."""

import pytest

from rollout.github.client import GitHub
from rollout.github.protection import Protection, Standing, branch_protection, judge_protection
from tests.rollout.fake_github import REPOSITORY, TOKEN, classic_protection, fake_github, rule

CONTEXTS = ("premerge / macos", "premerge / ubuntu")


@pytest.fixture
def fake():
    with fake_github() as server:
        yield server


def read(fake, branch="main", token=TOKEN):
    return branch_protection(GitHub(token, repository=REPOSITORY, api_url=fake.url), branch)


def judge(protection, **options):
    return judge_protection(protection, required_contexts=CONTEXTS, **options)


def states(protection, **options):
    return [finding.state.value for finding in judge(protection, **options)]


def rules_for(contexts, approvals):
    checks = [{"context": context, "integration_id": 15368} for context in contexts]
    return [
        rule("deletion"),
        rule("pull_request", required_approving_review_count=approvals, require_code_owner_review=False),
        rule("required_status_checks", required_status_checks=checks, strict_required_status_checks_policy=True),
    ]


def test_classic_protection_alone_can_be_enough(fake):
    fake.classic["main"] = classic_protection(list(CONTEXTS), 2)
    protection = read(fake)
    assert protection.sources == ("branch protection",) and states(protection) == ["ok", "ok", "ok"]


def test_rulesets_alone_can_be_enough(fake):
    fake.rules["main"] = rules_for(CONTEXTS, 2)
    protection = read(fake)
    assert protection.sources == ("rulesets",) and states(protection) == ["ok", "ok", "ok"]


def test_both_together_add_up(fake):
    fake.classic["main"] = classic_protection([CONTEXTS[0]], 1)
    fake.rules["main"] = rules_for([CONTEXTS[1]], 3)
    protection = read(fake)
    assert (protection.contexts, protection.approvals) == (frozenset(CONTEXTS), 3)
    assert states(protection) == ["ok", "ok", "ok"]


def test_a_rule_on_a_later_page_counts(fake):
    fake.page_size = 2
    fake.rules["main"] = [rule("deletion"), rule("non_fast_forward"), *rules_for(CONTEXTS, 2)]
    assert states(read(fake)) == ["ok", "ok", "ok"]


def test_an_old_server_that_names_contexts_only_is_understood(fake):
    fake.classic["main"] = {"required_status_checks": {"contexts": list(CONTEXTS)}}
    assert read(fake).contexts == frozenset(CONTEXTS)


def test_a_branch_without_any_protection_is_missing_it(fake):
    found = judge(read(fake))
    assert [one.state for one in found] == [Standing.MISSING] * 3
    assert found[0].sentence == "main requires 0 approving reviews, 2 are expected; the branch is not protected at all"


def test_too_few_approvals_are_missing(fake):
    fake.classic["main"] = classic_protection(list(CONTEXTS), 1)
    found = judge(read(fake))
    assert [one.state.value for one in found] == ["missing", "ok", "ok"]
    assert found[0].sentence == "main requires 1 approving reviews, 2 are expected"


def test_a_missing_context_is_named_with_those_that_are_there(fake):
    fake.classic["main"] = classic_protection(["lint", CONTEXTS[1]], 2)
    found = judge(read(fake))
    assert found[1].state is Standing.MISSING
    assert found[1].sentence == (
        "main does not require the check 'premerge / macos'; it requires 'lint', 'premerge / ubuntu'"
    )


def test_code_owners_are_judged_only_when_asked_for(fake):
    fake.classic["main"] = classic_protection(list(CONTEXTS), 2)
    assert states(read(fake), code_owners=True) == ["ok", "ok", "ok", "missing"]
    fake.classic["main"] = classic_protection(list(CONTEXTS), 2, code_owners=True)
    assert states(read(fake), code_owners=True) == ["ok"] * 4


def test_what_a_token_may_not_see_is_an_error_not_a_miss(fake):
    fake.answers["GET", "branches/main/protection"] = (404, {"message": "Not Found"}, {})
    found = judge(read(fake))
    assert {one.state for one in found} == {Standing.ERROR}
    assert "branch protection of main could not be read" in found[0].sentence


def test_readable_rulesets_are_enough_where_classic_protection_is_forbidden(fake):
    fake.answers["GET", "branches/main/protection"] = (403, {"message": "Resource not accessible"}, {})
    fake.rules["main"] = rules_for(CONTEXTS, 2)
    assert states(read(fake)) == ["ok", "ok", "ok"]


def test_a_branch_that_is_not_there_is_an_error(fake):
    fake.answers["GET", "branches/main/protection"] = (404, {"message": "Branch not found"}, {})
    assert {one.state for one in judge(read(fake))} == {Standing.ERROR}


def test_a_branch_name_is_one_segment_of_the_path(fake):
    read(fake, branch="release/1.0")
    assert [asked.path for asked in fake.asked] == [
        f"/repos/{REPOSITORY}/branches/release%2F1.0/protection",
        f"/repos/{REPOSITORY}/rules/branches/release%2F1.0",
    ]


@pytest.mark.parametrize("odd", [[], "text", {"required_status_checks": [1]}, {"required_pull_request_reviews": "x"}])
def test_an_answer_of_an_odd_shape_protects_nothing(fake, odd):
    fake.classic["main"] = odd
    protection = read(fake)
    assert (protection.contexts, protection.approvals) == (frozenset(), 0)


def test_without_a_token_there_is_one_finding_that_says_so(fake):
    found = judge(read(fake, token=""))
    assert [one.state for one in found] == [Standing.NOT_CONFIGURED]
    assert "GitHub is not configured" in found[0].sentence and fake.asked == []


def test_the_number_of_approvals_is_the_policy_s():
    assert states(Protection(branch="main", approvals=1, contexts=frozenset(CONTEXTS)), approvals=1) == ["ok"] * 3
