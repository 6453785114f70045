"""Looks at an installation as it stands: database, processes, disk, components, notices, GitHub; changes nothing."""

import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.checks import ERROR, run_checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from monitoring import anchoring, anchors, notices, stamping, unsigned
from rollout import access, ballast, doctor_hosts, places, readiness, routing
from rollout.config_reader import ComponentError
from rollout.drivers import DRIVERS
from rollout.finding import Finding, Level
from rollout.models import Component, Target

LOW_DISK_BYTES = 1024**3
ADMINS_WANTED = 2


def examine(*, now: datetime) -> Iterator[Finding]:
    """Yield a finding for everything that a deployment needs."""
    for finding in _database():
        yield finding
        if finding.level == "bad":
            return  # nothing else can be asked of a database that does not answer or has no tables
    yield from _system_checks()
    yield from doctor_hosts.findings()
    yield from _disk()
    yield from _audit(now)
    yield from _people()
    yield from _components()
    yield from _channels()
    yield _github()


def _database() -> Iterator[Finding]:
    try:
        executor = MigrationExecutor(connection)
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as error:
        yield Finding(level="bad", what=f"the database does not answer: {error}", advice="check DATABASE_URL")
        return
    yield Finding(level="ok", what=f"the database answers ({connection.vendor})")
    if waiting:
        advice = "run manage.py migrate --skip-checks"
        yield Finding(level="bad", what=f"{len(waiting)} migration(s) wait", advice=advice)
    else:
        yield Finding(level="ok", what="every migration is applied")


def _system_checks() -> Iterator[Finding]:
    found = run_checks(databases=["default"])
    for one in found:
        level: Level = "bad" if one.level >= ERROR else "warn"
        yield Finding(level=level, what=f"{one.id}: {one.msg}", advice=str(one.hint or ""))
    if not found:
        yield Finding(level="ok", what="settings, PRAGMAs, directories and guard triggers are as they should be")


def _disk() -> Iterator[Finding]:
    for name in readiness.PLACES:
        place = Path(getattr(settings, name))
        free = readiness.free_bytes(place)
        what = f"{free // 1024**2} MiB are free for {name} ({place})"
        if free < LOW_DISK_BYTES:
            yield Finding(level="bad", what=what, advice="make room, or move it to a larger disk")
        else:
            yield Finding(level="ok", what=what)
    for what, place in places.unwritable().items():
        yield Finding(level="bad", what=f"{what} cannot be written ({place})", advice=places.DO)
    if ballast.refusal():
        yield Finding(level="bad", what="the reserve for a full disk is used up", advice=ballast.refusal())
    elif ballast.stands():
        yield Finding(level="ok", what="64 MiB are in reserve, for outcomes on a full disk")


def _audit(now: datetime) -> Iterator[Finding]:
    why = anchors.refusal()
    if why:
        what, _, advice = why.partition(". ")
        yield Finding(level="bad", what=what, advice=advice)
    else:
        yield Finding(level="ok", what=f"the audit holds what {anchors.path()} knows of it")
    late = unsigned.late(now=now) or anchoring.behind(before=now - unsigned.LATE)
    if late:
        advice = "look into the log of pulse, which signs: is its key in place?"
        yield Finding(level="bad", what=late, advice=advice)
    if unstamped := stamping.late(now=now):
        advice = "`manage.py audit stamp` asks the authority at once, and says what is wrong"
        yield Finding(level="warn", what=unstamped, advice=advice)


def _people() -> Iterator[Finding]:
    admins = User.objects.filter(is_active=True, groups__name=access.ADMIN).count()
    if admins < ADMINS_WANTED:
        advice = "manage.py first_admins_link, or People in the browser: a second admin confirms configurations"
        yield Finding(level="warn", what=f"{admins} active admin(s), {ADMINS_WANTED} are needed", advice=advice)
    else:
        yield Finding(level="ok", what=f"{admins} active admins")


def _components() -> Iterator[Finding]:
    if not Component.objects.exists():
        yield Finding(level="warn", what="no component is loaded", advice="manage.py load_component FILE")
    for target in Target.objects.filter(retired=False).select_related("component", "environment"):
        yield from _target(target)


def _target(target: Target) -> Iterator[Finding]:
    try:
        spec = target.spec
    except ComponentError as error:
        yield Finding(level="bad", what=f"{target}: {error}", advice="correct component.toml and load it again")
        return
    if target.host_id != settings.GR_HOST_ID:
        yield Finding(level="ok", what=f"{target} runs on host {target.host_id}; only a doctor there can look at it")
        return
    yield from doctor_hosts.fence(target)
    live = DRIVERS[spec.driver].live(spec)
    if not live or not (spec.root_path / live).is_dir():
        advice = f"make {spec.root}/current a link to the live release directory"
        yield Finding(level="bad", what=f"{target} has no live release on disk", advice=advice)
    missing = sorted(
        {
            program
            for argv in spec.commands.values()
            if (program := _program(argv[0], spec.placeholders)) and not _is_there(program)
        }
    )
    if missing:
        yield Finding(
            level="bad", what=f"{target}: cannot run {', '.join(missing)}", advice="install it, or correct [vars]"
        )
    elif live:
        yield Finding(level="ok", what=f"{target}: {live} is live, every command can be run")
    if target.locked:
        yield Finding(level="warn", what=f"{target} is locked: {target.lock_reason}", advice="unlock it in the browser")


def _program(word: str, placeholders: dict[str, str]) -> str:
    """Return the program of an argv, or "" when it stands inside of the release."""
    if word.startswith("{") and word.endswith("}"):
        return placeholders.get(word[1:-1], "")
    return "" if "/" in word and not Path(word).is_absolute() else word


def _is_there(program: str) -> bool:
    return os.access(program, os.X_OK) if "/" in program else shutil.which(program) is not None


def _channels() -> Iterator[Finding]:
    ready = notices.configured()
    wanted: set[str] = set()
    for component in Component.objects.all():
        wanted |= {route.channel for route in routing.of(component)}
    for channel in sorted(wanted):
        if channel in ready:
            yield Finding(level="ok", what=f"notices go to {channel}")
        else:
            advice = "give its settings (.env.example), or take its route out of component.toml"
            yield Finding(level="warn", what=f"notices for {channel} go to the file instead", advice=advice)


def _github() -> Finding:
    if settings.GR_GITHUB_TOKEN:
        return Finding(level="ok", what=f"a GitHub token is set, for {settings.GR_GITHUB_API_URL}")
    advice = "set GR_GITHUB_TOKEN (docs/github.md), if CI links and branch protection are to be proved"
    return Finding(level="warn", what="no GitHub token: its checks say 'not configured'", advice=advice)
