"""What a component asks of its sign-offs: quorum, roles in it, expiry, bars; pure."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

UnmatchedAuthor = Literal["refuse", "show"]
Counts = tuple[tuple[str, int], ...]

APPROVER = "approver"  # the duty of a seat that any approver group may fill
DUTIES_THAT_BAR = ("requester", "uploader", "commit author", "tuner")
BARS_OF_START = (*DUTIES_THAT_BAR, APPROVER)


class PolicyError(ValueError):
    """A policy that cannot be meant; names the key, what was expected and what was found."""

    def __init__(self, key: str, expected: str, found: object) -> None:
        super().__init__(f"policy.{key}: expected {expected}, found {found!r}")
        self.key, self.expected, self.found = key, expected, found


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The rules of one component's sign-offs; the defaults are those of DESIGN.md section 6.

    `required_within` reserves approver seats for a role; each entry of `plus` is a seat of its own. With
    `requires_golden` one more consent of `golden_group` is asked. It may be given together with an approver seat by
    the same person, and with `golden_may_approve` membership of that group alone is enough for the approver seat.
    `distinct` keeps one person from filling seats of two parts (approvers, each of `plus`). `barred_from_start` names
    who cannot start: by a duty in the release, or ("approver") by a consent that counts. With `delegation` somebody who
    is out of office may be stood in for.
    """

    approvers: int = 2
    approver_groups: tuple[str, ...] = (APPROVER, "ops")
    required_within: Counts = (("ops", 1),)
    plus: Counts = (("deploy-operator", 1),)
    golden_group: str = "media-eng"
    requires_golden: bool = False
    golden_may_approve: bool = True
    distinct: bool = True
    expires_s: int = 86400
    unmatched_author: UnmatchedAuthor = "refuse"
    last_approver_may_start: bool = True
    starter_groups: tuple[str, ...] = ("deploy-operator", "ops")
    barred_duties: tuple[str, ...] = DUTIES_THAT_BAR
    barred_from_start: tuple[str, ...] = ()
    delegation: bool = True

    def __post_init__(self) -> None:
        for key, (expected, holds) in _KINDS.items():
            if not holds(getattr(self, key)):
                raise PolicyError(key, expected, getattr(self, key))
        _check_sense(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as values that canonical JSON can hold.

        A key that came later is left out while it has its default: what was signed before it goes on to hold.
        """
        values = {key: _plain(value) for key, value in asdict(self).items()}
        return {key: value for key, value in values.items() if key not in _LATER or value != _plain(_LATER[key])}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build a policy from to_dict(), TOML or JSON values; a missing key takes its default.

        Counts may be written as a table ({"ops": 1}) or as pairs ([["ops", 1]]). Raises PolicyError.
        """
        for key in values:
            if key not in _KINDS:
                raise PolicyError(key, f"one of {', '.join(sorted(_KINDS))}", values[key])
        return cls(**{key: _frozen(key, value) for key, value in values.items()})

    def asked_roles(self) -> tuple[str, ...]:
        """Return every role that can fill a seat, each once, in the order of the policy."""
        golden = (self.golden_group,) if self.requires_golden else ()
        return tuple(dict.fromkeys((*self.approver_groups, *(role for role, _ in self.plus), *golden)))


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _frozen(key: str, value: Any) -> Any:
    if _KINDS[key] is _COUNTS and isinstance(value, Mapping):
        return tuple(value.items())
    if isinstance(value, list):
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    return value


def _is_count(value: Any, least: int) -> bool:
    # True is an int to Python, and no number of people
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)


def _is_counts(value: Any) -> bool:
    if not isinstance(value, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        return False
    return all(isinstance(name, str) and name and _is_count(count, 1) for name, count in value)


_NUMBER = ("a whole number of at least 1", lambda value: _is_count(value, 1))
_SWITCH = ("true or false", lambda value: isinstance(value, bool))
_NAME = ("a group name", lambda value: isinstance(value, str) and bool(value))
_NAMES = ("a list of names", _is_names)
_SOME_NAMES = ("a list of at least one name", lambda value: _is_names(value) and bool(value))
_EXPIRY = ("seconds, 1 to 2592000 (30 days)", lambda value: _is_count(value, 1) and value <= 30 * 86400)
_COUNTS = ("group names with whole numbers of at least 1", _is_counts)
_CHOICE = ('"refuse" or "show"', lambda value: value in ("refuse", "show"))
_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "approvers": _NUMBER,
    "approver_groups": _SOME_NAMES,
    "required_within": _COUNTS,
    "plus": _COUNTS,
    "golden_group": _NAME,
    "requires_golden": _SWITCH,
    "golden_may_approve": _SWITCH,
    "distinct": _SWITCH,
    "expires_s": _EXPIRY,
    "unmatched_author": _CHOICE,
    "last_approver_may_start": _SWITCH,
    "starter_groups": _SOME_NAMES,
    "barred_duties": _NAMES,
    "barred_from_start": _NAMES,
    "delegation": _SWITCH,
}
# key that the first format did not have -> its default
_LATER: dict[str, object] = {"barred_from_start": (), "delegation": True}


def _check_sense(policy: Policy) -> None:
    _check_seats(policy)
    taken = {*policy.approver_groups, *(role for role, _ in policy.plus)}
    if policy.requires_golden and policy.golden_group in taken:
        raise PolicyError("golden_group", "a group that no other seat asks for", policy.golden_group)
    for key, known in (("barred_duties", DUTIES_THAT_BAR), ("barred_from_start", BARS_OF_START)):
        for duty in getattr(policy, key):
            if duty not in known:
                raise PolicyError(key, f"some of {', '.join(known)}", duty)


def _check_seats(policy: Policy) -> None:
    for role, _ in policy.required_within:
        if role not in policy.approver_groups:
            raise PolicyError("required_within", f"groups out of approver_groups {policy.approver_groups}", role)
    for key in ("required_within", "plus"):
        names = [role for role, _ in getattr(policy, key)]
        if len(names) != len(set(names)):
            raise PolicyError(key, "each group once", names)
    if sum(count for _, count in policy.required_within) > policy.approvers:
        expected = f"together at most approvers = {policy.approvers}"
        raise PolicyError("required_within", expected, policy.required_within)
    for role, _ in policy.plus:
        if role in (APPROVER, *policy.approver_groups):
            raise PolicyError("plus", f"groups outside approver_groups {policy.approver_groups}", role)
