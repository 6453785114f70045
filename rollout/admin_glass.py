"""The admin of broken glass, its reviews, and of who opened a difference; all to read."""

from django.contrib import admin

from rollout import models
from rollout.admin_base import ReadOnlyMixin, Rows, Table


class ReviewInline(ReadOnlyMixin, Rows):
    """What two others said of a break-glass."""

    model = models.GlassReview
    fields = ("seq", "printed_name", "verdict", "words", "method", "at")


@admin.register(models.BreakGlass)
class BreakGlassAdmin(ReadOnlyMixin, Table):
    """Starts without a complete sign-off."""

    inlines = (ReviewInline,)
    list_display = ("at", "rollout", "printed_name", "why_now", "why_safe", "due_at", "closed_at", "objected")
    list_filter = ("objected", "component")
    list_select_related = ("rollout__release__component", "rollout__target__environment")
    search_fields = ("printed_name", "why_now", "why_safe", "digest")
    date_hierarchy = "at"


@admin.register(models.GlassReview)
class GlassReviewAdmin(ReadOnlyMixin, Table):
    """Reviews of what broke the glass."""

    list_display = ("at", "glass_id", "seq", "printed_name", "verdict", "words")
    list_filter = ("verdict",)
    search_fields = ("printed_name", "words")
    date_hierarchy = "at"


@admin.register(models.DiffReading)
class DiffReadingAdmin(ReadOnlyMixin, Table):
    """Who was sent the difference of which digest, first when."""

    list_display = ("at", "user", "rollout_id", "digest")
    list_select_related = ("user",)
    search_fields = ("digest", "user__username")
    date_hierarchy = "at"
