"""Brings targets and runbooks in line with the configuration that is in force."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from rollout import component
from rollout.component import ComponentError
from rollout.drivers import DRIVERS
from rollout.drivers.base import version_of
from rollout.models import Component, Environment, Run, Runbook, Target
from rollout.states import RunState

RUNBOOK_LIMIT_BYTES = 200_000


def refresh(row: Component, spec: component.Component, runbooks: dict[str, str], now: datetime) -> None:
    """Bring targets and runbooks in line with a configuration that is in force."""
    Component.objects.filter(pk=row.pk).update(title=spec.title)
    for environment in spec.environments:
        _refresh_target(row, environment)
    names = [environment.name for environment in spec.environments]
    Target.objects.filter(component=row).exclude(environment__name__in=names).update(retired=True)
    for slug, text in runbooks.items():
        _keep_runbook(row, slug, text, now)
    Runbook.objects.filter(component=row, current=True).exclude(slug__in=runbooks).update(current=False)


def see(target_id: int) -> None:
    """Note what is live on a target of this host, while nobody knows and no run is about to change it."""
    target = Target.objects.get(pk=target_id)
    busy = Run.objects.filter(target=target, state=RunState.RUNNING).exists()
    if target.host_id == settings.GR_HOST_ID and not target.live_version and not busy:
        live = version_of(DRIVERS[target.spec.driver].live(target.spec))
        Target.objects.filter(pk=target.pk, live_version="").update(live_version=live)


def _refresh_target(row: Component, declared: component.Environment) -> None:
    """Bring a target in line; only its own host can see what is live there, and is asked when nobody knows."""
    place, _ = Environment.objects.get_or_create(name=declared.name)
    values: dict[str, Any] = {"host_id": declared.runs_on, "retired": False}
    if declared.runs_on == settings.GR_HOST_ID:
        values["live_version"] = version_of(DRIVERS[declared.target.driver].live(declared.target))
    elif not Target.objects.filter(component=row, environment=place, host_id=declared.runs_on).exists():
        values["live_version"] = ""
    Target.objects.update_or_create(component=row, environment=place, defaults=values)


def _keep_runbook(row: Component, slug: str, text: str, now: datetime) -> None:
    digest = hashlib.sha256(text.encode()).hexdigest()
    if Runbook.objects.filter(component=row, slug=slug, current=True, sha256=digest).exists():
        return
    Runbook.objects.filter(component=row, slug=slug, current=True).update(current=False)
    title = next((line.lstrip("# ").strip() for line in text.splitlines() if line.startswith("#")), slug)
    Runbook.objects.create(component=row, slug=slug, title=title[:120], text=text, sha256=digest, loaded_at=now)


def read_runbooks(folder: Path) -> dict[str, str]:
    """Return the texts of the runbooks in a directory by name; raise ComponentError."""
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
