"""The outbox: queue a message with the move that it tells of, and deliver what is due."""

import hashlib
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet

from . import audit, notice_text
from .audit import Subject
from .channels import CHANNELS, ChannelConfig, ChannelError, Message, file
from .models import Notice, NoticeAttempt
from .routes import Route

Severity = Literal["info", "warning", "critical"]
KEY_MAX = 200
UNSENT = (Notice.State.PENDING, Notice.State.FELL_BACK)
BACKOFF_S = (5, 30, 120, 600, 1800)  # the last one goes on
FALL_BACK_AFTER = 3
GIVE_UP_AFTER = timedelta(hours=24)
BATCH = 50
BATCH_S = 45.0
CLAIM = timedelta(seconds=120)  # longer than a batch with its slowest send

log = logging.getLogger(__name__)


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
            title=title,
            body=body,
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
    """Send what is due, oldest first, and return how many were sent; at least once each, never in a transaction.

    A channel that fails is left alone for the rest of the batch, so that one dead receiver costs one time-out and its
    messages keep their order.
    """
    sent, ends, down = 0, time.monotonic() + BATCH_S, dict[str, Notice]()
    for notice in _due(now).order_by("id")[:BATCH]:
        if time.monotonic() > ends:
            break
        if not _claim(notice, now):
            continue
        if notice.channel in down:
            _hold(notice, down[notice.channel], now)
            continue
        problem = _deliver(notice, now)
        if problem is None:
            sent += 1
        elif not problem.permanent:
            down[notice.channel] = notice
    return sent


def next_due(now: datetime) -> datetime | None:
    """Return when the next notice is to be tried (perhaps in the past), or None when nothing waits."""
    claimed_after = Q(claimed_until__isnull=False, claimed_until__gt=F("next_attempt_at"))
    waiting = Notice.objects.filter(state__in=UNSENT, next_attempt_at__isnull=False)
    free = waiting.exclude(claimed_after).order_by("next_attempt_at").values_list("next_attempt_at", flat=True).first()
    held = waiting.filter(claimed_after).order_by("claimed_until").values_list("claimed_until", flat=True).first()
    return min((at for at in (free, held) if at is not None), default=None)


def _due(now: datetime) -> QuerySet[Notice]:
    free = Q(claimed_until__isnull=True) | Q(claimed_until__lte=now)
    return Notice.objects.filter(free, state__in=UNSENT, next_attempt_at__lte=now)


def _claim(notice: Notice, now: datetime) -> bool:
    return _due(now).filter(pk=notice.pk).update(claimed_until=now + CLAIM) == 1


def _deliver(notice: Notice, now: datetime) -> ChannelError | None:
    """Send one claimed notice and record the attempt; return why the channel did not take it, or None."""
    try:
        _send(notice)
    except ChannelError as problem:
        _failed(notice, str(problem), now, attempts=notice.attempts + 1, permanent=problem.permanent)
        return problem
    with transaction.atomic():
        _record(notice, now, ok=True, detail="", attempts=notice.attempts + 1, state=Notice.State.SENT, sent_at=now)
    return None


def _send(notice: Notice) -> None:
    config = configured().get(notice.channel)
    if config is None:
        raise ChannelError(f"the channel {notice.channel} has lost its setting", permanent=True)
    try:
        CHANNELS[notice.channel](_message(notice), config)
    except ChannelError:
        raise
    except Exception:
        # A fault of our own over one message must not keep the others waiting
        log.exception("notice %s could not be sent to %s", notice.pk, notice.channel)
        raise ChannelError("an error of our own: see the log", permanent=False) from None


def _hold(notice: Notice, first: Notice, now: datetime) -> None:
    """Let a notice wait behind the one that its channel just failed on; it falls back to the file with it."""
    if first.state == Notice.State.FELL_BACK and notice.state == Notice.State.PENDING:
        detail = f"not tried: {notice.channel} did not take notice {first.pk} before it"
        _failed(notice, detail, now, attempts=FALL_BACK_AFTER, permanent=False)
    else:
        Notice.objects.filter(pk=notice.pk).update(claimed_until=None, next_attempt_at=first.next_attempt_at)


def _failed(notice: Notice, detail: str, now: datetime, *, attempts: int, permanent: bool) -> None:
    state = Notice.State(notice.state)
    if state == Notice.State.PENDING and (permanent or attempts >= FALL_BACK_AFTER) and _fall_back(notice, detail):
        state = Notice.State.FELL_BACK
    over = permanent and state == Notice.State.FELL_BACK
    again = now + timedelta(seconds=BACKOFF_S[min(max(attempts, 1), len(BACKOFF_S)) - 1])
    if again - notice.created_at > GIVE_UP_AFTER and state == Notice.State.FELL_BACK:
        over = True
    with transaction.atomic():
        _record(
            notice,
            now,
            ok=False,
            detail=detail,
            attempts=attempts,
            state=state,
            next_attempt_at=None if over else again,
        )


def _fall_back(notice: Notice, why: str) -> bool:
    """Write the message to the file, so that it is not lost; False when not even the file takes it."""
    if notice.channel == "file":
        return False  # the same file would refuse again: stay pending
    record = {**asdict(_message(notice)), "fallback_for": notice.channel, "why": why}
    try:
        file.append_line(ChannelConfig(path=settings.GR_NOTICE_FILE), record)
    except ChannelError as error:
        log.error("notice %s reached neither %s nor the file: %s", notice.pk, notice.channel, error)
        return False
    return True


def _record(notice: Notice, now: datetime, *, ok: bool, detail: str, **values: object) -> None:
    NoticeAttempt.objects.create(notice=notice, at=now, ok=ok, detail=detail[:300])
    Notice.objects.filter(pk=notice.pk).update(claimed_until=None, **values)
    notice.refresh_from_db()


def _message(notice: Notice) -> Message:
    return Message(
        event=notice.event,
        severity=notice.severity,
        title=notice.title,
        body=notice.body,
        url=notice.url,
        key=notice.dedupe_key,
        subject_kind=notice.subject_kind,
        subject_id=notice.subject_id,
        subject_label=notice.subject_label,
        component=notice.component,
        environment=notice.environment,
        at=audit.stamp(notice.created_at),
    )
