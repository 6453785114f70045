"""Where the subject of an audit entry can be looked at."""

from django.urls import NoReverseMatch, reverse

from monitoring.models import AuditEntry

PAGES = {"rollout": "rollout", "release": "release", "incident": "incident", "user": "person"}
BY_COMPONENT = frozenset({"component", "target"})


def subject_url(entry: AuditEntry) -> str:
    """Return the page of an entry's subject, or nothing when it has none."""
    page = PAGES.get(entry.subject_kind)
    if page and entry.subject_id.isdecimal() and entry.subject_id.isascii() and len(entry.subject_id) < 19:
        return reverse(page, args=[int(entry.subject_id)])
    if entry.subject_kind in BY_COMPONENT and entry.component:
        try:
            return reverse("component", args=[entry.component])
        except NoReverseMatch:  # somebody wrote there what no component is called
            return ""
    return ""
