"""One thing that waits for a reader, and how urgent it is."""

from dataclasses import dataclass
from datetime import datetime

URGENT, SOON, WHEN_FREE = 0, 1, 2


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing that waits for the reader."""

    rank: int
    state: str
    title: str
    why: str
    do: str
    url: str
    at: datetime
