"""The admin site's own sign-in, which is not used: ours counts wrong passwords."""

from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


@login_not_required
def admin_sign_in(request: HttpRequest) -> HttpResponse:
    """Lead to our sign-in; whoever is signed in and still sent here may not use the admin site."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin site is for staff accounts; another admin can make this account one.")
    return redirect_to_login(request.GET.get("next", "/admin/"))
