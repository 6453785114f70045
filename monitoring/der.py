"""Puts the certificates inside of a time stamp (RFC 3161) into the order that DER asks for.

They are a SET OF, whose elements DER sorts by their bytes. openssl and many authorities write them as they come, and a
strict reader refuses that. No signature covers the field, and no length changes: bytes only change places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

LARGEST = 1 << 16  # bytes; no answer is kept that has more than a quarter of that
SEQUENCE, FIELD_0 = 0x30, 0xA0
# TimeStampResp, its timeStampToken, the token's content, that is SignedData, its certificates: which one, and its tag
WAY = ((0, SEQUENCE), (1, SEQUENCE), (1, FIELD_0), (0, SEQUENCE), (3, FIELD_0))
LONG, INDEFINITE, MORE = 0x80, 0x80, 0x1F


@dataclass(frozen=True)
class Element:
    """Where an element stands in the bytes: its tag begins at `start`, its content goes from `inside` to `end`."""

    tag: int
    start: int
    inside: int
    end: int


def with_sorted_certificates(answer: bytes) -> bytes:
    """Return an authority's answer (DER) with its certificates sorted; what is no such answer, as it is."""
    if len(answer) > LARGEST:
        return answer
    try:
        inside, end = 0, len(answer)
        for index, tag in WAY:
            found = next(islice(_elements(answer, inside, end), index, None), None)
            if found is None or found.tag != tag:
                return answer
            inside, end = found.inside, found.end
        certificates = sorted(answer[one.start : one.end] for one in _elements(answer, inside, end))
    except ValueError:
        return answer
    return answer[:inside] + b"".join(certificates) + answer[end:]


def _elements(data: bytes, start: int, end: int) -> Iterator[Element]:
    """Yield the elements between two places, one after the other; raise ValueError for what is none."""
    while start < end:
        one = _element(data, start, end)
        yield one
        start = one.end


def _element(data: bytes, start: int, end: int) -> Element:
    head = data[start : min(start + 2, end)]
    if len(head) < 2 or head[0] & MORE == MORE or head[1] == INDEFINITE:
        raise ValueError("no element with a tag of one byte and a length")
    inside, length = start + 2, head[1]
    if length & LONG:
        inside += length - LONG
        length = int.from_bytes(data[start + 2 : inside])
    if inside + length > end:
        raise ValueError("an element that goes on beyond what it stands in")
    return Element(head[0], start, inside, inside + length)
