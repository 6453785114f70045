"""Readers of the values in a gates file: each takes a value and its place, and says exactly what is wrong; pure."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, get_args

Reader = Callable[[Any, str], Any]


class ProfileError(ValueError):
    """A profile is wrong; says at which key, what was expected and what was found."""

    def __init__(self, where: str, expected: str, found: object) -> None:
        self.where, self.expected, self.found = where, expected, str(found)
        super().__init__(f"{where}: expected {expected}, found {found}")


def table(value: Any, where: str) -> dict[str, Any]:
    """Return a table with text keys as a new dict."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise ProfileError(where, "a table", "nothing" if value is None else repr(value))
    return dict(value)


def refuse_unknown(found: Mapping[str, Any], known: Collection[str], where: str) -> None:
    """Raise ProfileError at the first key that is not known."""
    for key in found:
        if key not in known:
            raise ProfileError(f"{where}.{key}", f"one of the keys {', '.join(sorted(known))}", f"unknown key {key!r}")


def text(value: Any, where: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise ProfileError(where, "a text", "nothing" if value is None else repr(value))
    return value


def texts(value: Any, where: str) -> tuple[str, ...]:
    """Return a list of texts, such as an argv."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ProfileError(where, "a list of texts", repr(value))
    return tuple(value)


def amount(value: Any, where: str) -> Decimal:
    """Return a number of at least 0."""
    exact = Decimal("NaN")
    if isinstance(value, (int, float, str, Decimal)) and not isinstance(value, bool):
        try:
            exact = Decimal(str(value))
        except InvalidOperation:
            exact = Decimal("NaN")
    if not exact.is_finite() or exact < 0:
        raise ProfileError(where, "a number of at least 0", "nothing" if value is None else repr(value))
    return exact


# A look at a watch is one task of the queue, which is ended after 120 s: a source that waits longer is never seen.
LOOK_MAX_S = 60


def positive(value: Any, where: str) -> Decimal:
    """Return a number above 0."""
    exact = amount(value, where)
    if exact == 0:
        raise ProfileError(where, "a number above 0", repr(value))
    return exact


def share(value: Any, where: str) -> Decimal:
    """Return a share, above 0 and at most 1."""
    exact = positive(value, where)
    if exact > 1:
        raise ProfileError(where, "a share above 0 and at most 1", repr(value))
    return exact


def count(value: Any, where: str) -> int:
    """Return a whole number of at least 1."""
    exact = amount(value, where)
    if exact != exact.to_integral_value() or exact < 1:
        raise ProfileError(where, "a whole number of at least 1", repr(value))
    return int(exact)


def one_of(choices: Any) -> Reader:
    """Return a reader of one of the values of a Literal type."""

    def read(value: Any, where: str) -> str:
        if value not in get_args(choices):
            raise ProfileError(where, f"one of {', '.join(get_args(choices))}", repr(value))
        return str(value)

    return read
