"""The form by which somebody names a deputy."""

from typing import Any

from django import forms

from monitoring.reasons import Reason

from .people import printed_name

MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class DelegationForm(forms.Form):
    """Who may approve on the reader's behalf, from when until when, and why."""

    deputy: Any = forms.ModelChoiceField(queryset=None, empty_label="Choose a person", label="Deputy")
    starts_at = forms.DateTimeField(label="From", widget=MOMENT)
    ends_at = forms.DateTimeField(label="Until", widget=MOMENT)
    why = Reason(least=1, label="Why", max_length=300, help_text="Kept in the history, for example: on holiday.")

    def __init__(self, data: Any = None, *, deputies: Any, **options: Any) -> None:
        super().__init__(data, auto_id="delegation_%s", **options)
        deputy: Any = self.fields["deputy"]
        deputy.queryset = deputies
        deputy.label_from_instance = printed_name
