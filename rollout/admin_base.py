"""What every table of this room's admin stands on."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.http import HttpRequest

from monitoring import lookups
from rollout import access

if TYPE_CHECKING:  # generic for the type checker only
    Table = admin.ModelAdmin[Any]
    Rows = admin.TabularInline[Any, Any]
else:
    Table = admin.ModelAdmin
    Rows = admin.TabularInline


class ReadOnlyMixin:
    """Lets admins read; refuses to add, change or delete."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Show the section to admins."""
        return access.ADMIN in access.groups_of(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins read."""
        return access.ADMIN in access.groups_of(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody adds a row by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody edits a row by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody removes a row by hand."""
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Let an address filter by what the list shows as a filter, and by nothing else."""
        return lookups.is_allowed(lookup, getattr(self, "list_filter", ()), getattr(self, "date_hierarchy", None))
