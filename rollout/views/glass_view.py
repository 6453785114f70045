"""What a page shows of a break-glass: the record, who may still review it, and why the reader may not."""

from collections.abc import Sequence
from dataclasses import dataclass

from approvals.hindsight import may_review
from approvals.models import SignOff
from approvals.reading import barred_of, policy_of
from approvals.rules import Member
from rollout import glass_review
from rollout.models import BreakGlass


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One break-glass of a rollout as one reader sees it."""

    glass: BreakGlass
    reviewers: tuple[str, ...]  # who may still review it
    may_review: bool
    why_not: str


def shown(glass: BreakGlass, members: Sequence[Member], user_id: int) -> Shown:
    """Shape a break-glass from rows that were read already; asks nothing of the database."""
    mine = next((one for one in members if one.user_id == user_id), None)
    allowed, why = glass_review.reviewer_of(glass, mine) if mine else (False, "holds no role for this component")
    open_ = glass.closed_at is None
    able = tuple(one.name for one in members if glass_review.reviewer_of(glass, one)[0]) if open_ else ()
    return Shown(glass=glass, reviewers=able, may_review=open_ and allowed, why_not="" if allowed else why)


def reviewers_of(sign_off: SignOff, members: Sequence[Member], executor: int) -> tuple[str, ...]:
    """Return who could review a break-glass of a person that is not there yet."""
    policy, barred = policy_of(sign_off), barred_of(sign_off)
    able = (one for one in members if may_review(policy, one, executor=executor, barred=barred, reviewed=())[0])
    return tuple(one.name for one in able)
