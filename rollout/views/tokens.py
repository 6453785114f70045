"""The page of a component's API tokens: who made which, how long each lives; a new one is shown once."""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from approvals import stepup
from approvals.ledger import Refused
from rollout import tokens
from rollout.middleware import actor_of
from rollout.models import SCOPES, Component, Token
from rollout.views.once import claim
from rollout.views.refusals import sentences


class TokenForm(forms.Form):
    """A new token."""

    name = forms.CharField(max_length=80, label="What uses it", help_text="For example: premerge workflow of dhash.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope, f"{scope}: {words}") for scope, words in SCOPES.items()],
        widget=forms.CheckboxSelectMultiple,
        label="What it may do",
    )
    days = forms.IntegerField(
        min_value=1, max_value=tokens.DAYS_MAX, initial=30, label="Days until it expires", help_text="At most 90."
    )


@require_GET
def token_list(request: HttpRequest, name: str) -> HttpResponse:
    """Show a component's tokens and the form for a new one."""
    return _page(request, _component(request, name), TokenForm())


@never_cache
@require_POST
@sentences
def token_create(request: HttpRequest, name: str) -> HttpResponse:
    """Make a token and show its text, this once; asks for the password again when that was long ago."""
    component, now = _component(request, name), timezone.now()
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, component, form, status=400)
    if not stepup.is_recent(request, now=now):
        return redirect(f"{reverse('confirm')}?{urlencode({'next': reverse('token_list', args=[name])})}")
    user: Any = request.user
    try:
        # asked again it leads to the list: the text of a token is shown once
        with claim(request, "token_list", name):
            token, text = tokens.create(component, **form.cleaned_data, user=user, by=actor_of(request), now=now)
    except Refused as refusal:
        form.add_error(None, str(refusal))
        return _page(request, component, form, status=409)
    return _page(request, component, TokenForm(), made=token, text=text, status=201)


@require_POST
@sentences
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """End a token at once."""
    token = get_object_or_404(Token.objects.select_related("component", "owner"), pk=pk)
    user: Any = request.user
    with claim(request, "token_list", token.component.name):
        tokens.revoke(token, user=user, by=actor_of(request), now=timezone.now())
    return redirect("token_list", token.component.name)


def _component(request: HttpRequest, name: str) -> Component:
    component = get_object_or_404(Component, name=name)
    user: Any = request.user
    tokens.require_maker(user, component)
    return component


def _page(
    request: HttpRequest,
    component: Component,
    form: TokenForm,
    *,
    made: Token | None = None,
    text: str = "",
    status: int = 200,
) -> HttpResponse:
    rows = Token.objects.filter(component=component).select_related("owner__person", "component")
    shown = [{"token": row, "may_revoke": row.is_live and _may_revoke(request, row)} for row in rows]
    context = {"component": component, "form": form, "rows": shown, "made": made, "text": text}
    return render(request, "rollout/tokens.html", context, status=status)


def _may_revoke(request: HttpRequest, token: Token) -> bool:
    user: Any = request.user
    try:
        tokens.require_revoker(user, token)
    except PermissionDenied:
        return False
    return True
