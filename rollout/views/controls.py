"""The page that leads an auditor from each control to where its evidence is, with what stands there now."""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from rollout import control_facts
from rollout.control_records import Fact
from rollout.controls import CONTROLS, Control
from rollout.models import Rollout
from rollout.views.verified import verified

SPANS = (30, 90, 365)
DEFAULT = 90
NEWEST = 10


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A fact with its address."""

    fact: Fact
    url: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing that a control asks, with what answers it."""

    text: str
    answers: tuple[Answer, ...]


@require_GET
def controls(request: HttpRequest) -> HttpResponse:
    """Show every control with its evidence over the last days, and the newest rollouts as a sample to look into."""
    asked = request.GET.get("days", "")
    days = int(asked) if asked in map(str, SPANS) else DEFAULT
    now = timezone.now()
    seen = verified(now)
    facts = control_facts.facts(now - timedelta(days=days), now, seen["held"], seen["signed"])
    context = {
        "controls": [(control, _lines(control, facts)) for control in CONTROLS],
        "days": days,
        "spans": SPANS,
        **seen,
        "now": now,
        "newest": Rollout.objects.with_places().filter(started_at__isnull=False).order_by("-pk")[:NEWEST],
    }
    return render(request, "rollout/controls.html", context)


def _lines(control: Control, facts: dict[str, Fact]) -> list[Line]:
    return [
        Line(text=ask.text, answers=tuple(Answer(fact=facts[key], url=_url(facts[key])) for key in ask.facts))
        for ask in control.asks
    ]


def _url(fact: Fact) -> str:
    if not fact.route:
        return ""
    return reverse(fact.route, args=fact.args) + (f"?{fact.query}" if fact.query else "")
