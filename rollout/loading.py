"""Loads a component.toml from the server's disk: validates, shows the difference; `second_admin` answers what waits."""

import difflib
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings

from approvals import ledger
from monitoring import audit, notices
from monitoring.audit import Actor, Subject
from rollout import component, freezing, in_force, soundness, states, told
from rollout.component import ComponentError
from rollout.models import Component, Configuration, Rollout, Run
from rollout.states import RolloutState as R
from rollout.states import RunState as N

PARTS = ("component.toml", "gates file", "places")
WEIGHTY = "policy, evidence, gates or routes change"
MOVED = "it stands, or changes its targets, in other places"
UNTOLD = "the configuration in force is not the one of which the audit tells"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a load did: `state` is first, same, live or pending."""

    configuration: Configuration
    state: str
    difference: str


def load(path: Path, *, by: Actor, now: datetime) -> Loaded:
    """Load a file; the first one of a component and harmless changes are live at once, others wait for a second admin.

    What is harmless is a matter of what the audit tells to be in force; while that is not to be found, all else waits.
    Raises ComponentError, which names the key; then nothing was loaded.
    """
    text, gates_text = _read(path)
    spec = component.parse(text, gates_text=gates_text, base=path.parent.resolve())
    runbooks = in_force.read_runbooks(Path(spec.runbooks))
    with audit.turn():
        require_sound(spec, path)
        row, created = Component.objects.get_or_create(name=spec.name, defaults={"title": spec.title})
        if created and told.is_known(spec.name):
            raise ComponentError("component.name", "another one: the audit tells of it, but the database lost its row")
        live = row.configurations.filter(state=Configuration.State.LIVE).first()
        digest, base_dir = component.sha256_of(text, gates_text), str(path.parent.resolve())
        if live is not None and (live.sha256, live.base_dir) == (digest, base_dir) and _is_told(row):
            in_force.refresh(row, spec, runbooks, now)
            return Loaded(configuration=live, state="same", difference="")
        made = Configuration(component=row, text=text, gates_text=gates_text, sha256=digest, base_dir=base_dir)
        before = None if created else told.borne_out(row, made)
        why = "" if created else _why_it_waits(before, spec, path.parent)
        _keep(made, before, why, by, now)
        if why:
            _tell(made, before or made, why, by, now)
            return Loaded(configuration=made, state="pending", difference=made.difference)
        put_in_force(made, runbooks, now)
    recheck(row, now)
    return Loaded(configuration=made, state="first" if created else "live", difference=made.difference)


def doubt(spec: component.Component, *, now: datetime) -> str:
    """Say why nobody could complete a sign-off under its policy, as people are now; "" where they could.

    It is no reason to refuse the file: whoever is missing may be added later.
    """
    possible, why = ledger.may_open(spec.name, policy=spec.policy, barred={}, unmatched_authors=(), now=now)
    return "" if possible else f"as people are now, no sign-off of {spec.name} could be completed: {why}"


def _why_it_waits(before: Configuration | None, spec: component.Component, folder: Path) -> str:
    """Return why a second admin is asked, given what the audit tells to be in force; empty where nobody is."""
    if before is None:
        return UNTOLD
    if _places(before.parsed(), Path(before.base_dir)) != _places(spec, folder):
        return MOVED
    return WEIGHTY if _is_weighty(before.parsed(), spec) else ""


def _keep(made: Configuration, before: Configuration | None, why: str, by: Actor, now: datetime) -> None:
    """Write a configuration as one that waits, and tell the audit that it was loaded, by its number."""
    places = _places(made.parsed(), Path(made.base_dir))
    made.difference = difference_to(before, made)
    made.state, made.against = Configuration.State.PENDING, before.sha256 if before else ""
    made.loaded_by, made.loaded_at = by.name, now
    made.save()
    audit.append(
        action=told.LOADED,
        by=by,
        subject=subject_of(made.component),
        data={"configuration": made.pk, "sha256": made.sha256, "pending": bool(why), "places": places},
        now=now,
    )


def _is_told(row: Component) -> bool:
    """Say whether the configuration in force is as the audit tells; one that was edited is loaded anew."""
    return not any(told.configuration_problems(row))


def require_sound(spec: component.Component, file: Path) -> None:
    """Raise ComponentError where it would not stand beside the other components and our own files."""
    others = Configuration.objects.filter(state=Configuration.State.LIVE).exclude(component__name=spec.name)
    kept = (settings.GR_VAR, settings.GR_BACKUPS, settings.GR_RUN_DIR, settings.GR_ARTIFACTS)
    soundness.check(spec, file=file, kept=kept, others=[one.parsed() for one in others])


def _require_not_in_use(row: Component, spec: component.Component) -> None:
    """Refuse to take an environment out, or to another host, while a rollout is on its way there."""
    _require_hosts_to_stay(row, spec)
    names = {environment.name for environment in spec.environments}
    under_way = [R.VALIDATING, R.QUEUED, *states.ACTIVE]
    for rollout in Rollout.objects.with_places().filter(target__component=row, state__in=under_way):
        if rollout.target.environment.name not in names:
            where = f"environments.{rollout.target.environment.name}"
            raise ComponentError(
                where, f"to stay while rollout {rollout.pk} is {states.label(rollout.state)}; load this after it"
            )


def _require_hosts_to_stay(row: Component, spec: component.Component) -> None:
    """Refuse to move a target while one of its runs is not over: its lock and its runner files stay where they are."""
    wanted = {environment.name: environment.runs_on for environment in spec.environments}
    open_states = [N.QUEUED, N.RUNNING, N.UNKNOWN]
    for run in Run.objects.select_related("target__environment").filter(target__component=row, state__in=open_states):
        name = run.target.environment.name
        if wanted.get(name, run.host_id) != run.host_id:
            expected = f'to stay "{run.host_id}" while run {run.pk} is {states.label(run.state)}; load this after it'
            raise ComponentError(f"environments.{name}.runs_on", expected, wanted[name])


def subject_of(row: Component) -> Subject:
    """Return how the audit names a component."""
    return Subject(kind="component", id=str(row.pk), label=row.name, component=row.name)


def _read(path: Path) -> tuple[str, str]:
    text = _read_text(path, str(path))
    return text, _read_text(path.parent / component.gates_file(text), "component.gates")


def _read_text(path: Path, key: str) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError(key, f"a readable UTF-8 file ({error})")


def _places(spec: component.Component, folder: Path) -> list[str]:
    """Return where a configuration stands and where it changes targets: the same bytes elsewhere change other roots."""
    roots = [f"{one.name} changes {os.path.realpath(one.target.root)}" for one in spec.environments]
    return [f"{told.STANDS} {folder.resolve()}", *roots]


def difference_to(before: Configuration | None, configuration: Configuration) -> str:
    """Return how a configuration differs from one before, whatever its row says; from none, it is all of it."""
    old_parts = _parts(before) if before else ("", "", "")
    lines: list[str] = []
    for name, old, new in zip(PARTS, old_parts, _parts(configuration), strict=True):
        lines += difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"{name} (in force)", f"{name} (loaded)", lineterm=""
        )
    return "\n".join(lines)


def _parts(one: Configuration) -> tuple[str, str, str]:
    return one.text, one.gates_text, "\n".join(_places(one.parsed(), Path(one.base_dir)))


def _is_weighty(old: component.Component, new: component.Component) -> bool:
    """Say whether a change touches who decides, what bounds hold, or who is told; a manifest tells the commands."""

    def weight(spec: component.Component) -> object:
        profiles = {one.name: one.profile.to_dict() for one in spec.environments}
        return spec.policy, spec.evidence, spec.github, spec.routes, spec.requires_golden, profiles

    return weight(old) != weight(new)


def put_in_force(made: Configuration, runbooks: dict[str, str], now: datetime) -> None:
    """Make a configuration the one in force, in the transaction of whoever may."""
    _require_not_in_use(made.component, made.parsed())
    Configuration.objects.filter(component=made.component, state=Configuration.State.LIVE).update(
        state=Configuration.State.PAST
    )
    Configuration.objects.filter(pk=made.pk).update(state=Configuration.State.LIVE)
    in_force.refresh(made.component, made.parsed(), runbooks, now)


def recheck(row: Component, now: datetime) -> None:
    """Freeze again what waits for its start: what was signed may rest on the configuration before."""
    for rollout in Rollout.objects.filter(target__component=row, state__in=[R.WAITING, R.APPROVED]):
        freezing.recheck(rollout, now=now)


def _tell(made: Configuration, routes_of: Configuration, why: str, by: Actor, now: datetime) -> None:
    notices.queue(
        "config_pending",
        subject=subject_of(made.component),
        severity="warning",
        context={"component": made.component.name, "by": by.name, "why": why},
        routes=routes_of.parsed().routes,
        key=f"configuration-{made.pk}",
        url="",
        now=now,
    )
