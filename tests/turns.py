"""Watches every transaction of the tests: what appends to the audit takes its turn before it touches any other row.

Two transactions that take a rollout's row and the head of the audit in a different order wait for each other, and
PostgreSQL ends one of them. No test meets that by itself, so the order is looked at in each.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

TURN = '"set_back_us" FROM "monitoring_audithead"'
WRITES = re.compile(r'\s*(?:UPDATE|DELETE FROM|INSERT INTO) "(\w+)"|\s*SELECT .* FROM "(\w+)".* FOR UPDATE', re.DOTALL)
# a second request with the same key waits here, and holds nothing yet; who looked is nobody's rival
FREE = frozenset({"rollout_idempotency", "django_session"})


@dataclass
class Turns:
    """The transaction that is under way, by its outermost savepoint, and what was found in those before."""

    own: int = 0  # the savepoints that the test itself stands on
    unit: str = ""
    before: list[str] = field(default_factory=list)
    turn: bool = False
    faults: list[str] = field(default_factory=list)

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        self._look(sql)
        return execute(sql, params, many, context)

    def _look(self, sql: str) -> None:
        ids = connection.savepoint_ids
        unit = ids[self.own] if len(ids) > self.own else ""
        if unit != self.unit:
            self.unit, self.before, self.turn = unit or "", [], False
        if not unit or self.turn:
            return
        if TURN in sql:
            self.turn = True
            if self.before:
                self.faults.append(", ".join(dict.fromkeys(self.before)))
        elif (found := WRITES.match(sql)) and (table := found[1] or found[2]) not in FREE:
            self.before.append(table)
