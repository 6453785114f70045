"""The request to put a release on a target."""

from typing import Any

from django.conf import settings
from django.db import models
from django.urls import reverse

from approvals.models import SignOff
from rollout import states

from .component import Target
from .release import Release

STATE_CHOICES = [(state.value, states.label(state)) for state in states.RolloutState]


class RolloutQuerySet(models.QuerySet["Rollout"]):
    """Sets of rollouts that several rooms ask for."""

    def active(self) -> "RolloutQuerySet":
        """Keep those that hold their target."""
        return self.filter(state__in=states.ACTIVE)

    def with_places(self) -> "RolloutQuerySet":
        """Fetch what a list shows, in one query."""
        return self.select_related(
            "target__component", "target__environment", "release__component", "requester__person", "sign_off"
        )


class Rollout(models.Model):
    """One request, from its draft to its end; `version` is raised by every move (compare-and-swap)."""

    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="rollouts")
    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="rollouts")
    requester = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="rollouts")
    state = models.CharField(max_length=24, choices=STATE_CHOICES, default=states.RolloutState.DRAFT)
    version = models.PositiveIntegerField(default=0)
    reason = models.TextField(help_text="Why this change, in the requester's words.")
    state_why = models.TextField(blank=True)
    # gate name -> {"limit": ..., ...} within the declared bounds; empty means the defaults
    tuning = models.JSONField(default=dict, blank=True)
    # key of the tuning -> ids of everybody who had a part in the value that stands; none of them may approve it
    tuners = models.JSONField(default=dict, blank=True)
    # who changed the tuning last, for the page
    tuned_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    monitoring_accepted = models.BooleanField(default=False)
    previous_version = models.CharField(max_length=60, blank=True)
    manifest = models.TextField(blank=True)
    digest = models.CharField(max_length=64, blank=True)
    sign_off = models.ForeignKey(SignOff, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # the verified backup that a rollback would restore
    backup = models.ForeignKey("rollout.Backup", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    automatic_rollback_used = models.BooleanField(default=False)
    needs_decision = models.TextField(blank=True)
    superseded_by = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    objects = RolloutQuerySet.as_manager()
    runs: Any
    broken_glass: Any

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["target"],
                condition=models.Q(state__in=sorted(states.ACTIVE)),
                name="one_active_rollout_per_target",
            )
        ]

    def __str__(self) -> str:
        return f"{self.release} to {self.target.environment.name}"

    def get_absolute_url(self) -> str:
        """Return the page that tells this rollout's story."""
        return reverse("rollout", args=[self.pk])

    @property
    def is_final(self) -> bool:
        """Say whether no run goes on and none is awaited."""
        return self.state in states.FINAL
