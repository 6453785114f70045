"""Guard triggers of this room's history: what broke the glass, what two others said of it, who opened a difference."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from monitoring.guards import Guard, install, missing


def all_guards() -> list[Guard]:
    """Return the guards; looked up late: apps.py imports this before models are loaded."""
    glass: Any = apps.get_model("rollout", "BreakGlass")
    return [
        Guard(model=glass, moving=sorted(glass.MOVING)),
        *(Guard(model=apps.get_model("rollout", name)) for name in ("GlassReview", "DiffReading")),
    ]


def install_guards(*, using: str, **_: object) -> None:
    """Create the guard triggers again (received from post_migrate); an older state of the tables has none yet."""
    connection = connections[using]
    there = connection.introspection.table_names()
    for guard in all_guards():
        if guard.table in there:
            install(connection, guard)


def guards_stand(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Report rollout.E008 for every guard trigger that is missing."""
    return [
        Error(
            f"The trigger {name} is missing in database '{alias}': history could be edited unseen.",
            hint="Run `manage.py migrate --skip-checks`: it creates the guard triggers again.",
            id="rollout.E008",
        )
        for alias in databases or []
        for guard in all_guards()
        for name in missing(connections[alias], guard)
    ]
