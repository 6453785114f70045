"""The field of a written reason: it counts what somebody sees of it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from .unseen import REASON_MIN, seen_length


class Reason(forms.CharField):
    """A text of at least so many characters that somebody sees, some of them letters or digits."""

    def __init__(self, *, least: int = REASON_MIN, **options: Any) -> None:
        super().__init__(**options)
        self.least = least
        self.widget.attrs["minlength"] = str(least)

    def validate(self, value: str) -> None:
        """Refuse what says nothing; what is left out is for `required` to tell."""
        super().validate(value)
        if value and seen_length(value) < self.least:
            raise ValidationError(f"Say it in words: at least {self.least} characters that somebody sees.")
