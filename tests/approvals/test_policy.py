"""A policy: its defaults, its way into canonical JSON and back, and what it refuses."""

from typing import Any

import pytest

from approvals.policy import Policy, PolicyError
from monitoring import canonical


def test_the_default_is_two_approvers_with_ops_and_a_deploy_operator() -> None:
    policy = Policy()
    assert (policy.approvers, policy.required_within, policy.plus) == (2, (("ops", 1),), (("deploy-operator", 1),))
    assert policy.distinct and policy.expires_s == 86400 and policy.unmatched_author == "refuse"


def test_it_survives_canonical_json() -> None:
    policy = Policy(requires_golden=True, approvers=3, required_within=(("ops", 2),))
    canonical.dumps(policy.to_dict())
    assert Policy.from_dict(policy.to_dict()) == policy


def test_counts_may_be_written_as_a_table() -> None:
    assert Policy.from_dict({"plus": {"deploy-operator": 2}}).plus == (("deploy-operator", 2),)


def test_asked_roles_name_golden_only_where_it_is_required() -> None:
    assert Policy().asked_roles() == ("approver", "ops", "deploy-operator")
    assert Policy(requires_golden=True).asked_roles()[-1] == "media-eng"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"aprovers": 2}, "policy.aprovers: expected one of approver_groups, approvers"),
        ({"approvers": 0}, "policy.approvers: expected a whole number of at least 1, found 0"),
        ({"approvers": True}, "policy.approvers: expected a whole number"),
        ({"approvers": "2"}, "policy.approvers: expected a whole number of at least 1, found '2'"),
        ({"distinct": 1}, "policy.distinct: expected true or false, found 1"),
        ({"approver_groups": []}, "policy.approver_groups: expected a list of at least one name"),
        ({"approver_groups": "ops"}, "policy.approver_groups: expected a list of at least one name, found 'ops'"),
        ({"starter_groups": []}, "policy.starter_groups: expected a list of at least one name"),
        ({"golden_group": ""}, "policy.golden_group: expected a group name"),
        ({"expires_s": 0}, "policy.expires_s: expected seconds, 1 to 2592000"),
        ({"expires_s": 2_592_001}, "policy.expires_s: expected seconds, 1 to 2592000"),
        ({"unmatched_author": "ignore"}, 'policy.unmatched_author: expected "refuse" or "show", found \'ignore\''),
        ({"plus": [["deploy-operator"]]}, "policy.plus: expected group names with whole numbers"),
        ({"plus": {"deploy-operator": 0}}, "policy.plus: expected group names with whole numbers"),
        ({"plus": 3}, "policy.plus: expected group names with whole numbers"),
        ({"plus": {"ops": 1}}, "policy.plus: expected groups outside approver_groups"),
        ({"plus": [["triage", 1], ["triage", 1]]}, "policy.plus: expected each group once"),
        ({"required_within": {"triage": 1}}, "policy.required_within: expected groups out of approver_groups"),
        ({"required_within": {"ops": 3}}, "policy.required_within: expected together at most approvers = 2"),
        ({"barred_duties": ["friend"]}, "policy.barred_duties: expected some of requester, uploader"),
        ({"requires_golden": True, "golden_group": "ops"}, "policy.golden_group: expected a group that no other seat"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_key(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        Policy.from_dict(values)
    assert str(refusal.value).startswith(sentence)


def test_the_error_keeps_key_expectation_and_finding() -> None:
    with pytest.raises(PolicyError) as refusal:
        Policy(approvers=0)
    assert (refusal.value.key, refusal.value.found) == ("approvers", 0)
