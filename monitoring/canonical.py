"""The one canonical JSON of the house: sorted keys, no spaces, UTF-8, no floats.

Two programs that agree on the values agree on the bytes, so a sha256 of the bytes is a digest of the values.
"""

import hashlib
import json
from decimal import Decimal
from typing import Any


class NotCanonicalError(TypeError):
    """A value has no canonical form; says where it stands."""


# of what is known to have a canonical form
dumps_checked = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def dumps(value: object) -> str:
    """Return `value` as canonical JSON text; raise NotCanonicalError on a float or any unknown type."""
    check(value)
    return dumps_checked(value)


def check(value: object) -> None:
    """Raise NotCanonicalError on a float or any unknown type."""
    _check(value, "$")


def dump_bytes(value: object) -> bytes:
    """Return `value` as canonical JSON in UTF-8."""
    return dumps(value).encode("utf-8")


def digest(value: object) -> str:
    """Return the sha256 of the canonical bytes of `value`, 64 hex digits."""
    return hashlib.sha256(dump_bytes(value)).hexdigest()


def number(value: int | float | str | Decimal) -> int | str:
    """Return a number as canonical JSON can hold it: an int, or a decimal string such as "0.75"."""
    exact = Decimal(str(value))
    if not exact.is_finite():
        raise NotCanonicalError(f"{value!r} is not a finite number")
    if exact == exact.to_integral_value():
        return int(exact)
    return format(exact.normalize(), "f")


def _check(value: Any, where: str) -> None:
    if value is None or isinstance(value, (str, bool, int)):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonicalError(f"{where}: key {key!r} is not a string")
            _check(item, f"{where}.{key}")
        return
    if isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
        return
    raise NotCanonicalError(f"{where}: a {type(value).__name__} has no canonical form (write numbers with number())")
