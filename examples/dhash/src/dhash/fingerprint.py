"""The 64-bit difference hash and how far two of them are apart; pure."""

import itertools
import re
from collections.abc import Sequence

WIDTH, HEIGHT = 9, 8
HEX = re.compile(r"[0-9a-f]{16}")


def difference_hash(grey: Sequence[int]) -> str:
    """Return 16 hex digits for 9x8 grey values, row by row: a bit is 1 where the right neighbour is brighter."""
    if len(grey) != WIDTH * HEIGHT:
        raise ValueError(f"expected {WIDTH * HEIGHT} grey values, got {len(grey)}")
    value = 0
    for row in range(HEIGHT):
        line = grey[row * WIDTH : (row + 1) * WIDTH]
        for left, right in itertools.pairwise(line):
            value = value << 1 | (right > left)
    return f"{value:016x}"


def is_hash(text: str) -> bool:
    """Tell whether the text is a hash as this service writes it: 16 lower-case hex digits."""
    return HEX.fullmatch(text) is not None


def distance(one: str, other: str) -> int:
    """Return the Hamming distance, 0 to 64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def nearest(wanted: str, candidates: Sequence[tuple[str, int]]) -> tuple[int, int] | None:
    """Return (image id, distance) of the nearest (hash, image id), the oldest among equals; None without candidates."""
    value = int(wanted, 16)
    measured = (((value ^ int(text, 16)).bit_count(), image_id) for text, image_id in candidates)
    best = min(measured, default=None)
    return None if best is None else (best[1], best[0])
