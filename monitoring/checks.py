"""System checks of the monitoring room: the append-only guard triggers stand."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from . import guards


def audit_guard() -> guards.Guard:
    """Return the guard of the audit; looked up late, because apps.py imports this module before models are loaded."""
    return guards.Guard(model=apps.get_model("monitoring", "AuditEntry"), erasable=("person", "actor_name"))


def checkpoint_guard() -> guards.Guard:
    """Return the guard of the signed heads."""
    return guards.Guard(model=apps.get_model("monitoring", "Checkpoint"))


def time_stamp_guard() -> guards.Guard:
    """Return the guard of the time stamps of signed heads."""
    return guards.Guard(model=apps.get_model("monitoring", "TimeStamp"))


def _guards() -> tuple[guards.Guard, ...]:
    return audit_guard(), checkpoint_guard(), time_stamp_guard()


def install_guards(*, using: str, **_: object) -> None:
    """Create the guard triggers of the audit again (received from post_migrate)."""
    for guard in _guards():
        guards.install(connections[using], guard)


def guards_stand(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Report monitoring.E001 for every guard trigger that is missing."""
    found = []
    for alias in databases or []:
        for name in (name for guard in _guards() for name in guards.missing(connections[alias], guard)):
            found.append(
                Error(
                    f"The trigger {name} is missing in database '{alias}': the audit could be edited unseen.",
                    hint="Run `manage.py migrate --skip-checks`: it creates the guard triggers again.",
                    id="monitoring.E001",
                )
            )
    return list(found)
