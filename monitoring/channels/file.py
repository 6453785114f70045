"""The file channel: one JSON line, synced to the disk; it is also where a message goes that no channel took."""

import json
import os
from dataclasses import asdict

from ..storage import sync_directory
from .base import ChannelConfig, ChannelError, Message


def send(message: Message, config: ChannelConfig) -> None:
    """Append one JSON line to `config.path` (0600) and sync it; raise ChannelError when the disk refuses."""
    append_line(config, asdict(message))


def append_line(config: ChannelConfig, record: dict[str, object]) -> None:
    """Append one JSON line to the notice file, whole or not at all for a reader that takes line by line."""
    if config.path is None:
        raise ChannelError("no file is set: expected GR_NOTICE_FILE", permanent=True)
    line = json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n"
    try:
        config.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = not config.path.exists()
        descriptor = os.open(config.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            written = os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if fresh:
            sync_directory(config.path.parent)
    except OSError as error:
        raise ChannelError(f"the notice file cannot be written: {error.strerror}", permanent=False) from None
    if written != len(line):
        raise ChannelError("the notice file took only a part of the line: is the disk full?", permanent=False)
