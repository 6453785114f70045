"""The facts of the pull-request checklist, read from a rollout's real state; nothing is ticked by hand."""

from datetime import datetime

from approvals import ledger
from approvals.models import Decision, SignOff
from rollout import evidence, freezing, transitions
from rollout.checklist import Found
from rollout.component import LINKS
from rollout.github import checklist
from rollout.github.checklist import ArtifactFact, BackupFact, ChecklistFacts, CiFact, Item, OwnerFact, SignOffFact
from rollout.github.client import NOT_CONFIGURED
from rollout.github.protection import Finding, Standing
from rollout.models import EvidenceLink, Rollout

DUTIES = {
    "release_owner": "prepares the artifacts and runs the pre-merge script",
    "deploy_operator": "executes the production deploy and monitors T+60",
    "media_engineering": "golden validation and media QA",
    "triage": "handles rollback and incident creation",
}
PLATFORMS = {
    "ci_ubuntu": "Ubuntu",
    "ci_macos": "macOS",
    "ci_windows": "Windows",
    "ci_premerge": "premerge-validation",
}
STANDINGS = {"ok": Standing.OK, "failed": Standing.MISSING, "not_configured": Standing.NOT_CONFIGURED}


def markdown(rollout: Rollout, *, now: datetime) -> str:
    """Return the checklist to paste into the pull request."""
    return checklist.pull_request_checklist(facts_of(rollout, now=now))


def facts_of(rollout: Rollout, *, now: datetime) -> ChecklistFacts:
    """Return all that the checklist is made from."""
    spec = rollout.target.component.spec
    here = evidence.found(rollout)
    links = {link.kind: link for link in rollout.release.links.all()}
    signed, complete = _sign_offs(rollout.sign_off, now)
    items = [item for item in evidence.checklist(rollout) if item.required]
    monitoring = ("tuned" if rollout.tuning else "accepted") if rollout.monitoring_accepted else ""
    return ChecklistFacts(
        component=rollout.target.component.name,
        environment=rollout.target.environment.name,
        version=rollout.release.version,
        commit=rollout.release.commit,
        digest=rollout.digest,
        items=tuple(
            Item(key=item.kind, label=item.label, done=item.done, detail=_detail(item.found)) for item in items
        ),
        artifacts=tuple(ArtifactFact(name=one.name, sha256=one.sha256) for one in here.values() if one.sha256),
        ci=tuple(_ci(links[kind]) for kind in LINKS if kind in links),
        sign_offs=signed,
        sign_off_complete=complete,
        backup=_backup(rollout, here.get("backup")),
        protection=(_protection(links.get("branch_protection")),),
        protection_required=spec.github == "block",
        monitoring=monitoring,
        monitoring_detail="; ".join(f"{one.name}: {one.before} to {one.after}" for one in freezing.tuning_of(rollout)),
        owners=tuple(
            OwnerFact(title=key.replace("_", " ").capitalize(), who=who, duty=DUTIES.get(key, ""))
            for key, who in spec.owners.items()
        ),
        rollout_url=transitions.url_of(rollout),
    )


def _ci(link: EvidenceLink) -> CiFact:
    """Return one run; it is ticked only when GitHub proved it, whatever the policy is content with."""
    told, platform = link.check_detail or link.check_state.replace("_", " "), PLATFORMS.get(link.kind, link.kind)
    return CiFact(platform=platform, url=link.url, ok=link.check_state == "ok", sentence=told)


def _protection(link: EvidenceLink | None) -> Finding:
    if link is None:
        return Finding(state=Standing.NOT_CONFIGURED, sentence=NOT_CONFIGURED)
    return Finding(state=STANDINGS.get(link.check_state, Standing.ERROR), sentence=link.check_detail)


def _sign_offs(sign_off: SignOff | None, now: datetime) -> tuple[tuple[SignOffFact, ...], bool]:
    if sign_off is None:
        return (), False
    if sign_off.state in SignOff.LIVE:
        state = ledger.standing(sign_off, now=now)
        counted, complete = set(state.counted), state.complete
    else:
        used = sign_off.state == SignOff.State.USED
        counted, complete = ({one.user_id for one in sign_off.decisions.all()} if used else set()), used
    facts = [
        SignOffFact(name=one.printed_name, role=one.duty, at=one.at)
        for one in _standing_approvals(sign_off)
        if one.user_id in counted
    ]
    return tuple(facts), complete


def _standing_approvals(sign_off: SignOff) -> list[Decision]:
    """Return each person's last word, where it is an approval."""
    last = {one.user_id: one for one in sign_off.decisions.filter(kind__in=Decision.VOICES).order_by("seq")}
    return [one for one in last.values() if one.kind == Decision.Kind.APPROVE]


def _backup(rollout: Rollout, found: Found | None) -> BackupFact | None:
    if rollout.backup is not None:
        verified = rollout.backup.verified_at is not None
        return BackupFact(path=f"backups/{rollout.backup}", sha256=rollout.backup.sha256, verified=verified)
    return BackupFact(path=f"backups/{found.name}", sha256=found.sha256, verified=not found.bad) if found else None


def _detail(found: Found | None) -> str:
    return (found.bad or found.note) if found else ""
