"""The admin's view of this room: all of it can be read, nothing is edited."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest

from monitoring import lookups

from . import roles
from .models import Change, ChangeAnswer, Decision, Person, SignOff

if TYPE_CHECKING:

    class _Admin(admin.ModelAdmin[Any]): ...

else:  # generic to the type checker only
    _Admin = admin.ModelAdmin

# by name: it registers accounts and groups to be edited, and must not do so after us
import_module("django.contrib.auth.admin")
admin.site.unregister(get_user_model())
admin.site.unregister(Group)
for name in ("account", "mfa", "socialaccount"):
    import_module(f"allauth.{name}.admin")
# second factors and identities are their owner's: no table of allauth can be edited, by no superuser either
for model in list(admin.site._registry):
    if model._meta.app_label in ("account", "mfa", "socialaccount"):
        admin.site.unregister(model)


class ReadOnly(_Admin):
    """Rows that an admin may read and nobody may edit."""

    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Let admins read."""
        return roles.is_admin(request.user)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to admins."""
        return roles.is_admin(request.user)

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Refuse."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let an address filter by what the list shows as a filter, and by nothing else."""
        return lookups.is_allowed(lookup, self.list_filter, self.date_hierarchy)


@admin.register(SignOff)
class SignOffAdmin(ReadOnly):
    """Sign-offs, to read."""

    list_display = ["id", "subject_label", "state", "digest", "opened_at", "expires_at", "closed_why"]
    list_filter = ["state", "component", "environment"]
    search_fields = ["subject_label", "digest"]
    date_hierarchy = "opened_at"


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    """Decisions, to read."""

    list_display = ["sign_off", "seq", "printed_name", "kind", "duty", "at", "diff_opened", "method"]
    list_filter = ["kind", "duty", "diff_opened"]
    list_select_related = ["sign_off"]
    search_fields = ["printed_name", "digest", "reason"]
    date_hierarchy = "at"


@admin.register(Person)
class PersonAdmin(ReadOnly):
    """People, to read: they are edited on their own page, where each change is audited and nobody changes himself."""

    list_display = ["printed_name", "user", "zone", "components"]
    search_fields = ["printed_name", "user__username"]
    list_select_related = ["user"]


@admin.register(Group)
class GroupAdmin(ReadOnly):
    """The eight groups, to read."""

    list_display = ["name"]


@admin.register(Change)
class ChangeAdmin(ReadOnly):
    """Changes of people, to read; they are proposed and answered on their own pages."""

    list_display = ["id", "kind", "user", "why", "proposed_by", "proposed_at", "expires_at"]
    list_filter = ["kind"]
    list_select_related = ["user", "proposed_by"]
    search_fields = ["why", "user__username"]
    date_hierarchy = "proposed_at"


@admin.register(ChangeAnswer)
class ChangeAnswerAdmin(ReadOnly):
    """What became of them."""

    list_display = ["change", "kind", "by", "why", "at"]
    list_filter = ["kind"]
    list_select_related = ["change", "by"]
    date_hierarchy = "at"


@admin.register(get_user_model())
class AccountAdmin(ReadOnly):
    """Accounts, to read: one that an admin could edit alone here, he could sign in with."""

    list_display = ["username", "email", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff", "groups"]
    search_fields = ["username", "email"]
    fields = ["username", "first_name", "last_name", "email", "is_active", "is_staff", "last_login", "date_joined"]
