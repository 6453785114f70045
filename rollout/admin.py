"""The admin of rollouts: everything can be searched, only freezes can be edited; the rest is written by verbs."""

from importlib import import_module

from django.apps import apps
from django.contrib import admin

from rollout import admin_freezes, admin_glass, admin_places, models
from rollout.admin_base import ReadOnlyMixin, Rows, Table

__all__ = ["admin_freezes", "admin_glass", "admin_places"]  # their tables are registered by the import

admin.site.site_header = admin.site.site_title = "Guarded Rollout"
admin.site.index_title = "Tables; what is history can only be read"

# By name: its models are the queue's own, and editing them would lose or double work.
import_module("django_q.admin")
for _model in apps.get_app_config("django_q").get_models():
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


class StepInline(ReadOnlyMixin, Rows):
    """The steps of a run."""

    model = models.Step
    fields = ("number", "title", "state", "effect", "attempt", "started_at", "ended_at")


class RunInline(ReadOnlyMixin, Rows):
    """The runs of a rollout."""

    model = models.Run
    fields = ("kind", "state", "automatic", "started_by", "started_at", "ended_at", "reason")
    show_change_link = True


@admin.register(models.Rollout)
class RolloutAdmin(ReadOnlyMixin, Table):
    """Rollouts; they are moved on their own page."""

    list_display = ("id", "release", "target", "state", "requester", "created_at", "started_at", "ended_at")
    list_filter = ("state", "target__component", "target__environment")
    list_select_related = (
        "release__component", "target__component", "target__environment", "requester",
    )  # fmt: skip
    search_fields = ("release__version", "reason", "digest")
    date_hierarchy = "created_at"
    inlines = (RunInline,)


@admin.register(models.Run)
class RunAdmin(ReadOnlyMixin, Table):
    """Runs with their steps."""

    list_display = (
        "id",
        "kind",
        "state",
        "rollout",
        "automatic",
        "started_by",
        "started_at",
        "ended_at",
        "reviewed_by",
    )
    list_filter = ("kind", "state", "automatic", "target__component", "target__environment")
    list_select_related = ("rollout__release__component", "rollout__target__environment", "started_by")
    search_fields = ("reason", "rollout__release__version")
    date_hierarchy = "created_at"
    inlines = (StepInline,)


@admin.register(models.Step)
class StepAdmin(ReadOnlyMixin, Table):
    """Every step of every run."""

    list_display = ("id", "title", "kind", "state", "effect", "attempt", "started_at", "ended_at", "run_id")
    list_filter = ("kind", "state", "effect", "run__kind")
    search_fields = ("title",)
    date_hierarchy = "started_at"


@admin.register(models.Effect)
class EffectAdmin(ReadOnlyMixin, Table):
    """The journal of effects."""

    list_display = ("id", "what", "attempt", "intended_at", "observed_at", "observed")
    list_filter = ("step__kind",)
    search_fields = ("what", "observed")
    date_hierarchy = "intended_at"


@admin.register(models.Backup)
class BackupAdmin(ReadOnlyMixin, Table):
    """Backups and undo copies."""

    list_display = ("__str__", "target", "kind", "release_version", "size", "sha256", "verified_at", "removed_at")
    list_filter = ("kind", "target__component", "target__environment")
    list_select_related = ("target__component", "target__environment")
    search_fields = ("path", "sha256", "release_version")
    date_hierarchy = "created_at"


@admin.register(models.Runbook)
class RunbookAdmin(ReadOnlyMixin, Table):
    """Every text of every runbook."""

    list_display = ("title", "component", "slug", "current", "sha256", "loaded_at")
    list_filter = ("current", "component")
    list_select_related = ("component",)
    search_fields = ("title", "text")
    date_hierarchy = "loaded_at"


@admin.register(models.RunbookTick)
class RunbookTickAdmin(ReadOnlyMixin, Table):
    """Who ticked which box."""

    list_display = ("at", "by", "done", "text", "runbook", "rollout_id")
    list_filter = ("done", "runbook__component", "runbook__slug")
    list_select_related = ("by", "runbook__component")
    search_fields = ("text",)
    date_hierarchy = "at"


@admin.register(models.Token)
class TokenAdmin(ReadOnlyMixin, Table):
    """API tokens; only their hashes exist."""

    list_display = ("name", "prefix", "owner", "component", "scopes", "expires_at", "revoked_at", "last_used_at")
    list_filter = ("component",)
    list_select_related = ("owner", "component")
    search_fields = ("name", "prefix")
    date_hierarchy = "created_at"
    exclude = ("sha256",)


@admin.register(models.Idempotency)
class IdempotencyAdmin(ReadOnlyMixin, Table):
    """Requests that were answered already."""

    list_display = ("at", "owner", "route", "key", "status")
    list_filter = ("route", "status")
    list_select_related = ("owner",)
    search_fields = ("key",)
    date_hierarchy = "at"


@admin.register(models.Heartbeat)
class HeartbeatAdmin(ReadOnlyMixin, Table):
    """Signs of life."""

    list_display = ("name", "counter", "at")
    search_fields = ("name",)
