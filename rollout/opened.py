"""What the audit tells of a run as it is opened, and whether the run and what it acts on are still that."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from monitoring import canonical
from rollout.models import Run, Step, Target

Json = dict[str, Any]
STEPS = "steps_sha256"
ACTIONS = {f"run.{kind}.opened" for kind in Run.Kind}
# what is told of a run -> how a run whose rows say something else is told of
TOLD_OF = {
    STEPS: "its steps are not those with which it was opened",
    "restores_sha256": "it restores another backup than the one that it was opened for",
    "rollout": "it was opened for another rollout",
    "host": "it was opened on another host",
    "automatic": "its row says otherwise whether a person started it",
    "started_by": "its row says that somebody else started it",
    "release": "its release is not the one for which it was opened",
    "archive_sha256": "the release archive is not the one for which it was opened",
}


def facts(run: Run, steps: Iterable[Step] | None = None) -> Json:
    """Return what the audit tells of a run as it is opened, so that it can be compared later."""
    planned = plan_of(run.steps.order_by("number") if steps is None else steps)
    release = run.rollout.release
    archive = release.archive if run.kind == Run.Kind.VALIDATE else None  # a deploy's is in the manifest
    return {
        STEPS: canonical.digest(planned),
        "restores_sha256": run.restores.sha256 if run.restores else "",  # told, too, that there is none
        "rollout": run.rollout_id,
        "host": run.host_id,
        "automatic": run.automatic,
        "started_by": run.started_by_id,
        "release": {"id": release.pk, "version": release.version, "commit": release.commit},
        "archive_sha256": archive.sha256 if archive else "",
        "target": run.target_id,
        "component": run.target.component_id,
    }


def entry_of(entries: Iterable[Json]) -> Json | None:
    """Return the one entry that opened a run, among all that tell of it; None where there is none, or several."""
    found = [one for one in entries if one["action"] in ACTIONS]
    return found[0] if len(found) == 1 else None


def differences(run: Run, entry: Json, *, steps: Iterable[Step] | None) -> Iterator[str]:
    """Yield how a run is not what the entry that opened it says; an older version told less.

    Without `steps` those are not compared.
    """
    if not is_at_place(run, entry):
        yield f"it was not opened for {run.target}"
    now, told = facts(run, steps or ()), entry["data"]
    for name, what in TOLD_OF.items():
        if told.get(name, now[name]) != now[name] and (name != STEPS or steps is not None):
            yield what


def is_at_place(run: Run, entry: Json) -> bool:
    """Say whether run and rollout are about the target for which the entry says it was opened, by number and name."""
    target = run.target
    numbers = {"target": target.pk, "component": target.component_id}
    numbered = all(entry["data"].get(name, number) == number for name, number in numbers.items())
    return is_named(target, entry) and numbered and run.rollout.target_id == target.pk


def is_named(target: Target, entry: Json) -> bool:
    """Say whether a target has the names that an entry tells."""
    told = entry["subject"]
    return bool((told["component"], told["environment"]) == (target.component.name, target.environment.name))


def plan_of(steps: Iterable[Step]) -> list[Json]:
    """Return steps as their plan has them; none when their numbers are not 1, 2, 3…"""
    names = ("kind", "title", "effect", "params", "timeout_s")
    rows = list(steps)
    planned = [{name: getattr(one, name) for name in names} for one in rows]
    plain: list[Json] = json.loads(json.dumps(planned))
    return plain if [one.number for one in rows] == list(range(1, len(rows) + 1)) else []
