"""Tables of the approvals room: what is asked, who decided, and who people are."""

from django.conf import settings
from django.db import models

from .append_only import AppendOnlyQuerySet, FrozenQuerySet, WrittenOnce

# the tables of changes stand in a file of their own, because this one is long
from .change_models import Change as Change
from .change_models import ChangeAnswer as ChangeAnswer


class Person(models.Model):
    """What a signature needs to know of a user: printed name, time zone, commit addresses, components."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="person")
    printed_name = models.CharField(max_length=150)
    zone = models.CharField(max_length=60, default="UTC")
    commit_emails = models.JSONField(default=list, blank=True)
    # empty: the groups hold for every component
    components = models.JSONField(default=list, blank=True)

    class Meta:
        verbose_name_plural = "people"

    def __str__(self) -> str:
        return self.printed_name


class SignOff(WrittenOnce):
    """The set of decisions over one digest, with the manifest and the policy as they were when it was opened."""

    class State(models.TextChoices):
        # decisions are awaited
        OPEN = "OPEN", "open"
        # the quorum stands; decisions can still be revoked until the start
        COMPLETE = "COMPLETE", "complete"
        REJECTED = "REJECTED", "rejected"
        # the manifest changed; these decisions are history
        SUPERSEDED = "SUPERSEDED", "superseded"
        EXPIRED = "EXPIRED", "expired"
        # used by the run that it allowed
        USED = "USED", "used"
        # passed over in an emergency (break-glass); two others review that afterwards
        BYPASSED = "BYPASSED", "bypassed"

    LIVE = frozenset({State.OPEN, State.COMPLETE})
    MOVING = frozenset({"state", "version", "closed_at", "closed_why"})

    subject_kind = models.CharField(max_length=40)
    subject_id = models.CharField(max_length=40)
    subject_label = models.CharField(max_length=200)
    component = models.CharField(max_length=80)
    environment = models.CharField(max_length=80)
    digest = models.CharField(max_length=64)
    manifest = models.TextField()
    policy = models.JSONField()
    # user id (as text) -> list of duties that bar this person, e.g. {"7": ["requester", "uploader"]}
    barred = models.JSONField(default=dict)
    # commit authors that match no user: [{"name": ..., "email": ...}]
    unmatched_authors = models.JSONField(default=list)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN)
    # goes up with every decision and move: who writes takes it first, so that two writers never pass each other
    version = models.PositiveIntegerField(default=0)
    opened_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    closed_why = models.CharField(max_length=300, blank=True)

    objects = FrozenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["subject_kind", "subject_id"],
                condition=models.Q(state__in=["OPEN", "COMPLETE"]),
                name="one_live_sign_off",
            )
        ]

    def __str__(self) -> str:
        return f"sign-off {self.pk} on {self.subject_label}"


class Decision(WrittenOnce):
    """What one person decided over the digest that he saw; append-only (a revocation is a row of its own)."""

    class Kind(models.TextChoices):
        APPROVE = "APPROVE", "approved"
        REJECT = "REJECT", "rejected"
        REVOKE = "REVOKE", "revoked"
        # starts what was approved; says nothing about it
        START = "START", "started"
        # starts what was not, in an emergency
        BYPASS = "BYPASS", "bypassed"

    # those that the rules count; the others are acts of one person, kept beside them
    VOICES = frozenset({Kind.APPROVE, Kind.REJECT, Kind.REVOKE})

    sign_off = models.ForeignKey(SignOff, on_delete=models.PROTECT, related_name="decisions")
    # the sign-off's version that this decision made: decisions are counted in this order, whatever the clocks say
    seq = models.PositiveIntegerField()
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="decisions")
    printed_name = models.CharField(max_length=150)
    # the absent person whom the user stood in for, and his name as it was printed then; the roles are that person's
    on_behalf_of = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    on_behalf_name = models.CharField(max_length=150, blank=True)
    roles = models.JSONField()
    kind = models.CharField(max_length=8, choices=Kind.choices)
    # the role this approval is given in, e.g. "approver", "deploy-operator", "media-eng"
    duty = models.CharField(max_length=40)
    digest = models.CharField(max_length=64)
    meaning = models.TextField()
    reason = models.TextField(blank=True)
    # password, totp, or passkey: then the assertion stands in `signature`
    method = models.CharField(max_length=20, default="password")
    authenticated_at = models.DateTimeField()
    zone = models.CharField(max_length=60, default="UTC")
    diff_opened = models.BooleanField(default=False)
    at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["sign_off", "seq"]
        constraints = [models.UniqueConstraint(fields=["sign_off", "seq"], name="one_decision_at_a_time")]

    def __str__(self) -> str:
        return f"{self.printed_name} {self.get_kind_display()} {self.digest[:12]}"


class SigningRequest(models.Model):
    """A decision record that a passkey was asked to sign: once, by one person, within minutes."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # of the record, which holds a nonce: what the passkey signs, and by what its answer is found again
    challenge_sha256 = models.CharField(max_length=64, unique=True)
    record = models.TextField()
    made_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.challenge_sha256[:12]} {'used' if self.used_at else 'open'}"


class Signature(WrittenOnce):
    """A passkey's word on one decision, kept so that it can be checked without us (docs/sign-off.md); append-only."""

    decision = models.OneToOneField(Decision, on_delete=models.PROTECT, related_name="signature")
    # canonical JSON; its sha256 is the challenge that was signed
    record = models.TextField()
    credential_id = models.TextField()
    # COSE: -7 is ES256, -8 EdDSA, -257 RS256
    algorithm = models.IntegerField()
    public_key = models.TextField()
    rp_id = models.CharField(max_length=253)
    authenticator_data = models.TextField()
    client_data_json = models.TextField()
    signature = models.TextField()
    sign_count = models.BigIntegerField()
    # the counter went back or stood still: the passkey may have been copied
    count_regressed = models.BooleanField(default=False)
    at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"passkey {self.credential_id[:12]} on decision {self.decision_id}"


class Delegation(WrittenOnce):
    """Somebody is out of office, and another person may approve on his behalf for a while; kept for ever."""

    MOVING = frozenset({"ended_at", "ended_by", "ended_why"})

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="delegations")
    deputy = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="deputy_for")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    why = models.CharField(max_length=300)
    given_at = models.DateTimeField()
    # before its time; a delegation whose time is over ends by itself
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+")
    ended_why = models.CharField(max_length=300, blank=True)

    objects = FrozenQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(condition=models.Q(ends_at__gt=models.F("starts_at")), name="delegation_has_a_span"),
            models.CheckConstraint(condition=~models.Q(user=models.F("deputy")), name="delegation_to_another"),
        ]

    def __str__(self) -> str:
        return f"{self.deputy} for {self.user}"


class BrowserSession(models.Model):
    """A session that a sign-in opened: whose, from where, last used; Django's own row is what opens it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    session_key = models.CharField(max_length=40, unique=True)
    method = models.CharField(max_length=20)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    address = models.CharField(max_length=45, blank=True)
    agent = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return f"{self.user_id} from {self.address}"


class StepUpGuard(models.Model):
    """Wrong tries for one account (or name, or address) since `since`; a row: a cache is not shared by processes."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    # of a name that is no account, as it was typed, or of an address: neither is kept in clear
    name_sha256 = models.CharField(max_length=64, unique=True, null=True)
    since = models.DateTimeField()
    tries = models.PositiveSmallIntegerField(default=0)
    # the newest period whose code of an authenticator app was taken: none is good twice, in any process
    code_period = models.PositiveBigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.tries} tries since {self.since:%H:%M}"


class WelcomeLink(models.Model):
    """The one link that makes the first two admins of an empty installation; one row, only the hash of its token."""

    token_sha256 = models.CharField(max_length=64)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return "used" if self.used_at else f"valid until {self.expires_at:%H:%M}"
