"""Break-glass: a start without a complete sign-off, in an emergency, and what two others say of it afterwards."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from approvals.append_only import AppendOnlyQuerySet, FrozenQuerySet, WrittenOnce
from approvals.hindsight import REVIEWERS
from approvals.models import Decision, SignOff
from monitoring.models import Incident

from .component import Component
from .rollout import Rollout
from .run import Run


class BreakGlassQuerySet(FrozenQuerySet):
    """Rows of which only the course of the review moves on."""

    def holding(self, component: Component | None = None) -> "BreakGlassQuerySet":
        """Keep those that keep the next normal rollout of their component from starting.

        That is until two others have reviewed it and, where one of them objects, until its incident is closed too.
        """
        disputed = Q(objected=True) & ~Q(incident__state=Incident.State.CLOSED)
        held = self.filter(Q(closed_at=None) | disputed)
        return held.filter(component=component) if component is not None else held

    def with_story(self) -> "BreakGlassQuerySet":
        """Fetch what a page shows of each, in three queries."""
        return self.select_related(
            "rollout__release__component",
            "rollout__target__component",
            "rollout__target__environment",
            "incident",
            "decision",
            "user",
        ).prefetch_related("reviews__user")


class BreakGlass(WrittenOnce):
    """One start past an incomplete sign-off: who, over which digest, why, what was missing; never changed."""

    MOVING = frozenset({"version", "objected", "closed_at", "reminded_at"})

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="broken_glass")
    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="broken_glass")
    run = models.OneToOneField(Run, on_delete=models.PROTECT, related_name="glass")
    sign_off = models.OneToOneField(SignOff, on_delete=models.PROTECT, related_name="+")
    # the act of the person: the sentence, how and when he proved who he is, and the passkey's word where there is one
    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=150)
    roles = models.JSONField()
    # the duties that this person had in the release: they bar no emergency, and are shown
    duties = models.JSONField(default=list)
    digest = models.CharField(max_length=64)
    why_now = models.TextField(help_text="Why it cannot wait.")
    why_safe = models.TextField(help_text="Why it is safe, or what was checked instead.")
    # who had approved: [{"user": id, "name": ..., "duty": ..., "at": ...}]
    approved = models.JSONField(default=list)
    # the seats that nobody filled
    missing = models.JSONField(default=list)
    # what was passed over, as sentences: missing consents, a freeze, a review that was due
    passed = models.JSONField(default=list)
    via = models.CharField(max_length=10)
    at = models.DateTimeField()
    due_at = models.DateTimeField()
    # goes up with every review: who writes takes it first
    version = models.PositiveIntegerField(default=0)
    objected = models.BooleanField(default=False)
    closed_at = models.DateTimeField(null=True, blank=True)
    reminded_at = models.DateTimeField(null=True, blank=True)

    objects = BreakGlassQuerySet.as_manager()
    reviews: Any

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "broken glass"
        constraints = [
            models.CheckConstraint(condition=~Q(why_now="") & ~Q(why_safe=""), name="glass_has_two_reasons"),
            models.CheckConstraint(condition=Q(due_at__gt=models.F("at")), name="glass_is_reviewed_later"),
        ]

    def __str__(self) -> str:
        return f"break-glass {self.pk} of {self.rollout} by {self.printed_name}"

    @property
    def is_held(self) -> bool:
        """Say whether it keeps the next normal rollout of the component from starting."""
        return self.closed_at is None or (self.objected and self.incident.state != Incident.State.CLOSED)

    @property
    def lacking(self) -> int:
        """Return how many reviews are missing."""
        return max(0, REVIEWERS - len(self.reviews.all())) if self.closed_at is None else 0

    @property
    def holds(self) -> str:
        """Say what has to happen before the next normal rollout may start."""
        began = f"{self.printed_name} broke the glass for rollout {self.rollout_id} on {self.at:%Y-%m-%d %H:%M} UTC"
        if self.closed_at is None:
            others = "a review by another person" if self.lacking == 1 else "reviews by two others"
            return f"{began}; before the next normal rollout starts, {others} must be there."
        return (
            f"{began}, and a reviewer objects; before the next normal rollout starts, {self.incident} must be closed."
        )


class GlassReview(WrittenOnce):
    """What one other person says of a break-glass afterwards; append-only."""

    class Verdict(models.TextChoices):
        AGREE = "AGREE", "agrees"
        OBJECT = "OBJECT", "objects"

    glass = models.ForeignKey(BreakGlass, on_delete=models.PROTECT, related_name="reviews")
    seq = models.PositiveSmallIntegerField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=150)
    roles = models.JSONField()
    verdict = models.CharField(max_length=6, choices=Verdict.choices)
    words = models.TextField()
    meaning = models.TextField()
    method = models.CharField(max_length=20, default="password")
    authenticated_at = models.DateTimeField()
    zone = models.CharField(max_length=60, default="UTC")
    at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["glass", "seq"]
        constraints = [
            models.UniqueConstraint(fields=["glass", "seq"], name="one_glass_review_at_a_time"),
            models.UniqueConstraint(fields=["glass", "user"], name="one_glass_review_a_person"),
            models.CheckConstraint(condition=Q(seq__gte=1, seq__lte=REVIEWERS), name="two_glass_reviews"),
        ]

    def __str__(self) -> str:
        return f"{self.printed_name} {self.get_verdict_display()}"
