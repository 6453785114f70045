"""The filters of the history, as they stand in the URL, and what entries they ask for."""

import re
from datetime import UTC, datetime, time, timedelta
from itertools import groupby
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.db.models import Q

from approvals.people import limits
from monitoring import audit_pages
from monitoring.audit_pages import Wanted
from monitoring.models import AuditEntry, Incident
from rollout import access
from rollout.models import Component, Environment, Release, Rollout, Run, Step
from rollout.views.days import DayField
from rollout.views.plain_select import PlainSelect

FOUND = 50  # rollouts of one version, or entries whose hash begins so, that a search names at most
NUMBER_MAX = 10**15
KINDS = "rollout|run|step|release|incident|target|component|user|token|audit|installation|storage|account|watch"
NUMBER = re.compile(r"#?(\d{1,15})", re.ASCII)
HASH = re.compile(r"[0-9a-f]{8,64}")
SUBJECT = re.compile(rf"({KINDS})[ :#]+([\w.-]{{1,40}})", re.IGNORECASE)
VERSION = re.compile(r"(?:(\S+)\s+)?(\S{1,60})")


class HistoryForm(forms.Form):
    """Structured filters; there is no search of words: no index answers it over a million entries (an export does)."""

    q = forms.CharField(
        required=False,
        max_length=200,
        label="Find",
        widget=forms.TextInput(
            attrs={
                "type": "search",
                "placeholder": "rollout 14, 1.4.0, #123, hash",
                "autocomplete": "off",
            }
        ),
    )
    component = forms.CharField(required=False, max_length=80, widget=PlainSelect)
    environment = forms.CharField(required=False, max_length=80, widget=PlainSelect)
    action = forms.CharField(required=False, max_length=60, widget=PlainSelect)
    actor = forms.CharField(
        required=False,
        max_length=150,
        label="Person",
        widget=forms.TextInput(attrs={"placeholder": "user name", "list": "actors", "autocomplete": "off"}),
    )
    since = DayField(required=False, label="From (UTC)", widget=forms.DateInput(attrs={"type": "date"}))
    until = DayField(required=False, label="To (UTC)", widget=forms.DateInput(attrs={"type": "date"}))

    def offer(self, user: Any) -> None:
        """Give the fields their choices; what is asked for and is none of them stays chosen."""
        components = access.known(user, Component.objects.all(), "name")
        for name, rows in (("component", components), ("environment", Environment.objects.all())):
            names = [*rows.values_list("name", flat=True)]
            self.fields[name].widget.choices = _with(
                self.data.get(name, ""), [("", "all"), *((one, one) for one in names)]
            )
        self.fields["action"].widget.choices = _with(self.data.get("action", ""), _actions())

    def given(self) -> dict[str, Any]:
        """Return the filters that are filled in."""
        if not self.is_bound or not self.is_valid():
            return {}
        return {key: value for key, value in self.cleaned_data.items() if value}


def people_to_offer() -> list[tuple[str, str]]:
    """Return user name and printed name of people, for the field to complete."""
    users = get_user_model().objects.order_by("username").values_list("username", "person__printed_name")
    return [(name, printed or "") for name, printed in users[:500]]


def wanted_of(form: HistoryForm, user: Any) -> Wanted:
    """Return which entries the filters ask for, of those that a user may know of: none while a filter is wrong."""
    if form.is_bound and not form.is_valid():
        return Wanted(seqs=())
    given = form.given()
    subjects, seqs = _searched(given.get("q", "").strip())
    since, until, only = given.get("since"), given.get("until"), limits(user)
    return Wanted(
        component=given.get("component", ""),
        environment=given.get("environment", ""),
        actor=given.get("actor", ""),
        action=given.get("action", ""),
        since=datetime.combine(since, time(), UTC) if since else None,
        until=datetime.combine(until, time(), UTC) + timedelta(days=1) if until else None,
        subjects=subjects,
        seqs=seqs,
        only=None if only is None else (*only, ""),
    )


def family(rollouts: list[int]) -> tuple[tuple[str, str], ...]:
    """Return the subjects that rollouts are told under: themselves, their releases, runs, steps and incidents."""
    releases = Rollout.objects.filter(pk__in=rollouts).values_list("release_id", flat=True)
    runs = Run.objects.filter(rollout__in=rollouts).values_list("pk", flat=True)
    steps = Step.objects.filter(run__rollout__in=rollouts).values_list("pk", flat=True)
    about = Q(subject_kind="rollout", subject_id__in=[str(one) for one in rollouts])
    incidents = Incident.objects.filter(about).values_list("pk", flat=True)
    kinds = {"rollout": rollouts, "release": releases, "run": runs, "step": steps, "incident": incidents}
    return tuple(dict.fromkeys((kind, str(pk)) for kind, keys in kinds.items() for pk in keys))


def _searched(text: str) -> tuple[tuple[tuple[str, str], ...] | None, tuple[int, ...] | None]:
    """Return the subjects, or the numbers, that a search means; None where it means none."""
    if not text:
        return None, None
    if number := NUMBER.fullmatch(text):
        return None, (int(number[1]),)
    if HASH.fullmatch(text.lower()):
        # every hex digit stands below "g"
        begins = AuditEntry.objects.filter(hash__gte=text.lower(), hash__lt=text.lower() + "g")
        return None, tuple(begins.order_by("hash").values_list("seq", flat=True)[:FOUND])
    if subject := SUBJECT.fullmatch(text):
        kind, key = subject[1].lower(), subject[2]
        is_rollout = kind == "rollout" and NUMBER.fullmatch(key)
        return family([int(key)]) if is_rollout else ((kind, key),), None
    return _of_version(text), None


def _of_version(text: str) -> tuple[tuple[str, str], ...]:
    match = VERSION.fullmatch(text)
    if match is None:
        return ()
    releases = Release.objects.filter(version=match[2], **({"component__name": match[1]} if match[1] else {}))
    keys = list(releases.values_list("pk", flat=True)[:FOUND])
    rollouts = list(Rollout.objects.filter(release__in=keys).values_list("pk", flat=True)[:FOUND])
    return tuple(dict.fromkeys([*(("release", str(pk)) for pk in keys), *family(rollouts)]))


def _actions() -> list[tuple[str, Any]]:
    """Return the choices of actions by kind: all of a kind, then each."""
    kinds = groupby(audit_pages.actions(), lambda action: action.partition(".")[0])
    return [
        ("", "all"),
        *((kind, [(f"{kind}.", f"{kind}: all"), *((one, one) for one in found)]) for kind, found in kinds),
    ]


def _with(chosen: str, choices: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Return the choices with the chosen one, should it be none of them: a filter must never be hidden."""
    flat = {
        value
        for first, second in choices
        for value in ([first] if isinstance(second, str) else [key for key, _ in second])
    }
    return choices if chosen in flat else [*choices, (chosen, chosen)]
