"""The outbox: what is to be told, to which channel, and every attempt to tell it."""

from django.db import models

from .subject import AboutSubject


class Notice(AboutSubject):
    """One message for one channel, written in the transaction of the move it tells of."""

    class State(models.TextChoices):
        PENDING = "PENDING", "waiting to be sent"
        SENT = "SENT", "sent"
        # the channel failed for good or too often; the text stands in the fallback file. A channel that may
        # come back is still tried (`next_attempt_at`), and then the state becomes SENT
        FELL_BACK = "FELL_BACK", "written to the file instead"

    event = models.SlugField(max_length=60)
    severity = models.CharField(max_length=10, default="info")
    channel = models.SlugField(max_length=20)
    dedupe_key = models.CharField(max_length=200, unique=True)
    title = models.CharField(max_length=200)
    body = models.TextField()
    url = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    # null: no further try
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    claimed_until = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["state", "next_attempt_at"], name="notice_due")]

    def __str__(self) -> str:
        return f"{self.event} to {self.channel}: {self.title}"


class NoticeAttempt(models.Model):
    """One try to deliver a notice."""

    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="attempt_set")
    at = models.DateTimeField()
    ok = models.BooleanField()
    detail = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {'sent' if self.ok else self.detail}"
