"""What the doctor says of one thing that he looked at."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warn", "bad"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at; `advice` says what to do, and is empty when all is well."""

    level: Level
    what: str
    advice: str = ""
