"""Statements that PostgreSQL keeps prepared: the few of a move, during which all others wait for their turn.

Django binds values in the client, so that the server plans each statement anew. Here the server binds them, and
psycopg prepares what comes a second time. `prepare_threshold` of the connection (settings.py) is for these cursors
alone; None switches it off, for a pooler that gives each transaction another connection.
"""

from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper


def database() -> BaseDatabaseWrapper:
    """Return this thread's connection itself: `django.db.connection` looks it up again at each use."""
    return connections[DEFAULT_DB_ALIAS]


def cursor() -> CursorWrapper:
    """Return a cursor of Django's, as connection.cursor() does; on PostgreSQL the types of values have to be plain."""
    known: Any = database()  # the stubs know only what all databases have
    if known.vendor == "postgresql":
        known.ensure_connection()
        made: CursorWrapper = known._prepare_cursor(known.Database.Cursor(known.connection))
    else:
        made = known.cursor()
    return made
