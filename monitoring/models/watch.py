"""A watch, its polls and its samples."""

from django.db import models

from .moment import MomentField
from .subject import AboutSubject


class Watch(AboutSubject):
    """The monitored window after a deploy; the profile that judges it is frozen in the row."""

    class State(models.TextChoices):
        # polls go on, no outcome yet
        OBSERVING = "OBSERVING", "observing"
        # an outcome stands; polls go on while a person is awaited
        DECIDED = "DECIDED", "decided"
        # nobody looks any more
        CLOSED = "CLOSED", "closed"

    class Outcome(models.TextChoices):
        NONE = "", "none yet"
        PASSED = "PASSED", "passed"
        BREACHED = "BREACHED", "breached"
        NEEDS_DECISION = "NEEDS_DECISION", "needs a decision"

    base_url = models.URLField(max_length=300)
    profile = models.JSONField()
    # working directory and GR_* variables of sources that are commands: {"cwd": ..., "env": {...}}
    surroundings = models.JSONField(default=dict, blank=True)
    # over what it looks at and judges by (watch_seal)
    seal = models.CharField(max_length=64, blank=True)
    # who is told by gates that only alert, and where the link in the message leads
    routes = models.JSONField(default=list, blank=True)
    url = models.CharField(max_length=300, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OBSERVING)
    outcome = models.CharField(max_length=16, choices=Outcome.choices, blank=True, default=Outcome.NONE)
    verdict = models.CharField(max_length=12, default="undecided")
    reason = models.TextField(blank=True)
    started_at = MomentField()
    ends_at = MomentField()
    extended = models.BooleanField(default=False)
    gap_extension_s = models.DecimalField(max_digits=12, decimal_places=3, default=0)
    next_due_at = MomentField()
    claimed_until = MomentField(null=True, blank=True)
    polls = models.PositiveIntegerField(default=0)
    decided_at = MomentField(null=True, blank=True)
    closed_at = MomentField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "watches"
        indexes = [models.Index(fields=["state", "next_due_at"], name="watch_due")]

    def __str__(self) -> str:
        return f"watch {self.pk} of {self.subject_label}"


class Poll(models.Model):
    """One look at a target: what was judged from it and when the next look is due, with the reason."""

    watch = models.ForeignKey(Watch, on_delete=models.PROTECT, related_name="poll_set")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    verdict = models.CharField(max_length=12)
    reason = models.TextField()
    gates = models.JSONField()
    next_interval_s = models.DecimalField(max_digits=9, decimal_places=3)
    next_reason = models.CharField(max_length=200)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["watch", "number"], name="poll_once")]
        ordering = ["watch", "number"]

    def __str__(self) -> str:
        return f"poll {self.number} of watch {self.watch_id}"


class Sample(models.Model):
    """What one source answered in one poll; `value` is null when it gave no data."""

    poll = models.ForeignKey(Poll, on_delete=models.PROTECT, related_name="samples")
    source = models.CharField(max_length=80)
    at = models.DateTimeField()
    value = models.FloatField(null=True)
    ok = models.BooleanField()
    error = models.CharField(max_length=300, blank=True)
    elapsed_ms = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["poll", "source"], name="sample_once")]

    def __str__(self) -> str:
        return f"{self.source} at {self.at:%H:%M:%S}: {self.value if self.ok else self.error}"
