"""Prove who decides: by a passkey that signs the decision, a password in the form, or a recent proof of the session."""

from django.forms import Form
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_POST

from approvals import confirming, signatures, stepup
from approvals.ledger import Refused
from approvals.models import Decision
from approvals.signatures import Proof
from approvals.site import site_of
from rollout import glass
from rollout.forms import SignedForm
from rollout.views import signing
from rollout.views.page import Page, page_of

KINDS = Decision.Kind.values


@require_POST
def rollout_challenge(request: HttpRequest, pk: int) -> JsonResponse:
    """Give the script what the passkey is to sign: the decision that the form beside it would send."""
    sign_off, user = page_of(request, pk).rollout.sign_off, request.user
    kind = request.POST.get("kind") or request.GET.get("kind", "")
    try:
        duty, absent = signing.chosen(request.POST.get("duty", "") if kind == Decision.Kind.APPROVE else "")
    except ValueError:
        return JsonResponse({"error": "There is no such duty: load the page again."}, status=409)
    try:
        if sign_off is None or kind not in KINDS or request.POST.get("digest") != sign_off.digest:
            raise Refused("What you saw is not what is to be signed any more: load the page again.")
        asked = {"kind": kind, "duty": duty, "on_behalf_of": absent, "reason": _reason(request, kind)}
        options = signatures.ask(sign_off, user=user, site=site_of(request), now=timezone.now(), **asked)  # type: ignore[arg-type]
    except Refused as refusal:
        return JsonResponse({"error": str(refusal)}, status=409)
    return JsonResponse(options)


def _reason(request: HttpRequest, kind: str) -> str:
    """Return the words that are signed: a comment, or both reasons of a break-glass."""
    if kind == Decision.Kind.BYPASS:
        return glass.reason_of(request.POST.get("why_now", ""), request.POST.get("why_safe", ""))
    return request.POST.get("reason", "")


def proof_of(page: Page, form: SignedForm) -> Proof | None:
    """Return the proof that came with a decision; None, and the form says why, where there is none that holds."""
    values, now = form.cleaned_data, timezone.now()
    if values.get("assertion"):
        try:
            return confirming.signed_by_passkey(page.request, values["assertion"], now=now)
        except Refused as refusal:
            form.add_error(None, str(refusal))
            return None
    if values.get("password"):
        return Proof(at=stepup.authenticated_at(page.request)) if password_holds(page, form) else None
    if page.must_sign:
        form.add_error("password", "Sign with your passkey, or enter your password.")
        return None
    return Proof(at=stepup.authenticated_at(page.request), method=stepup.method_of(page.request))


def password_holds(page: Page, form: Form) -> bool:
    """Check the password that came with the form, where the last proof is too old; say on the form when it is wrong."""
    if "password" not in form.fields:
        return True
    now = timezone.now()
    if stepup.confirm(page.request, form.cleaned_data["password"], now=now):
        return True
    wait = stepup.wait_text(page.request.user.pk or 0, now=now)
    form.add_error("password", wait or "This is not your password. Nothing was done; what you typed is kept.")
    return False
