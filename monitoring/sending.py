"""Hand one claimed notice to its channel, and record how that went."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from . import audit, redact
from .channels import CHANNELS, ChannelConfig, ChannelError, Message, file
from .models import Notice, NoticeAttempt

BACKOFF_S = (5, 30, 120, 600, 1800)  # the last one goes on
FALL_BACK_AFTER = 3
GIVE_UP_AFTER = timedelta(hours=24)

log = logging.getLogger(__name__)


class OwnError(ChannelError):
    """We could not even try to send this message; the others of its channel need not wait for it."""


def is_down(problem: ChannelError) -> bool:
    """Say whether a channel will not take the next message either."""
    return not problem.permanent and not isinstance(problem, OwnError)


def deliver(notice: Notice, ready: Mapping[str, ChannelConfig], now: datetime) -> ChannelError | None:
    """Send one claimed notice and record the attempt; return why the channel did not take it, or None."""
    try:
        _send(notice, ready)
    except ChannelError as problem:
        failed(notice, str(problem), now, attempts=notice.attempts + 1, permanent=problem.permanent)
        return problem
    with transaction.atomic():
        _record(notice, now, ok=True, detail="", attempts=notice.attempts + 1, state=Notice.State.SENT, sent_at=now)
    return None


def _send(notice: Notice, ready: Mapping[str, ChannelConfig]) -> None:
    config = ready.get(notice.channel)
    if config is None:
        raise ChannelError(f"the channel {notice.channel} has lost its setting", permanent=True)
    try:
        if notice.channel == "person":
            config = replace(config, recipients=_address(notice))
        CHANNELS[notice.channel](_message(notice), config)
    except ChannelError:
        raise
    except Exception:
        # A fault of our own over one message must not keep the others waiting
        log.exception("notice %s could not be sent to %s", notice.pk, notice.channel)
        raise OwnError("an error of our own: see the log", permanent=False) from None


def _address(notice: Notice) -> tuple[str]:
    """Return the address of the person whom a message is about, as it is now: no address stands in the outbox."""
    user = get_user_model().objects.filter(pk=notice.subject_id).first() if notice.subject_kind == "user" else None
    if user is None or not user.email:
        raise ChannelError("this person has no e-mail address", permanent=True)
    return (user.email,)


def failed(notice: Notice, detail: str, now: datetime, *, attempts: int, permanent: bool) -> None:
    """Record an attempt that failed, fall back to the file when it is time, and plan the next one."""
    detail = redact.text(detail)  # a webhook's address is a secret, and clients quote it
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
