"""Measures the history page over a long audit: every filter, alone and together, at every position, and the exports.

`python -m bench.history [--entries N] [--rounds N] [--postgres URL] [--file PATH]`: fills a database with a real chain
(on SQLite in a scratch folder, or beside the given PostgreSQL database), verifies it once, then asks for pages in turn
with the simplest signed-in page of the same process, so that the load of the machine falls on both. It prints p50 and
p95 of the server's time, their ratio, the most queries of a page, and says 1 at the end where a goal was missed.
`--file` keeps the SQLite database there, and uses it when it is there already.
"""

import argparse
import os
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import psycopg

GOAL_RATIO, GOAL_ANY_MS = 3.0, 50.0
TRIVIAL = "/runbooks/"  # there are none: what is left is the session, the frame with its counts, and one query


@dataclass
class Case:
    """Some pages of one kind: their addresses, and how long each took."""

    name: str
    queries: list[str]
    single: bool
    took_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    asked: int = 0
    counted: bool = False
    scans: int = 0


def p(values: Sequence[float], percent: int) -> float:
    """Return a percentile."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1] if len(values) > 1 else values[0]


@contextmanager
def scratch_postgres(url: str) -> Iterator[str]:
    """Make a database beside the one that is named, and drop it at the end."""
    name = f"gr_bench_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def prepare(url: str, folder: str) -> None:
    """Set Django up on a database of this bench, and migrate it."""
    os.environ.update(DATABASE_URL=url, GR_VAR=folder, DJANGO_SETTINGS_MODULE="tests.settings")
    os.environ["GR_SUITE_DATABASE_URL"] = url
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def cases(entries: int, rounds: int, words: Any) -> list[Case]:
    """Return every filter alone, then every combination, each at the newest, in the middle, deep down and backwards."""
    rare, common = words.RARE, words.COMMON
    spans = {"since": words.day(0.02), "until": words.day(0.5), "month": {**words.day(0.4), "until": words.last(0.48)}}
    spans["until"] = {"until": words.last(0.5)}
    alone = {
        "no filter": [{}],
        "component": [{"component": common["component"]}, {"component": rare["component"]}],
        "environment": [{"environment": common["environment"]}, {"environment": rare["environment"]}],
        "person": [{"actor": common["actor"]}, {"actor": rare["actor"]}],
        "action": [{"action": common["action"]}, {"action": rare["action"]}],
        "kind of action": [{"action": "step."}, {"action": "user."}],
        "time": list(spans.values()),
        "find: rollout, version, entry, hash": [{"q": one} for one in words.found()],
    }
    positions = [
        {},
        {"before": entries // 2},
        {"before": entries // 50},
        {"after": entries // 2},
        {"after": entries - 200},
    ]
    made = [
        Case(name, [urlencode({**one, **at}) for one in ways for at in positions] * rounds, single=True)
        for name, ways in alone.items()
    ]
    dims = [[{}, *alone[name]] for name in ("component", "environment", "person")]
    dims += [[{}, *alone["action"], {"action": "step."}], [{}, spans["month"]], [{}, {"q": words.found()[0]}]]
    together = [{key: value for one in way for key, value in one.items()} for way in product(*dims)]
    several = [one for one in together if len({"time" if key in ("since", "until") else key for key in one}) > 1]
    made.append(
        Case("any combination", [urlencode({**one, **at}) for one in several for at in positions], single=False)
    )
    return made


def measure(made: list[Case], ask: Callable[[str], Any], plans: Callable[[Sequence[str]], int]) -> tuple[Case, Case]:
    """Ask for all pages of all cases, in turn with the trivial page; return what that took."""
    trivial = Case("trivial page: the frame, an empty list", [], single=True)
    frameless = Case("(a page without the frame)", [], single=True)
    order = [(case, query) for case in made for query in case.queries]
    random.Random(7).shuffle(order)
    for warm in range(20):
        ask(TRIVIAL if warm % 2 else "/history/")
    for number, (case, query) in enumerate(order):
        timed(ask, f"/history/?{query}", case)
        if number % 3 == 0:
            timed(ask, TRIVIAL, trivial)
            timed(ask, "/confirm/", frameless)
    seen: set[str] = set()
    for number, (case, query) in enumerate(order):
        if query not in seen and (case.single or number % 3 == 0):
            seen.add(query)
            queries = captured(ask, f"/history/?{query}")
            case.asked = max(case.asked, len(queries))
            about = [sql for sql in queries if "monitoring_auditentry" in sql]
            case.counted |= any("COUNT(" in sql.upper() for sql in about)
            case.scans += plans(about)
    return trivial, frameless


def timed(ask: Callable[[str], Any], path: str, case: Case) -> None:
    """Keep how many milliseconds a page took, and how many of them this process computed."""
    began, computed = time.perf_counter(), time.thread_time()
    ask(path)
    case.took_ms.append((time.perf_counter() - began) * 1000)
    case.cpu_ms.append((time.thread_time() - computed) * 1000)


def captured(ask: Callable[[str], Any], path: str) -> list[str]:
    """Return the queries of a page."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as seen:
        ask(path)
    return [one["sql"] for one in seen.captured_queries]


def walks(queries: Sequence[str]) -> int:
    """Return how many of the queries PostgreSQL would answer by reading the whole audit."""
    from django.db import connection

    if connection.vendor != "postgresql":
        return 0
    count = 0
    with connection.cursor() as cursor:
        for sql in queries:
            cursor.execute(f"EXPLAIN {sql}")
            count += any("Seq Scan on monitoring_auditentry" in row[0] for row in cursor.fetchall())
    return count


def report(made: list[Case], trivial: Case, frameless: Case) -> bool:
    """Print a table; say whether the goals were reached. On a loaded machine the CPU time tells more."""
    print(
        f"{'':40}{'pages':>7}{'p50 ms':>9}{'p95 ms':>9}{'x trivial':>11}{'CPU p95':>9}{'x trivial':>11}{'queries':>9}"
    )
    well = True
    for case in (trivial, frameless, *made):
        p95, cpu = p(case.took_ms, 95), p(case.cpu_ms, 95)
        base, cpu_base = p(trivial.took_ms, 95), p(trivial.cpu_ms, 95)
        good = p95 <= GOAL_RATIO * base if case.single else p95 < GOAL_ANY_MS
        well &= good and not case.counted and not case.scans
        said = ("" if good else "  MISSED") + ("  COUNTS" if case.counted else "")
        said += f"  {case.scans} PLANS READ ALL" if case.scans else ""
        times = f"{p(case.took_ms, 50):9.1f}{p95:9.1f}{p95 / base:11.1f}{cpu:9.1f}{cpu / cpu_base:11.1f}"
        print(f"{case.name:40}{len(case.took_ms):7}{times}{case.asked:9}{said}", flush=True)
    print(f"goals: one filter <= {GOAL_RATIO:.0f} x trivial (p95), any combination < {GOAL_ANY_MS:.0f} ms (p95)")
    return well


def exports(ask: Callable[[str], Any]) -> None:
    """Stream both exports of the whole audit, and say how long that took and how much memory it needed."""
    for path in ("/history.csv", "/history.jsonl"):
        before, began, size = peak_mib(), time.perf_counter(), 0
        for chunk in ask(path).streaming_content:
            size += len(chunk)
        took = time.perf_counter() - began
        print(f"{path:20}{size / 2**20:9.0f} MiB in {took:6.1f} s, peak memory + {peak_mib() - before:.0f} MiB")


def peak_mib() -> float:
    """Return the most memory that this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(options: argparse.Namespace, url: str, folder: str) -> bool:
    """Fill, verify, measure; print each."""
    prepare(url, folder)
    from bench import history_world as words
    from monitoring import chain_watch

    began = time.perf_counter()
    made = words.fill(options.entries)
    print(f"{made} entries written in {time.perf_counter() - began:.0f} s ({words.database()})", flush=True)
    chain_watch.REST_S, chain_watch.STEP, began = 0, 5000, time.perf_counter()
    watch = chain_watch.WATCH
    watch.start = lambda work: work()
    watch.look(words.now())
    held = watch.look(words.now())
    print(
        f"verified to #{held.seq} in {time.perf_counter() - began:.0f} s: {held.problems or 'the chain holds'}",
        flush=True,
    )
    watch.busy = True  # no whole pass begins while pages are measured
    ask = words.asker()
    made_cases = cases(options.entries, options.rounds, words)
    well = report(made_cases, *measure(made_cases, ask, walks)) and held.complete and held.ok
    exports(ask)
    return well


def main() -> int:
    """Run on one database."""
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--postgres", default="", help="the URL of a database beside which one is made; else SQLite")
    parser.add_argument("--file", type=Path, help="where the SQLite database stays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.postgres:
            with scratch_postgres(options.postgres) as url:
                well = run(options, url, folder)
        else:
            well = run(options, f"sqlite:///{(options.file or Path(folder, 'db.sqlite3')).resolve()}", folder)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
