"""The Discord channel: an incoming webhook, plain content of at most 2000 characters."""

import re

from .base import ChannelConfig, Message, post, shorten

CONTENT_MAX = 2000


def send(message: Message, config: ChannelConfig) -> None:
    """Post to the webhook; raise ChannelError."""
    post(config, payload=payload(message), headers={})


def payload(message: Message) -> dict[str, object]:
    """Return the webhook's JSON; the link stays whole, the text before it is cut, and nobody is pinged by it."""
    link = f"\n-# {escape(message.key)}" + (f"\n<{message.url}>" if message.url else "")
    text = f"**{escape(message.title)}**\n{escape(message.body)}"
    return {"content": shorten(text, CONTENT_MAX - len(link)) + link, "allowed_mentions": {"parse": []}}


def escape(text: str) -> str:
    """Put a backslash before what Discord reads as Markdown."""
    return re.sub(r"([\\*_~`|>\[\]])", r"\\\1", text)
