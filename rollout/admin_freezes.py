"""The admin of freezes: the one table of that site that is edited, by people who have just proved who they are."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from approvals import stepup
from approvals.account_views import prove_first
from approvals.ledger import Refused
from approvals.people import printed_name
from approvals.views_people import asker_of
from monitoring.reasons import Reason
from rollout import access, freezes, models
from rollout.admin_base import ReadOnlyMixin, Table
from rollout.freezes import Span
from rollout.views.once import claim

if TYPE_CHECKING:  # generic for the type checker only
    FreezeBase = ModelForm[models.Freeze]
else:
    FreezeBase = ModelForm
WAITS = "Nothing has changed yet: to freeze for less takes two. Another admin enters the same span here within a day."


class FreezeForm(FreezeBase):
    """A freeze that could be meant."""

    def clean(self) -> dict[str, Any]:
        """Refuse a span that ends before it begins."""
        values = super().clean() or {}
        if values.get("starts_at") and values.get("ends_at") and values["ends_at"] < values["starts_at"]:
            raise ValidationError("This freeze ends before it begins.")
        return values


class SpanForm(FreezeForm):
    """Another span for a freeze that stands."""

    why = Reason(least=1, label="Why", max_length=300, help_text="For the audit.")


@admin.register(models.Freeze)
class FreezeAdmin(ReadOnlyMixin, Table):
    """Spans in which nothing is started. One that is wrong is ended, not removed: it kept somebody waiting."""

    list_display = ("component", "environment", "starts_at", "ends_at", "reason", "by")
    list_filter = ("component", "environment")
    list_select_related = ("component", "environment", "by")
    search_fields = ("reason",)
    date_hierarchy = "starts_at"

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins freeze."""
        return access.ADMIN in access.groups_of(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Let admins ask for another span."""
        return access.ADMIN in access.groups_of(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        """Ask why, where a freeze stands."""
        return super().get_form(request, obj, change=change, **{"form": SpanForm if obj else FreezeForm, **kwargs})

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show who froze, and what waits, where a freeze stands."""
        place = ("component", "environment", "reason")
        return (*place, "by", "waits", "starts_at", "ends_at", "why") if obj else (*place, "starts_at", "ends_at")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Let nobody rewrite what people were told."""
        return ("component", "environment", "reason", "by", "waits") if obj else ()

    @admin.display(description="waits for a second admin")
    def waits(self, obj: models.Freeze) -> str:
        """Return which shorter span is asked for, and by whom."""
        asked = freezes.ask_of(obj, now=timezone.now())
        if asked is None:
            return "nothing"
        return f"{asked.span['from']} to {asked.span['to']}, asked for by {printed_name(asked.user)} ({asked.user})"

    def changeform_view(self, request: HttpRequest, *args: Any, **values: Any) -> HttpResponse:
        """Show or take the form, after a proof of who asks; a refusal leads back to it."""
        if not stepup.is_recent(request, now=timezone.now()):
            return prove_first(request.path, "Before you change a freeze.")
        try:
            return super().changeform_view(request, *args, **values)
        except Refused as refusal:
            messages.error(request, str(refusal))
            return HttpResponseRedirect(request.path)

    def save_model(self, request: HttpRequest, obj: models.Freeze, form: Any, change: bool) -> None:
        """Add it, or ask for its other span."""
        asker = asker_of(request)
        with claim(request, "admin:rollout_freeze_changelist"):
            if change:
                span = Span(starts_at=obj.starts_at, ends_at=obj.ends_at)
                done = freezes.change(obj, span, why=form.cleaned_data["why"], asker=asker)
                request.freeze_waits = not done  # type: ignore[attr-defined]
            else:
                freezes.add(obj, asker=asker)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Leave Django's own log alone where nothing changed: the audit tells both."""
        return None if getattr(request, "freeze_waits", False) else super().log_change(request, obj, message)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Say whether it stands or waits."""
        if getattr(request, "freeze_waits", False):
            messages.warning(request, WAITS)
            return HttpResponseRedirect(request.path)
        return super().response_change(request, obj)
