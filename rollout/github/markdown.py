"""Put untrusted text into Markdown so that it means only itself."""

import re

JOINER = "\u2060"  # invisible; breaks what GitHub would read into the text after Markdown's own escapes are gone


def text(value: str, *, mention: bool = False) -> str:
    """Return `value` as one line of plain text: no tick, link, tag, emoji or reference comes of it.

    `mention` leaves "@name" alive, for names that come from a reviewed file.
    """
    safe = re.sub(r"([\\`*_\[\]<>&$~|])", r"\\\1", _line(value))
    calls = r"([#:](?=\S)|(?i:www)(?=\.))" if mention else r"([@#:](?=\S)|(?i:www)(?=\.))"
    return re.sub(calls, rf"\1{JOINER}", safe)


def code(value: str) -> str:
    """Return `value` as a code span, fenced by more backticks than it holds."""
    line = _line(value) or "(empty)"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    pad = " " if line[0] == "`" or line[-1] == "`" else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def link(label: str, url: str) -> str:
    """Return a link when `url` is a plain http(s) one; otherwise show it as code, or say that there is none."""
    if not url:
        return f"{text(label)} (no link)"
    # Every printable ASCII sign but space, the quotes, <>, backslash, backtick, ^ and {|}.
    if re.fullmatch(r"https?://[A-Za-z0-9.\-:\[\]]+(?:[/?#][!#-&(-;=?-\[\]_a-z~]*)?", url):
        return f"[{text(label)}](<{url}>)"
    return f"{text(label)} {code(url)}"


def _line(value: str) -> str:
    """Return `value` on one line, with nothing in it that is invisible or turns the reading direction."""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in value).split())
