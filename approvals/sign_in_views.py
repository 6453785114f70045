"""The doors: password, second factor, passkey; through allauth's stages, so that no factor is left out."""

import json
from typing import Any

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.webauthn.views import LoginWebAuthnView
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters

from . import signins
from .forms import CodeForm, SignInForm
from .forms_passkeys import PasskeySignInForm, SecondStepForm
from .people import printed_name


class SignIn(LoginView):
    """Name and password; whoever has a second factor is asked for it next."""

    redirect_authenticated_user = True
    authentication_form = SignInForm

    def get_context_data(self, **values: Any) -> dict[str, Any]:
        """Name the identity provider, where there is one."""
        name = settings.GR_OIDC_NAME if settings.GR_OIDC_SERVER_URL else ""
        return super().get_context_data(**values, sso_name=name)

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Go on to the next stage, or in."""
        login = Login(user=form.get_user(), redirect_url=self.get_success_url())
        answer: HttpResponse = perform_password_login(self.request, {}, login)
        return answer


@method_decorator(sensitive_post_parameters(), name="dispatch")
class Code(AuthenticateView):  # type: ignore[misc]  # allauth has no types
    """The second factor of a sign-in whose password was right: a code, or a passkey."""

    form_class = CodeForm
    webauthn_form_class = SecondStepForm
    template_name = "mfa/authenticate.html"

    def get_context_data(self, **values: Any) -> dict[str, Any]:
        """Give the passkey's options to the script as text."""
        context: dict[str, Any] = super().get_context_data(**values)
        kinds = set(self.stage.login.user.authenticator_set.values_list("type", flat=True))
        user = self.stage.login.user
        context["name"], context["user_name"] = printed_name(user), user.get_username()
        context["options"] = json.dumps(context["js_data"]["request_options"]) if "webauthn" in kinds else ""
        context["has_codes"] = bool(kinds - {"webauthn"})
        return context


@method_decorator((login_not_required, never_cache), name="dispatch")
class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    """A passkey instead of name and password; GET gives the script a challenge."""

    form_class = PasskeySignInForm

    def form_invalid(self, form: Any) -> HttpResponse:
        """Lead back to the sign-in, audited."""
        signins.refused_elsewhere(self.request)
        messages.error(self.request, "This passkey opens no account here. Sign in with your password.")
        return redirect("login")
