"""Forms of incidents: filters, a note, a severity, a resolution."""

from django import forms

from .models import Incident, Notice
from .reasons import Reason


class IncidentFilter(forms.Form):
    """The filters of the list, as they stand in the URL."""

    state = forms.ChoiceField(required=False, choices=[("", "not closed"), ("all", "all"), *Incident.State.choices])
    severity = forms.ChoiceField(required=False, choices=[("", "all"), *Incident.Severity.choices])
    component = forms.CharField(required=False, max_length=80)
    environment = forms.CharField(required=False, max_length=80)


class NoticeFilter(forms.Form):
    """The filters of the outbox."""

    state = forms.ChoiceField(required=False, choices=[("", "all"), *Notice.State.choices])
    channel = forms.CharField(required=False, max_length=20)


class NoteForm(forms.Form):
    """A line for the timeline."""

    text = Reason(
        least=1,
        label="Note",
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3, "placeholder": "What did you see, what did you do?"}),
    )


class SeverityForm(forms.Form):
    """Another severity, with the reason."""

    severity = forms.ChoiceField(choices=Incident.Severity.choices)
    why = Reason(label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class CloseForm(forms.Form):
    """How it was resolved."""

    resolution = Reason(
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What was wrong, what put it right, what keeps it from coming back.",
    )
