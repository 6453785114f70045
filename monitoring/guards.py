"""Guard rails in the database: triggers that refuse to change or remove a row of an append-only table.

They stop accidents and casual edits, not an owner of the database; against him stands the hash chain with its head
published outside. An AlterField on SQLite drops them, so they are created again after every migrate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

REFUSAL = "is append-only: this row is history and cannot be changed or removed"


@dataclass(frozen=True, kw_only=True)
class Guard:
    """An append-only table; `erasable` columns may be emptied, and only emptied, `moving` ones may change."""

    model: type[models.Model]
    erasable: Sequence[str] = ()
    moving: Sequence[str] = ()

    @property
    def table(self) -> str:
        """Return the table's name."""
        return self.model._meta.db_table

    def kept(self) -> list[str]:
        """Return the columns that can never change."""
        return [name for name in self._columns() if name not in {*self.erasable, *self.moving}]

    def unique(self) -> list[str]:
        """Return the columns by which INSERT OR REPLACE could remove a row."""
        return self._columns(unique=True)

    def _columns(self, *, unique: bool = False) -> list[str]:
        fields = self.model._meta.concrete_fields
        return [field.column for field in fields if field.column and (field.unique or not unique)]


def install(connection: BaseDatabaseWrapper, guard: Guard) -> None:
    """Create the triggers of one table, replacing what stands there."""
    with connection.cursor() as cursor:
        for statement in _statements(connection.vendor, guard):
            cursor.execute(statement)


def remove(connection: BaseDatabaseWrapper, guard: Guard) -> None:
    """Drop the triggers of one table; for tests that flush a database, and for a restore by its owner."""
    on = f' ON "{guard.table}"' if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for name in _names(connection.vendor, guard):
            cursor.execute(f'DROP TRIGGER IF EXISTS "{name}"{on}')


def missing(connection: BaseDatabaseWrapper, guard: Guard) -> list[str]:
    """Return the names of the triggers that should stand and do not; empty when the table is not there yet."""
    if guard.table not in connection.introspection.table_names():
        return []
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND tgrelid = %s::regclass",
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(query, [guard.table])
        present = {row[0] for row in cursor.fetchall()}
    return [name for name in _names(connection.vendor, guard) if name not in present]


def _names(vendor: str, guard: Guard) -> list[str]:
    last = "insert" if vendor == "sqlite" else "truncate"
    return [f"{guard.table}_no_{what}" for what in ("update", "delete", last)]


def _statements(vendor: str, guard: Guard) -> list[str]:
    if vendor == "sqlite":
        return _sqlite(guard)
    if vendor == "postgresql":
        return _postgresql(guard)
    raise NotImplementedError(f"no guard triggers for {vendor}: use SQLite or PostgreSQL")


def _sqlite(guard: Guard) -> list[str]:
    table, refuse = guard.table, f"BEGIN SELECT RAISE(ABORT, '{guard.table} {REFUSAL}'); END"
    clash = " OR ".join(f'"{c}" = NEW."{c}"' for c in guard.unique())
    found = f'SELECT 1 FROM "{table}" WHERE {clash}'  # noqa: S608  names of our own models, no input
    bodies = {
        "update": f'BEFORE UPDATE ON "{table}"{_unless_erasing(guard, "IS")} {refuse}',
        "delete": f'BEFORE DELETE ON "{table}" {refuse}',
        # REPLACE deletes without firing the delete trigger unless recursive_triggers is on
        "insert": f'BEFORE INSERT ON "{table}" WHEN EXISTS ({found}) {refuse}',
    }
    made = []
    for what, body in bodies.items():
        made += [f'DROP TRIGGER IF EXISTS "{table}_no_{what}"', f'CREATE TRIGGER "{table}_no_{what}" {body}']
    return made


def _postgresql(guard: Guard) -> list[str]:
    table, call = guard.table, "EXECUTE FUNCTION gr_refuse_change()"
    bodies = {
        "update": f'BEFORE UPDATE ON "{table}" FOR EACH ROW{_unless_erasing(guard, "IS NOT DISTINCT FROM")} {call}',
        "delete": f'BEFORE DELETE ON "{table}" FOR EACH ROW {call}',
        "truncate": f'BEFORE TRUNCATE ON "{table}" FOR EACH STATEMENT {call}',
    }
    function = (
        "CREATE OR REPLACE FUNCTION gr_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ "
        f"BEGIN RAISE EXCEPTION '% {REFUSAL}', TG_TABLE_NAME; END $$"
    )
    made = [function]
    for what, body in bodies.items():
        made += [
            f'DROP TRIGGER IF EXISTS "{table}_no_{what}" ON "{table}"',
            f'CREATE TRIGGER "{table}_no_{what}" {body}',
        ]
    return made


def _unless_erasing(guard: Guard, same: str) -> str:
    if not guard.erasable and not guard.moving:
        return ""
    kept = [f'NEW."{c}" {same} OLD."{c}"' for c in guard.kept()]
    emptied = [f"NEW.\"{c}\" = ''" for c in guard.erasable]
    return f" WHEN (NOT ({' AND '.join(kept + emptied)}))"
