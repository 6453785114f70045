"""Many workers advance the same run at the same moment, on a database file; run by test_engine_race.py.

In a process of its own, because threads need committed rows. The commands are real processes under the real runner.
"""

import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import django
from django.core.management import call_command

WORKERS = 8


def main() -> None:
    """Print as JSON what happened."""
    django.setup()
    from tests.factories import that_day

    call_command("migrate", verbosity=0)
    with tempfile.TemporaryDirectory() as folder, that_day():
        print(json.dumps(_race(Path(folder))))


def _race(folder: Path) -> dict[str, object]:
    from django.db import connection

    from monitoring.models import AuditEntry
    from rollout import actions, commands, engine, nudge, runner
    from rollout.models import Run, Step
    from tests import factories
    from tests.base import make_cast

    nudge._soon = lambda *message: None  # type: ignore[assignment]
    done = "import sys, json, pathlib; pathlib.Path(sys.argv[1], 'outcome.json').write_text(json.dumps("
    good = done + "{'result': 'ok', 'sentence': 'fine', 'facts': {}, 'evidence': {}}))"
    commands.argv_of = lambda step, folder: [sys.executable, "-c", good, str(folder)]  # type: ignore[assignment]
    cast = make_cast()
    target = factories.make_target(folder / "dhash")
    approved = factories.make_approved(target, cast)
    run = actions.start(approved, user=cast["olaf"], by=factories.actor(cast["olaf"]), now=factories.NOW)
    errors: list[str] = []

    def advance() -> None:
        try:
            engine.advance(run.pk)
        except Exception as error:
            errors.append(f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    deadline = time.monotonic() + 60
    while Step.objects.filter(run=run, kind="preflight").exclude(state="SUCCEEDED").exists():
        assert time.monotonic() < deadline, "the first step does not end"
        _together(advance)
    first = Step.objects.get(run=run, kind="preflight")
    while runner.is_held(commands.lock_path(target)):
        time.sleep(0.01)
    return {
        "errors": errors,
        "attempts": first.attempt,
        "begun": AuditEntry.objects.filter(action="run.running").count(),
        "used": AuditEntry.objects.filter(action="sign_off.used").count(),
        "state": Run.objects.get(pk=run.pk).state,
        "recorded": AuditEntry.objects.filter(action="step.succeeded", subject_id=str(first.pk)).count(),
    }


def _together(act: Callable[[], None]) -> None:
    threads = [threading.Thread(target=act) for _ in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
