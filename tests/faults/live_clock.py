"""A wall clock that a test sets while processes run; monotonic time and sleeps stay true.

A preloaded library of 50 lines, not libfaketime: its clock_nanosleep refuses every time.sleep of Python 3.11 (EINVAL)
as soon as the monotonic clock is left alone, and a clock that takes the monotonic time along proves nothing.
"""

import mmap
import shutil
import struct
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from tests.conftest import lacks

SOURCE = Path(__file__).with_suffix(".c")


class LiveClock:
    """The clock of every process that is started with `env`."""

    def __init__(self, folder: Path) -> None:
        shared, library = folder / "clock", folder / "live_clock.so"
        shared.write_bytes(bytes(8))
        with shared.open("r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 8)
        compile_to(library)
        self.ahead_s = 0
        self.env = {"LD_PRELOAD": str(library), "LIVE_CLOCK": str(shared)}

    def jump(self, seconds: int) -> None:
        """Set the clock forward, or back."""
        self.ahead_s += seconds
        self.shared[:] = struct.pack("q", self.ahead_s)

    def set_to(self, moment: datetime) -> None:
        """Set the clock to a moment, whatever it shows now."""
        self.jump(round(moment.timestamp() - datetime.now(UTC).timestamp()) - self.ahead_s)


def compile_to(library: Path) -> None:
    """Compile the library; skip loudly where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        lacks("cc", "the live clock has to be compiled: apt install build-essential")
    subprocess.run([str(compiler), "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
