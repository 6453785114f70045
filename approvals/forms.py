"""Forms of the approvals room: password re-entry, own profile, another's rights, first admins."""

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django import forms
from django.contrib.auth import get_user_model, password_validation
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils import timezone

from . import signins, stepup
from .bootstrap import NewAdmin
from .groups import GROUPS
from .roles import Rights

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
        values: dict[str, Any] = super().clean()
        if self.user_cache is not None:
            stepup.forgive(self.user_cache)
        return values


class ConfirmForm(forms.Form):
    """The password, once more."""

    password = forms.CharField(
        strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True})
    )


class ProfileForm(forms.Form):
    """How a person's signature is printed."""

    printed_name = forms.CharField(max_length=150, help_text="As it stands under your decisions from now on.")
    zone = forms.CharField(label="Time zone", max_length=60, help_text="A name such as Europe/Berlin or UTC.")

    def clean_zone(self) -> str:
        """Refuse a zone that nobody knows."""
        zone = str(self.cleaned_data["zone"])
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValidationError("Expected the name of a time zone, such as Europe/Berlin or UTC.") from None
        return zone


class RightsForm(forms.Form):
    """What an admin decides about another person."""

    roles = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {what}") for name, what in GROUPS.items()],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    components = forms.CharField(
        required=False, help_text="Names with a space between them; empty: the roles hold for every component."
    )
    commit_emails = forms.CharField(
        label="Commit e-mail addresses",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="One a line. Whoever wrote a commit with one of these cannot approve the release it is in.",
    )
    why = forms.CharField(label="Why", max_length=300, help_text="Kept in the history.")

    def clean_commit_emails(self) -> tuple[str, ...]:
        """Refuse what is no address."""
        emails = tuple(dict.fromkeys(str(self.cleaned_data["commit_emails"]).split()))
        for email in emails:
            validate_email(email)
        return emails

    def rights(self) -> Rights:
        """Return what was entered."""
        return Rights(
            roles=frozenset(self.cleaned_data["roles"]),
            components=tuple(dict.fromkeys(self.cleaned_data["components"].split())),
            commit_emails=self.cleaned_data["commit_emails"],
        )

    @staticmethod
    def values(rights: Rights) -> dict[str, Any]:
        """Return what the form shows for the rights that stand."""
        return {
            "roles": sorted(rights.roles),
            "components": " ".join(rights.components),
            "commit_emails": "\n".join(rights.commit_emails),
        }


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
        "username": forms.CharField(
            label=f"{label}: user name", max_length=150, validators=[UnicodeUsernameValidator()]
        ),
        "printed_name": forms.CharField(label=f"{label}: full name", max_length=150),
        "email": forms.EmailField(label=f"{label}: e-mail"),
        "password": forms.CharField(
            label=f"{label}: password",
            strip=False,
            widget=secret,
            help_text="At least 12 characters, and not a common one.",
        ),
        "again": forms.CharField(label=f"{label}: password again", strip=False, widget=secret),
    }
