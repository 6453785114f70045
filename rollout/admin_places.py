"""The admin of the places: components, configurations, targets, releases and their evidence, all to read."""

from django.contrib import admin

from rollout import models
from rollout.admin_base import ReadOnlyMixin, Table


@admin.register(models.Component)
class ComponentAdmin(ReadOnlyMixin, Table):
    """Components; they are declared in a file."""

    list_display = ("name", "title")
    search_fields = ("name", "title")


@admin.register(models.Configuration)
class ConfigurationAdmin(ReadOnlyMixin, Table):
    """Every text that was loaded."""

    list_display = ("component", "sha256", "state", "loaded_by", "loaded_at", "confirmed_by", "confirmed_at")
    list_filter = ("state", "component")
    list_select_related = ("component",)
    search_fields = ("sha256", "loaded_by", "text")
    date_hierarchy = "loaded_at"


@admin.register(models.Environment)
class EnvironmentAdmin(ReadOnlyMixin, Table):
    """Environments."""

    list_display = ("name",)
    search_fields = ("name",)


@admin.register(models.Target)
class TargetAdmin(ReadOnlyMixin, Table):
    """Targets; they are locked and unlocked on the component's page, where a reason is asked for."""

    list_display = ("__str__", "live_version", "locked", "lock_reason", "locked_by", "locked_at", "epoch", "host_id")
    list_filter = ("locked", "retired", "component", "environment")
    list_select_related = ("component", "environment")
    search_fields = ("component__name", "environment__name", "lock_reason")


@admin.register(models.Release)
class ReleaseAdmin(ReadOnlyMixin, Table):
    """Releases."""

    list_display = (
        "component",
        "version",
        "commit",
        "branch",
        "pull_request",
        "created_by",
        "created_via",
        "created_at",
    )
    list_filter = ("component", "created_via")
    list_select_related = ("component", "created_by")
    search_fields = ("version", "commit", "branch")
    date_hierarchy = "created_at"


@admin.register(models.Artifact)
class ArtifactAdmin(ReadOnlyMixin, Table):
    """Files of evidence, the replaced ones too."""

    list_display = (
        "name",
        "kind",
        "release",
        "rollout_id",
        "sha256",
        "size",
        "uploaded_by",
        "created_at",
        "replaced_at",
    )
    list_filter = ("kind", "via", "release__component")
    list_select_related = ("release__component", "uploaded_by")
    search_fields = ("name", "sha256")
    date_hierarchy = "created_at"


@admin.register(models.EvidenceLink)
class EvidenceLinkAdmin(ReadOnlyMixin, Table):
    """Links to CI runs, and what GitHub said."""

    list_display = ("kind", "url", "release", "check_state", "check_detail", "checked_at", "added_by", "added_at")
    list_filter = ("kind", "check_state", "release__component")
    list_select_related = ("release__component", "added_by")
    search_fields = ("url",)
    date_hierarchy = "added_at"
