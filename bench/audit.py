"""Measures the audit: how fast 1,000,000 entries are verified, and how fast eight processes append through a move.

`python -m bench.audit verify [--entries N]`: a chain of N entries with a checkpoint each 100, in SQLite; links, columns
and signatures are timed apart, each with the reading of what it needs; then all at once, and the stand-alone verify.py.

`python -m bench.audit append [--seconds S] [--writers N] [--rounds N] [--postgres URL]`: each writer moves a rollout
of its own through `transitions.move`, with notices, on durable storage; against it, in the same rounds, the same entry
appended by the bare driver (take the head, insert, set the head, commit) with nothing else, and the same statements and
the one that swaps a row by Django's `atomic()` and cursor, with nothing else: a move can hardly be faster than that.
On SQLite a fourth way adds to the third what no entry can do without (`least`): salt, personal data and body as
canonical JSON, their sha256s, and the guard trigger of the table; no model, no rights, no rules.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import secrets
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rollout.settings")
GOAL_LINKS_S, GOAL_ALL_S = 2.0, 8.0
GOAL_RATE, GOAL_SHARE, GOAL_WAIT_S = 500, 0.6, 2.0
BATCH = 5000


def main() -> int:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verify = verbs.add_parser("verify")
    verify.add_argument("--entries", type=int, default=1_000_000)
    verify.add_argument("--alone", action="store_true", help="also the stand-alone verify.py over an export")
    append = verbs.add_parser("append")
    append.add_argument("--seconds", type=float, default=5.0)
    append.add_argument("--writers", type=int, default=8)
    append.add_argument("--rounds", type=int, default=3)
    append.add_argument("--postgres", default="", help="the URL of an empty database; else SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="gr-bench-") as folder:  # on a disk, not in memory
        set_up(Path(folder), getattr(options, "postgres", ""))
        return measure_verify(options) if options.verb == "verify" else measure_append(options, Path(folder))


def set_up(folder: Path, postgres: str) -> None:
    """Let Django live in a folder, with a migrated database."""
    os.environ.update(DJANGO_SECRET_KEY=secrets.token_urlsafe(50), GR_VAR=str(folder))
    os.environ["DATABASE_URL"] = postgres or f"sqlite:///{folder / 'db.sqlite3'}"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


# --- verify ----------------------------------------------------------------------------------------------------------
def measure_verify(options: argparse.Namespace) -> int:
    """Fill a chain, and time each part of its verification."""
    from monitoring import anchors, audit_export, audit_verify, signing, sound, verify
    from monitoring.models import Checkpoint

    took = timed(lambda: fill(options.entries))[0]
    print(f"{options.entries} entries, {Checkpoint.objects.count()} checkpoints, written in {took:.0f} s", flush=True)
    chosen = audit_verify.pieces(audit_verify.jobs())
    links_s, problems = timed(lambda: audit_verify.verify_links(chosen))
    assert problems == [], problems[:3]
    print(f"    {len(chosen)} processes")
    print(f"    links (read, sha256, prev)                {links_s:6.2f} s   (goal: < {GOAL_LINKS_S})", flush=True)
    named = range(100, 10**7, 100)
    rows_s, result = timed(lambda: sound.verify(audit_export.read(), named=named))
    assert result.ok and result.count == options.entries, result.problems[:3]
    print(f"    columns equal the body, one process       {rows_s:6.2f} s", flush=True)
    signed = [(one.body, one.signature) for one in Checkpoint.objects.order_by("seq")]
    signed_s, _ = timed(lambda: verify.verify_checkpoints(signed, result, check=signing.check))
    assert result.ok, result.problems[:3]
    print(f"    signatures, by the cryptography library   {signed_s:6.2f} s", flush=True)
    all_s, result = timed(lambda: audit_verify.verify_database(chosen=chosen))
    assert result.ok and result.checkpoints == len(signed), result.problems[:3]
    print(f"    all of it, `audit verify`                 {all_s:6.2f} s   (goal: < {GOAL_ALL_S})", flush=True)
    if options.alone:
        export = anchors.path().with_name("audit.jsonl")
        with export.open("w") as out:
            out.writelines(audit_export.jsonl())
        few = signed[: max(1, len(signed) // 100)]
        plain_s, _ = timed(lambda: [verify.ed25519(*parts(one)) for one in few])
        alone_s, done = timed(lambda: subprocess.run([sys.executable, "-I", verify.__file__, export], check=False))
        print(f"    verify.py alone, signatures and all       {alone_s:6.2f} s, exit {done.returncode}")
        print(f"      of that signatures, in plain Python     {plain_s / len(few) * len(signed):6.2f} s")
    return 0 if links_s < GOAL_LINKS_S and all_s < GOAL_ALL_S else 1


def parts(one: tuple[str, str]) -> tuple[bytes, bytes, bytes]:
    """Return public key, signature and message of a checkpoint."""
    return bytes.fromhex(json.loads(one[0])["public_key"]), bytes.fromhex(one[1]), one[0].encode()


def fill(entries: int) -> None:
    """Write a chain as the product writes it, in large transactions, with a checkpoint each hundred entries."""
    from datetime import UTC, datetime, timedelta

    from django.db import connection, transaction

    from monitoring import audit, canonical, checkpoints, signing
    from monitoring.audit import Actor, Subject
    from monitoring.models import AuditHead, Checkpoint

    signer, prev, now = signing.make(checkpoints.key_file()), "0" * 64, datetime(2026, 1, 1, tzinfo=UTC)
    insert = f"INSERT INTO monitoring_auditentry ({', '.join(NAMES)}) VALUES ({', '.join(['%s'] * len(NAMES))})"
    rows: list[Any] = []
    signed: list[Any] = []
    for seq in range(1, entries + 1):
        number = seq % 97
        now += timedelta(seconds=3)
        by = Actor(id=number, name=f"person{number}", via="browser", address="192.0.2.7", session="s", request_id="r")
        about = Subject(
            kind="rollout", id=str(seq // 20), label=f"dhash 1.{number}.0 → production", component="dhash",
            environment="production",
        )  # fmt: skip
        told = {"action": "rollout.running", "why": "start clicked", "old": "QUEUED", "new": "RUNNING"}
        person = audit._person(by, secrets.token_hex(16))
        body = canonical.dumps(
            {
                "version": 1, "seq": seq, "at": audit.stamp(now), "actor": audit._actor(by, person),
                "subject": audit._subject(about.columns()), "data": {"digest": "ab" * 32, "epoch": number},
                "prev": prev, **told,
            }
        )  # fmt: skip
        digest = hashlib.sha256(body.encode()).hexdigest()
        told_at = str(now.replace(tzinfo=None))
        shown = (*told.values(), *about.columns().values())
        rows.append((seq, told_at, number, by.name, person, by.via, body, prev, digest, *shown))
        prev = digest
        if seq % 100 == 0:
            text = checkpoints.text_of(signer, seq, digest, now)
            values = {"seq": seq, "hash": digest, "at": now, "key": signer.key}
            signed.append(Checkpoint(body=text, signature=signer.sign(text), **values))
        if len(rows) == BATCH or seq == entries:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.executemany(insert, rows)
            rows.clear()
    Checkpoint.objects.bulk_create(signed, batch_size=BATCH)
    AuditHead.objects.update_or_create(pk=1, defaults={"seq": entries, "hash": prev, "newest_at": now})


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return how long something took, and what came out; the CPU's share is printed, for a machine that is busy."""
    begun, used = time.perf_counter(), time.process_time()
    found = work()
    took = time.perf_counter() - begun
    print(f"    [{took:.2f} s, of that {time.process_time() - used:.2f} s of CPU]", flush=True)
    return took, found


# --- append ----------------------------------------------------------------------------------------------------------
def measure_append(options: argparse.Namespace, folder: Path) -> int:
    """Let the writers append in both ways, in turns, and compare."""
    from django.db import connections

    from monitoring import audit_verify

    name = "PostgreSQL" if options.postgres else "SQLite FULL"
    ids = rollouts(options.writers, folder)
    bare = bare_table(options.postgres, folder)
    connections.close_all()
    print(f"{name}, {options.writers} processes, {options.seconds:.0f} s a round; appends/s (worst wait, ms)")
    places: list[Any] = [bare] * options.writers
    ways = {"bare": (append_bare, places), "django": (append_by_django, places), "move": (append_moves, ids)}
    if not options.postgres:
        ways["least"] = (append_least, [guarded(bare)] * options.writers)
    rates: dict[str, list[float]] = {how: [] for how in ways}
    waits: list[float] = []
    for number in range(1, options.rounds + 1):
        told = []
        for how, (target, args) in ways.items():
            with multiprocessing.get_context("spawn").Pool(options.writers) as pool:
                pool.map(ready, range(options.writers * 4))
                begin = time.time() + 1.0
                found = pool.starmap(target, [(one, begin, options.seconds) for one in args], chunksize=1)
            rate, worst = sum(count for count, _ in found) / options.seconds, max(wait for _, wait in found)
            rates[how].append(rate)
            waits += [worst] if how == "move" else []
            told.append(f"{how} {rate:.0f} ({1000 * worst:.0f})")
        print(f"    round {number}: {', '.join(told)}", flush=True)
    result = audit_verify.verify_database()
    assert result.ok, result.problems[:3]

    def share_of(how: str, whole: str) -> float:
        return statistics.median(part / all_of_it for part, all_of_it in zip(rates[how], rates[whole], strict=True))

    rate, share = statistics.median(rates["move"]), share_of("move", "bare")
    print(f"    median {rate:.0f}/s (goal: >= {GOAL_RATE}), {share:.0%} of bare (goal: >= {GOAL_SHARE:.0%})")
    django, own = share_of("django", "bare"), share_of("move", "django")
    print(f"    the same and a swap, by Django alone: {django:.0%} of bare; a move: {own:.0%} of that")
    if "least" in ways:
        print(f"    that with JSON, hashes and the guard trigger: {share_of('least', 'bare'):.0%} of bare")
    print(
        f"    worst wait {max(waits):.2f} s (goal: < {GOAL_WAIT_S}); {result.count} entries, gapless, the chain holds"
    )
    return 0 if rate >= GOAL_RATE and share >= GOAL_SHARE and max(waits) < GOAL_WAIT_S else 1


def rollouts(number: int, folder: Path) -> list[int]:
    """Make a rollout for each writer, and return their ids."""
    from rollout.models import Rollout
    from tests import base, factories

    cast, target = base.make_cast(), factories.make_target(folder / "dhash")
    drafts = [factories.make_draft(target, cast["rita"], f"2.0.{one}") for one in range(number)]
    Rollout.objects.filter(pk__in=[one.pk for one in drafts]).update(state="DRAFT")  # a newer one supersedes
    return [one.pk for one in drafts]


def ready(_: int) -> None:
    """Let a process of the pool set Django up before the clock runs."""
    import django

    django.setup()


def append_moves(pk: int, begin: float, seconds: float) -> tuple[int, float]:
    """Move one rollout there and back until the time is over; return how often, and the longest wait."""
    from django.utils import timezone

    from monitoring.audit import Actor
    from rollout import transitions
    from rollout.models import Rollout

    by = Actor(id=7, name="rita", via="browser", address="192.0.2.7", session="s", request_id="r")
    one = Rollout.objects.with_places().get(pk=pk)

    def move() -> None:
        to = "VALIDATING" if one.state == "DRAFT" else "DRAFT"
        transitions.move(one, to, by=by, now=timezone.now(), why="measured", data={"digest": "ab" * 32})

    return repeat(move, begin, seconds)


def repeat(work: Callable[[], None], begin: float, seconds: float) -> tuple[int, float]:
    """Do something again and again from a moment on; return how often, and how long the longest took."""
    time.sleep(max(0.0, begin - time.time()))
    count, worst, ends = 0, 0.0, begin + seconds
    while (at := time.time()) < ends:
        work()
        count, worst = count + 1, max(worst, time.time() - at)
    return count, worst


def bare_table(postgres: str, folder: Path) -> str:
    """Make, beside the product's, a table of entries with the same columns and indexes and a head; return where."""
    if postgres:
        with psycopg.connect(postgres, autocommit=True) as server:
            server.execute("CREATE TABLE bare_entry (LIKE monitoring_auditentry INCLUDING ALL)")
            server.execute("CREATE TABLE bare_head (id int PRIMARY KEY, seq bigint, hash text)")
            server.execute("INSERT INTO bare_head VALUES (1, 0, '')")
            server.execute("CREATE TABLE bare_row AS SELECT 1 AS id, 0 AS version")
        return postgres
    place = folder / "bare.sqlite3"
    with sqlite3.connect(folder / "db.sqlite3") as product, sqlite3.connect(place) as bare:
        bare.execute("PRAGMA journal_mode=WAL")
        made = "SELECT sql FROM sqlite_master WHERE tbl_name = 'monitoring_auditentry' AND type IN ('table', 'index')"
        for (sql,) in product.execute(f"{made} AND sql IS NOT NULL ORDER BY type DESC"):
            bare.execute(sql)
        bare.execute("CREATE TABLE bare_head (id integer PRIMARY KEY, seq integer, hash text)")
        bare.execute("INSERT INTO bare_head VALUES (1, 0, '')")
        bare.execute("CREATE TABLE bare_row AS SELECT 1 AS id, 0 AS version")
    return str(place)


ENTRY = "monitoring_auditentry"
NAMES = (
    "seq", "at", "actor_id", "actor_name", "person", "via", "body", "prev", "hash", "action", "why", "old", "new",
    "subject_kind", "subject_id", "subject_label", "component", "environment",
)  # fmt: skip


def append_bare(place: str, begin: float, seconds: float) -> tuple[int, float]:
    """Append to the bare table, each entry in a durable transaction that takes the head first."""
    if place.startswith("postgres"):
        with psycopg.connect(place, autocommit=True) as server:
            return repeat(in_transaction(server, "BEGIN", statements(place, "%s")), begin, seconds)
    server = sqlite3.connect(place, timeout=20, isolation_level=None)
    server.execute("PRAGMA synchronous=FULL")
    return repeat(in_transaction(server, "BEGIN IMMEDIATE", statements(place, "?")), begin, seconds)


def append_by_django(place: str, begin: float, seconds: float) -> tuple[int, float]:
    """Append to the bare table with the same statements, and swap a row, by Django's atomic() and its cursor."""
    from django.db import connections, transaction

    where = {} if place.startswith("postgres") else {"NAME": place}
    connections.databases["bare"] = {**connections.databases["default"], **where}
    append = statements(place, "%s")

    def in_atomic() -> None:
        with transaction.atomic(using="bare"), connections["bare"].cursor() as cursor:
            cursor.execute("UPDATE bare_row SET version = version + 1 WHERE id = 1 AND version >= 0")
            append(cursor.execute)

    return repeat(in_atomic, begin, seconds)


def guarded(bare: str) -> str:
    """Return where a copy of the bare table stands that has the product's guard triggers."""
    place = Path(bare).with_name("least.sqlite3")
    with sqlite3.connect(Path(bare).with_name("db.sqlite3")) as product, sqlite3.connect(place) as least:
        with sqlite3.connect(bare) as source:
            source.backup(least)
        for (sql,) in product.execute("SELECT sql FROM sqlite_master WHERE tbl_name = ? AND type = 'trigger'", [ENTRY]):
            least.execute(sql)
        least.execute("PRAGMA journal_mode=WAL")
    return str(place)


def append_least(place: str, begin: float, seconds: float) -> tuple[int, float]:
    """Append and swap as `append_by_django` does, with what an entry is made of, and nothing else of the product."""
    from django.db import connections, transaction
    from django.utils import timezone

    from monitoring import canonical
    from monitoring.audit import stamp

    connections.databases["bare"] = {**connections.databases["default"], "NAME": place}
    insert = f"INSERT INTO {ENTRY} ({', '.join(NAMES)}) VALUES ({', '.join(['%s'] * len(NAMES))})"
    told = ("rollout.draft", "measured", "VALIDATING", "DRAFT", "rollout", "1", "dhash", "dhash", "production")
    subject = {"kind": "rollout", "id": "1", "label": "dhash", "component": "dhash", "environment": "production"}
    who = {"name": "rita", "address": "192.0.2.7", "session": "0" * 16, "os_user": ""}

    def append() -> None:
        person = canonical.dumps_checked({**who, "salt": secrets.token_hex(16)})
        actor = {"id": 7, "via": "browser", "request_id": "r", "person": hashlib.sha256(person.encode()).hexdigest()}
        now = timezone.now()
        with transaction.atomic(using="bare"), connections["bare"].cursor() as cursor:
            cursor.execute("UPDATE bare_row SET version = version + 1 WHERE id = 1 AND version >= 0")
            seq, prev = cursor.execute("SELECT seq, hash FROM bare_head WHERE id = 1").fetchone()
            body = canonical.dumps_checked(
                {
                    "version": 1, "seq": seq + 1, "prev": prev, "at": stamp(now), "actor": actor, "subject": subject,
                    "action": "rollout.draft", "why": "measured", "old": "VALIDATING", "new": "DRAFT",
                    "data": {"digest": "ab" * 32},
                }
            )  # fmt: skip
            digest = hashlib.sha256(body.encode()).hexdigest()
            values = (seq + 1, str(now)[:26], 7, "rita", person, "browser", body, prev, digest, *told)
            cursor.execute(insert, values)
            cursor.execute("UPDATE bare_head SET seq = %s, hash = %s WHERE id = 1", (seq + 1, digest))

    return repeat(append, begin, seconds)


def in_transaction(server: Any, start: str, append: Callable[[Callable[..., Any]], None]) -> Callable[[], None]:
    """Return the appending of one entry by a driver."""

    def whole() -> None:
        server.execute(start)
        append(server.execute)
        server.execute("COMMIT")

    return whole


def statements(place: str, mark: str) -> Callable[[Callable[..., Any]], None]:
    """Return what appends one entry to the bare table: take the head, insert, set the head."""
    table = "bare_entry" if place.startswith("postgres") else "monitoring_auditentry"
    insert = f"INSERT INTO {table} ({', '.join(NAMES)}) VALUES ({', '.join([mark] * len(NAMES))})"
    body, now = "x" * 570, "2026-11-28 12:00:00+00:00"
    values = (now, 7, "rita", "p" * 130, "browser", body, "0" * 64)
    rest = ("rollout.draft", "measured", "VALIDATING", "DRAFT", "rollout", "1", "dhash", "dhash", "production")

    def append(execute: Callable[..., Any]) -> None:
        execute("UPDATE bare_head SET seq = seq + 1 WHERE id = 1")
        seq, prev = execute("SELECT seq, hash FROM bare_head WHERE id = 1").fetchone()
        digest = hashlib.sha256(f"{seq}{prev}{body}".encode()).hexdigest()
        execute(insert, (seq, *values, digest, *rest))
        execute(f"UPDATE bare_head SET hash = {mark} WHERE id = 1", (digest,))

    return append


if __name__ == "__main__":
    sys.exit(main())
