"""The file channel: one JSON line, synced to the disk; it is also where a message goes that no channel took."""

import json
import os
from dataclasses import asdict
from pathlib import Path

from ..storage import make_directory, sync_descriptor, sync_directory
from .base import ChannelConfig, ChannelError, Message


def send(message: Message, config: ChannelConfig) -> None:
    """Append one JSON line to `config.path` (0600) and sync it; raise ChannelError when the disk refuses."""
    append_line(config, asdict(message))


def append_line(config: ChannelConfig, record: dict[str, object]) -> None:
    """Append one JSON line to the notice file; a torn one before it, of a full disk or a power cut, ends there."""
    if config.path is None:
        raise ChannelError("no file is set: expected GR_NOTICE_FILE", permanent=True)
    line = json.dumps(record, ensure_ascii=False, sort_keys=True).encode("utf-8") + b"\n"
    try:
        make_directory(config.path.parent)
        _append(config.path, line)
    except OSError as error:
        raise ChannelError(f"the notice file cannot be written: {error.strerror}", permanent=False) from None


def _append(path: Path, line: bytes) -> None:
    fresh = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        end = os.fstat(descriptor).st_size
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        whole = b"\n" + line if torn else line
        if os.write(descriptor, whole) != len(whole):
            raise ChannelError("the notice file took only a part of the line: is the disk full?", permanent=False)
        sync_descriptor(descriptor)
    finally:
        os.close(descriptor)
    if fresh:
        sync_directory(path.parent)
