"""One execution of a plan, its steps, and the journal of effects."""

from django.conf import settings
from django.db import models

from monitoring.models import Incident, Watch
from rollout import states

from .component import Target
from .rollout import Rollout

RUN_STATES = [(state.value, states.label(state)) for state in states.RunState]
STEP_STATES = [(state.value, states.label(state)) for state in states.StepState]


class RunQuerySet(models.QuerySet["Run"]):
    """Sets of runs that several rooms ask for."""

    def with_places(self) -> "RunQuerySet":
        """Fetch what every move of a run tells and asks, in one query."""
        return self.select_related(
            "target__component",
            "target__environment",
            "rollout__release__component",
            "rollout__target__component",
            "rollout__target__environment",
            "rollout__sign_off",
        )


class Run(models.Model):
    """One execution of a plan on a target."""

    class Kind(models.TextChoices):
        VALIDATE = "validate", "validate"
        DEPLOY = "deploy", "deploy"
        ROLLBACK = "rollback", "rollback"

    rollout = models.ForeignKey(Rollout, on_delete=models.PROTECT, related_name="runs")
    target = models.ForeignKey(Target, on_delete=models.PROTECT, related_name="runs")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    state = models.CharField(max_length=10, choices=RUN_STATES, default=states.RunState.QUEUED)
    version = models.PositiveIntegerField(default=0)
    epoch = models.PositiveIntegerField(default=0)
    # the machine whose lock and runner files this run has; no other one ever takes it over
    host_id = models.CharField(max_length=80, default="local")
    automatic = models.BooleanField(default=False)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    started_via = models.CharField(max_length=10, default="browser")
    reason = models.TextField(blank=True)
    abort_requested = models.BooleanField(default=False)
    abort_by = models.CharField(max_length=150, blank=True)
    abort_why = models.TextField(blank=True)
    # the backup that a rollback run restores
    restores = models.ForeignKey("rollout.Backup", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    watch = models.ForeignKey(Watch, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    incident = models.ForeignKey(Incident, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    # what the target answered when it was last asked how an unknown step stands: the facts of a probe
    probe = models.JSONField(default=dict, blank=True)
    probed_at = models.DateTimeField(null=True, blank=True)
    # who asked for an unknown step to be tried again; a second person confirms it
    again_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    again_why = models.TextField(blank=True)
    again_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    # the after-the-fact review of a rollback by another person
    reviewed_by = models.CharField(max_length=150, blank=True)
    reviewed_at = models.DateTimeField(null=True, blank=True)

    objects = RunQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["target"],
                condition=models.Q(state__in=sorted(states.RUN_ACTIVE)),
                name="one_active_run_per_target",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} run {self.pk} of {self.rollout}"


class Step(models.Model):
    """One unit of a run; only the engine writes these rows."""

    run = models.ForeignKey(Run, on_delete=models.PROTECT, related_name="steps")
    number = models.PositiveSmallIntegerField()
    kind = models.CharField(max_length=20)
    title = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=STEP_STATES, default=states.StepState.PENDING)
    version = models.PositiveIntegerField(default=0)
    # whether it changes what the target serves or holds
    effect = models.BooleanField(default=False)
    params = models.JSONField(default=dict)
    timeout_s = models.PositiveIntegerField(default=300)
    # raised at every claim, so that a step cannot be started again unseen
    attempt = models.PositiveSmallIntegerField(default=0)
    outcome = models.JSONField(default=dict, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["run", "number"]
        constraints = [models.UniqueConstraint(fields=["run", "number"], name="one_step_per_number")]

    def __str__(self) -> str:
        return f"{self.title} ({self.run})"

    @property
    def folder(self) -> str:
        """Return the name of this attempt's folder under GR_RUN_DIR/steps."""
        return self.folder_of_attempt(self.attempt)

    @property
    def possible_effects(self) -> int:
        """Return how many attempts changed the target, or may have.

        Each counts unless the journal says that it did not happen: its command was never started, or a probe, or a
        person who looked, said so.
        """
        never = sum(one.observed.startswith(Effect.NEVER) for one in self.effects.all())
        return max(0, self.attempt - never) if self.effect else 0

    def folder_of_attempt(self, attempt: int) -> str:
        """Return the name of an attempt's folder."""
        return f"run{self.run_id}-step{self.number}-try{attempt}"


class Effect(models.Model):
    """The journal: what was about to be changed, and later what was seen of it."""

    # how the observation of an attempt begins that is known to have changed nothing
    NEVER = "did not happen"

    step = models.ForeignKey(Step, on_delete=models.PROTECT, related_name="effects")
    attempt = models.PositiveSmallIntegerField()
    what = models.CharField(max_length=200)
    intended_at = models.DateTimeField()
    observed_at = models.DateTimeField(null=True, blank=True)
    observed = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["step", "attempt"], name="one_effect_per_attempt")]

    def __str__(self) -> str:
        return f"{self.what}: {self.observed or 'intended'}"
