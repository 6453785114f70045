"""Finds pages of the audit by exact index: any filters, at any depth, in a constant number of queries.

A planner that guesses wrong walks a million entries for fifty. So each combination of filters has an index that begins
with just these columns and ends with `seq`; a filter that allows several values (a component in all environments, a
kind of action, a rollout with its runs and steps) becomes several exact *terms*, of whose newest entries the newest are
taken. What no index is meant for is written so that none can be used (`x.why || ''`). Nothing is ever counted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet

from . import raw_rows
from .models import AuditEntry, AuditHead

TABLE = AuditEntry._meta.db_table
WINDOW = 5000  # entries that an export looks at in one query
Term = tuple[Any, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which entries are asked for; what is empty (None for the last three) asks for nothing.

    `action` is one action, or a kind of them with a dot at its end. `until` is not inside. `only` are the components
    of whose entries the reader may know ("" among them, for those about none).
    """

    component: str = ""
    environment: str = ""
    actor: str = ""
    action: str = ""
    since: datetime | None = None
    until: datetime | None = None
    subjects: tuple[tuple[str, str], ...] | None = None
    seqs: tuple[int, ...] | None = None
    only: tuple[str, ...] | None = None

    def query(self) -> Q:
        """Return the same as a condition of the ORM, for who reads all of them in the order of the chain."""
        asked = {
            "component": self.component,
            "environment": self.environment,
            "actor_name": self.actor,
            "action__startswith" if self.action.endswith(".") else "action": self.action,
            "at__gte": self.since,
            "at__lt": self.until,
        }
        condition = Q(**{name: value for name, value in asked.items() if value})
        if self.seqs is not None:
            condition &= Q(seq__in=self.seqs)
        if self.only is not None:
            condition &= Q(component__in=self.only)
        if self.subjects is not None:
            one = Q(pk__in=())
            for kind, key in self.subjects:
                one |= Q(subject_kind=kind, subject_id=key)
            condition &= one
        return condition


def find(wanted: Wanted, *, before: int = 0, after: int = 0, limit: int) -> list[int]:
    """Return the numbers of one page of entries, newest first.

    They are the newest below `before`, or the oldest above `after`; without either, the newest that there are.
    """
    columns, terms, rest = _terms(wanted)
    if not terms:
        return []
    low, high = _span(wanted)
    bounds = max(low, after), min(filter(None, (high, before)), default=0)
    conditions, values = _conditions(wanted, rest, *bounds)
    way = "ASC" if after else "DESC"
    with connection.cursor() as cursor:
        cursor.execute(_sql(columns, len(terms), conditions, way), _parameters(terms, values, limit))
        return sorted((row[0] for row in cursor.fetchall()), reverse=True)


def windows(wanted: Wanted, *, upto: int) -> Iterator[QuerySet[AuditEntry]]:
    """Yield all entries up to a number in pieces, oldest first: no query lasts, whoever reads them slowly."""
    low, high = _span(wanted)
    last = min(upto, high - 1) if high else upto
    chosen = AuditEntry.objects.filter(wanted.query()).order_by("seq")
    while low < last:
        yield chosen.filter(seq__gt=low, seq__lte=min(low + WINDOW, last))
        low += WINDOW


def unnumbered() -> list[str]:
    """Return some of what stands in the place of a number, where there is none: no page finds such an entry."""
    if connection.vendor != "sqlite":
        return []
    return [row[0] for row in _rows(f"SELECT quote(seq) FROM {TABLE} WHERE seq > {raw_rows.LARGEST} LIMIT 5")]  # noqa: S608


def places() -> list[tuple[str, str]]:
    """Return each pair of component and environment that an entry has, by leaps through the index."""
    found = _rows(
        f"""WITH RECURSIVE c(c) AS (
            SELECT min(component) FROM {TABLE}
            UNION ALL SELECT (SELECT min(x.component) FROM {TABLE} x WHERE x.component > c.c) FROM c
                WHERE c.c IS NOT NULL),
        p(c, e) AS (
            SELECT c.c, (SELECT min(x.environment) FROM {TABLE} x WHERE x.component = c.c) FROM c
                WHERE c.c IS NOT NULL
            UNION ALL SELECT p.c, (SELECT min(x.environment) FROM {TABLE} x
                WHERE x.component = p.c AND x.environment > p.e) FROM p WHERE p.e IS NOT NULL)
        SELECT c, e FROM p WHERE e IS NOT NULL"""  # noqa: S608 - our own table's name
    )
    return sorted((component, environment) for component, environment in found)


def actions() -> list[str]:
    """Return each action that an entry has, sorted, by leaps through the index."""
    found = _rows(
        f"""WITH RECURSIVE a(a) AS (
            SELECT min(action) FROM {TABLE}
            UNION ALL SELECT (SELECT min(x.action) FROM {TABLE} x WHERE x.action > a.a) FROM a WHERE a.a IS NOT NULL)
        SELECT a FROM a WHERE a IS NOT NULL"""  # noqa: S608 - our own table's name
    )
    return sorted(row[0] for row in found)


def _terms(wanted: Wanted) -> tuple[tuple[str, ...], list[Term], list[str]]:
    """Return the columns that an index answers, each combination of their values, and the filters that are left."""
    given = [name for name in ("component", "environment", "actor", "action") if getattr(wanted, name)]
    given += [name for name in ("only",) if wanted.only is not None]
    if wanted.seqs is not None:
        given += [name for name in ("subjects",) if wanted.subjects is not None]
        return ("seq",), [(seq,) for seq in wanted.seqs], given
    if wanted.subjects is not None:
        return ("subject_kind", "subject_id"), list(wanted.subjects), given
    columns: list[str] = []
    parts: list[list[Term]] = []
    if wanted.component or wanted.environment or wanted.only is not None:
        columns += ["component", "environment"]
        parts.append(_places(wanted))
    if wanted.actor:
        columns.append("actor_name")
        parts.append([(wanted.actor,)])
    if wanted.action:
        columns.append("action")
        parts.append([(one,) for one in _actions(wanted)])
    return tuple(columns), [tuple(value for part in parts for value in part) for parts in product(*parts)], []


def _places(wanted: Wanted) -> list[Term]:
    only = wanted.only
    if wanted.component and wanted.environment:
        here = only is None or wanted.component in only
        return [(wanted.component, wanted.environment)] if here else []
    chosen = [one for one in places() if wanted.component in ("", one[0]) and wanted.environment in ("", one[1])]
    return [one for one in chosen if only is None or one[0] in only]


def _actions(wanted: Wanted) -> list[str]:
    if not wanted.action.endswith("."):
        return [wanted.action]
    return [one for one in actions() if one.startswith(wanted.action)]


def _span(wanted: Wanted) -> tuple[int, int]:
    """Return two numbers between which every entry of the time asked for stands (0: no bound).

    Entries stand in the order in which they were written, and a later one may tell an earlier time: writers wait for
    each other, and a clock may be set back. The head knows how far that ever went; the bounds are so much wider.
    """
    if wanted.since is None and wanted.until is None:
        return 0, 0
    head = AuditHead.objects.first()
    if head is None or head.newest_at is None:
        return 0, 0
    back = timedelta(microseconds=head.set_back_us)
    seqs = AuditEntry.objects.values_list(raw_rows.number("seq"), flat=True)
    low = high = None
    if wanted.since is not None:
        low = seqs.filter(at__lt=wanted.since - back).order_by("-at").first()
    if wanted.until is not None:
        high = seqs.filter(at__gte=wanted.until + back).order_by("at").first()
    return max(low or 0, 0), max(high or 0, 0)  # -1 is that of an entry whose number is none


def _conditions(wanted: Wanted, rest: Sequence[str], low: int, high: int) -> tuple[list[str], list[Any]]:
    """Return what every entry must fulfil besides its term, written so that no other index tempts a planner."""
    names = {"component": "component", "environment": "environment", "actor": "actor_name"}
    told: list[tuple[str, Any]] = [(f"x.{names[one]} || '' = %s", getattr(wanted, one)) for one in rest if one in names]
    if "action" in rest:
        kind = wanted.action.endswith(".")
        told.append(("substr(x.action, 1, %s) = %s" if kind else "x.action || '' = %s", wanted.action))
    at = "+x.at" if connection.vendor == "sqlite" else "(x.at + interval '0')"
    # a text in the place of a number is above all numbers; of two bounds from above SQLite may walk down from the other
    told += [("x.seq <= %s", raw_rows.LARGEST)] if connection.vendor == "sqlite" and not high else []
    moment = connection.ops.adapt_datetimefield_value
    for sign, number in ((">", low), ("<", high)):
        told += [(f"x.seq {sign} %s", number)] if number else []
    for sign, bound in ((">=", wanted.since), ("<", wanted.until)):
        told += [(f"{at} {sign} %s", moment(bound))] if bound else []
    conditions, values = [text for text, _ in told], []
    for text, value in told:
        values += [len(value), value] if text.startswith("substr") else [value]
    if "subjects" in rest and wanted.subjects is not None:
        conditions.append(f"x.subject_kind || ':' || x.subject_id IN ({_marks(len(wanted.subjects))})")
        values += [f"{kind}:{key}" for kind, key in wanted.subjects]
    if "only" in rest and wanted.only is not None:
        conditions.append(f"x.component || '' IN ({_marks(len(wanted.only))})")
        values += wanted.only
    return conditions, values


def _marks(count: int) -> str:
    return ", ".join(["%s"] * count) or "NULL"


def _sql(columns: Sequence[str], terms: int, conditions: Sequence[str], way: str) -> str:
    """Return the query: the newest entry of each term, then the newest entries of the terms where these are newest."""
    names, marks = ", ".join(columns) or "one", ", ".join(["%s"] * max(1, len(columns)))

    def seqs(term: str) -> str:
        own = [f"x.{column} = {term}.{column}" for column in columns]
        where = " AND ".join([*own, *conditions]) or "1 = 1"
        return f"SELECT x.seq FROM {TABLE} x WHERE {where} ORDER BY x.seq {way} LIMIT %s"  # noqa: S608

    each = (
        f"SELECT j.value AS seq FROM best, json_each((SELECT json_group_array(seq) FROM ({seqs('best')}))) j"  # noqa: S608
        if connection.vendor == "sqlite"
        else f"SELECT unnest(ARRAY({seqs('best')})) AS seq FROM best"  # noqa: S608
    )
    return (
        f"WITH terms({names}) AS (VALUES {', '.join([f'({marks})'] * terms)}), "  # noqa: S608
        f"heads AS MATERIALIZED (SELECT terms.*, ({seqs('terms')}) AS top FROM terms), "
        f"best AS MATERIALIZED (SELECT * FROM heads WHERE top IS NOT NULL ORDER BY top {way} LIMIT %s) "
        f"SELECT seq FROM ({each}) found ORDER BY seq {way} LIMIT %s"
    )


def _parameters(terms: Sequence[Term], values: Sequence[Any], limit: int) -> list[Any]:
    flat = [value for term in terms for value in term or (1,)]
    return [*flat, *values, 1, limit, *values, limit, limit]


def _rows(sql: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
