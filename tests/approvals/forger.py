"""Somebody who can write the database and switch its triggers off: edits rows past all that the product says."""

from typing import Any

from django.db import connection, models


def edit(row: models.Model, **values: Any) -> None:
    """Change columns of a row, in a transaction of the test's."""
    _execute(
        row, f"UPDATE {{table}} SET {', '.join(f'{name} = %s' for name in values)} WHERE id = %s", *values.values()
    )


def remove(row: models.Model) -> None:
    """Delete a row."""
    _execute(row, "DELETE FROM {table} WHERE id = %s")


def _execute(row: models.Model, sql: str, *values: Any) -> None:
    table = row._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = replica")
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s", [table])
            for (name,) in cursor.fetchall():
                cursor.execute(f'DROP TRIGGER "{name}"')
        cursor.execute(sql.format(table=table), [*values, row.pk])
        if connection.vendor == "postgresql":
            cursor.execute("SET LOCAL session_replication_role = origin")
