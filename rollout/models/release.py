"""A release, and the evidence for it: artifacts and links."""

from django.conf import settings
from django.db import models

from .component import Component


class Release(models.Model):
    """One immutable version of a component."""

    component = models.ForeignKey(Component, on_delete=models.PROTECT, related_name="releases")
    version = models.CharField(max_length=60)
    commit = models.CharField(max_length=40)
    branch = models.CharField(max_length=120, default="main")
    pull_request = models.PositiveIntegerField(null=True, blank=True)
    # since the live one: [{"sha": ..., "author": ..., "email": ..., "subject": ...}]
    commits = models.JSONField(default=list, blank=True)
    notes = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="releases")
    created_via = models.CharField(max_length=10)
    created_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["component", "version"], name="one_release_per_version")]

    def __str__(self) -> str:
        return f"{self.component.name} {self.version}"

    @property
    def archive(self) -> "Artifact | None":
        """Return the release archive, the file that is deployed, or None when it is still missing."""
        return self.artifacts.filter(kind="release_archive", rollout=None, replaced_at=None).first()


class Artifact(models.Model):
    """A file of evidence, kept under its sha256: of a release, or (with `rollout`) made by that rollout's runs."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="artifacts")
    rollout = models.ForeignKey(
        "rollout.Rollout", on_delete=models.PROTECT, null=True, blank=True, related_name="artifacts"
    )
    run = models.ForeignKey("rollout.Run", on_delete=models.PROTECT, null=True, blank=True, related_name="artifacts")
    kind = models.SlugField(max_length=40)
    name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    size = models.PositiveBigIntegerField()
    uploaded_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="artifacts"
    )
    via = models.CharField(max_length=10)
    created_at = models.DateTimeField()
    # a file of the same kind came later; this one is history
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["release", "kind"],
                condition=models.Q(rollout=None, replaced_at=None),
                name="one_artifact_per_release_and_kind",
            ),
            models.UniqueConstraint(
                fields=["rollout", "kind"],
                condition=models.Q(replaced_at=None, rollout__isnull=False),
                name="one_artifact_per_rollout_and_kind",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class EvidenceLink(models.Model):
    """A link to a CI run, and what GitHub said of it when it was last asked."""

    release = models.ForeignKey(Release, on_delete=models.PROTECT, related_name="links")
    kind = models.SlugField(max_length=40)
    url = models.URLField(max_length=300)
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    via = models.CharField(max_length=10)
    added_at = models.DateTimeField()
    check_state = models.CharField(max_length=20, default="not_checked")
    check_detail = models.CharField(max_length=300, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["kind"]
        constraints = [models.UniqueConstraint(fields=["release", "kind"], name="one_link_per_release_and_kind")]

    def __str__(self) -> str:
        return f"{self.kind} {self.url}"
