"""What this installation keeps and who may act in it, as facts for the controls; with the form of every such fact."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Count

from approvals.groups import GROUPS
from monitoring import audit_pages
from monitoring.audit_pages import Wanted
from monitoring.chain_watch import Held
from monitoring.models import AuditEntry, Incident, Notice
from monitoring.signed_head import SignedHead
from rollout.models import Artifact, Configuration, EvidenceLink, Rollout, Token

Span = tuple[datetime, datetime]


@dataclass(frozen=True, kw_only=True)
class Fact:
    """A number or a few words, what they are of, and where they come from; `ok` is None where nothing is judged."""

    key: str
    label: str
    value: str
    route: str = ""
    query: str = ""
    args: tuple[Any, ...] = ()
    ok: bool | None = None
    at: datetime | None = None


def records(span: Span) -> Iterator[Fact]:
    """Return what is kept of the rollouts of a span: files, links, backups that were tried."""
    artifacts = Artifact.objects.filter(created_at__range=span).count()
    yield Fact(
        key="artifacts", label="files of evidence, kept under their sha256", value=str(artifacts), route="history",
        query="action=artifact.attached",
    )  # fmt: skip
    links = Counter(
        dict(
            EvidenceLink.objects.filter(added_at__range=span)
            .order_by()
            .values_list("check_state")
            .annotate(Count("pk"))
        )
    )
    told = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in links.most_common()) or "none"
    yield Fact(key="links", label="linked CI runs", value=told, route="history", query="action=link.attached")
    tried = Rollout.objects.filter(created_at__range=span, backup__rehearsed_at__isnull=False).count()
    yield Fact(
        key="rehearsed",
        label="backups restored in a scratch place before the deploy",
        value=str(tried),
        route="population",
    )


def followed(span: Span) -> Iterator[Fact]:
    """Return what came of it: who was told, what went wrong, which rules changed."""
    sent = Counter(
        dict(Notice.objects.filter(created_at__range=span).order_by().values_list("state").annotate(Count("pk")))
    )
    whole = sum(sent.values())
    yield Fact(
        key="notices",
        label="notices delivered",
        value=f"{sent[Notice.State.SENT]} of {whole}",
        route="notice_list",
        ok=not sent[Notice.State.FELL_BACK] if whole > sent[Notice.State.PENDING] else None,
    )
    opened = Incident.objects.filter(opened_at__range=span)
    closed = opened.filter(state=Incident.State.CLOSED).count()
    yield Fact(
        key="incidents",
        label="incidents, closed of opened",
        value=f"{closed} of {opened.count()}",
        route="incident_list",
    )
    loaded = Configuration.objects.filter(loaded_at__range=span)
    second = loaded.exclude(confirmed_by="").count()
    yield Fact(
        key="configurations",
        label="configurations loaded, and confirmed by a second admin",
        value=f"{loaded.count()}, {second}",
        route="history",
        query="action=configuration.",
    )


def people() -> Iterator[Fact]:
    """Return who may do what, by roles and tokens, and when that was last changed."""
    active = get_user_model().objects.filter(is_active=True, groups__name__in=GROUPS).order_by()
    roles = dict(active.values_list("groups__name").annotate(Count("pk")))
    told = ", ".join(f"{roles[name]} {name}" for name in GROUPS if roles.get(name)) or "nobody"
    yield Fact(key="roles", label="people by role", value=told, route="people")
    admins = roles.get("admin", 0)
    yield Fact(
        key="admins",
        label="admins: two are needed for a change of rules",
        value=str(admins),
        route="people",
        ok=admins > 1,
    )
    yield _newest("rights", "newest change of somebody's rights", "person.rights_changed")
    live = Token.objects.filter(revoked_at=None).count()
    yield Fact(
        key="tokens", label="API tokens not revoked; no scope of theirs approves or starts", value=str(live),
        route="component_list",
    )  # fmt: skip
    yield _newest("exports", "newest export of the history", "history.exported")


def _newest(key: str, label: str, action: str) -> Fact:
    """Return the newest entry of an action as a fact; nothing is counted in the audit."""
    seqs = audit_pages.find(Wanted(action=action), limit=1)
    at = AuditEntry.objects.filter(seq__in=seqs).values_list("at", flat=True).first()
    value = f"#{seqs[0]}" if seqs else "none"
    return Fact(key=key, label=label, value=value, route="history", query=f"action={action}", at=at)


def chain(held: Held, signed: SignedHead | None) -> Iterator[Fact]:
    """Return how far the audit holds, and is signed."""
    told = f"#{held.seq} of #{held.newest}" if held.ok else "THE CHAIN IS BROKEN"
    yield Fact(
        key="chain",
        label="audit verified up to entry",
        value=told,
        route="history",
        ok=held.ok if held.seq or not held.ok else None,
        at=held.at,
    )
    until = f"#{signed.seq}, {held.newest - signed.seq} entries after it" if signed else "none yet"
    at, holds = (signed.at, signed.holds) if signed else (None, False)
    yield Fact(key="checkpoint", label="newest signed checkpoint", value=until, route="history", ok=holds, at=at)
