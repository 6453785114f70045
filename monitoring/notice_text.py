"""Render the words of a notice from its pair of templates."""

from collections.abc import Mapping

from django.template import Context
from django.template.loader import select_template

from . import audit
from .audit import LABEL_MAX, Subject


def render(event: str, *, subject: Subject, context: Mapping[str, str]) -> tuple[str, str]:
    """Return title and body of a message; the footer carries the audit's head, so that it leaves the house."""
    seq, digest = audit.head()
    values = {
        **context,
        "event": event.replace("_", " "),
        "subject": subject.label,
        "component": context.get("component") or subject.component,
        "environment": context.get("environment") or subject.environment,
        "audit_seq": seq,
        "audit_hash": digest,
    }
    title = _text(event, "_subject.txt", values)
    return " ".join(title.split())[:LABEL_MAX], _text(event, ".txt", values).strip() + "\n"


def _text(event: str, ending: str, values: Mapping[str, object]) -> str:
    chosen = select_template([f"notices/{event}{ending}", f"notices/generic{ending}"])
    # Plain text, so no HTML escapes: the channels escape what their own syntax reads
    rendered: str = chosen.template.render(Context(dict(values), autoescape=False))
    return rendered
