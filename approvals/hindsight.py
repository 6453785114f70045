"""Who may judge, afterwards, what was done without a complete sign-off; pure."""

from collections.abc import Collection

from .policy import Policy
from .voices import Barred, Member

REVIEWERS = 2


def may_review(
    policy: Policy, member: Member, *, executor: int, barred: Barred, reviewed: Collection[int]
) -> tuple[bool, str]:
    """Say whether a person may review a break-glass, and if not, why.

    Stricter than an approval: every duty in the release bars, whatever the policy lets approve.
    """
    if not member.active:
        return False, "the account is disabled"
    if part := part_in(member.user_id, executor=executor, barred=barred):
        return False, part
    if member.user_id in reviewed:
        return False, "has reviewed it"
    asked = policy.asked_roles()
    if not member.roles & set(asked):
        return False, f"holds none of the roles that could have approved: {', '.join(asked)}"
    return True, ""


def part_in(user_id: int, *, executor: int, barred: Barred) -> str:
    """Say which part a person had in a break-glass or its release; "" for somebody who had none.

    Who had one neither reviews it nor closes its incident, which would lift what a reviewer's objection holds.
    """
    if user_id == executor:
        return "broke the glass"
    duties = barred.get(user_id, ())
    return f"is {' and '.join(duties)} of this release" if duties else ""
