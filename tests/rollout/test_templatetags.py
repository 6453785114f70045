"""The template vocabulary: everything it prints is escaped, exact and readable without colour."""

import datetime as dt
import hashlib
import re
import unicodedata
from pathlib import Path

import pytest
from django.template import Context, Template, TemplateSyntaxError
from django.test import RequestFactory
from django.utils import timezone

from monitoring.unseen import UNSEEN
from rollout.templatetags import _states, gr

NOON = dt.datetime(2026, 11, 23, 12, 0, 5, tzinfo=dt.UTC)
VENDOR = Path(gr.ICONS).parent

HOSTILE_MARKDOWN = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox)",
    "![x](javascript:alert(1))",
    '[x](https://a.example "onmouseover=alert(1)")',
    "<a href='javascript:alert(1)'>x</a>",
    "<svg/onload=alert(1)>",
    "<iframe src=//evil.example></iframe>",
    "<style>*{display:none}</style>",
    "`<script>alert(1)</script>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "- [ ] <input onfocus=alert(1) autofocus>",
    "| a |\n|---|\n| <b onclick=alert(1)>x</b> |",
    "<javascript:alert(1)>",
    "[a]: javascript:alert(1)\n\n[a]",
]
LIVE_MARKUP = re.compile(
    r"<(script|img|svg|iframe|style|b|object|embed|form|base|meta|link)\b|<[^>]*\s(on\w+|style|src)=|"
    r"href=\"\s*(javascript|data|vbscript):",
    re.IGNORECASE,
)


def render(source: str, **context: object) -> str:
    return Template("{% load gr %}" + source).render(Context(context))


@pytest.mark.parametrize("source", HOSTILE_MARKDOWN)
def test_hostile_markdown_leaves_no_live_markup(source):
    without_titles = re.sub(r' title="[^"]*"', "", render("{{ text|markdown }}", text=source))
    assert not LIVE_MARKUP.search(without_titles)


def test_the_live_markup_pattern_would_catch_what_it_looks_for():
    for planted in ("<script>", "<p onclick=x>", '<a href="javascript:x">', "<p style='x'>", "<img src=x>"):
        assert LIVE_MARKUP.search(planted)


def test_a_title_from_markdown_stays_inside_its_quotes():
    assert 'title="&quot; onclick=x"' in render("{{ t|markdown }}", t="[x](https://a.example '\" onclick=x')")


def test_markdown_keeps_task_lists_tables_and_code():
    html = render("{{ t|markdown }}", t="- [x] done\n- [ ] open\n\n| a |\n|---|\n| 1 |\n\n```\nls\n```")
    assert html.count('type="checkbox"') == 2
    assert html.count('checked="checked"') == 1
    assert html.count("disabled") == 2
    assert "<td>1</td>" in html
    assert "<code>ls" in html


def test_markdown_headings_stand_below_the_page_title():
    assert "<h2>Deploy</h2>" in render("{{ t|markdown }}", t="# Deploy")


def test_markdown_links_send_no_referrer():
    assert 'rel="noopener noreferrer nofollow"' in render("{{ t|markdown }}", t="[x](https://a.example)")


def test_log_text_is_escaped():
    assert render("{{ t|visible_controls }}", t="<b>&") == "&lt;b&gt;&amp;"


def test_ansi_escapes_are_shown_and_not_obeyed():
    html = render("{{ t|visible_controls }}", t="\x1b[2Jgone\x9b31m")
    assert "\x1b" not in html and "\x9b" not in html
    assert "ESC</span>[2Jgone" in html and "U+009B" in html


def test_bidi_override_is_shown_by_its_code():
    html = render("{{ t|visible_controls }}", t="txt.\u202eexe")
    assert "\u202e" not in html and ">U+202E</span>exe" in html


def test_a_difference_reorders_nothing():
    html = render("{% diff a b %}", a="txt.\u202eexe", b="<b>")
    assert "\u202e" not in html and ">U+202E</span>exe" in html and "&lt;b&gt;" in html


def test_newline_and_tab_of_a_log_stay():
    assert render("{{ t|visible_controls }}", t="a\tb\r\nc\n") == "a\tb\nc\n"


def test_a_lone_carriage_return_cannot_overwrite_a_line():
    assert "CR</span>" in render("{{ t|visible_controls }}", t="FAILED\rPASSED")


def test_every_control_and_format_character_of_unicode_is_made_visible():
    unseen = [
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Zl", "Zp", "Cs"} and chr(code) not in "\n\t"
    ]
    others = "\u034f\u115f\u2800\u3164\uffa0\U0001d159"  # letters, marks and signs that show nothing
    assert [hex(ord(char)) for char in [*unseen, *others] if not UNSEEN.match(char)] == []


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "—"),
        (0, "0 ms"),
        (0.85, "850 ms"),
        (0.9999, "1 s"),
        (12.34, "12.3 s"),
        (59.96, "1 min 00 s"),
        (245, "4 min 05 s"),
        (3599.7, "1 h 00 min"),
        (3725, "1 h 02 min"),
        (273600, "3 d 04 h"),
        (-2, "−2 s"),
        (dt.timedelta(minutes=2), "2 min 00 s"),
    ],
)
def test_duration_in_words(seconds, said):
    assert render("{{ s|duration }}", s=seconds) == said


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (None, "—"),
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1,000 bytes (1.0 kB)"),
        (1423551, "1,423,551 bytes (1.4 MB)"),
    ],
)
def test_size_is_exact(size, said):
    assert render("{{ s|filesize_exact }}", s=size) == said


def test_short_sha_shows_twelve_and_copies_all():
    sha = hashlib.sha256(b"x").hexdigest()
    html = render("{{ s|short_sha }}", s=sha)
    assert f">{sha[:12]}<" in html and f">{sha}<" in html and f'data-copy="{sha}"' in html


def test_short_sha_escapes_what_is_no_sha():
    assert "<script" not in render("{{ s|short_sha }}", s='"><script>alert(1)</script>')


def test_missing_sha_is_a_dash():
    assert "—" in render("{{ s|short_sha }}", s="")


def test_badge_says_word_and_shape():
    html = render("{% badge 'ROLLED_BACK' %}")
    assert "<span>Rolled back</span>" in html and "<svg" in html and "tone-warn" in html


def test_badge_reads_values_words_and_enum_members():
    assert render("{% badge 'no data' %}") == render("{% badge 'no_data' %}") == render("{% badge 'NO_DATA' %}")


def test_unknown_state_is_shown_in_its_own_words_and_escaped():
    html = render("{% badge s %}", s="<odd>_thing")
    assert "&lt;odd&gt; thing" in html and "tone-neutral" in html


def test_every_look_has_its_icon_and_a_known_tone():
    for look in _states.LOOKS.values():
        assert "<path" in gr.icon(look.icon) or "<circle" in gr.icon(look.icon)
        assert look.tone in {"neutral", "info", "wait", "ok", "warn", "bad", "crit"}


def test_states_of_one_kind_never_share_both_shape_and_tone():
    kind = list(_states.LOOKS)[: list(_states.LOOKS).index("PENDING")]
    shapes = [(_states.LOOKS[key].icon, _states.LOOKS[key].tone) for key in kind]
    assert len(set(shapes)) == len(shapes)


def test_icon_refuses_a_path():
    with pytest.raises(TemplateSyntaxError):
        gr.icon("../../../etc/passwd")


def test_unknown_icon_says_what_to_do():
    with pytest.raises(TemplateSyntaxError, match="add its SVG"):
        gr.icon("no-such-icon")


def test_icon_label_is_escaped():
    assert 'aria-label="&quot;&gt;"' in gr.icon("check", '">')


def test_time_is_absolute_with_zone_and_machine_readable():
    with timezone.override("Europe/Berlin"):
        html = render("{% when t %}", t=NOON)
    assert 'datetime="2026-11-23T12:00:05Z"' in html and "23 Nov 2026, 13:00:05 CET" in html


def test_time_writes_no_relative_text_so_that_etags_hold():
    assert '<span class="rel" data-relative></span>' in render("{% when t %}", t=NOON)


def test_naive_time_is_refused():
    with pytest.raises(ValueError, match="aware"):
        gr.when(NOON.replace(tzinfo=None))


def test_no_time_is_a_dash():
    assert "—" in render("{% when t %}", t=None)


def test_diff_escapes_both_sides():
    html = render("{% diff a b %}", a="<1>", b="<2>")
    assert "&lt;1&gt;" in html and "&lt;2&gt;" in html and "<1>" not in html


def test_diff_says_that_a_side_was_not_set():
    assert "not set" in render("{% diff a b %}", a=None, b="x")


def test_diff_of_zero_is_zero():
    assert "not set" not in render("{% diff a b %}", a=0, b=1)


def test_page_query_keeps_the_other_filters():
    request = RequestFactory().get("/history/?q=a+b&page=2")
    html = Template("{% load gr %}{% page_query page=3 %}").render(Context({"request": request}))
    assert html == "?q=a+b&amp;page=3"


def test_nav_marks_the_page_below_its_link():
    request = RequestFactory().get("/incidents/7/")
    assert "aria-current" in gr.nav_current({"request": request}, "/incidents/")
    assert "aria-current" not in gr.nav_current({"request": request}, "/")


@pytest.mark.parametrize(("part", "whole", "percent"), [(3, 4, 75), (5, 0, 0), (9, 4, 100)])
def test_percent_stays_between_0_and_100(part, whole, percent):
    assert gr.percent_of(part, whole) == percent


def test_vendored_files_are_what_the_table_says():
    rows = re.findall(r"^\| `([^`*]+)` \|.*`([0-9a-f]{64})` \|$", (VENDOR / "VENDORED.md").read_text(), re.MULTILINE)
    assert len(rows) == 7
    for name, sha in rows:
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == sha, name


def test_templates_hold_no_inline_script_style_or_handler():
    refused = r"<script(?![^>]*\bsrc=)|<style\b|\sstyle=|\son\w+=|hx-on|https?://(?!www\.w3\.org)"
    root = VENDOR.parent.parent.parent / "templates"
    for path in root.rglob("*.html"):
        assert not re.search(refused, path.read_text(encoding="utf-8")), path
