"""The field of a written reason: it counts what somebody sees of it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from .unseen import REASON_MIN, letters


class Reason(forms.CharField):
    """A text with at least so many letters or digits that somebody sees."""

    def __init__(self, *, least: int = REASON_MIN, **options: Any) -> None:
        super().__init__(**options)
        self.least = least
        self.widget.attrs["minlength"] = str(least)

    def validate(self, value: str) -> None:
        """Refuse what says nothing; what is left out is for `required` to tell."""
        super().validate(value)
        if value and letters(value) < self.least:
            many = "1 letter or digit" if self.least == 1 else f"{self.least} letters or digits"
            raise ValidationError(f"Say it in words: at least {many}.")
