"""The backups that exist on disk, and what is known of each."""

from django.db import models

from .component import Target
from .run import Run


class Backup(models.Model):
    """One archive under `backups/`; `verified_at` is when every byte of it was read back."""

    class Kind(models.TextChoices):
        BACKUP = "backup", "backup"
        UNDO = "undo", "state that a rollback left"

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="backups")
    run = models.ForeignKey(Run, on_delete=models.PROTECT, null=True, blank=True, related_name="backups")
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.BACKUP)
    path = models.CharField(max_length=300, unique=True)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    release_version = models.CharField(max_length=60)
    members = models.PositiveIntegerField(default=0)
    # {"shared/dhash.sqlite3": {"images": 123, ...}}
    rows = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, blank=True)
    rehearsed_at = models.DateTimeField(null=True, blank=True)
    rehearsal_s = models.FloatField(null=True, blank=True)
    # when its file was removed because its time was over, or was found missing, and which of the two
    removed_at = models.DateTimeField(null=True, blank=True)
    removed_why = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.path.rsplit("/", 1)[-1]
