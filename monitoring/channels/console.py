"""The console channel: one line on standard output of the process that delivers."""

from .base import ChannelConfig, ChannelError, Message


def send(message: Message, config: ChannelConfig) -> None:
    """Print one line; raise ChannelError when standard output is closed."""
    where = " ".join(part for part in (message.component, message.environment) if part)
    try:
        print(f"[{message.severity}] {message.at} {where}: {message.title} {message.url}".rstrip(), flush=True)
    except (OSError, ValueError) as error:
        raise ChannelError(f"standard output cannot be written: {error}", permanent=False) from None
