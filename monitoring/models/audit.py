"""The audit: a gapless chain of entries, each holding the exact bytes that were hashed."""

from django.db import models

from .moment import MomentField
from .subject import AboutSubject


class AuditEntry(AboutSubject):
    """One move, told for ever. `body` is the canonical JSON that `hash` covers; the other columns are for search."""

    seq = models.PositiveBigIntegerField(unique=True)
    at = MomentField()
    action = models.CharField(max_length=60)
    actor_id = models.PositiveBigIntegerField(null=True, blank=True)
    # empty after an erasure; the body holds only the sha256 of `person`
    actor_name = models.CharField(max_length=150, blank=True)
    # canonical JSON of name, address, session, OS user and a salt; the only thing that may be emptied later
    person = models.TextField(blank=True)
    via = models.CharField(max_length=10)
    why = models.TextField(blank=True)
    old = models.CharField(max_length=40, blank=True)
    new = models.CharField(max_length=40, blank=True)
    body = models.TextField()
    prev = models.CharField(max_length=64)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-seq"]
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["subject_kind", "subject_id", "seq"], name="audit_subject"),
            models.Index(fields=["action", "seq"], name="audit_action"),
            models.Index(fields=["actor_name", "seq"], name="audit_actor"),
            models.Index(fields=["component", "environment", "seq"], name="audit_place"),
            # one for each combination of filters of the history page: it asks for exactly these, ordered by seq
            models.Index(fields=["actor_name", "action", "seq"], name="audit_actor_action"),
            models.Index(fields=["component", "environment", "action", "seq"], name="audit_place_action"),
            models.Index(fields=["component", "environment", "actor_name", "seq"], name="audit_place_actor"),
            models.Index(fields=["component", "environment", "actor_name", "action", "seq"], name="audit_place_both"),
            models.Index(fields=["at"], name="audit_at"),
        ]

    # what stands in `at`, where that is no moment; `audit_times.tell_kept` fills it in
    kept_at = ""

    def __str__(self) -> str:
        return f"#{self.seq} {self.action} {self.subject_label}"


class AuditHead(models.Model):
    """The single row that every append takes first, so that the sequence has no gap and no fork."""

    seq = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default="0" * 64)
    # the latest time that any entry tells, and how far below it a later entry ever told: time becomes a span of numbers
    newest_at = models.DateTimeField(null=True)
    set_back_us = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"audit head at {self.seq}"


class Checkpoint(models.Model):
    """A head of the chain, signed by a key that is not in the database; `body` is the exact text that was signed."""

    seq = models.PositiveBigIntegerField(unique=True)
    hash = models.CharField(max_length=64)
    at = models.DateTimeField()
    key = models.CharField(max_length=64)
    body = models.TextField()
    signature = models.CharField(max_length=128)

    class Meta:
        ordering = ["-seq"]

    def __str__(self) -> str:
        return f"checkpoint at #{self.seq} by key {self.key[:12]}"


class TimeStamp(models.Model):
    """What an authority for time (RFC 3161) answered about the text of the checkpoint with this number, in DER."""

    seq = models.PositiveBigIntegerField(unique=True)
    token = models.BinaryField()
    kept_at = models.DateTimeField()

    class Meta:
        ordering = ["-seq"]

    def __str__(self) -> str:
        return f"time stamp of the checkpoint at #{self.seq}"
