"""The admin of the monitoring room: everything can be searched, no history can be edited."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import SimpleTemplateResponse
from django.urls import URLPattern

from . import lookups, raw_rows
from .models import (
    Attachment,
    AuditEntry,
    Checkpoint,
    Incident,
    IncidentEntry,
    Notice,
    NoticeAttempt,
    Poll,
    Sample,
    TimeStamp,
    Watch,
)

if TYPE_CHECKING:  # generic for the type checker only
    Table = admin.ModelAdmin[Any]
    Rows = admin.TabularInline[Any, Any]
else:
    Table = admin.ModelAdmin
    Rows = admin.TabularInline


class ReadOnlyMixin:
    """Refuses to add, change or delete: these rows are written by the verbs of the room, which audit what they do.

    Reading is for whoever the access table lets into the admin: no permission row has to be given out for it.
    """

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to staff."""
        return request.user.is_active and request.user.is_staff

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let staff read."""
        return request.user.is_active and request.user.is_staff

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a row by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody removes a row by hand."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let an address filter by what the list shows as a filter, and by nothing else."""
        return lookups.is_allowed(lookup, getattr(self, "list_filter", ()), getattr(self, "date_hierarchy", None))


def _drawn(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Return the view with its page drawn before it ends: filters are asked of the database only then."""

    @wraps(view)
    def drawing(*args: Any, **kwargs: Any) -> HttpResponse:
        response = view(*args, **kwargs)
        return response.render() if isinstance(response, SimpleTemplateResponse) else response

    return drawing


class EntryInline(ReadOnlyMixin, Rows):
    """The timeline of an incident."""

    model = IncidentEntry
    extra = 0


class AttachmentInline(ReadOnlyMixin, Rows):
    """What is attached to an incident."""

    model = Attachment
    extra = 0


class AttemptInline(ReadOnlyMixin, Rows):
    """Every try to deliver a notice."""

    model = NoticeAttempt
    extra = 0


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyMixin, Table):
    """The audit, newest first."""

    list_display = ("seq", "at", "action", "actor_name", "via", "subject_label", "old", "new", "why")
    list_filter = ("action", "via", "component", "environment", "subject_kind")
    search_fields = ("subject_label", "subject_id", "actor_name", "why", "hash")
    show_full_result_count = False  # the table only grows

    def get_urls(self) -> list[URLPattern]:
        """Let each page show an entry, whatever somebody wrote into it."""
        urls = super().get_urls()
        for one in urls:
            one.callback = raw_rows.whatever_stands(_drawn(one.callback))
        return urls


@admin.register(Incident)
class IncidentAdmin(ReadOnlyMixin, Table):
    """Incidents; they are moved on their own page, where a reason is asked for."""

    list_display = ("__str__", "severity", "state", "component", "environment", "opened_at", "respond_by", "closed_at")
    list_filter = ("state", "severity", "component", "environment")
    search_fields = ("title", "summary", "resolution", "subject_label")
    date_hierarchy = "opened_at"
    inlines = (EntryInline, AttachmentInline)


@admin.register(IncidentEntry)
class IncidentEntryAdmin(ReadOnlyMixin, Table):
    """The lines of all timelines."""

    list_display = ("at", "incident", "by_name", "text")
    list_filter = ("incident__severity", "incident__component")
    list_select_related = ("incident",)
    search_fields = ("text", "by_name")
    date_hierarchy = "at"


@admin.register(Checkpoint)
class CheckpointAdmin(ReadOnlyMixin, Table):
    """The signed heads of the audit."""

    list_display = ("seq", "at", "hash", "key")
    search_fields = ("=seq", "hash", "key")
    date_hierarchy = "at"


@admin.register(TimeStamp)
class TimeStampAdmin(ReadOnlyMixin, Table):
    """What an authority answered about checkpoints; what it says, `audit verify` and openssl tell."""

    list_display = ("seq", "kept_at")
    fields = ("seq", "kept_at")
    search_fields = ("=seq",)
    date_hierarchy = "kept_at"


@admin.register(Attachment)
class AttachmentAdmin(ReadOnlyMixin, Table):
    """What is attached to incidents."""

    list_display = ("name", "incident", "size", "sha256", "at", "by_name")
    list_filter = ("incident__component",)
    list_select_related = ("incident",)
    search_fields = ("name", "sha256")
    date_hierarchy = "at"


@admin.register(Notice)
class NoticeAdmin(ReadOnlyMixin, Table):
    """The outbox."""

    list_display = ("created_at", "event", "severity", "channel", "state", "attempts", "next_attempt_at", "title")
    list_filter = ("state", "channel", "severity", "event", "component", "environment")
    search_fields = ("title", "body", "subject_label", "dedupe_key")
    date_hierarchy = "created_at"
    inlines = (AttemptInline,)


@admin.register(NoticeAttempt)
class NoticeAttemptAdmin(ReadOnlyMixin, Table):
    """Every try to deliver anything."""

    list_display = ("at", "notice", "ok", "detail")
    list_filter = ("ok", "notice__channel")
    list_select_related = ("notice",)
    search_fields = ("detail", "notice__title")
    date_hierarchy = "at"


@admin.register(Watch)
class WatchAdmin(ReadOnlyMixin, Table):
    """Watches; opened by a run, decided by their gates or on the rollout's page."""

    list_display = ("__str__", "state", "outcome", "verdict", "started_at", "ends_at", "next_due_at", "polls")
    list_filter = ("state", "outcome", "component", "environment")
    search_fields = ("subject_label", "reason")
    date_hierarchy = "started_at"


@admin.register(Poll)
class PollAdmin(ReadOnlyMixin, Table):
    """Every look at a target."""

    list_display = ("at", "watch", "number", "verdict", "next_interval_s", "next_reason", "reason")
    list_filter = ("verdict", "watch__component", "watch__environment")
    list_select_related = ("watch",)
    search_fields = ("reason", "next_reason", "watch__subject_label")
    date_hierarchy = "at"


@admin.register(Sample)
class SampleAdmin(ReadOnlyMixin, Table):
    """Every answer of every source."""

    list_display = ("at", "source", "value", "ok", "elapsed_ms", "error")
    list_filter = ("ok", "source", "poll__watch__component")
    list_select_related = ("poll",)
    search_fields = ("source", "error")
    date_hierarchy = "at"
    show_full_result_count = False
