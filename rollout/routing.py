"""Where notices about a component go."""

from monitoring import notices
from monitoring.routes import Route
from rollout.component import ComponentError
from rollout.models import Component

TO_ONE = "person"  # a channel that is addressed to somebody


def of(component: Component) -> tuple[Route, ...]:
    """Return where a component's notices go; everywhere, where nobody can read that.

    What is told of a rollback, or that something cannot go on, must not wait until a configuration is mended.
    """
    try:
        return component.spec.routes
    except ComponentError:
        return everywhere()


def of_named(name: str) -> tuple[Route, ...]:
    """Return where the notices of a component go that may be gone."""
    component = Component.objects.filter(name=name).first()
    return of(component) if component else everywhere()


def everywhere() -> tuple[Route, ...]:
    """Return every channel that is set up here, for every event."""
    return tuple(Route(channel=name) for name in sorted(notices.configured()) if name != TO_ONE)
