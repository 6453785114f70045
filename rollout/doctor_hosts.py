"""Looks at hosts: their processes and queues, late work, the reserve, the database's clock and replica, the fences."""

import time
from collections.abc import Iterator

from django.conf import settings
from django.db import connection
from django.utils import timezone

from rollout import ballast, commands, heartbeat, hosts, nudge, readiness
from rollout.archive import dump
from rollout.finding import Finding
from rollout.models import Run, Target
from rollout.states import RunState as N

# A pulse beats every 2 seconds: whoever waits so long and sees no change has seen that it is silent.
SECOND_LOOK_S = 2.5
QUEUE_WAIT_S = 60.0
SKEW_S = 2.0
DURABLE = ("on", "remote_apply")


def findings() -> Iterator[Finding]:
    """Yield what there is to say of every host, and of what hosts share."""
    yield from _processes()
    yield from _strangers()
    yield from _queues()
    yield from _late()
    yield from _reserve()
    if connection.vendor == "postgresql":
        yield from _clock()
        yield from _replica()
        yield _client()


def fence(target: Target) -> Iterator[Finding]:
    """Yield a finding when a target of this host remembers more than the database knows."""
    seen = commands.seen_epoch(target)
    if seen > target.epoch:
        what = f"{target} has seen epoch {seen}, the database knows only {target.epoch}: it lost what was done there"
        advice = "was an older copy, or a replica that lagged, put in force? docs/scaling.md, When the database forgets"
        yield Finding(level="bad", what=what, advice=advice)


def _processes() -> Iterator[Finding]:
    for kind, limit_s in heartbeat.LATE_S.items():
        ages = heartbeat.ages(kind)
        if kind == "pulse" and any(ages.get(host, 0) > limit_s for host in hosts.needed()):
            time.sleep(SECOND_LOOK_S)  # the wall clock of that row may be wrong: see whether it changes
            ages = heartbeat.ages(kind)
        for host in hosts.needed():
            yield _process(kind, host, ages.get(host), limit_s)


def _process(kind: str, host: str, age_s: float | None, limit_s: float) -> Finding:
    name, where = (kind, "") if host == settings.GR_HOST_ID else (f"{kind} of host {host}", f" on {host}")
    if age_s is None:
        return Finding(level="warn", what=f"{name} never gave a sign of life", advice=f"start manage.py {kind}{where}")
    if age_s <= limit_s:
        return Finding(level="ok", what=f"{name} gave a sign of life {age_s:.0f} s ago")
    here = Run.objects.filter(host_id=host, state__in=[N.QUEUED, N.RUNNING, N.UNKNOWN]).count()
    waits = f"; {here} run(s) wait for it" if here else ""
    return Finding(
        level="bad", what=f"{name} is silent for {age_s:.0f} s{waits}", advice=f"start manage.py {kind} again{where}"
    )


def _strangers() -> Iterator[Finding]:
    """Yield the hosts that fell silent and are not needed: switched off, or switched off by mistake."""
    ages = {**heartbeat.ages("pulse"), **heartbeat.ages("worker")}
    for host in sorted(set(ages) - set(hosts.needed())):
        if ages[host] > heartbeat.LATE_S["worker"]:
            advice = f"start it again, or, when it is gone for good: manage.py forget_host {host}"
            yield Finding(level="warn", what=f"host {host}, which no target needs, is silent", advice=advice)


def _queues() -> Iterator[Finding]:
    ages = heartbeat.ages("worker")
    try:
        waiting = nudge.waiting()
    except nudge.QueueError as error:
        yield Finding(level="bad", what=str(error), advice="start it, or unset GR_REDIS_URL and restart the workers")
        return
    for queue in waiting:
        what = f"{queue.count} message(s) wait for host {queue.host}, the oldest for {queue.oldest_s:.0f} s"
        if ages.get(queue.host, float("inf")) > heartbeat.LATE_S["worker"]:
            advice = f"start manage.py worker with GR_HOST_ID={queue.host}, or manage.py forget_host {queue.host}"
            yield Finding(level="bad", what=f"{what}; no worker serves it", advice=advice)
        elif queue.oldest_s > QUEUE_WAIT_S:
            yield Finding(level="bad", what=what, advice="its workers are busy or stuck; look at their log")


def _late() -> Iterator[Finding]:
    for check in (*readiness.due(), *readiness.audited()):
        yield Finding(
            level="ok" if check.ok else "bad",
            what=f"{check.name}: {check.detail}",
            advice="" if check.ok else "docs/operations.md, When",
        )


def _reserve() -> Iterator[Finding]:
    for place in ballast.paths():
        if place.exists():
            what = f"{ballast.SIZE // 1024**2} MiB of the disk of {place.parent} are kept in reserve for outcomes"
            yield Finding(level="ok", what=what)
        else:
            advice = f"make room in {place.parent}; a worker takes the reserve within a minute"
            yield Finding(
                level="warn", what=f"no disk is kept in reserve in {place.parent} for outcomes", advice=advice
            )


def _clock() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        skew_s = abs((cursor.fetchone()[0] - timezone.now()).total_seconds())
    what = f"the clocks of this host and of the database are {skew_s:.1f} s apart"
    advice = "" if skew_s <= SKEW_S else "let every host keep time by NTP: expiries and polls go by the wall clock"
    yield Finding(level="ok" if skew_s <= SKEW_S else "warn", what=what, advice=advice)


def _replica() -> Iterator[Finding]:
    """Yield whether the replica that GR_SYNC_REPLICA declares really holds every commit before it is acknowledged."""
    if not settings.GR_SYNC_REPLICA:
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('synchronous_commit'), current_setting('synchronous_standby_names')")
        commit, names = cursor.fetchone()
        cursor.execute("SELECT count(*) FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum')")
        standing = cursor.fetchone()[0]
    if commit not in DURABLE:
        advice = f"set it to {' or '.join(DURABLE)}: a failover would lose acknowledged decisions and effects"
        yield Finding(level="bad", what=f"synchronous_commit is {commit}", advice=advice)
    if not names:
        advice = "name the standby, for example ANY 1 (replica1, replica2)"
        yield Finding(level="bad", what="synchronous_standby_names is empty: no replica is waited for", advice=advice)
    elif not standing:
        advice = "start it; or let this role see it: GRANT pg_monitor"
        yield Finding(level="warn", what="no synchronous standby can be seen", advice=advice)
    elif commit in DURABLE:
        yield Finding(level="ok", what=f"commits wait for {standing} synchronous standby(s)")


def _client() -> Finding:
    """Return whether backup_self can dump the database: a pg_dump refuses a server that is newer than itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        server = cursor.fetchone()[0]
    client = dump.client_version()
    advice = f"install the PostgreSQL client of version {server} (postgresql-client-{server}) on this host"
    if not client:
        return Finding(level="bad", what="there is no pg_dump: backup_self and restore_self cannot work", advice=advice)
    if client < server:
        what = f"pg_dump is of version {client}, the server of {server}: pg_dump refuses a newer server"
        return Finding(level="bad", what=what, advice=advice)
    return Finding(level="ok", what=f"pg_dump is of version {client}, the server of {server}")
