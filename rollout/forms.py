"""Forms of the rollout pages: a reason, a decision, the tuning of gates, a new rollout, the list's filters."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms

from monitoring.canonical import number
from monitoring.gates import GateProfile
from monitoring.reasons import Reason
from monitoring.unseen import REASON_MIN, seen_length
from monitoring.wording import duration
from rollout import access, states
from rollout.models import Component, Environment, Release, Target

PASSWORD = {"autocomplete": "current-password"}


class ReasonForm(forms.Form):
    """A written reason, and the password when it was not entered lately."""

    why = Reason(
        label="Reason",
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


class SignedForm(forms.Form):
    """What a passkey signs, or a password stands for, when that was not entered lately."""

    digest = forms.CharField(max_length=64, widget=forms.HiddenInput)
    # what the passkey answered; the script fills it in
    assertion = forms.CharField(required=False, max_length=20_000, widget=forms.HiddenInput)
    password = forms.CharField(strip=False, widget=forms.PasswordInput(attrs=PASSWORD), label="Your password")

    def ask(self, *, stale: bool, passkey: bool) -> None:
        """Leave out what is not needed: a passkey makes the password the second choice."""
        self.passkey = passkey
        if passkey:
            self.fields["password"].required = False
            self.fields["password"].label = "Your password instead, if the passkey is not at hand"
        elif not stale:
            del self.fields["password"]


class StartForm(SignedForm):
    """The digest that was looked at, and the proof of who starts it."""

    def __init__(self, data: Any = None, *, digest: str = "", stale: bool, passkey: bool = False) -> None:
        super().__init__(data, auto_id="start_%s", initial={"digest": digest})
        self.fields["digest"].required = False
        self.ask(stale=stale, passkey=passkey)


class DecisionForm(SignedForm):
    """One person's decision over the digest that he saw."""

    duty = forms.ChoiceField(required=False, widget=forms.RadioSelect, label="I sign as")
    reason = forms.CharField(
        required=False,
        max_length=2000,
        label="Comment, or the reason for a rejection",
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "What did you check? What has to change?"}),
    )
    kind = forms.ChoiceField(
        choices=[(kind, kind) for kind in ("APPROVE", "REJECT", "REVOKE")], widget=forms.HiddenInput
    )

    def __init__(
        self,
        data: Any = None,
        *,
        digest: str = "",
        duties: Any = (),
        revoke_only: bool = False,
        stale: bool = True,
        passkey: bool = False,
    ) -> None:
        initial = {"digest": digest, "duty": duties[0][0] if duties else ""}
        super().__init__(data, auto_id="decide_%s", initial=initial)
        duty: Any = self.fields["duty"]
        if revoke_only:
            self.fields["reason"].label = "Why you take it back"
            self.fields["reason"].widget.attrs["placeholder"] = "What did you see since?"
        duty.choices = [*duties, ("", "")] if data is not None else list(duties)
        self.ask(stale=stale, passkey=passkey)

    def clean(self) -> dict[str, Any]:
        """Ask for a reason where the ledger will."""
        values = super().clean() or {}
        if values.get("kind") == "REJECT" and seen_length(values.get("reason", "")) < REASON_MIN:
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
    reason = Reason(
        max_length=2000,
        label="Why this change",
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="In a sentence or two: approvers read it now, auditors a year from now.",
    )

    def __init__(self, data: Any = None, *, user: Any, **options: Any) -> None:
        super().__init__(data, **options)
        release: Any = self.fields["release"]
        releases = access.known(user, Release.objects.all(), "component__name")
        release.queryset = releases.select_related("component").order_by("-pk")
        target: Any = self.fields["target"]
        targets = access.known(user, Target.objects.filter(retired=False), "component__name")
        target.queryset = targets.select_related("component", "environment")
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

    def __init__(self, data: Any = None, *, user: Any) -> None:
        super().__init__(data)
        component: Any = self.fields["component"]
        component.queryset = access.known(user, Component.objects.all(), "name")


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
