"""The moment of an audit entry: what somebody wrote there that no moment can be is read as None, and breaks nothing."""

from typing import Any

from django.db import connection, models

# a day within what Python can tell, so that it can be told in every zone
FIRST, END = "0001-01-02", "9999-12-31"
READABLE = {
    "postgresql": f"{{0}} >= '{FIRST} 00:00:00+00' AND {{0}} < '{END} 00:00:00+00'",
    "sqlite": f"typeof({{0}}) = 'text' AND {{0}} >= '{FIRST}' AND {{0}} < '{END}' "
    # without a sum SQLite takes the 30th of February
    "AND datetime({0}) IS NOT NULL AND datetime(substr({0}, 1, 19), '+0 days') = replace(substr({0}, 1, 19), 'T', ' ')",
}


class MomentField(models.DateTimeField):  # type: ignore[type-arg]
    """A moment, chosen by the database: a driver or a converter that met another one would take the page away."""

    def select_format(self, compiler: Any, sql: str, params: Any) -> tuple[str, Any]:
        """Read the column where it holds a moment."""
        readable = READABLE[connection.vendor].format(sql)
        return f"CASE WHEN {readable} THEN {sql} END", (*params * readable.count(sql), *params)

    def deconstruct(self) -> Any:
        """Tell migrations that the column is that of any moment."""
        name, _, args, options = super().deconstruct()
        return name, "django.db.models.DateTimeField", args, options
