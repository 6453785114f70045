"""The long audit that bench.history asks: a real chain of a busy year, with common and rare values in every column."""

import hashlib
import json
import random
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client

from monitoring import audit, canonical
from monitoring.audit import Actor, Subject
from monitoring.models import AuditEntry, AuditHead
from rollout.models import Component, Environment, Release, Rollout, Run, Step, Target
from tests.base import make_cast

START = datetime(2025, 1, 1, tzinfo=UTC)  # a year before now: what is written while it is measured stands at the end
APART = timedelta(seconds=30)
EACH = 40  # entries of one rollout
ROWS = 200  # rollouts that also have rows: what a search for one asks for
STEPS = 12
COMPONENTS = [f"service-{number:02}" for number in range(20)]
ENVIRONMENTS = ("production", "staging", "canary")
PEOPLE = [f"person-{number:02}" for number in range(60)]
ACTIONS = (
    *("rollout.created", "rollout.validating", "rollout.waiting", "rollout.approved", "rollout.queued"),
    *("rollout.running", "sign_off.opened", "sign_off.approved", "sign_off.used", "run.deploy.opened", "run.running"),
    *("artifact.attached", "link.attached", "user.signed_in", "user.signed_out"),
)
RARE = {"component": "rare", "environment": "lab", "actor": "rare-person", "action": "installation.restored"}
COMMON = {
    "component": COMPONENTS[3], "environment": "production", "actor": "system", "action": "step.succeeded",
}  # fmt: skip
COLUMNS = (
    "seq", "at", "action", "actor_id", "actor_name", "person", "via", "why", "old", "new", "body", "prev", "hash",
    "subject_kind", "subject_id", "subject_label", "component", "environment",
)  # fmt: skip
BATCH = 5000


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)


def fill(entries: int) -> int:
    """Write people, places, some rollouts, and the chain; do nothing where they stand already."""
    if AuditHead.objects.exists():
        return int(AuditHead.objects.get().seq)
    make_cast()
    rollouts()
    with transaction.atomic():
        last = write(entries)
        AuditHead.objects.create(pk=audit.HEAD_ID, **last)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return entries


def rollouts() -> None:
    """Write rollouts with their runs and steps, past the product."""
    rita = User.objects.get(username="rita")
    environments = [Environment.objects.create(name=name) for name in (*ENVIRONMENTS, RARE["environment"])]
    components = [Component.objects.create(name=name, title=name) for name in (*COMPONENTS, RARE["component"])]
    targets = [Target.objects.create(component=one, environment=where) for one in components for where in environments]
    for number in range(1, ROWS + 1):
        target = targets[number % len(targets)]
        values = {"commit": "a" * 40, "created_by": rita, "created_via": "browser", "created_at": START}
        release = Release.objects.create(component=target.component, version=f"1.{number}.0", **values)
        rollout = Rollout.objects.create(
            target=target, release=release, requester=rita, reason="bench", state="SUCCEEDED", created_at=START
        )
        run = Run.objects.create(rollout=rollout, target=target, kind="deploy", state="SUCCEEDED", created_at=START)
        Step.objects.bulk_create(
            Step(run=run, number=step, kind="smoke", title="smoke") for step in range(1, STEPS + 1)
        )


def write(entries: int) -> dict[str, Any]:
    """Write the chain by the fastest way of each database, and return the head's columns."""
    last: dict[str, Any] = {}
    columns = ", ".join(COLUMNS)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {AuditEntry._meta.db_table} ({columns}) FROM STDIN") as copy:
                for row, head in chain(entries):
                    copy.write_row(row)
                    last = head
            return last
        insert = f"INSERT INTO {AuditEntry._meta.db_table} ({columns}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"
        batch: list[tuple[Any, ...]] = []
        for row, head in chain(entries):
            batch.append((row[0], connection.ops.adapt_datetimefield_value(row[1]), *row[2:]))
            last = head
            if len(batch) == BATCH:
                cursor.executemany(insert, batch)
                batch = []
        if batch:
            cursor.executemany(insert, batch)
    return last


def _person(name: str) -> str:
    return audit._person(Actor(id=None, name=name, via="browser", address="192.0.2.7"), secrets.token_hex(16))


def chain(entries: int) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Yield each entry as `audit.append` writes it, with the head after it."""
    dice, prev, newest, back = random.Random(1), "0" * 64, START, timedelta(0)
    people = {name: _person(name) for name in names()}
    for seq in range(1, entries + 1):
        by, subject, action = one(seq, entries, dice)
        at = START + APART * seq + timedelta(seconds=dice.uniform(-4, 4))
        newest, back = max(newest, at), max(back, newest - at)
        person = people[by.name]
        fields = {"action": action, "why": f"for reason {seq % 997}" if seq % 3 == 0 else "", "old": "", "new": ""}
        body = canonical.dumps(
            {
                "version": audit.VERSION,
                "seq": seq,
                "at": audit.stamp(at),
                "actor": audit._actor(by, person),
                "subject": audit._subject(subject.columns()),
                "data": {"digest": f"{seq:064x}"} if action.startswith("sign_off") else {},
                "prev": prev,
                **fields,
            }
        )
        digest = hashlib.sha256(body.encode()).hexdigest()
        yield (
            (seq, at, action, by.id, by.name, person, by.via, fields["why"], "", "", body, prev, digest,
             *subject.columns().values()),
            {"seq": seq, "hash": digest, "newest_at": newest, "set_back_us": back // timedelta(microseconds=1)},
        )  # fmt: skip
        prev = digest


def names() -> list[str]:
    """Return everybody who acts."""
    return [*PEOPLE, "system", RARE["actor"]]


def one(seq: int, entries: int, dice: random.Random) -> tuple[Actor, Subject, str]:
    """Return who did what to what: a rollout's entries stand together, half of them are steps of the system."""
    rollout = seq // EACH + 1
    where = {"component": COMPONENTS[rollout % 20], "environment": ENVIRONMENTS[min(2, rollout % 7 % 4)]}
    place = f"{where['component']} 1.{rollout}.0 to {where['environment']}"
    if seq % 5003 == 0:  # a place that hardly ever is
        where = {"component": RARE["component"], "environment": RARE["environment"]}
    if seq % 2:
        action = RARE["action"] if seq % 50021 == 0 else dice.choice(("step.running", "step.succeeded"))
        step = str(rollout * STEPS - seq % EACH % STEPS)
        return Actor(id=None, name="system", via="system"), Subject(kind="step", id=step, label=place, **where), action
    number = dice.randrange(60)
    name = RARE["actor"] if seq < entries // 100 and seq % 50 == 0 else PEOPLE[number]
    kind = "run" if seq % 10 == 0 else "rollout"
    return (
        Actor(id=number + 1, name=name, via="browser"),
        Subject(kind=kind, id=str(rollout), label=place, **where),
        dice.choice(ACTIONS),
    )


def day(part: float) -> dict[str, str]:
    """Return the filter of the days from a part of the time on."""
    return {"since": f"{moment(part):%Y-%m-%d}"}


def last(part: float) -> str:
    """Return the day at a part of the time."""
    return f"{moment(part):%Y-%m-%d}"


def moment(part: float) -> datetime:
    """Return when that part of the chain was written."""
    return START + APART * int(AuditHead.objects.get().seq * part)


def found() -> list[str]:
    """Return what is looked for: a rollout, a version, an entry, the beginning of a hash."""
    some = AuditEntry.objects.get(seq=AuditHead.objects.get().seq // 3)
    return ["rollout 77", "1.33.0", f"#{some.seq}", some.hash[:10]]


def asker() -> Callable[[str], Any]:
    """Return how to ask for a page, signed in as the auditor."""
    client = Client()
    client.force_login(User.objects.get(username="aud"))

    def ask(path: str) -> Any:
        answer = client.get(path)
        if answer.status_code != 200:
            raise SystemExit(f"{path} answered {answer.status_code}")
        return answer

    return ask


def database() -> str:
    """Return what is measured, in words."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SELECT pg_size_pretty(pg_total_relation_size(%s))", [AuditEntry._meta.db_table])
            return f"PostgreSQL, the audit takes {cursor.fetchone()[0]}"
        cursor.execute("SELECT page_count * page_size / 1048576 FROM pragma_page_count(), pragma_page_size()")
        return f"SQLite, the database takes {json.dumps(cursor.fetchone()[0])} MiB"
