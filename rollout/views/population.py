"""The population of a period: how many rollouts, reconciled with the chain, the newest of them; the whole as CSV."""

import hashlib
import tempfile
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import IO, Any
from urllib.parse import urlencode

from django import forms
from django.http import FileResponse, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from approvals.people import limits
from monitoring import audit, audit_export
from monitoring.audit import Subject
from rollout import access, bundle
from rollout import population as population_rows
from rollout.middleware import actor_of
from rollout.models import Component, Environment
from rollout.population import Period, Reconciled
from rollout.views import bundles
from rollout.views.days import DayField
from rollout.views.verified import verified

SHOWN = 25
QUARTER = timedelta(days=90)
NAMED = 20  # numbers that an entry and a page name


class PopulationForm(forms.Form):
    """The period, as it stands in the URL."""

    since = DayField(label="From (UTC)", widget=forms.DateInput(attrs={"type": "date"}))
    until = DayField(label="To (UTC)", widget=forms.DateInput(attrs={"type": "date"}))
    basis = forms.ChoiceField(
        label="Rollouts that were", choices=[("requested", "requested in it"), ("started", "started in it")]
    )
    component = forms.CharField(required=False, max_length=80, widget=forms.Select)
    environment = forms.CharField(required=False, max_length=80, widget=forms.Select)

    def __init__(self, data: Any, *, user: Any) -> None:
        super().__init__(data)
        self.user = user
        components = access.known(user, Component.objects.all(), "name")
        for name, rows in (("component", components), ("environment", Environment.objects.all())):
            names = rows.values_list("name", flat=True)
            self.fields[name].widget = forms.Select(choices=[("", "all"), *((one, one) for one in names)])

    def clean(self) -> dict[str, Any]:
        """Refuse a period that ends before it begins."""
        values = super().clean() or {}
        if values.get("since") and values.get("until") and values["until"] < values["since"]:
            self.add_error("until", "The period ends before it begins.")
        return values

    def period(self) -> Period:
        """Return what is asked for; `until` is the last day of it."""
        values, only = self.cleaned_data, limits(self.user)
        return Period(
            since=datetime.combine(values["since"], time(), UTC),
            until=datetime.combine(values["until"], time(), UTC) + timedelta(days=1),
            basis=values["basis"],
            component=values["component"],
            environment=values["environment"],
            only=None if only is None else tuple(only),
        )


@require_GET
def population(request: HttpRequest) -> HttpResponse:
    """Show how many rollouts a period has, whether the chain tells of the same, and the newest of them."""
    form = _form(request)
    context: dict[str, Any] = {"form": form, **verified(timezone.now()), "query": urlencode(form.data)}
    if not form.is_valid():
        return render(request, "rollout/population.html", context, status=400)
    period = form.period()
    context |= {
        "period": period,
        "found": population_rows.reconcile(period, upto=audit.head()[0]),
        "rows": population_rows.first_rows(period, SHOWN),
        "may_export": bool(access.groups_of(request) & access.AUDITORS),
        "may_bundle": bundles.may_take(request),
    }
    return render(request, "rollout/population.html", context)


@require_GET
def population_csv(request: HttpRequest) -> HttpResponse | FileResponse:
    """Write the population into a file, tell the audit its count and sha256, and hand it over."""
    form = _form(request)
    if not form.is_valid():
        return population(request)
    period, now, upto = form.period(), timezone.now(), audit.head()[0]
    # outside the transaction: a long period must not keep everybody else from writing
    file, digest, count = _write(period)
    data = _data(form, population_rows.reconcile(period, upto=upto), count, digest)
    with audit.turn():
        about = Subject(kind="audit", id="1", label="audit")
        audit.append(action="population.exported", by=actor_of(request), subject=about, data=data, now=now)
    days = f"{period.since:%Y%m%d}-{period.until - timedelta(days=1):%Y%m%d}"
    name = f"population-{period.basis}-{days}-{count}-rollouts.csv"
    response = FileResponse(file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8")
    response.headers["X-Population-Count"], response.headers["X-Population-SHA256"] = str(count), digest
    response.headers["Cache-Control"] = "private, no-store"
    return response


@require_GET
def period_bundle(request: HttpRequest) -> HttpResponse | FileResponse:
    """Hand over the bundle of the rollouts of a period."""
    form = _form(request)
    if not form.is_valid():
        return population(request)
    return bundles.taken(request, bundle.of_period(form.period(), with_files="files" in request.GET))


def _form(request: HttpRequest) -> PopulationForm:
    """Return the form of a period as asked; without one the last 90 days stand in it."""
    asked: dict[str, Any] = request.GET.dict()
    today: date = timezone.now().astimezone(UTC).date()
    for key, value in (("since", today - QUARTER), ("until", today), ("basis", "requested")):
        if not asked.get(key):
            asked[key] = str(value)
    return PopulationForm(asked, user=request.user)


def _write(period: Period) -> tuple[IO[bytes], str, int]:
    """Write the rows into a file without a name; return it, rewound, its sha256, and how many rollouts it holds."""
    file, digest, count = tempfile.TemporaryFile(), hashlib.sha256(), -1  # noqa: SIM115 - the answer closes it
    for row in chain([population_rows.COLUMNS], population_rows.rows(period)):
        line = audit_export.csv_line(row).encode()
        file.write(line)
        digest.update(line)
        count += 1
    file.seek(0)
    return file, digest.hexdigest(), count


def _data(form: PopulationForm, found: Reconciled, count: int, digest: str) -> dict[str, Any]:
    return {
        "filters": {key: str(value) for key, value in form.cleaned_data.items() if value},
        "count": count,
        "told_by_the_chain": found.told,
        "only_in_table": list(found.only_in_table[:NAMED]),
        "only_in_chain": list(found.only_in_chain[:NAMED]),
        "sha256": digest,
    }
