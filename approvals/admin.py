"""The admin's view of this room: accounts can be edited, consent can only be read."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from monitoring import audit

from . import roles
from .actors import about, actor_of
from .models import Decision, Person, SignOff

if TYPE_CHECKING:

    class _Admin(admin.ModelAdmin[Any]): ...

    class _UserAdmin(UserAdmin[Any]): ...

else:  # generic to the type checker only
    _Admin, _UserAdmin = admin.ModelAdmin, UserAdmin

admin.site.unregister(get_user_model())
admin.site.unregister(Group)


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


@admin.register(get_user_model())
class AccountAdmin(_UserAdmin):
    """Accounts: added, disabled, given a new password; roles are given on the people page, nobody is removed."""

    list_display = ("username", "email", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "groups")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Account", {"fields": ("is_active", "is_staff", "last_login", "date_joined")}),
    )
    readonly_fields = ("last_login", "date_joined")
    filter_horizontal = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to admins."""
        return roles.is_admin(request.user)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins read."""
        return roles.is_admin(request.user)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins add accounts."""
        return roles.is_admin(request.user)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins change the accounts of others; one's own password is changed with the old one."""
        return roles.is_admin(request.user) and (obj is None or obj.pk != request.user.pk)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: an account that left is disabled, because its signatures stay."""
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Save, and tell the audit which fields changed."""
        super().save_model(request, obj, form, change)
        what = "changed" if change else "added"
        # whether the account is open is what an auditor asks for; names and addresses are personal data
        data = {"fields": sorted(form.changed_data), "active": obj.is_active, "staff": obj.is_staff}
        by = actor_of(request, request.user)
        audit.append(action=f"user.{what}", by=by, subject=about(obj), data=data, now=timezone.now())

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """Set another's password, and tell the audit: whoever does that could sign in that name."""
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        if request.method == "POST" and answer.status_code == 302:
            user = get_user_model().objects.get(pk=id)
            by = actor_of(request, request.user)
            audit.append(action="user.password_set", by=by, subject=about(user), now=timezone.now())
        return answer
