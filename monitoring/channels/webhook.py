"""The generic webhook channel: JSON, signed with HMAC-SHA256 when a secret is set."""

import hashlib
import hmac
import json
from dataclasses import asdict

from .base import ChannelConfig, Message, post


def send(message: Message, config: ChannelConfig) -> None:
    """Post the message as JSON; raise ChannelError."""
    body = json.dumps(asdict(message), sort_keys=True, ensure_ascii=False).encode("utf-8")
    headers = {
        "Content-Type": "application/json",
        "Idempotency-Key": message.key,
        "X-Guarded-Rollout-Event": message.event,
        "X-Guarded-Rollout-Timestamp": message.at,
    }
    if config.secret:
        headers["X-Guarded-Rollout-Signature"] = signature(config.secret, message.at, body)
    post(config, body=body, headers=headers)


def signature(secret: str, at: str, body: bytes) -> str:
    """Return "sha256=" and the HMAC of timestamp, a dot and the raw body, so that neither can be swapped."""
    return "sha256=" + hmac.new(secret.encode("utf-8"), at.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()
