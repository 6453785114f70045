"""API tokens, kept as hashes, and the keys of requests that were already answered."""

from django.conf import settings
from django.db import models
from django.utils import timezone

from .component import Component

SCOPES = {
    "release:write": "create releases, attach artifacts and CI run links",
    "rollout:read": "read rollouts, checklists and evidence",
}


class Token(models.Model):
    """A key for CI; it belongs to a person, is limited to a component, and can never approve or start."""

    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12, unique=True)
    sha256 = models.CharField(max_length=64, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="tokens")
    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="tokens")
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def is_live(self) -> bool:
        """Say whether the token is neither revoked nor expired, and its owner still active."""
        return self.revoked_at is None and self.expires_at > timezone.now() and self.owner.is_active


class Idempotency(models.Model):
    """The answer that a request with this key got; the same key with another body is refused."""

    key = models.CharField(max_length=100)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    route = models.CharField(max_length=120)
    body_sha256 = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    response = models.TextField()
    at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "idempotency keys"
        constraints = [models.UniqueConstraint(fields=["owner", "route", "key"], name="one_answer_per_key")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


class Heartbeat(models.Model):
    """A sign of life of pulse, or of a worker from inside a task; judged by change of `counter`."""

    name = models.CharField(max_length=80, unique=True)
    counter = models.PositiveBigIntegerField(default=0)
    at = models.DateTimeField()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name} {self.counter}"
