"""Who was sent the whole difference of a frozen manifest, before deciding over it."""

from django.conf import settings
from django.db import models

from approvals.append_only import AppendOnlyQuerySet, WrittenOnce

from .rollout import Rollout


class DiffReading(WrittenOnce):
    """The first time that the server answered one person with the difference of one digest; append-only."""

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="readings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64)
    at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["rollout", "user", "digest"], name="one_reading_a_digest")]

    def __str__(self) -> str:
        return f"difference of {self.digest[:12]} opened by {self.user}"
