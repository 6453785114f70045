"""Writes on a disk whose power will be cut: the product's own ways, each acknowledged to the outside once durable.

`python -m tests.faults.power_hand`, with GR_VAR on that disk. It reads commands from stdin, a line each, and forks for
each of them, so that nothing of it holds the disk between two mounts:
fill            make the database, people, a component
write SEED      write for ever; each thing that is durable is told as a JSON line
check FILE      read the lines of FILE back, and tell what of them is not there as it was told
"""

import hashlib
import json
import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402

from monitoring import audit, audit_verify, incidents, storage  # noqa: E402
from monitoring.audit import SYSTEM  # noqa: E402
from monitoring.channels import file  # noqa: E402
from monitoring.channels.base import ChannelConfig  # noqa: E402
from monitoring.models import Attachment, AuditEntry, Incident  # noqa: E402
from rollout import actions, drafting, evidence, own_archive  # noqa: E402
from rollout.archive import reader, writer  # noqa: E402
from rollout.archive.spec import BackupSpec  # noqa: E402
from rollout.intent import Outcome  # noqa: E402
from rollout.models import Artifact, Release, Rollout, Target  # noqa: E402
from tests import base, factories  # noqa: E402
from tests.factories import NOW, actor  # noqa: E402

VAR = Path(settings.GR_VAR)
Fact = dict[str, Any]


def fill() -> None:
    call_command("migrate", verbosity=0, skip_checks=True)
    cast = base.make_cast()
    target = factories.make_target(VAR / "dhash")
    release = factories.make_release(target.component, cast["rita"])
    factories.make_draft(target, cast["rita"], release=release)
    incidents.open(
        subject=audit.Subject(kind="test", id="1", label="a test"),
        severity="P2",
        title="for attachments",
        summary="",
        runbook="",
        by=SYSTEM,
        routes=[],
        url="",
        now=NOW,
    )


# What is written, and how it is found again


def upload(dice: random.Random, number: int) -> Fact:
    rita = User.objects.get(username="rita")
    chunks = [dice.randbytes(dice.randrange(1, 60_000)) for _ in range(2)]
    made = evidence.attach(
        Release.objects.get(),
        kind="monitor_logs",
        name=f"log-{number}.zip",
        chunks=chunks,
        user=rita,
        by=actor(rita),
        now=NOW,
    )
    return {"row": made.pk, "sha256": hashlib.sha256(b"".join(chunks)).hexdigest()}


def has_upload(fact: Fact) -> bool:
    row = Artifact.objects.get(pk=fact["row"])
    return row.sha256 == fact["sha256"] == storage.sha256_of(evidence.path_of(row))


def move(dice: random.Random, number: int) -> Fact:
    rita = User.objects.get(username="rita")
    made = drafting.create_rollout(
        Release.objects.get(), Target.objects.get(environment__name="production"), reason="a change", user=rita,
        by=actor(rita), now=NOW,
    )  # fmt: skip
    actions.cancel(made, user=rita, why="not now", by=actor(rita), now=NOW)
    return {"row": made.pk, "audit": audit.head()}


def has_move(fact: Fact) -> bool:
    seq, digest = fact["audit"]
    held = AuditEntry.objects.filter(seq=seq, hash=digest).exists()
    return held and Rollout.objects.get(pk=fact["row"]).state == "CANCELLED"


def attachment(dice: random.Random, number: int) -> Fact:
    data = dice.randbytes(dice.randrange(1, 30_000))
    made = incidents.attach(Incident.objects.get(), name=f"{number}.log", data=data, by=SYSTEM, now=NOW)
    return {"row": made.pk, "sha256": hashlib.sha256(data).hexdigest()}


def has_attachment(fact: Fact) -> bool:
    row = Attachment.objects.get(pk=fact["row"])
    return fact["sha256"] == storage.sha256_of(storage.path_of(incidents.attachment_root(), row.sha256))


def notice(dice: random.Random, number: int) -> Fact:
    record: Fact = {"number": dice.random()}
    file.append_line(ChannelConfig(path=VAR / "notices.log"), record)
    return record


def has_notice(fact: Fact) -> bool:
    return any(line.strip() == json.dumps({"number": fact["number"]}) for line in (VAR / "notices.log").open())


def outcome(dice: random.Random, number: int) -> Fact:
    folder = VAR / "run" / "steps" / f"{number}-{dice.randrange(10**9)}"
    storage.make_directory(folder)
    Outcome(result="ok", sentence=folder.name).write(folder)
    return {"folder": str(folder)}


def has_outcome(fact: Fact) -> bool:
    found = Outcome.read(Path(fact["folder"]))
    return found is not None and found.sentence == Path(fact["folder"]).name


def backup(dice: random.Random, number: int) -> Fact:
    root = VAR / "dhash" / "env" / "staging"
    spec = BackupSpec(
        component="dhash", environment="staging", release="1.0.0", root=root, release_dir="releases/0001-1.0.0"
    )
    with writer.reserved(f"dhash_{number}", VAR / "backups", "backup", NOW) as place:
        sha256 = writer._write(spec, place, "backup", writer._entries(spec, NO_DATABASES), NO_DATABASES, lambda _: None)
        writer.publish(place, sha256, VAR / "backups")
    return {"path": str(place.final), "sha256": sha256}


NO_DATABASES = writer._Databases(entries=(), rows={})


def has_backup(fact: Fact) -> bool:
    verified = reader.verify(
        Path(fact["path"]), sha256=fact["sha256"], component=None, environment=None, progress=lambda _: None
    )
    return verified.sha256 == fact["sha256"]


def archive(dice: random.Random, number: int) -> Fact:
    dest = VAR / f"own-{number}-{dice.randrange(10**9)}.zip"
    database = VAR / f"copy-{number}-{dice.randrange(10**9)}"
    database.write_bytes(own_archive.BEGINS["sqlite"] + dice.randbytes(1000))
    part = own_archive.Part(name="database/db.sqlite3", source=database)
    facts = {"taken_at": "", "host": "", "vendor": "sqlite", "migrations": [], "audit_head": [0, ""]}
    with own_archive.scratch(VAR) as scratch:
        made = own_archive.write(dest, [part], facts, scratch=scratch)
    return {"path": str(dest), "sha256": made.sha256}


def has_archive(fact: Fact) -> bool:
    return own_archive.verify(Path(fact["path"])).sha256 == fact["sha256"]


def careless(dice: random.Random, number: int) -> Fact:
    """Write as most programs do: the control that shows that the power was really cut."""
    path = VAR / f"careless-{number}-{dice.randrange(10**9)}"
    data = dice.randbytes(1000)
    path.write_bytes(data)
    return {"path": str(path), "sha256": hashlib.sha256(data).hexdigest()}


def has_careless(fact: Fact) -> bool:
    return storage.sha256_of(Path(fact["path"])) == fact["sha256"]


KINDS: dict[str, tuple[Callable[[random.Random, int], Fact], Callable[[Fact], bool]]] = {
    "upload": (upload, has_upload),
    "move": (move, has_move),
    "attachment": (attachment, has_attachment),
    "notice": (notice, has_notice),
    "outcome": (outcome, has_outcome),
    "backup": (backup, has_backup),
    "archive": (archive, has_archive),
    "careless": (careless, has_careless),
}


def write(seed: int) -> None:
    dice = random.Random(seed)
    for number in range(10**6):
        kind = dice.choice(list(KINDS))
        fact = KINDS[kind][0](dice, number)
        os.write(1, json.dumps({"kind": kind, **fact, "at": time.monotonic()}).encode() + b"\n")


def check(told: Path) -> None:
    lost = [fact for line in told.read_text().splitlines() if (fact := json.loads(line)) and not _is_there(fact)]
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA integrity_check")
        integrity = cursor.fetchone()[0]
    missing = [row.sha256 for row in Artifact.objects.all() if not evidence.path_of(row).exists()]
    chain = audit_verify.verify_database()
    named = {"integrity": integrity, "rows_without_file": missing, "audit": chain.problems, "lost": lost}
    os.write(1, json.dumps(named).encode() + b"\n")


def _is_there(fact: Fact) -> bool:
    try:
        return KINDS[fact["kind"]][1](fact)
    except Exception as error:
        fact["error"] = f"{type(error).__name__}: {error}"
        return False


def _do(work: Callable[[], None]) -> NoReturn:
    """Do the work of a fork and end it there: a disk that is gone raises, and the parent's loop is not for it."""
    try:
        work()
        connection.close()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main() -> None:
    verbs: dict[str, Callable[[str], None]] = {
        "fill": lambda _: fill(),
        "write": lambda seed: write(int(seed)),
        "check": lambda path: check(Path(path)),
    }
    connection.close()
    for line in sys.stdin:
        verb, _, argument = line.strip().partition(" ")
        child = os.fork()
        if child == 0:
            _do(partial(verbs[verb], argument))
        _, status = os.waitpid(child, 0)
        os.write(1, json.dumps({"ended": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


if __name__ == "__main__":
    main()
