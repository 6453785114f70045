"""An incident, its timeline and what is attached to it."""

from django.conf import settings
from django.db import models

from .subject import AboutSubject


class Incident(AboutSubject):
    """Something went wrong and a person has to look; opened by the system, closed by a person."""

    class Severity(models.TextChoices):
        # outage, data loss, breach, failed rollback: at once
        P0 = "P0", "P0 (at once)"
        P1 = "P1", "P1 (within 1 hour)"
        P2 = "P2", "P2 (within 4 hours)"

    class State(models.TextChoices):
        OPEN = "OPEN", "open"
        ACKNOWLEDGED = "ACKNOWLEDGED", "acknowledged"
        CLOSED = "CLOSED", "closed"

    severity = models.CharField(max_length=2, choices=Severity.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    title = models.CharField(max_length=200)
    summary = models.TextField(blank=True)
    runbook = models.SlugField(max_length=60, blank=True)
    # who was told of the opening is told of the closing, also when its subject is gone
    routes = models.JSONField(default=list, blank=True)
    url = models.CharField(max_length=300, blank=True)
    opened_at = models.DateTimeField()
    respond_by = models.DateTimeField(null=True, blank=True)
    acknowledged_at = models.DateTimeField(null=True, blank=True)
    acknowledged_by = models.CharField(max_length=150, blank=True)
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_by = models.CharField(max_length=150, blank=True)
    resolution = models.TextField(blank=True)

    class Meta:
        ordering = ["-opened_at"]

    def __str__(self) -> str:
        return f"INC-{self.pk} {self.title}"


class IncidentEntry(models.Model):
    """One line of an incident's timeline; never edited."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="entries")
    at = models.DateTimeField()
    by_name = models.CharField(max_length=150)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True)
    text = models.TextField()

    class Meta:
        ordering = ["at", "id"]
        verbose_name_plural = "incident entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.by_name}: {self.text[:60]}"


class Attachment(models.Model):
    """A file kept with an incident, content-addressed."""

    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="attachments")
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    at = models.DateTimeField()
    by_name = models.CharField(max_length=150)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return self.name
