"""Template vocabulary of Guarded Rollout: badges, times, sizes, digests, logs, Markdown and icons, all escaped."""

import datetime as dt
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from monitoring.unseen import in_codes
from rollout import once as keys
from rollout.templatetags._states import Look, look_of
from rollout.templatetags._text import duration_text, render_markdown, size_text, with_visible_controls

register = template.Library()

ICONS = Path(__file__).resolve().parent.parent / "static" / "vendor" / "lucide"
SHORT_SHA = 12


@lru_cache(maxsize=256)
def _icon_body(name: str) -> str:
    """Read the drawing inside one vendored SVG; the name comes from templates only, but a path in it is refused."""
    if not name or not name.replace("-", "").isalnum():
        raise template.TemplateSyntaxError(f"icon name must be letters, digits and hyphens, got {name!r}")
    path = ICONS / f"{name}.svg"
    if not path.is_file():
        raise template.TemplateSyntaxError(f"no icon {name!r}: add its SVG to rollout/static/vendor/lucide/")
    svg = path.read_text(encoding="utf-8")
    return svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")].strip()


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """Draw an inline icon; hidden from assistive technology unless it is given a label."""
    named = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    body = mark_safe(_icon_body(name))  # noqa: S308 - our own vendored file, never user text
    return format_html(
        '<svg class="icon {}" {} viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor"'
        ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{}</svg>',
        css,
        named,
        body,
    )


@register.simple_tag
def once() -> SafeString:
    """Write the key of a form, new in every rendering: what is sent twice with one key is done once."""
    key = keys.new_key(timezone.now())
    # Firefox would keep the old key over a reload of the page
    return format_html('<input type="hidden" name="{}" value="{}" autocomplete="off">', keys.FIELD, key)


@register.simple_tag
def badge(state: Any, text: str = "") -> SafeString:
    """Show a state as word + icon shape + colour; `text` replaces the word."""
    look: Look = look_of(state)
    word = text or look.word
    return format_html('<span class="badge tone-{}">{}<span>{}</span></span>', look.tone, icon(look.icon), word)


@register.simple_tag
def state_icon(state: Any) -> SafeString:
    """Draw only the icon of a state, where its word stands beside it already."""
    return icon(look_of(state).icon)


@register.filter
def tone(state: Any) -> str:
    """Return the tone (neutral, info, wait, ok, warn, bad, crit) that a state is coloured by."""
    return look_of(state).tone


@register.filter
def state_word(state: Any) -> str:
    """Return the word that a badge shows for a state, for titles and sentences."""
    return look_of(state).word


@register.simple_tag
def when(moment: dt.datetime | None, style: str = "both") -> SafeString:
    """Render a `<time>`; style is both, absolute, relative or clock (time.js fills in the relative part).

    The server writes no relative text: it would change every second and with it the ETag of a polled fragment.
    """
    if moment is None:
        return mark_safe('<span class="none">—</span>')
    if timezone.is_naive(moment):
        raise ValueError(f"when: expected an aware datetime, got {moment!r}")
    local = timezone.localtime(moment)
    iso = moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    full = f"{local:%-d %b %Y, %H:%M:%S} {local.tzname()}"
    if style == "absolute":
        return format_html('<time datetime="{}">{}</time>', iso, full)
    if style == "clock":
        return format_html('<time datetime="{}" title="{}">{}</time>', iso, full, f"{local:%H:%M:%S}")
    if style == "relative":
        return format_html('<time datetime="{}" title="{}" data-relative="only">{}</time>', iso, full, full)
    return format_html(
        '<time datetime="{}"><span class="abs">{}</span> <span class="rel" data-relative></span></time>', iso, full
    )


@register.filter
def duration(seconds: float | dt.timedelta | None) -> str:
    """Say a duration given in seconds (or a timedelta) in words: 850 ms, 12.3 s, 4 min 05 s, 1 h 02 min, 3 d 04 h."""
    return duration_text(seconds)


@register.filter
def filesize_exact(size: int | None) -> str:
    """Say a size in bytes exactly, with a rounded unit beside it: 1,423,551 bytes (1.4 MB)."""
    return size_text(size)


@register.filter
def short_sha(sha: str | None, name: str = "sha256") -> SafeString:
    """Show the first characters of a digest; the whole appears on hover, focus and in print, and is what is copied."""
    if not sha:
        return mark_safe('<span class="none">—</span>')
    return format_html(
        '<span class="sha"><code class="sha-short" aria-hidden="true">{}</code><code class="sha-full">{}</code>'
        '<button type="button" class="copy" data-copy="{}" aria-label="Copy {} {}" title="Copy {}">{}{}</button>'
        "</span>",
        sha[:SHORT_SHA],
        sha,
        sha,
        name,
        sha[:SHORT_SHA],
        name,
        icon("copy", css="copy-idle"),
        icon("check", css="copy-done"),
    )


@register.filter
def visible_controls(text: Any) -> SafeString:
    """Escape text of any kind and show control, bidirectional and invisible characters instead of obeying them."""
    return with_visible_controls("" if text is None else str(text))


@register.filter
def codes(text: Any) -> str:
    """Return text with the codes of such characters in their places, for where no markup can stand."""
    return in_codes("" if text is None else str(text))


@register.filter
def markdown(text: str | None) -> SafeString:
    """Render trusted-structure, untrusted-content Markdown (no HTML, task lists, tables) through an allow-list."""
    return render_markdown(text or "")


def _is_set(value: Any) -> bool:
    return value is not None and value != ""


@register.simple_tag
def diff(before: Any, after: Any) -> SafeString:
    """Show a change as before → after, both escaped; an empty side is said in words."""
    sides = [
        ("before", "del", "was", before),
        ("after", "ins", "now", after),
    ]
    cells = [
        format_html(
            '<{} class="diff-{}{}"><span class="sr-only">{} </span>{}</{}>',
            element,
            side,
            "" if _is_set(value) else " diff-unset",
            spoken,
            with_visible_controls(str(value)) if _is_set(value) else "not set",
            element,
        )
        for side, element, spoken, value in sides
    ]
    arrow = icon("arrow-right", css="diff-arrow")
    return format_html('<span class="diff">{}{}{}</span>', cells[0], arrow, cells[1])


@register.simple_tag
def facts(**pairs: Any) -> SafeString:
    """Lay out keyword pairs as a definition list; underscores in names become spaces."""
    named = ((name.replace("_", " "), value) for name, value in pairs.items())
    rows = format_html_join("", "<div><dt>{}</dt><dd>{}</dd></div>", named)
    return format_html('<dl class="facts">{}</dl>', rows)


@register.filter
def words(text: str) -> list[str]:
    """Split text at spaces, to loop over a few literal choices in a template."""
    return text.split()


@register.simple_tag(takes_context=True)
def page_query(context: dict[str, Any], **changes: Any) -> str:
    """Return the current query string with some parameters changed (None removes one), for pagination and sorting."""
    query = context["request"].GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = str(value)
    encoded: str = query.urlencode()
    return f"?{encoded}" if encoded else "?"


@register.simple_tag(takes_context=True)
def nav_current(context: dict[str, Any], prefix: str) -> SafeString:
    """Return aria-current for a navigation link whose path the page is on or under ("/" only matches itself)."""
    request = context.get("request")
    path = request.path if request else ""
    here = path == prefix or (prefix != "/" and path.startswith(prefix))
    return mark_safe(' aria-current="page"') if here else SafeString("")


@register.filter
def percent_of(part: float, whole: float) -> int:
    """Return part/whole as a whole percentage from 0 to 100; 0 when the whole is not positive."""
    return 0 if not whole or whole <= 0 else max(0, min(100, round(100 * part / whole)))
