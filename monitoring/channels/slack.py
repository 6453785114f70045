"""The Slack channel: an incoming webhook, message in blocks."""

import re

from .base import ChannelConfig, Message, post, shorten

HEADER_MAX = 150
SECTION_MAX = 3000
MARKS = {"info": ":information_source:", "warning": ":warning:", "critical": ":rotating_light:"}


def send(message: Message, config: ChannelConfig) -> None:
    """Post to the webhook; raise ChannelError."""
    post(config, payload=payload(message), headers={})


def payload(message: Message) -> dict[str, object]:
    """Return the webhook's JSON; `text` is what a phone shows in its notification."""
    place = " · ".join(filter(None, (message.component, message.environment, message.severity, message.key)))
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": shorten(message.title, HEADER_MAX)}},
        {"type": "section", "text": {"type": "mrkdwn", "text": _section(message.body)}},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": f"{MARKS[message.severity]} {escape(place)}"}]},
    ]
    if message.url:
        # A button only links: a decision is made in the browser, with the password
        button = {"type": "button", "text": {"type": "plain_text", "text": "Open"}, "url": message.url}
        blocks.append({"type": "actions", "elements": [button]})
    return {"text": escape(message.title), "blocks": blocks}


def escape(text: str) -> str:
    """Escape the three characters that Slack gives a meaning, so that no text becomes a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(text: str) -> str:
    """Return escaped text that fits a section; the cut never leaves half an escape."""
    return re.sub(r"&[a-z]*…$", "…", shorten(escape(text), SECTION_MAX)) or " "
