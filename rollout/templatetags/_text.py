"""Text for people: durations, sizes, logs with visible control characters, Markdown through an allow-list."""

import datetime as dt
import re
from functools import lru_cache

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.tasklists import tasklists_plugin

from monitoring.unseen import UNSEEN, in_codes

# Abbreviations, not the pictures of U+2400: many fonts have no glyph for those.
_C0 = (
    *("NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI"),
    *("DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US"),
)
_TAGS = {"p", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "a", "strong", "em", "s", "code", "pre", "blockquote"} | {
    *("table", "thead", "tbody", "tr", "th", "td", "hr", "br", "input", "label"),
}


def duration_text(seconds: float | dt.timedelta | None) -> str:
    """Say seconds in words; None is a dash, a negative duration keeps its sign."""
    if seconds is None or seconds == "":
        return "—"
    total = seconds.total_seconds() if isinstance(seconds, dt.timedelta) else float(seconds)
    return f"−{_positive(-total)}" if total < 0 else _positive(total)


def _positive(total: float) -> str:
    if total < 0.9995:
        return f"{round(total * 1000)} ms"
    if total < 59.95:
        return f"{total:.1f} s".replace(".0 s", " s")
    whole = round(total)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600:02d} h"


def size_text(size: int | str | None) -> str:
    """Say bytes exactly, then rounded in decimal units; None, or a variable that a template lacks, is a dash."""
    if size is None or isinstance(size, str):
        return "—"
    exact = f"{size:,} byte" if size == 1 else f"{size:,} bytes"
    for power, unit in ((4, "TB"), (3, "GB"), (2, "MB"), (1, "kB")):
        if size >= 1000**power:
            return f"{exact} ({size / 1000**power:.1f} {unit})"
    return exact


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    picture = _C0[code] if code < 0x20 else "DEL" if code == 0x7F else f"U+{code:04X}"
    return f'<span class="ctl" title="control character U+{code:04X}">{picture}</span>'


def with_visible_controls(text: str) -> SafeString:
    """Escape log text; keep newlines and tabs, show every other control or invisible character."""
    unix = text.replace("\r\n", "\n")
    return mark_safe(UNSEEN.sub(_shown, escape(unix)))  # noqa: S308 - escaped first; _shown emits only code points


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    plain = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    return plain.use(tasklists_plugin, label=True)


def _below_page_title(tokens: list[Token]) -> list[Token]:
    """Move headings one level down: the page has its own h1."""
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    return tokens


def render_markdown(text: str) -> SafeString:
    """Render Markdown with HTML off, then pass it through an allow-list of tags, attributes and URL schemes."""
    text = in_codes(text)  # before it is HTML: an attribute takes no markup
    parser = _parser()
    dirty = parser.renderer.render(_below_page_title(parser.parse(text)), parser.options, {})
    clean = nh3.clean(
        dirty,
        tags=_TAGS,
        attributes={"a": {"href", "title"}, "ol": {"start"}, "input": {"checked", "disabled"}},
        tag_attribute_values={"input": {"type": {"checkbox"}}, "li": {"class": {"task-list-item"}}},
        set_tag_attribute_values={"input": {"disabled": ""}, "pre": {"tabindex": "0"}},
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
    return mark_safe(f'<div class="prose">{clean}</div>')  # noqa: S308 - the output of the allow-list
