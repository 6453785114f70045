"""The pull-request checklist of a rollout as Markdown: ticked only where true, safe against what names try to say."""

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime

from rollout.github.markdown import code, link, text
from rollout.github.protection import Finding, Standing

MERGE_NOW = (
    "MERGE_NOW approved with guarded rollout — "
    "rebase-and-merge after pre-merge gates pass and Deploy operator sign-off."
)
OPERATOR = "deploy-operator"
ACCEPTED = ("accepted", "tuned")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the rollout's evidence, done or not."""

    key: str
    label: str
    done: bool
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ArtifactFact:
    """An attached file and its sha256, 64 hex digits."""

    name: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CiFact:
    """A link to a CI run for a platform, or for "premerge-validation", and whether it was proved."""

    platform: str
    url: str
    ok: bool
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class SignOffFact:
    """One approval that counts, over the digest that is current."""

    name: str
    role: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class BackupFact:
    """The backup to return to; `path` is relative to where the commands are typed: backups/NAME.zip."""

    path: str
    sha256: str
    verified: bool


@dataclass(frozen=True, kw_only=True)
class OwnerFact:
    """Who is asked for what."""

    title: str
    who: str
    duty: str


@dataclass(frozen=True, kw_only=True)
class ChecklistFacts:
    """All that the checklist is made from; `sign_off_complete` is the quorum's own verdict, not counted again here."""

    component: str
    environment: str
    version: str
    commit: str
    digest: str
    items: tuple[Item, ...]
    artifacts: tuple[ArtifactFact, ...]
    ci: tuple[CiFact, ...]
    sign_offs: tuple[SignOffFact, ...]
    sign_off_complete: bool
    backup: BackupFact | None
    protection: tuple[Finding, ...]
    protection_required: bool  # the policy's answer to "not configured"
    monitoring: str  # "accepted", "tuned", or "" while neither was said
    monitoring_detail: str
    owners: tuple[OwnerFact, ...]
    rollout_url: str


def pull_request_checklist(facts: ChecklistFacts) -> str:
    """Return the checklist to paste into a pull request; the MERGE_NOW line stands in it only when nothing is open."""
    sections = (
        _head(facts),
        _concise(facts),
        _section("Required artifacts", [*_items(facts), *_artifacts(facts)]),
        _section(
            "CI",
            [_box(one.ok, f"{text(one.platform)}: {link('run', one.url)}{_tail(one.sentence)}") for one in facts.ci],
        ),
        _section("Branch protection", [_box(one.state is Standing.OK, text(one.sentence)) for one in facts.protection]),
        _section("Approvals and configuration", _approvals(facts)),
        _backup(facts),
        _section("Owners and escalation", [_owner(one) for one in facts.owners]),
    )
    return "\n\n".join(section for section in sections if section) + "\n"


def open_points(facts: ChecklistFacts) -> tuple[str, ...]:
    """Return what still stands against merging, a short sentence each; empty when everything holds."""
    checks = (
        (_ci_passed(facts), "pre-merge CI is not proved on every platform"),
        (_evidence_there(facts), "required artifacts are missing"),
        (_backup_verified(facts), "no backup is present and SHA256-verified"),
        (_operator_signed(facts), "the deploy operator has not signed off"),
        (facts.sign_off_complete, "the sign-off is not complete"),
        (_protection_holds(facts), "branch protection is not shown to hold"),
        (facts.monitoring in ACCEPTED, "the monitoring defaults are neither accepted nor tuned"),
    )
    return tuple(sentence for holds, sentence in checks if not holds)


def _ci_passed(facts: ChecklistFacts) -> bool:
    return bool(facts.ci) and all(one.ok for one in facts.ci)


def _evidence_there(facts: ChecklistFacts) -> bool:
    return bool(facts.items) and bool(facts.artifacts) and all(item.done for item in facts.items)


def _backup_verified(facts: ChecklistFacts) -> bool:
    return facts.backup is not None and facts.backup.verified


def _operator_signed(facts: ChecklistFacts) -> bool:
    return any(one.role == OPERATOR for one in facts.sign_offs)


def _protection_ok(facts: ChecklistFacts) -> bool:
    return bool(facts.protection) and all(one.state is Standing.OK for one in facts.protection)


def _protection_holds(facts: ChecklistFacts) -> bool:
    """Tell whether merging may go on: by policy, what nobody configured may be let pass; a miss or an error never."""
    unasked = all(one.state is Standing.NOT_CONFIGURED for one in facts.protection)
    return _protection_ok(facts) or (unasked and not facts.protection_required)


def _head(facts: ChecklistFacts) -> str:
    title = f"## Guarded rollout: {text(facts.component)} {text(facts.version)} to {text(facts.environment)}"
    commit, digest = code(facts.commit or "unknown"), code(facts.digest or "not frozen yet")
    about = f"Commit {commit}, manifest {digest}, {link('rollout', facts.rollout_url)}."
    waiting = open_points(facts)
    verdict = f"**{MERGE_NOW}**" if not waiting else f"**Not ready to merge:** {text('; '.join(waiting))}."
    return f"{title}\n\n{about}\n\n{verdict}"


def _concise(facts: ChecklistFacts) -> str:
    lines = [
        _box(_ci_passed(facts) and _evidence_there(facts), "Pre-merge CI passed and artifacts attached (premerge.yml)"),
        _box(_backup_verified(facts), "Backups present and SHA256-verified"),
        _box(_operator_signed(facts), "Deploy operator sign-off obtained"),
        _box(_protection_ok(facts), "Branch protection requires the CI contexts and the approvals"),
        _box(facts.monitoring in ACCEPTED, "Monitoring defaults accepted or tuned"),
    ]
    return _section("Checklist", lines)


def _items(facts: ChecklistFacts) -> list[str]:
    return [_box(item.done, text(item.label) + _tail(item.detail)) for item in facts.items]


def _artifacts(facts: ChecklistFacts) -> list[str]:
    return [f"- {code(one.name)} sha256 {code(one.sha256)}" for one in facts.artifacts]


def _approvals(facts: ChecklistFacts) -> list[str]:
    lines = [
        _box(True, f"{text(one.role)}: {text(one.name)}, {one.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
        for one in sorted(facts.sign_offs, key=lambda one: one.at)
    ]
    lines.append(_box(facts.sign_off_complete, "Sign-off complete by the rollout's policy"))
    said = {"accepted": "defaults accepted", "tuned": "tuned"}.get(facts.monitoring, "neither accepted nor tuned")
    lines.append(
        _box(facts.monitoring in ACCEPTED, f"Monitoring and auto-rollback {said}{_tail(facts.monitoring_detail)}")
    )
    return lines


def _backup(facts: ChecklistFacts) -> str:
    backup = facts.backup
    if backup is None:
        return _section("Backup and rollback", [_box(False, "no backup yet; the validate run takes and verifies one")])
    state = "verified" if backup.verified else "not verified"
    told = _box(backup.verified, f"{code(backup.path)} sha256 {code(backup.sha256)}, {state}")
    latest = f"LATEST_BACKUP={_word(backup.path)}"
    check = 'sha256sum -c "${LATEST_BACKUP}.sha256"'
    script = _word(f"./scripts/rollback_{facts.component}.sh")
    undo = f'{script} --backup "$LATEST_BACKUP" --env {_word(facts.environment)}'
    after = "After a rollback: 3 consecutive OK health checks, smoke tests again, restore log attached to the incident."
    verify, back = _commands(latest, check), _commands(latest, check, undo)
    return f"### Backup verification\n\n{told}\n\n{verify}\n\n### Quick rollback\n\n{back}\n\n{after}"


def _owner(owner: OwnerFact) -> str:
    # The one place where an @name may call somebody: owners come from the component's reviewed file.
    return f"- {text(owner.title)} {text(owner.who, mention=True)}{_tail(owner.duty)}"


def _section(title: str, lines: list[str]) -> str:
    return f"### {title}\n\n" + "\n".join(lines) if lines else ""


def _box(done: bool, line: str) -> str:
    return f"- [{'x' if done else ' '}] {line}"


def _tail(detail: str) -> str:
    return f" — {text(detail)}" if detail.strip() else ""


def _commands(*lines: str) -> str:
    return "\n".join(("```sh", *lines, "```"))


def _word(value: str) -> str:
    """Return one word for a shell; what cannot be seen is not offered for pasting at all."""
    return shlex.quote(value) if value.isprintable() else "'(this name cannot be printed)'"
