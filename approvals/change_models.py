"""Tables of changes of people: what one admin proposes, what another answers; rows that are written once."""

from django.conf import settings
from django.db import models

from .append_only import AppendOnlyQuerySet, WrittenOnce


class Change(WrittenOnce):
    """What one admin proposes to change about a person; another admin answers it. Both rows are written once."""

    class Kind(models.TextChoices):
        # a new person: the account is closed and has neither role nor password until this is confirmed
        ACCOUNT = "ACCOUNT", "new account"
        RIGHTS = "RIGHTS", "change of rights"
        # the old password ends; the person chooses a new one with a link and a code, each from another admin
        PASSWORD = "PASSWORD", "new password"
        # apps, passkeys and recovery codes are removed: the password alone opens the account, until there are new ones
        FACTORS = "FACTORS", "reset of the second step"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="changes")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    # canonical JSON of approvals.roles.Rights; text, so that personal data can be emptied after retention
    old = models.TextField()
    new = models.TextField()
    why = models.CharField(max_length=300)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField()
    authenticated_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of user {self.user_id}"


class ChangeAnswer(WrittenOnce):
    """What became of a change; the one-to-one key lets only the first answer in."""

    class Kind(models.TextChoices):
        CONFIRMED = "CONFIRMED", "confirmed"
        REFUSED = "REFUSED", "refused"
        WITHDRAWN = "WITHDRAWN", "withdrawn"
        EXPIRED = "EXPIRED", "expired"
        # the person changed meanwhile by another door: what was read is not what would be changed
        OVERTAKEN = "OVERTAKEN", "overtaken"

    change = models.OneToOneField(Change, on_delete=models.PROTECT, related_name="answer")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    # nobody, when time or another change answered
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    why = models.CharField(max_length=300, blank=True)
    at = models.DateTimeField()
    authenticated_at = models.DateTimeField(null=True)

    objects = AppendOnlyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.get_kind_display()} at {self.at:%Y-%m-%d %H:%M}"
