"""The sign-off page: what an approver needs between two meetings, top to bottom, and then one decision."""

import json
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from monitoring.wording import duration
from rollout.models import Backup, Rollout, Run, Step
from rollout.views.contexts import full_context
from rollout.views.difference import Against, Whole, whole
from rollout.views.page import Page, page_of

# steps of the validate run whose sentence an approver reads
TELLING = frozenset({"rehearse", "dry_run", "scan"})


@dataclass(frozen=True, kw_only=True)
class Point:
    """One line of the summary: what changes, in a few words, and whether it asks for a closer look."""

    label: str
    words: str
    tone: str = ""  # "warn": look closer


@dataclass(frozen=True, kw_only=True)
class Proved:
    """What was proved: required lines of the checklist that are there, and the telling steps of the validate run."""

    done: int
    required: int
    steps: tuple[Step, ...]


@require_GET
def rollout_sign(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what is to be signed, and the decision."""
    page = page_of(request, pk)
    if page.panel is None:
        return redirect("rollout", pk)
    return render(request, "rollout/sign.html", sign_context(page))


def sign_context(page: Page, bound: Any = None) -> dict[str, Any]:
    """Return what the sign-off page shows; `bound` holds a form that was refused, by the name of its verb."""
    difference, backup = whole(page), signed_backup(page.rollout)
    return {
        **full_context(page, bound),
        "points": points(page, difference) if difference else (),
        "backup": backup,
        "rehearsal": rehearsal_words(backup),
        "opened": page.has_opened,
        "proved": proved(page),
        "record": list(page.rollout.sign_off.decisions.select_related("user", "on_behalf_of").order_by("seq"))
        if page.rollout.sign_off
        else [],
    }


def signed_backup(rollout: Rollout) -> Backup | None:
    """Return the backup that the manifest under signature names; the deploy takes another one, which nobody signed."""
    manifest = json.loads(rollout.sign_off.manifest) if rollout.sign_off else {}
    named = [one["sha256"] for one in manifest.get("evidence", ()) if one["kind"] == "backup"]
    taken = Backup.objects.filter(run__rollout=rollout, run__kind=Run.Kind.VALIDATE, sha256__in=named)
    return taken.order_by("-pk").first()


def proved(page: Page) -> Proved:
    """Return what the last validate run proved, and how full the checklist is."""
    required = [one for one in page.items if one.required]
    runs = [run for run in page.runs if run.kind == Run.Kind.VALIDATE]
    steps = [one for one in runs[-1].steps.all() if one.kind in TELLING and one.outcome] if runs else []
    return Proved(done=sum(one.done for one in required), required=len(required), steps=tuple(steps))


def points(page: Page, difference: Whole) -> tuple[Point, ...]:
    """Return the summary of a difference, in the order in which an approver asks."""
    changes, live, signed = page.changes, difference.live, difference.signed
    made = [_commits(page), _files(live), _migrations(difference, changes.database)]
    if live is None and signed is None:
        first = "Nothing was deployed here through this product before: there is nothing to compare with."
        made.append(Point(label="Rules", words=first))
    if live is not None:
        made.append(_rules(live, f"to what is live ({live.rollout.release.version})"))
    if signed is not None:
        made.append(_rules(signed, f"to what was signed last (rollout {signed.rollout.pk})"))
    if changes.tuning:
        tuned = f"{_many(len(changes.tuning), 'gate value')} tuned for this rollout"
        made.append(
            Point(
                label="Tuning", words=f"{tuned}{', some looser' if changes.looser else ''}.", tone=_warn(changes.looser)
            )
        )
    return tuple(made)


def rehearsal_words(backup: Backup | None) -> str:
    """Say how long the restore took when it was rehearsed; "" when it was not."""
    if backup is None or backup.rehearsed_at is None or backup.rehearsal_s is None:
        return ""
    return f"The restore was rehearsed in a scratch place and took {duration(round(backup.rehearsal_s))}."


def _commits(page: Page) -> Point:
    commits = page.changes.commits
    authors = sorted({one["author"] for one in commits})
    words = f"{_many(len(commits), 'commit')} by {', '.join(authors[:3])}{' and others' if len(authors) > 3 else ''}."
    return Point(
        label="Commits", words=words if commits else "The release was made without its list.", tone=_warn(not commits)
    )


def _files(live: Against | None) -> Point:
    if live is None or live.files is None:
        return Point(label="Files", words="The archive of what is live is not here to compare with.", tone="warn")
    one = live.files
    words = f"{len(one.changed)} changed, {len(one.added)} added, {len(one.removed)} removed, {one.same} the same."
    return Point(label="Files", words=words)


def _migrations(difference: Whole, database: str) -> Point:
    found = difference.migrations
    if not found:
        return Point(label="Migrations", words="None.")
    risky = [one.name for one in found if not one.adds_only]
    back = "A rollback keeps the database as it is." if database == "keep" else "A rollback restores the backup."
    kind = f"{', '.join(risky)}: takes away or rewrites, or could not be read" if risky else "only adds"
    return Point(label="Migrations", words=f"{_many(len(found), 'migration')}; {kind}. {back}", tone=_warn(bool(risky)))


def _rules(one: Against, to: str) -> Point:
    if not one.rules and not one.configuration:
        return Point(label="Rules", words=f"Gates, policy, target and configuration: no difference {to}.")
    loose = ", some gates looser" if one.looser else ""
    text = " and the configuration's text" if one.configuration else ""
    verb = "differs" if one.rules == 1 and not text else "differ"
    return Point(label="Rules", words=f"{_many(one.rules, 'value')}{text} {verb} {to}{loose}.", tone="warn")


def _many(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _warn(holds: bool) -> str:
    return "warn" if holds else ""
