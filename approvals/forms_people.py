"""Forms that change people: what an admin proposes, a new person, a reason, the choice of an own password."""

from typing import Any

from django import forms
from django.contrib.auth import password_validation
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from monitoring.reasons import Reason

from .forms_names import PrintedNameField, UserNameField
from .groups import GROUPS
from .roles import Rights


class WhyForm(forms.Form):
    """A reason."""

    why = Reason(least=1, label="Why", max_length=300, help_text="Kept in the history.")


class RightsForm(forms.Form):
    """What an admin proposes about another person."""

    active = forms.BooleanField(label="The account is open", required=False)
    email = forms.EmailField(
        label="E-mail address of the account",
        required=False,
        help_text="Commits under it are this person's, as those under the addresses below.",
    )
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
    why = Reason(least=1, label="Why", max_length=300, help_text="The other admin reads it; it is kept in the history.")

    def clean_commit_emails(self) -> tuple[str, ...]:
        """Refuse what is no address."""
        emails = tuple(sorted(set(str(self.cleaned_data["commit_emails"]).split())))
        for email in emails:
            validate_email(email)
        return emails

    def rights(self) -> Rights:
        """Return what was entered."""
        return Rights(
            active=self.cleaned_data["active"],
            email=self.cleaned_data["email"],
            roles=frozenset(self.cleaned_data["roles"]),
            components=tuple(sorted(set(self.cleaned_data["components"].split()))),
            commit_emails=self.cleaned_data["commit_emails"],
        )

    @staticmethod
    def values(rights: Rights) -> dict[str, Any]:
        """Return what the form shows for the rights that stand."""
        return {
            "active": rights.active,
            "email": rights.email,
            "roles": sorted(rights.roles),
            "components": " ".join(rights.components),
            "commit_emails": "\n".join(rights.commit_emails),
        }


class NewPersonForm(RightsForm):
    """A person who is not here yet; the account is opened by the admin who confirms."""

    username = UserNameField(label="User name")
    printed_name = PrintedNameField(label="Full name", help_text="As signatures print it.")
    field_order = ("username", "printed_name", "email", "roles", "components", "commit_emails", "why")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["active"]

    def rights(self) -> Rights:
        """Return what was entered, for an account that is open."""
        self.cleaned_data["active"] = True
        return super().rights()


class ChoosePasswordForm(forms.Form):
    """The code from one admin, and a password that nobody else knows."""

    code = forms.CharField(label="Code", max_length=20, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    password = forms.CharField(
        label="New password",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="At least 12 characters, and not a common one.",
    )
    again = forms.CharField(
        label="New password again", strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def __init__(self, *args: Any, owner: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.owner = owner

    def clean(self) -> dict[str, Any]:
        """Check the password against the rules, and its repetition."""
        values = super().clean() or {}
        password = values.get("password")
        if password and password != values.get("again"):
            self.add_error("again", "The two passwords differ.")
        if password:
            try:
                password_validation.validate_password(password, self.owner)
            except ValidationError as error:
                self.add_error("password", error)
        return values
