"""What is deployed and where: components with their loaded configurations, environments, targets, freezes."""

from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import models

from rollout import component as configuration
from rollout.component import ComponentError
from rollout.target import TargetSpec


class Component(models.Model):
    """What is deployed. How, is told by its live configuration, a `component.toml` that was loaded from disk."""

    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=120)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def live(self) -> "Configuration":
        """Return the configuration in force; raise ComponentError where none is."""
        found = self.configurations.filter(state=Configuration.State.LIVE).first()
        if found is None:
            raise ComponentError(self.name, "a configuration in force: load its component.toml again")
        return found

    @property
    def spec(self) -> configuration.Component:
        """Return the parsed configuration in force; raise ComponentError where none is, or it cannot be read."""
        return self.live.parsed()


class Configuration(models.Model):
    """One loaded `component.toml`, kept word for word."""

    class State(models.TextChoices):
        # waits for a second admin, because it changes policy, bounds or routes
        PENDING = "PENDING", "waits for a second admin"
        LIVE = "LIVE", "in force"
        # another one took its place
        PAST = "PAST", "past"
        # the second admin said no; it was never in force, as neither were the two below
        REFUSED = "REFUSED", "refused"
        WITHDRAWN = "WITHDRAWN", "withdrawn"
        EXPIRED = "EXPIRED", "expired"

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="configurations")
    text = models.TextField()
    gates_text = models.TextField()
    sha256 = models.CharField(max_length=64)
    base_dir = models.CharField(max_length=500)
    difference = models.TextField(blank=True)
    # sha256 of the one that the difference was made to
    against = models.CharField(max_length=64, blank=True)
    state = models.CharField(max_length=10, choices=State.choices)
    loaded_by = models.CharField(max_length=150)
    loaded_at = models.DateTimeField()
    confirmed_by = models.CharField(max_length=150, blank=True)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    answer_why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["component"], condition=models.Q(state="LIVE"), name="one_live_configuration"
            )
        ]

    def __str__(self) -> str:
        return f"{self.component} {self.sha256[:12]}"

    @property
    def expires_at(self) -> datetime:
        """Return until when it waits for a second admin."""
        return self.loaded_at + timedelta(seconds=settings.GR_CHANGE_SECONDS)

    def parsed(self) -> configuration.Component:
        """Return the dataclasses that the text stands for."""
        return configuration.parse(self.text, gates_text=self.gates_text, base=Path(self.base_dir))


class Environment(models.Model):
    """Where something is deployed: production, staging, canary."""

    name = models.SlugField(max_length=60, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Target(models.Model):
    """A component in an environment: what one run at a time may change."""

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="targets")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, related_name="targets")
    # raised with every run; a driver refuses a token that is not newer than the last it saw
    epoch = models.PositiveIntegerField(default=0)
    host_id = models.CharField(max_length=80, default="local")
    live_version = models.CharField(max_length=60, blank=True)
    locked = models.BooleanField(default=False)
    lock_reason = models.TextField(blank=True)
    locked_by = models.CharField(max_length=150, blank=True)
    locked_at = models.DateTimeField(null=True, blank=True)
    retired = models.BooleanField(default=False)

    class Meta:
        ordering = ["component__name", "environment__name"]
        constraints = [models.UniqueConstraint(fields=["component", "environment"], name="one_target")]

    def __str__(self) -> str:
        return f"{self.component.name}/{self.environment.name}"

    @property
    def spec(self) -> TargetSpec:
        """Return how this target is changed."""
        return self.declared.target

    @property
    def declared(self) -> configuration.Environment:
        """Return what the configuration in force declares of this target, or the last one that declared it.

        A target that left the configuration while it is watched, or to be rolled back, is still to be reached.
        """
        return self.declaration[1]

    @property
    def declaration(self) -> "tuple[Configuration, configuration.Environment]":
        """Return what is `declared` of this target, behind the configuration that declares it."""
        in_force = self.component.configurations.filter(state__in=[Configuration.State.LIVE, Configuration.State.PAST])
        for one in sorted(in_force, key=lambda row: (row.state != Configuration.State.LIVE, -row.pk)):
            for environment in one.parsed().environments:
                if environment.name == self.environment.name:
                    return one, environment
        raise ComponentError(f"environments.{self.environment.name}", "an environment that was declared once")


class Freeze(models.Model):
    """A span in which nothing is started, with the reason; `environment` empty means all of them."""

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="freezes")
    environment = models.ForeignKey(Environment, on_delete=models.PROTECT, null=True, blank=True)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    reason = models.TextField()
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)

    class Meta:
        ordering = ["-starts_at"]

    def __str__(self) -> str:
        return f"{self.component} {self.starts_at:%Y-%m-%d %H:%M} to {self.ends_at:%Y-%m-%d %H:%M}"
