"""Fields for the names of people: refused when they hide something, or mix alphabets that look alike."""

from typing import Any

from django import forms
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError

from . import names


class PrintedNameField(forms.CharField):
    """A name as signatures print it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 150, **options})

    def clean(self, value: Any) -> str:
        """Return the name written plainly; refuse what cannot be printed under a decision."""
        name = names.tidy(str(super().clean(value)))
        if name and (why := names.why_not(name)):
            raise ValidationError(why)
        return name


class UserNameField(forms.CharField):
    """The name of an account."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"max_length": 150, "validators": [UnicodeUsernameValidator(), _one_alphabet], **options})


def _one_alphabet(name: str) -> None:
    if why := names.mixed(name):
        raise ValidationError(why)
