"""Keeps the house in order, at most once an hour: retention, orphans, lost files, old answers, old step folders."""

import logging
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models import F, Q

from approvals import sessions
from rollout import heartbeat, missing, nudge, orphans, retiring, runner, states, unnamed
from rollout.models import Heartbeat, Idempotency, Run

NAME = "housekeeping"
EVERY = timedelta(hours=1)
# So long without a look: the machine was off, or its clock was put forward. Nothing is removed on such a clock's word.
TRUSTED = timedelta(days=1)
ANSWERS_KEPT = timedelta(days=7)
STEPS_KEPT = timedelta(days=30)
Part = Callable[[datetime], object]
STEP_FOLDER = re.compile(r"run([0-9]+)-step[0-9]+-try[0-9]+")

log = logging.getLogger(__name__)


def due(now: datetime) -> None:
    """Do each part whose last time is an hour ago; of many workers that ask, one does it.

    What stands in the database or on the shared disk is one host's work, step folders are each host's own.
    """
    last = _claim(NAME, now)
    if last is not None:
        run(now, remove=abs(now - last) < TRUSTED)
    last = _claim(heartbeat.of(NAME), now)
    if last is not None and abs(now - last) < TRUSTED:
        _each(now, [_step_folders, orphans.sweep_host])


def run(now: datetime, *, remove: bool = True) -> None:
    """Do everything that is shared once; `remove` false leaves every file where it is."""
    parts: list[Part] = [missing.look, unnamed.look, _answers, nudge.forget, _sessions]
    _each(now, [*parts, retiring.run, unnamed.retire, orphans.sweep] if remove else parts)


def _claim(name: str, now: datetime) -> datetime | None:
    """Take the turn of a name when it is due, and return when it was taken before; None when it is not ours."""
    # the first look, perhaps at a restored database: as after a long pause, nothing is removed
    last, _ = Heartbeat.objects.get_or_create(name=name, defaults={"at": now - 2 * TRUSTED})
    late = Q(at__lte=now - EVERY) | Q(at__gt=now + EVERY)  # the second: a clock that was set back
    taken = Heartbeat.objects.filter(late, name=name).update(counter=F("counter") + 1, at=now)
    return last.at if taken == 1 else None


def _each(now: datetime, parts: list[Part]) -> None:
    """Do the parts in order; one that fails is logged and keeps none of the others."""
    for part in parts:
        try:
            part(now)
        except Exception:
            log.exception("housekeeping: %s.%s failed; it is tried again in an hour", part.__module__, part.__name__)


def _answers(now: datetime) -> None:
    """Forget answers whose request nobody repeats any more."""
    Idempotency.objects.filter(at__lt=now - ANSWERS_KEPT).delete()


def _sessions(now: datetime) -> None:
    Session.objects.filter(expire_date__lt=now).delete()
    sessions.forget(now)


def _step_folders(now: datetime) -> None:
    """Empty the folders of runs that ended long ago, but for the output, which pages and bundles show for ever."""
    ended = Run.objects.filter(state__in=states.RUN_FINAL, ended_at__lt=now - STEPS_KEPT)
    old = set(ended.values_list("pk", flat=True))
    known = set(Run.objects.values_list("pk", flat=True))
    for folder, run_id in _folders():
        if run_id in old:
            _empty(folder)
        elif run_id not in known and folder.stat().st_mtime < (now - STEPS_KEPT).timestamp():
            shutil.rmtree(folder, ignore_errors=True)  # of a backup on request, or of another life of the database


def _folders() -> Iterator[tuple[Path, int]]:
    for folder in (Path(settings.GR_RUN_DIR) / "steps").glob("*"):
        match = STEP_FOLDER.fullmatch(folder.name)
        yield folder, int(match[1]) if match else 0


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name == runner.OUTPUT:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
