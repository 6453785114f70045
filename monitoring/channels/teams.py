"""The Microsoft Teams channel: an Adaptive Card for a Workflows webhook (the old connectors are switched off)."""

import re

from .base import ChannelConfig, Message, post, shorten

TEXT_MAX = 10_000  # a whole message may hold 28 KB
COLORS = {"info": "Default", "warning": "Warning", "critical": "Attention"}


def send(message: Message, config: ChannelConfig) -> None:
    """Post to the workflow; raise ChannelError."""
    post(config, payload=payload(message), headers={})


def payload(message: Message) -> dict[str, object]:
    """Return the workflow's JSON: one message with one card."""
    facts = [
        ("Component", message.component),
        ("Environment", message.environment),
        ("Severity", message.severity),
        ("Message", message.key),
    ]
    card: dict[str, object] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _text(message.title, size="Large", weight="Bolder", color=COLORS[message.severity]),
            _text(shorten(message.body, TEXT_MAX)),
            {"type": "FactSet", "facts": [{"title": title, "value": value} for title, value in facts if value]},
        ],
    }
    if message.url:
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": message.url}]
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def escape(text: str) -> str:
    """Escape the Markdown that a TextBlock would read; a single line break needs two to show."""
    return re.sub(r"([\\*_\[\]])", r"\\\1", text).replace("\n", "\n\n")


def _text(text: str, **look: str) -> dict[str, object]:
    return {"type": "TextBlock", "text": escape(text), "wrap": True, **look}
