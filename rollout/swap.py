"""Compare and swap: the one statement by which a rollout, run or step is moved, if it still stands as it was read.

Written out, because everybody who writes waits meanwhile, and building it anew took half of a move.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from django.db import connection, models

from monitoring import prepared

AS_READ = '"state" = %s AND "version" = %s'


def swap(obj: models.Model, to: str, changes: Mapping[str, Any]) -> bool:
    """Set state, version and these fields, if nobody was faster; return whether it was done."""
    sql, fields = _statement(type(obj), tuple(changes))
    values = [getattr(value, "pk", value) for value in changes.values()]
    written = [field.get_db_prep_save(value, connection) for field, value in zip(fields, values, strict=True)]
    with prepared.cursor() as cursor:
        cursor.execute(sql, [str(to), *written, obj.pk, obj.state, obj.version])  # type: ignore[attr-defined]
        return bool(cursor.rowcount == 1)


@cache
def _statement(model: type[models.Model], names: tuple[str, ...]) -> tuple[str, tuple[Any, ...]]:
    """Return the statement and the fields that it sets."""
    fields: list[Any] = [model._meta.get_field(name) for name in names]
    changed = "".join(f', "{field.column}" = %s' for field in fields)
    sql = f'UPDATE "{model._meta.db_table}" SET "state" = %s, "version" = "version" + 1{changed}'  # noqa: S608
    return f'{sql} WHERE "id" = %s AND {AS_READ}', tuple(fields)
