"""The outbox: queue a message with the move that it tells of, and deliver what is due."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet

from . import notice_text, redact, sending
from .audit import Subject
from .channels import ChannelConfig
from .models import Notice
from .routes import Route

Severity = Literal["info", "warning", "critical"]
KEY_MAX = 200
UNSENT = (Notice.State.PENDING, Notice.State.FELL_BACK)
BATCH = 50
BATCH_S = 45.0
CLAIM = timedelta(seconds=120)  # longer than a batch with its slowest send
SKEW = timedelta(seconds=60)  # so far the clocks of two hosts may differ


def queue(
    event: str,
    *,
    subject: Subject,
    severity: Severity,
    context: Mapping[str, str],
    routes: Sequence[Route],
    key: str,
    url: str,
    now: datetime,
) -> list[Notice]:
    """Write one outbox row for each channel that the routes name, in the transaction of the move; return the rows.

    The same `key` again adds nothing. A channel without its setting is left out; what would reach nobody goes to the
    file. Raises RuntimeError outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(
            "notices.queue needs the transaction of the move it tells of: call it in transaction.atomic()"
        )
    title, body = notice_text.render(event, subject=subject, context={**context, "url": context.get("url", url)})
    keys = {dedupe_key(key, channel): channel for channel in channels_for(event, severity, routes)}
    rows = [
        Notice(
            event=event,
            severity=severity,
            channel=channel,
            dedupe_key=unique,
            title=redact.text(title),
            body=redact.text(body),
            url=url[:300],
            created_at=now,
            next_attempt_at=now,
            **subject.columns(),
        )
        for unique, channel in keys.items()
    ]
    Notice.objects.bulk_create(rows, ignore_conflicts=True)
    return list(Notice.objects.filter(dedupe_key__in=keys).order_by("id"))


def channels_for(event: str, severity: Severity, routes: Sequence[Route]) -> list[str]:
    """Return the channels that a message goes to, in the order of the routes, each once."""
    ready = configured()
    named = [route.channel for route in routes if route.wants(event, severity)]
    return list(dict.fromkeys(channel for channel in named if channel in ready)) or ["file"]


def configured() -> dict[str, ChannelConfig]:
    """Return the channels that can be used here: console and file always, the others when their setting is given."""
    urls = {
        "slack": settings.GR_SLACK_WEBHOOK_URL,
        "teams": settings.GR_TEAMS_WEBHOOK_URL,
        "discord": settings.GR_DISCORD_WEBHOOK_URL,
        "webhook": settings.GR_WEBHOOK_URL,
    }
    secret = getattr(settings, "GR_WEBHOOK_SECRET", "")
    ready = {
        name: ChannelConfig(url=url, secret=secret if name == "webhook" else "") for name, url in urls.items() if url
    }
    if settings.GR_EMAIL_TO:
        ready["email"] = ChannelConfig(recipients=tuple(settings.GR_EMAIL_TO), sender=settings.DEFAULT_FROM_EMAIL)
        ready["person"] = ChannelConfig(sender=settings.DEFAULT_FROM_EMAIL)
    ready["console"] = ChannelConfig()
    ready["file"] = ChannelConfig(path=settings.GR_NOTICE_FILE)
    return ready


def dedupe_key(key: str, channel: str) -> str:
    """Return the key that makes a message unique per channel; a long one is hashed, never cut."""
    unique = f"{key}:{channel}"
    if len(unique) <= KEY_MAX:
        return unique
    return f"{hashlib.sha256(key.encode('utf-8')).hexdigest()}:{channel}"


def deliver_due(now: datetime) -> int:
    """Send what is due, and return how many were sent; at least once each, never in a transaction.

    A channel gets its messages in the order in which they were queued: when one is due, so are all that wait there.
    """
    sent, ends = 0, time.monotonic() + BATCH_S
    for channel in dict.fromkeys(_due(now).order_by("id").values_list("channel", flat=True)):
        waiting = Notice.objects.filter(channel=channel, state__in=UNSENT, next_attempt_at__isnull=False)
        if not waiting.exclude(_free(now)).exists():  # else another worker is at it: one dead receiver costs one worker
            sent += _deliver_channel(waiting, now, ends)
    return sent


def _deliver_channel(waiting: QuerySet[Notice], now: datetime, ends: float) -> int:
    """Send what waits for one channel, oldest first; one that fails lets the rest wait behind it."""
    sent, ready = 0, configured()
    for notice in waiting.order_by("id")[:BATCH]:
        if time.monotonic() > ends or not _claim(notice, now):
            break
        problem = sending.deliver(notice, ready, now)
        sent += problem is None
        if problem is not None and sending.is_down(problem) and notice.next_attempt_at:
            _hold_behind(notice, waiting.filter(pk__gt=notice.pk), now)
            break
    return sent


def _hold_behind(first: Notice, rest: QuerySet[Notice], now: datetime) -> None:
    """Let the rest wait for the one that their channel just failed on; they fall back to the file with it."""
    if first.state == Notice.State.FELL_BACK:
        for notice in rest.filter(state=Notice.State.PENDING).order_by("id"):
            if _claim(notice, now):
                detail = f"not tried: {notice.channel} did not take notice {first.pk} before it"
                sending.failed(notice, detail, now, attempts=sending.FALL_BACK_AFTER, permanent=False)
    rest.filter(_free(now)).update(next_attempt_at=first.next_attempt_at)


def next_due(now: datetime) -> datetime | None:
    """Return when the next notice is to be tried (perhaps in the past), or None when nothing waits."""
    if _due(now).exists():
        return now
    claimed_after = Q(claimed_until__isnull=False, claimed_until__gt=F("next_attempt_at"))
    waiting = Notice.objects.filter(state__in=UNSENT, next_attempt_at__isnull=False)
    free = waiting.exclude(claimed_after).order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    held = waiting.filter(claimed_after).order_by("claimed_until").values_list("claimed_until", flat=True).first()
    return min((at for at in (free, held) if at is not None), default=None)


def _due(now: datetime) -> QuerySet[Notice]:
    """Return what may be tried now; what a clock that was set back left too far in the future is due as well."""
    never_tried = Q(attempts=0, created_at__gt=now + SKEW, next_attempt_at=F("created_at"))
    longest = timedelta(seconds=sending.BACKOFF_S[-1])
    reached = Q(next_attempt_at__lte=now) | Q(next_attempt_at__gt=now + longest + SKEW) | never_tried
    return Notice.objects.filter(_free(now), reached, state__in=UNSENT)


def _free(now: datetime) -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lte=now) | Q(claimed_until__gt=now + CLAIM + SKEW)


def _claim(notice: Notice, now: datetime) -> bool:
    free = Notice.objects.filter(_free(now), pk=notice.pk, state=notice.state, attempts=notice.attempts)
    return free.update(claimed_until=now + CLAIM) == 1
