"""Copies what a command prints from the file that it writes into the one that is kept, without known secrets.

Standard library only, for `detached.py`. The command writes into a file, not a pipe: a daemon that it left behind may
go on, and nobody's death holds it up. That raw file is this account's alone, is read by nobody else, and goes at the
end; only of a runner that was killed it stays, until housekeeping empties the folder.
"""

import errno
import os
from pathlib import Path

from monitoring.redact import Filter, secrets_of

RAW, OUTPUT = "output.raw", "output.log"
OUTPUT_LIMIT_BYTES = 16 * 1024**2
PIECE_BYTES = 1 << 20


class Capture:
    """The output of one command."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.output = folder / RAW, folder / OUTPUT
        # appending, so that what is cut off at its end stays cut off
        self.sink = os.open(self.raw, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.kept = os.open(self.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.filter = Filter(secrets_of(os.environ))
        self.at, self.waiting = 0, b""

    def follow(self) -> bool:
        """Copy what came; cut off what is beyond the limit and return whether there was any."""
        over = os.fstat(self.sink).st_size > OUTPUT_LIMIT_BYTES
        if over:
            os.truncate(self.sink, OUTPUT_LIMIT_BYTES)
        while piece := os.pread(self.sink, min(PIECE_BYTES, OUTPUT_LIMIT_BYTES - self.at), self.at):
            self.at += len(piece)
            self._keep(self.filter.feed(piece))
        return over

    def close(self) -> bool:
        """Copy the rest and let the raw file go; return whether anything was cut off."""
        over = self.follow()
        self._keep(self.filter.end())
        self.raw.unlink(missing_ok=True)
        return over

    def _keep(self, data: bytes) -> None:
        """Write, as far as there is room; on a full disk the rest waits for the next time."""
        self.waiting += data
        try:
            while self.waiting:
                self.waiting = self.waiting[os.write(self.kept, self.waiting) :]
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
