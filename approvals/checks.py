"""System checks of the approvals room: what guards decisions, changes of people and the last admin stands."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig, apps
from django.core.checks import CheckMessage, Error
from django.db import connections

from monitoring import guards

from . import last_admin

# model -> columns that may be emptied: addresses are personal data
GUARDED: dict[str, tuple[str, ...]] = {"Decision": (), "Signature": (), "Change": ("old", "new"), "ChangeAnswer": ()}
HINT = "Run `manage.py migrate --skip-checks`: it creates the guard triggers again."


def guarded() -> list[guards.Guard]:
    """Return the guards of history; looked up late: apps.py imports this before models are loaded."""
    return [
        guards.Guard(model=apps.get_model("approvals", name), erasable=columns) for name, columns in GUARDED.items()
    ]


def install_guards(*, using: str, **_: object) -> None:
    """Create the guard triggers again (received from post_migrate)."""
    for guard in guarded():
        guards.install(connections[using], guard)
    last_admin.install(connections[using])


def guards_stand(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Report approvals.E001 for every guard trigger that is missing, E002 for one that keeps the last admin."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        for trigger in (one for guard in guarded() for one in guards.missing(connections[alias], guard)):
            text = f"The trigger {trigger} is missing in database '{alias}': who decided what could be edited unseen."
            found.append(Error(text, hint=HINT, id="approvals.E001"))
        for trigger in last_admin.missing(connections[alias]):
            text = f"The trigger {trigger} is missing in database '{alias}': the last admin could be taken away."
            found.append(Error(text, hint=HINT, id="approvals.E002"))
    return found
