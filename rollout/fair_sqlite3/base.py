"""Lets writers of a SQLite database wait in fair turns.

SQLite's own waiting sleeps longer each time, up to 100 ms: who has waited longest asks most seldom, and under eight
busy writers somebody waited for four seconds. Here everybody asks again after the same short time.
"""

import random
import sqlite3
import time

from django.db.backends.sqlite3 import base

AGAIN_S = (0.001, 0.010)
TIMEOUT_S = 5.0  # sqlite3's own, where OPTIONS names none


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, but for how a transaction waits for the one that writes."""

    def _start_transaction_under_autocommit(self) -> None:
        """Begin a transaction; raise OperationalError when others still write after OPTIONS["timeout"] seconds.

        It asks the driver, not a cursor of Django's: a refusal there leaves the cursor in a cycle with its traceback,
        and the thread whose garbage collector finds it waits for this connection's mutex, perhaps as the one that
        writes, while this connection waits for that one.
        """
        patience = float(self.settings_dict["OPTIONS"].get("timeout", TIMEOUT_S))
        deadline = time.monotonic() + patience
        self._let_sqlite_wait(0)
        try:
            with self.wrap_database_errors:
                while not self._began(last=time.monotonic() > deadline):
                    time.sleep(random.uniform(*AGAIN_S))  # noqa: S311 - no secret
        finally:
            self._let_sqlite_wait(patience)

    def _began(self, *, last: bool) -> bool:
        try:
            self.connection.execute(f"BEGIN {self.transaction_mode or ''}")  # type: ignore[attr-defined]
        except sqlite3.OperationalError as error:
            if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            return False
        return True

    def _let_sqlite_wait(self, seconds: float) -> None:
        self.connection.execute(f"PRAGMA busy_timeout = {round(1000 * seconds)}")
