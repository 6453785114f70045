"""Forms of the approvals room: sign-in, proof of who one is, second factors, own profile, first admins."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from django import forms
from django.contrib.auth import get_user_model, password_validation
from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils import timezone

from monitoring.audit import Actor

from . import codes, signins, stepup
from .actors import actor_of
from .bootstrap import NewAdmin
from .forms_names import PrintedNameField, UserNameField
from .forms_passkeys import Answer

ADMINS = (("first", "First admin"), ("second", "Second admin"))


class SignInForm(AuthenticationForm):
    """Name and password; after five wrong ones for a name none is looked at for fifteen minutes, nor the right one."""

    def clean(self) -> dict[str, Any]:
        """Refuse a name whose tries are used up before its password is looked at."""
        name, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if name and password:
            why = signins.refusal(self.request, str(name), now=timezone.now())
            if why:
                raise ValidationError(why, code="throttled")
        return super().clean()


class ConfirmForm(forms.Form):
    """The password once more, or a code of the authenticator app where there is one."""

    password = forms.CharField(
        strip=False,
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )
    code = forms.CharField(
        required=False,
        max_length=20,
        label="Or the code of your authenticator app",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def __init__(self, data: Any = None, *, has_password: bool = True, has_app: bool = False) -> None:
        super().__init__(data)
        if not has_app:
            del self.fields["code"]
        elif not has_password:
            self.fields["code"].label = "The code of your authenticator app"
        if not has_password:
            del self.fields["password"]

    def clean(self) -> dict[str, Any]:
        """Ask for one of them."""
        values = super().clean() or {}
        if not any(values.values()):
            raise ValidationError("Nothing was entered.", code="required")
        return values


class CodeForm(AuthenticateForm):  # type: ignore[misc]  # allauth has no types
    """The second factor at the sign-in: a code of the app, or a recovery code; counted as passwords are."""

    code = forms.CharField(
        max_length=60,
        label="Code of your authenticator app, or a recovery code",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )

    def clean_code(self) -> str:
        """Use the code up; refuse a wrong one."""
        now, name = timezone.now(), self.user.get_username()
        code = str(self.cleaned_data["code"])
        self.authenticator = codes.check(self.user, code, by=actor_of(context.request, name=name), now=now)
        if self.authenticator is None:
            raise ValidationError(stepup.wait_text(self.user.pk, now=now) or "This is not a code that holds now.")
        return code


class AppForm(forms.Form):
    """The first code of a new authenticator app."""

    code = forms.CharField(
        max_length=20,
        label="The code that the app shows",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )


class PasskeyForm(forms.Form):
    """A new passkey: its name, and what the browser made."""

    name = forms.CharField(max_length=80, help_text="So that you know it again: Phone, Laptop, Key on my ring.")
    credential = forms.JSONField(widget=forms.HiddenInput, decoder=Answer)


class PasswordForm(PasswordChangeForm):
    """A new password, with the old one; wrong old ones are counted as at the sign-in."""

    def clean_old_password(self) -> str:
        """Look at the old password unless the tries are used up."""
        now, user = timezone.now(), self.user
        old = str(self.cleaned_data["old_password"])
        if not stepup.check(user, old, by=self.by, now=now):
            raise ValidationError(stepup.wait_text(user.pk, now=now) or "This is not your password.")
        return old

    def __init__(self, *args: Any, by: Actor, **options: Any) -> None:
        super().__init__(*args, **options)
        self.by = by


class ProfileForm(forms.Form):
    """How a person's signature is printed."""

    printed_name = PrintedNameField(help_text="As it stands under your decisions from now on; nobody else's.")
    zone = forms.CharField(label="Time zone", max_length=60, help_text="A name such as Europe/Berlin or UTC.")

    def clean_zone(self) -> str:
        """Refuse a zone that nobody knows."""
        zone = str(self.cleaned_data["zone"])
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValidationError("Expected the name of a time zone, such as Europe/Berlin or UTC.") from None
        return zone


class FirstAdminsForm(forms.Form):
    """Both admins of an empty installation."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for prefix, label in ADMINS:
            self.fields.update({f"{prefix}_{name}": field for name, field in _admin_fields(label).items()})

    def clean(self) -> dict[str, Any]:
        """Check each password against the rules, its repetition and its owner."""
        values = super().clean() or {}
        for prefix, _ in ADMINS:
            self._check_password(values, prefix)
        names = [str(values.get(f"{prefix}_username", prefix)).casefold() for prefix, _ in ADMINS]
        if len(set(names)) != len(names):
            self.add_error("second_username", "Two different people are needed.")
        return values

    def admins(self) -> list[NewAdmin]:
        """Return both, as entered."""
        keys = ("username", "printed_name", "email", "password")
        return [NewAdmin(**{key: self.cleaned_data[f"{prefix}_{key}"] for key in keys}) for prefix, _ in ADMINS]

    def _check_password(self, values: dict[str, Any], prefix: str) -> None:
        password = values.get(f"{prefix}_password")
        if not password:
            return
        if password != values.get(f"{prefix}_again"):
            self.add_error(f"{prefix}_again", "The two passwords differ.")
        owner = get_user_model()(username=values.get(f"{prefix}_username", ""), email=values.get(f"{prefix}_email", ""))
        try:
            password_validation.validate_password(password, owner)
        except ValidationError as error:
            self.add_error(f"{prefix}_password", error)


def _admin_fields(label: str) -> dict[str, forms.Field]:
    secret = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return {
        "username": UserNameField(label=f"{label}: user name"),
        "printed_name": PrintedNameField(label=f"{label}: full name"),
        "email": forms.EmailField(label=f"{label}: e-mail"),
        "password": forms.CharField(
            label=f"{label}: password",
            strip=False,
            widget=secret,
            help_text="At least 12 characters, and not a common one.",
        ),
        "again": forms.CharField(label=f"{label}: password again", strip=False, widget=secret),
    }
