"""The outbox: queue a message with the move that it tells of, and deliver what is due."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.conf import settings
from django.db import connection
from django.template import Context
from django.template.loader import select_template

from . import audit
from .audit import LABEL_MAX, Subject
from .channels import CHANNELS, SEVERITIES, ChannelConfig
from .models import Notice

Severity = Literal["info", "warning", "critical"]
KEY_MAX = 200
ALWAYS = ("console", "file")


@dataclass(frozen=True, kw_only=True)
class Route:
    """Which messages a channel gets: from a severity upwards, and of these events ("*" for all)."""

    channel: str
    min_severity: Severity = "info"
    events: tuple[str, ...] | Literal["*"] = "*"

    def takes(self, event: str, severity: Severity) -> bool:
        """Tell whether a message goes this way."""
        loud = SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
        return loud and (self.events == "*" or event in self.events)


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
    title, body = render(event, subject=subject, context={**context, "url": context.get("url", url)})
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
    named = [route.channel for route in routes if route.takes(event, severity)]
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


def render(event: str, *, subject: Subject, context: Mapping[str, str]) -> tuple[str, str]:
    """Return title and body of a message; the footer carries the audit's head, so that it leaves the house."""
    seq, digest = audit.head()
    values = {
        **context,
        "event": event.replace("_", " "),
        "subject": subject.label,
        "component": context.get("component") or subject.component,
        "environment": context.get("environment") or subject.environment,
        "audit_seq": seq,
        "audit_hash": digest,
    }
    title = _text(event, "_subject.txt", values)
    return " ".join(title.split())[:LABEL_MAX], _text(event, ".txt", values).strip() + "\n"


def dedupe_key(key: str, channel: str) -> str:
    """Return the key that makes a message unique per channel; a long one is hashed, never cut."""
    unique = f"{key}:{channel}"
    if len(unique) <= KEY_MAX:
        return unique
    return f"{hashlib.sha256(key.encode('utf-8')).hexdigest()}:{channel}"


def _text(event: str, ending: str, values: Mapping[str, object]) -> str:
    chosen = select_template([f"notices/{event}{ending}", f"notices/generic{ending}"])
    # Plain text, so no HTML escapes: the channels escape what their own syntax reads
    rendered: str = chosen.template.render(Context(dict(values), autoescape=False))
    return rendered
