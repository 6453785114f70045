"""Takes the values of known secrets out of what is kept or told, in the ways they are commonly written.

Standard library only: the detached runner imports it. A second net (the first: no secret reaches a command); it knows
exact values only, so what was compressed, encrypted, or cut in two by the program that printed it, passes.
"""

import base64
import html
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

MARK = "[redacted]"
# Shorter ones would stand in ordinary text.
SHORTEST = 8
NAMED = re.compile(r"(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PRIVATE_?KEY|API_?KEY|CREDENTIALS?)(_|$)|SECRET_?KEY")
# The whole address is the secret: who knows it may post there.
WHOLE = re.compile(r"WEBHOOK_URL$|HEARTBEAT_URL$")


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return the secret values of an environment: by name, the passwords in its URLs, and files of NAME_FILE."""
    found: set[str] = set()
    for name, value in environment.items():
        plain = name.removesuffix("_FILE")
        if plain != name and (NAMED.search(plain) or plain.endswith("_URL")):
            value = _read(value)
        if NAMED.search(plain) or WHOLE.search(plain):
            found.add(value)
        found |= _passwords(value)
    return frozenset(one for one in found if len(one) >= SHORTEST)


def text(given: str, secrets: frozenset[str] | None = None) -> str:
    """Return a text without the secrets (None: those of this process)."""
    known = secrets_of(os.environ) if secrets is None else secrets
    if not known:
        return given
    cleaned = given
    for form in forms(known):
        written = form.decode("utf-8", "surrogateescape")
        if written in cleaned:
            cleaned = cleaned.replace(written, MARK)
    return cleaned


def stream(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the pieces without the secrets of this process."""
    cleaner = Filter(secrets_of(os.environ))
    for piece in pieces:
        yield cleaner.feed(piece)
    yield cleaner.end()


class Filter:
    """Takes secrets out of bytes that come in pieces: what may be the beginning of one is held back."""

    def __init__(self, secrets: frozenset[str]) -> None:
        self.forms = forms(secrets)
        self.longest = max((len(form) for form in self.forms), default=0)
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be told by now."""
        self.rest = self._without(self.rest + data)
        cut = self._begun()
        told, self.rest = self.rest[:cut], self.rest[cut:]
        return told

    def end(self) -> bytes:
        """Return what was held back: no secret, as nothing more comes."""
        told, self.rest = self.rest, b""
        return told

    def _without(self, data: bytes) -> bytes:
        for form in self.forms:
            if form in data:
                data = data.replace(form, MARK.encode())
        return data

    def _begun(self) -> int:
        """Return where the end of the data begins that may be the beginning of a secret."""
        for start in range(max(0, len(self.rest) - self.longest + 1), len(self.rest)):
            tail = self.rest[start:]
            if any(form.startswith(tail) for form in self.forms):
                return start
        return len(self.rest)


@lru_cache(maxsize=8)
def forms(secrets: frozenset[str]) -> tuple[bytes, ...]:
    """Return how the secrets may be written, the longest first."""
    found: set[bytes] = set()
    for secret in secrets:
        raw = secret.encode("utf-8", "surrogateescape")
        found |= {raw, raw.hex().encode(), raw.hex().upper().encode(), *_base64(raw), *_escaped(secret)}
        found.add(base64.b32encode(raw).rstrip(b"="))
    return tuple(sorted((form for form in found if len(form) >= SHORTEST), key=lambda form: (-len(form), form)))


def _escaped(secret: str) -> Iterable[bytes]:
    percent = "".join(f"%{byte:02X}" for byte in secret.encode("utf-8", "surrogateescape"))
    written = {
        quote(secret, safe=""), quote(secret), quote_plus(secret), quote(quote(secret, safe=""), safe=""), percent,
        json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1],
        "".join(f"\\u{ord(letter):04x}" for letter in secret),
        html.escape(secret), repr(secret)[1:-1], secret.replace("'", "'\\''"),
    }  # fmt: skip
    written |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), one) for one in written}
    return {one.encode("utf-8", "surrogateescape") for one in written}


def _base64(raw: bytes) -> Iterable[bytes]:
    """Return what stands in base64 wherever the secret begins in it: its place modulo 3 decides about the letters."""
    for before in range(3):
        first, last = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(b"\0" * before + raw)[first:last]


def _passwords(value: str) -> set[str]:
    """Return the password of a URL, as it stands there and as it is meant."""
    if "://" not in value or "@" not in value:
        return set()
    try:
        password = urlsplit(value).password or ""
    except ValueError:
        return set()
    return {password, unquote(password)}


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        return ""
