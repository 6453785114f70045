"""Characters that move the cursor, colour the terminal, reorder text or cannot be seen, and their codes; pure."""

import re
import unicodedata

REASON_MIN = 5  # characters of what is a reason at all
# Newline and tab stay.
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001345f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def in_codes(text: str) -> str:
    """Return a text with the code of each such character in its place; where no markup can stand."""
    return UNSEEN.sub(_code, text.replace("\r\n", "\n"))


def seen_length(text: str) -> int:
    """Return how long a text is for who reads it; 0 where it has no letter and no digit that somebody sees."""
    seen = " ".join(UNSEEN.sub("", text).split())
    return len(seen) if any(unicodedata.category(one)[0] in "LN" for one in seen) else 0


def _code(match: re.Match[str]) -> str:
    return f"U+{ord(match[0]):04X}"
