"""Loads a component.toml from the server's disk: validates, shows the difference, waits for a second admin."""

import difflib
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction

from approvals.ledger import Refused, current_roles
from monitoring import audit, notices
from monitoring.audit import Actor, Subject
from rollout import access, component, freezing, soundness, states
from rollout.component import ComponentError
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.models import Component, Configuration, Environment, Rollout, Runbook, Target
from rollout.states import RolloutState as R

RUNBOOK_LIMIT_BYTES = 200_000


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a load did: `state` is first, same, live or pending."""

    configuration: Configuration
    state: str
    difference: str


def load(path: Path, *, by: Actor, now: datetime) -> Loaded:
    """Load a file; the first one of a component and harmless changes are live at once, others wait for a second admin.

    Raises ComponentError, which names the key; then nothing was loaded.
    """
    text, gates_text = _read(path)
    spec = component.parse(text, gates_text=gates_text, base=path.parent.resolve())
    runbooks = _read_runbooks(Path(spec.runbooks))
    with transaction.atomic():
        _require_sound(spec, path)
        row, created = Component.objects.get_or_create(name=spec.name, defaults={"title": spec.title})
        live = None if created else row.live
        digest = component.sha256_of(text, gates_text)
        if live is not None and (live.sha256, live.base_dir) == (digest, str(path.parent.resolve())):
            _refresh(row, spec, runbooks, now)
            return Loaded(configuration=live, state="same", difference="")
        difference = _difference(live, text, gates_text)
        pending = live is not None and _is_weighty(live.parsed(), spec)
        made = Configuration.objects.create(
            component=row,
            text=text,
            gates_text=gates_text,
            sha256=digest,
            base_dir=str(path.parent.resolve()),
            difference=difference,
            state=Configuration.State.PENDING,
            loaded_by=by.name,
            loaded_at=now,
        )
        audit.append(
            action="configuration.loaded",
            by=by,
            subject=subject_of(row),
            data={"sha256": digest, "pending": pending},
            now=now,
        )
        if pending:
            _tell(made, by, now)
            return Loaded(configuration=made, state="pending", difference=difference)
        _put_in_force(made, runbooks, now)
    _recheck(row, now)
    return Loaded(configuration=made, state="first" if live is None else "live", difference=difference)


def confirm(configuration: Configuration, *, user: User, accept: bool, by: Actor, now: datetime) -> None:
    """Put a waiting configuration in force, or refuse it; it takes an admin who did not load it."""
    if access.ADMIN not in current_roles(user, configuration.component.name):
        raise PermissionDenied("This needs the role admin.")
    if user.get_username() == configuration.loaded_by:
        raise Refused("Whoever loaded a configuration cannot confirm it; another admin has to.")
    with transaction.atomic():
        waiting = Configuration.objects.filter(pk=configuration.pk, state=Configuration.State.PENDING)
        answer = Configuration.State.PAST if accept else Configuration.State.REFUSED
        if waiting.update(confirmed_by=by.name, confirmed_at=now, state=answer) != 1:
            raise Refused("This configuration does not wait for a confirmation any more.")
        action = "configuration.confirmed" if accept else "configuration.refused"
        audit.append(
            action=action,
            by=by,
            subject=subject_of(configuration.component),
            data={"sha256": configuration.sha256},
            now=now,
        )
        if accept:
            configuration.refresh_from_db()
            _confirmed(configuration, now)
    if accept:
        _recheck(configuration.component, now)


def _confirmed(configuration: Configuration, now: datetime) -> None:
    try:
        spec = configuration.parsed()
        _require_sound(spec, Path(configuration.base_dir) / "component.toml")
        _put_in_force(configuration, _read_runbooks(Path(spec.runbooks)), now)
    except ComponentError as error:
        raise Refused(f"It cannot be put in force: {error}")


def _require_sound(spec: component.Component, file: Path) -> None:
    others = Configuration.objects.filter(state=Configuration.State.LIVE).exclude(component__name=spec.name)
    kept = (settings.GR_VAR, settings.GR_BACKUPS, settings.GR_RUN_DIR, settings.GR_ARTIFACTS)
    soundness.check(spec, file=file, kept=kept, others=[one.parsed() for one in others])


def _require_not_in_use(row: Component, spec: component.Component) -> None:
    """Refuse to take an environment out of the configuration while a rollout is on its way there."""
    names = {environment.name for environment in spec.environments}
    under_way = [R.VALIDATING, R.QUEUED, *states.ACTIVE]
    for rollout in Rollout.objects.with_places().filter(target__component=row, state__in=under_way):
        if rollout.target.environment.name not in names:
            where = f"environments.{rollout.target.environment.name}"
            raise ComponentError(
                where, f"to stay while rollout {rollout.pk} is {states.label(rollout.state)}; load this after it"
            )


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


def _read_runbooks(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise ComponentError("component.runbooks", f"a directory of *.md files, {folder} is none")
    return {file.stem: _read_runbook(file) for file in sorted(folder.glob("*.md"))}


def _read_runbook(file: Path) -> str:
    try:
        content = file.read_bytes()
        if len(content) > RUNBOOK_LIMIT_BYTES:
            raise ComponentError(
                "component.runbooks", f"{file.name} of at most {RUNBOOK_LIMIT_BYTES} bytes", len(content)
            )
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ComponentError("component.runbooks", f"{file.name} to be a readable UTF-8 file ({error})")


def _difference(live: Configuration | None, text: str, gates_text: str) -> str:
    before = (live.text, live.gates_text) if live else ("", "")
    lines: list[str] = []
    for name, old, new in zip(("component.toml", "gates file"), before, (text, gates_text), strict=True):
        lines += difflib.unified_diff(
            old.splitlines(), new.splitlines(), f"{name} (in force)", f"{name} (loaded)", lineterm=""
        )
    return "\n".join(lines)


def _is_weighty(old: component.Component, new: component.Component) -> bool:
    """Say whether a change touches who decides, what bounds hold, or who is told; a manifest tells the commands."""

    def weight(spec: component.Component) -> object:
        profiles = {one.name: one.profile.to_dict() for one in spec.environments}
        return spec.policy, spec.evidence, spec.github, spec.routes, spec.requires_golden, profiles

    return weight(old) != weight(new)


def _put_in_force(made: Configuration, runbooks: dict[str, str], now: datetime) -> None:
    _require_not_in_use(made.component, made.parsed())
    Configuration.objects.filter(component=made.component, state=Configuration.State.LIVE).update(
        state=Configuration.State.PAST
    )
    Configuration.objects.filter(pk=made.pk).update(state=Configuration.State.LIVE)
    _refresh(made.component, made.parsed(), runbooks, now)


def _refresh(row: Component, spec: component.Component, runbooks: dict[str, str], now: datetime) -> None:
    """Bring targets and runbooks in line with a configuration that is in force."""
    Component.objects.filter(pk=row.pk).update(title=spec.title)
    for environment in spec.environments:
        place, _ = Environment.objects.get_or_create(name=environment.name)
        live = version_of(DRIVERS[environment.target.driver].live(environment.target))
        Target.objects.update_or_create(
            component=row, environment=place, defaults={"live_version": live, "retired": False}
        )
    names = [environment.name for environment in spec.environments]
    Target.objects.filter(component=row).exclude(environment__name__in=names).update(retired=True)
    for slug, text in runbooks.items():
        _keep_runbook(row, slug, text, now)
    Runbook.objects.filter(component=row, current=True).exclude(slug__in=runbooks).update(current=False)


def _keep_runbook(row: Component, slug: str, text: str, now: datetime) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    if Runbook.objects.filter(component=row, slug=slug, current=True, sha256=digest).exists():
        return
    Runbook.objects.filter(component=row, slug=slug, current=True).update(current=False)
    title = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), slug)
    Runbook.objects.create(component=row, slug=slug, title=title[:120], text=text, sha256=digest, loaded_at=now)


def _recheck(row: Component, now: datetime) -> None:
    for rollout in Rollout.objects.filter(target__component=row, state__in=[R.WAITING, R.APPROVED]):
        freezing.recheck(rollout, now=now)


def _tell(made: Configuration, by: Actor, now: datetime) -> None:
    notices.queue(
        "config_pending",
        subject=subject_of(made.component),
        severity="warning",
        context={"component": made.component.name, "by": by.name, "why": "policy, evidence, gates or routes change"},
        routes=made.component.spec.routes,
        key=f"configuration-{made.pk}",
        url="",
        now=now,
    )
