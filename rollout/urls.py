"""Every URL of the product; who may use which stands in `access`."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from rollout.api.app import patterns

urlpatterns = [
    path("login/", auth.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("", include("approvals.urls")),
    # --- rollouts: the page, its fragments, its verbs
    path("", include("rollout.urls_rollouts")),
    # --- places, after the fact, machines: components, releases, incidents, runbooks, history, health
    path("", include("rollout.urls_places")),
    # --- the API
    path("api/v1/", patterns()),
]
