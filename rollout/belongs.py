"""Says to which component the object of a route belongs, by the values in its address; None: there is no object."""

from collections.abc import Callable, Mapping
from typing import Any

from monitoring.models import Attachment, AuditEntry, Incident
from rollout.models import Artifact, Component, Configuration, Release, Rollout, Runbook, Step, Target, Token

Finder = Callable[[Mapping[str, Any]], str | None]


def himself(values: Mapping[str, Any]) -> str | None:
    """Return no component: the view asks whether the object is the asker's own."""
    return ""


def component(values: Mapping[str, Any]) -> str | None:
    """Return the component that the address names."""
    name = values["component"] if "component" in values else values["name"]
    return _first(Component, {"name": name}, "name")


def configuration(values: Mapping[str, Any]) -> str | None:
    """Return the component of a configuration."""
    return _first(Configuration, _pk(values), "component__name")


def target(values: Mapping[str, Any]) -> str | None:
    """Return the component of a target."""
    return _first(Target, _pk(values), "component__name")


def release(values: Mapping[str, Any]) -> str | None:
    """Return the component of a release."""
    return _first(Release, _pk(values), "component__name")


def artifact(values: Mapping[str, Any]) -> str | None:
    """Return the component of a file of evidence."""
    return _first(Artifact, _pk(values), "release__component__name")


def rollout(values: Mapping[str, Any]) -> str | None:
    """Return the component of a rollout."""
    return _first(Rollout, _pk(values), "target__component__name")


def step(values: Mapping[str, Any]) -> str | None:
    """Return the component of a step."""
    return _first(Step, _pk(values), "run__target__component__name")


def runbook(values: Mapping[str, Any]) -> str | None:
    """Return the component of a runbook."""
    return _first(Runbook, _pk(values), "component__name")


def token(values: Mapping[str, Any]) -> str | None:
    """Return the component of a token."""
    return _first(Token, _pk(values), "component__name")


def incident(values: Mapping[str, Any]) -> str | None:
    """Return the component of an incident; empty for one about none."""
    return _first(Incident, _pk(values), "component")


def attachment(values: Mapping[str, Any]) -> str | None:
    """Return the component of an attachment's incident."""
    return _first(Attachment, _pk(values), "incident__component")


def entry(values: Mapping[str, Any]) -> str | None:
    """Return the component of an entry of the audit, whose address is its number; empty for one about none."""
    return _first(AuditEntry, {"seq": values["pk"]}, "component")


def _pk(values: Mapping[str, Any]) -> dict[str, Any]:
    # an address may name more, inside of the object
    return {"pk": values["pk"]}


def _first(model: Any, values: Mapping[str, Any], path: str) -> str | None:
    found: str | None = model.objects.filter(**values).values_list(path, flat=True).first()
    return found
