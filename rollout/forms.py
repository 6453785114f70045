"""Forms of the rollout pages: a reason, a decision, the tuning of gates, a new rollout, the list's filters."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from monitoring.canonical import number
from monitoring.gates import GateProfile
from monitoring.wording import duration
from rollout import states
from rollout.models import Component, Environment, Release, Target

PASSWORD = {"autocomplete": "current-password"}


class ReasonForm(forms.Form):
    """A written reason, and the password when it was not entered lately."""

    why = forms.CharField(
        label="Reason",
        min_length=5,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Give a reason, in a sentence: it stands in the audit."},
    )
    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs=PASSWORD), label="Your password")

    def __init__(
        self, data: Any = None, *, name: str, stale: bool, label: str = "Reason", placeholder: str = ""
    ) -> None:
        super().__init__(data, auto_id=f"{name}_%s")
        self.fields["why"].label = label
        self.fields["why"].widget.attrs["placeholder"] = placeholder
        if not stale:
            del self.fields["password"]


class StartForm(forms.Form):
    """Nothing but the password, when it was not entered lately."""

    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs=PASSWORD), label="Your password")

    def __init__(self, data: Any = None, *, stale: bool) -> None:
        super().__init__(data, auto_id="start_%s")
        if not stale:
            del self.fields["password"]


class DecisionForm(forms.Form):
    """One person's decision over the digest that he saw."""

    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    diff_opened = forms.CharField(
        required=False, max_length=1, widget=forms.HiddenInput(attrs={"data-diff-opened": ""})
    )
    duty = forms.ChoiceField(required=False, widget=forms.RadioSelect, label="I sign as")
    reason = forms.CharField(
        required=False,
        max_length=2000,
        label="Comment, or the reason for a rejection",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "What did you check? What has to change?"}),
    )
    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs=PASSWORD), label="Your password")
    kind = forms.ChoiceField(
        choices=[(kind, kind) for kind in ("APPROVE", "REJECT", "REVOKE")], widget=forms.HiddenInput
    )

    def __init__(self, data: Any = None, *, digest: str = "", duties: Any = (), stale: bool = True) -> None:
        initial = {"digest": digest, "duty": duties[0][0] if duties else ""}
        super().__init__(data, auto_id="decide_%s", initial=initial)
        duty: Any = self.fields["duty"]
        duty.choices = [*duties, ("", "")] if data is not None else list(duties)
        if not stale:
            del self.fields["password"]

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where the ledger will."""
        values = super().clean() or {}
        if values.get("kind") == "REJECT" and len(values.get("reason", "").strip()) < 5:
            self.add_error("reason", "A rejection needs a reason: say what has to change.")
        return values


class TuneForm(forms.Form):
    """The monitoring defaults, accepted or tuned within the declared bounds; an empty field keeps its default."""

    accepted = forms.BooleanField(
        required=False,
        label="I accept this monitoring for this rollout: the window, the limits, and what rolls back by itself.",
    )

    def __init__(self, data: Any = None, *, profile: GateProfile, tuning: Mapping[str, str], accepted: bool) -> None:
        super().__init__(data, auto_id="tune_%s", initial={"accepted": accepted})
        self.defaults = _defaults(profile)
        self.order = [bound.key for bound in profile.bounds]
        titles = {gate.name: gate.title for gate in profile.gates}
        units = {gate.name: gate.unit for gate in profile.gates}
        for bound in profile.bounds:
            gate, _, what = bound.key.rpartition(".")
            seconds = what.endswith("_s")
            unit = "seconds" if seconds else units.get(gate, "")
            default = self.defaults[bound.key]
            said = f"{number(default)} {unit}" + (f" ({duration(default)})" if seconds else "")
            self.fields[bound.key] = forms.CharField(
                required=False,
                max_length=20,
                label=f"{titles.get(gate, 'Watch')}: {_what(what)}",
                initial=tuning.get(bound.key, ""),
                help_text=f"Default {said}. Allowed: {number(bound.low)} to {number(bound.high)} {unit}.",
                widget=forms.TextInput(attrs={"inputmode": "decimal", "placeholder": str(number(default))}),
            )

    @property
    def numbers(self) -> list[Any]:
        """Return the fields of the tunable numbers."""
        return [self[key] for key in self.order]

    @property
    def changes(self) -> dict[str, str]:
        """Return what differs from the defaults."""
        typed = {key: self.cleaned_data[key].strip() for key in self.order}
        return {key: value for key, value in typed.items() if value and not _same(value, self.defaults[key])}


class NewRolloutForm(forms.Form):
    """Which release goes where, and why."""

    release = forms.ModelChoiceField(Release.objects.none(), empty_label="Choose a release")
    target = forms.ModelChoiceField(Target.objects.none(), empty_label="Choose where it goes", label="Where")
    reason = forms.CharField(
        min_length=5,
        max_length=2000,
        label="Why this change",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="In a sentence or two: approvers read it now, auditors a year from now.",
    )

    def __init__(self, data: Any = None, **options: Any) -> None:
        super().__init__(data, **options)
        release: Any = self.fields["release"]
        release.queryset = Release.objects.select_related("component").order_by("-pk")
        target: Any = self.fields["target"]
        target.queryset = Target.objects.filter(retired=False).select_related("component", "environment")
        target.label_from_instance = lambda one: (
            f"{one} (live: {one.live_version or 'nothing'}{', locked' if one.locked else ''})"
        )


class RolloutFilterForm(forms.Form):
    """The filters of the list of rollouts."""

    component = forms.ModelChoiceField(Component.objects.all(), required=False, to_field_name="name", empty_label="Any")
    environment = forms.ModelChoiceField(
        Environment.objects.all(), required=False, to_field_name="name", empty_label="Any"
    )
    state = forms.ChoiceField(
        required=False,
        choices=[("", "Any"), *((state.value, states.label(state).capitalize()) for state in states.RolloutState)],
    )


def _defaults(profile: GateProfile) -> dict[str, Decimal]:
    found = {"window_s": profile.window_s}
    for gate in profile.gates:
        found |= {f"{gate.name}.limit": gate.limit, f"{gate.name}.over_s": gate.over_s}
    return found


def _what(name: str) -> str:
    return {"window_s": "window (seconds)", "limit": "limit", "over_s": "judged over (seconds)"}.get(name, name)


def _same(typed: str, default: Decimal) -> bool:
    try:
        return Decimal(typed) == default
    except InvalidOperation:
        return False
