"""What every channel is given and raises."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import http


class ChannelError(Exception):
    """A message could not be handed over; `permanent` means that trying again cannot help. Never holds the address."""

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


@dataclass(frozen=True, kw_only=True)
class Message:
    """One notice, ready to be sent; `key` lets a receiver drop a duplicate."""

    event: str
    severity: str
    title: str
    body: str
    url: str
    key: str
    subject_kind: str
    subject_id: str
    subject_label: str
    component: str
    environment: str
    at: str


@dataclass(frozen=True, kw_only=True)
class ChannelConfig:
    """Where a channel sends to: each channel reads what it needs; `timeout_s` in seconds."""

    url: str = ""
    secret: str = ""
    recipients: Sequence[str] = ()
    sender: str = ""
    path: Path | None = None
    timeout_s: float = 10.0


Sender = Callable[[Message, ChannelConfig], None]


def post(config: ChannelConfig, *, payload: Any = None, body: bytes | None = None, headers: Mapping[str, str]) -> None:
    """POST to the configured address, and to no other origin; raise ChannelError unless it answers 2xx."""
    try:
        response = http.fetch(
            config.url,
            method="POST",
            headers=dict(headers),
            json=payload,
            body=body,
            timeout_s=config.timeout_s,
            limit_bytes=65536,
            allow=[http.origin(config.url)],
        )
    except http.HttpError as error:
        raise ChannelError(without_address(str(error), config.url), permanent=error.permanent) from None
    if not 200 <= response.status < 300:
        told = without_address(response.body[:160].decode("utf-8", "replace"), config.url)
        raise ChannelError(f"answered {response.status}: {told}", permanent=_permanent(response.status))


def without_address(text: str, url: str) -> str:
    """Return text without the address or its path: the path of a webhook is a secret."""
    parts = urlsplit(url)
    for secret in (url, parts.path + ("?" + parts.query if parts.query else ""), parts.path):
        if len(secret) > 1:
            text = text.replace(secret, "(address)")
    return text


def shorten(text: str, limit: int) -> str:
    """Return text of at most `limit` characters, ending in an ellipsis when something was cut."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _permanent(status: int) -> bool:
    # 408 and 429 ask for patience; every other 4xx tells that this request will never be taken
    return 400 <= status < 500 and status not in (408, 429)
