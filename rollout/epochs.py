"""The target's epoch: the fencing token of what runs on it next, which the target itself remembers."""

from django.conf import settings
from django.db.models import F

from rollout import commands
from rollout.models import Run, Target

MOST = 2**30  # the column has room for twice as many


def next_epoch(target: Target) -> int:
    """Raise the target's epoch, the fencing token of what it runs next, and return it."""
    # somebody wrote that: what the target remembers counts, and a person decides where another host alone can see it
    Target.objects.filter(pk=target.pk, epoch__gt=MOST).update(epoch=commands.seen_epoch(target))
    Target.objects.filter(pk=target.pk).update(epoch=F("epoch") + 1)
    return Target.objects.values_list("epoch", flat=True).get(pk=target.pk)


def lift_epoch(target: Target, *, seen: int | None = None) -> int:
    """Raise a target's epoch to what the target has seen, and return it; what runs next gets a higher one.

    Only for people who know that the database lost something: who put back a copy of it, or decide what is unknown.
    """
    seen = commands.seen_epoch(target) if seen is None else seen
    Target.objects.filter(pk=target.pk, epoch__lt=seen).update(epoch=seen)
    return Target.objects.values_list("epoch", flat=True).get(pk=target.pk)


def lift_for(run: Run) -> None:
    """Raise the epoch of an unknown run's target above what that has seen, as far as its host could look."""
    here = run.host_id == settings.GR_HOST_ID
    lift_epoch(run.target, seen=None if here else int(run.probe.get("epoch", 0)))
