"""System checks of the approvals room: the guard triggers of the decisions stand."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from monitoring import guards


def decision_guard() -> guards.Guard:
    """Return the guard of the decisions; looked up late: apps.py imports this before models are loaded."""
    return guards.Guard(model=apps.get_model("approvals", "Decision"))


def install_guards(*, using: str, **_: object) -> None:
    """Create the guard triggers of the decisions again (received from post_migrate)."""
    guards.install(connections[using], decision_guard())


def guards_stand(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Report approvals.E001 for every guard trigger that is missing."""
    return [
        Error(
            f"The trigger {name} is missing in database '{alias}': a decision could be edited unseen.",
            hint="Run `manage.py migrate --skip-checks`: it creates the guard triggers again.",
            id="approvals.E001",
        )
        for alias in databases or []
        for name in guards.missing(connections[alias], decision_guard())
    ]
