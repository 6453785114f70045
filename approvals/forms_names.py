"""Fields for the names of people: refused when they hide something, mix alphabets that look alike, or are ours."""

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
        super().__init__(**{"max_length": 150, "validators": [UnicodeUsernameValidator(), _may_stand], **options})


def _may_stand(name: str) -> None:
    if why := names.mixed(name) or names.reserved(name):
        raise ValidationError(why)
