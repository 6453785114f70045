"""The fields and forms that take what a passkey answered: whatever else is sent there is wrong, and breaks nothing."""

import json
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn.forms import AuthenticateWebAuthnForm, LoginWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError

from .signatures import BROKEN

BRACKETS = 100  # an answer has about five; deep ones cannot be read, or not be shown again


class Answer(json.JSONDecoder):
    """Reads JSON; deep JSON and long numbers are none, because Django's field lets through what a parser says then."""

    def decode(self, s: str, *where: Any) -> Any:
        """Return what the text says."""
        try:
            if s.count("[") + s.count("{") <= BRACKETS:
                return super().decode(s, *where)
        except ValueError:
            pass
        raise json.JSONDecodeError("This is not the answer of a passkey", "", 0)


class _Answered(forms.Form):
    credential = forms.JSONField(widget=forms.HiddenInput, decoder=Answer)

    def clean_credential(self) -> Authenticator:
        """Check it as allauth does, which lets some of what the parser raises through."""
        try:
            return super().clean_credential()  # type: ignore[misc]  # allauth's form stands behind this one
        except BROKEN:
            raise ValidationError("This is not the answer of a passkey.") from None


class SecondStepForm(_Answered, AuthenticateWebAuthnForm):  # type: ignore[misc]  # allauth has no types
    """A passkey after the password."""


class PasskeySignInForm(_Answered, LoginWebAuthnForm):  # type: ignore[misc]
    """A passkey instead of name and password."""
