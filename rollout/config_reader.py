"""Reads a table of a configuration key by key, and says exactly what is wrong with a bad one; pure."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any


class ComponentError(ValueError):
    """A key of a configuration is missing, unknown or of the wrong kind."""

    def __init__(self, key: str, expected: str, found: object = None) -> None:
        self.key, self.expected = key, expected
        seen = "" if found is None else f", found {found!r}"
        super().__init__(f"{key}: expected {expected}{seen}")


class Table:
    """A TOML table under a name; every key that is not taken before `close()` is an error."""

    def __init__(self, data: object, name: str) -> None:
        if not isinstance(data, Mapping):
            raise ComponentError(name, "a table", data)
        self.data, self.name, self.taken = data, name, set[str]()

    def text(self, key: str, *, default: str | None = None, choices: Sequence[str] = ()) -> str:
        """Return a non-empty text, or the default."""
        value = self._take(key, default)
        if not isinstance(value, str) or (default is None and not value.strip()):
            raise ComponentError(self._path(key), "a non-empty text", value)
        if choices and value not in choices:
            raise ComponentError(self._path(key), f"one of {', '.join(choices)}", value)
        return value

    def whole(self, key: str, *, default: int | None = None, low: int = 0, high: int = 10**9) -> int:
        """Return a whole number within bounds."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ComponentError(self._path(key), f"a whole number from {low} to {high}", value)
        return value

    def seconds(self, key: str, *, default: int | None = None) -> Decimal:
        """Return a positive span in seconds."""
        value = self._take(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
            raise ComponentError(self._path(key), "a number of seconds above 0", value)
        return Decimal(str(value))

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            raise ComponentError(self._path(key), "true or false", value)
        return value

    def texts(self, key: str, *, default: Sequence[str] | None = None, at_least: int = 0) -> tuple[str, ...]:
        """Return a list of non-empty texts."""
        value = self._take(key, default)
        if isinstance(value, str) or not isinstance(value, Sequence) or len(value) < at_least:
            raise ComponentError(self._path(key), f"a list of at least {at_least} texts", value)
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item:
                raise ComponentError(f"{self._path(key)}[{index}]", "a non-empty text", item)
        return tuple(value)

    def table(self, key: str, *, required: bool = True) -> "Table":
        """Return the table under a key."""
        return Table(self._take(key, None if required else {}), self._path(key))

    def tables(self, key: str) -> list["Table"]:
        """Return the tables of an array of tables."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise ComponentError(self._path(key), "an array of tables", value)
        return [Table(item, f"{self._path(key)}[{index}]") for index, item in enumerate(value)]

    def raw(self, key: str, default: Any = None) -> Any:
        """Return the value as it stands."""
        return self._take(key, default)

    def close(self, known: str = "") -> None:
        """Refuse keys that nobody took: a misspelt key must not be ignored."""
        unknown = sorted(set(self.data) - self.taken)
        if unknown:
            raise ComponentError(
                self._path(unknown[0]), f"no such key (known: {known or ', '.join(sorted(self.taken))})"
            )

    def _take(self, key: str, default: Any) -> Any:
        self.taken.add(key)
        if key in self.data:
            return self.data[key]
        if default is None:
            raise ComponentError(self._path(key), "a value (the key is missing)")
        return default

    def _path(self, key: str) -> str:
        return f"{self.name}.{key}" if self.name else key
