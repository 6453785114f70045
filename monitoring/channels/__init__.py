"""The ways out of the house: one file a channel, entered here by name."""

from . import console, discord, email, file, slack, teams, webhook
from .base import ChannelConfig, ChannelError, Message, Sender

CHANNELS: dict[str, Sender] = {
    "console": console.send,
    "discord": discord.send,
    "email": email.send,
    "file": file.send,
    # to the one person whom a message is about; whose address that is, is asked when it is sent
    "person": email.send,
    "slack": slack.send,
    "teams": teams.send,
    "webhook": webhook.send,
}

__all__ = ["CHANNELS", "ChannelConfig", "ChannelError", "Message", "Sender"]
