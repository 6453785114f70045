"""One entry as a line of the history: fifty of them are most of the page, so each is drawn in one go."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from monitoring.models import AuditEntry
from rollout.templatetags.gr import state_word, visible_controls, when


def line(row: AuditEntry) -> SafeString:
    """Return what stands in the summary of an entry; no link, because the summary itself is pressed."""
    return format_html(
        '<span class="seq">#{}</span>{}'
        '<span class="what">{}</span> <span class="of"><bdi>{}</bdi> · <bdi>{}</bdi>{}{}</span>{}',
        row.seq,
        _time(row),
        row.action,
        visible_controls(row.subject_label),
        visible_controls(row.actor_name or "(erased)"),
        f" via {row.via}" if row.via not in ("browser", "system") else "",
        _move(row),
        format_html(' <span class="why"><bdi>{}</bdi></span>', visible_controls(row.why)) if row.why else "",
    )


def _time(row: AuditEntry) -> SafeString:
    if row.kept_at:
        return format_html('<span class="at odd">time cannot be read: {}</span>', visible_controls(row.kept_at))
    return format_html('<span class="at">{}</span>', when(row.at, "absolute"))


def _move(row: AuditEntry) -> SafeString | str:
    if not row.old or not row.new or row.old == row.new:
        return ""
    return format_html(' · <span class="nowrap">{} → {}</span>', state_word(row.old), state_word(row.new))
