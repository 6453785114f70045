"""Runbooks as they were loaded, and the boxes that people ticked."""

from django.conf import settings
from django.db import models

from .component import Component
from .rollout import Rollout


class Runbook(models.Model):
    """One Markdown text of a component; a new text is a new row, so that a tick keeps what it was about."""

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="runbooks")
    slug = models.SlugField(max_length=60)
    title = models.CharField(max_length=120)
    text = models.TextField()
    sha256 = models.CharField(max_length=64)
    current = models.BooleanField(default=True)
    loaded_at = models.DateTimeField()

    class Meta:
        ordering = ["component__name", "slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["component", "slug"], condition=models.Q(current=True), name="one_current_runbook"
            )
        ]

    def __str__(self) -> str:
        return f"{self.component}: {self.title}"


class RunbookTick(models.Model):
    """A box of a runbook, ticked (or cleared again) by a person for a rollout; the newest row counts."""

    runbook = models.ForeignKey(Runbook, on_delete=models.PROTECT, related_name="ticks")
    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="ticks")
    item = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=300)
    done = models.BooleanField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{'done' if self.done else 'cleared'}: {self.text}"
