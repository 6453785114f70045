"""Every URL of the product; who may use which stands in `access`."""

from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.generic import RedirectView

from rollout.api.app import patterns
from rollout.views import publishing, tokens
from rollout.views.admin_door import admin_sign_in

handler500 = "rollout.views.trouble.server_error"
urlpatterns = [
    path("logout/", auth.LogoutView.as_view(), name="logout"),
    # before the admin site: its own sign-in would not count wrong passwords
    path("admin/login/", admin_sign_in, name="admin_login"),
    # its change of a password would leave nothing in the audit
    path("admin/password_change/", RedirectView.as_view(pattern_name="password"), name="admin_password"),
    path("admin/password_change/done/", RedirectView.as_view(pattern_name="security"), name="admin_password_done"),
    path("admin/", admin.site.urls),
    path("", include("approvals.urls")),
    # --- rollouts: the page, its fragments, its verbs
    path("", include("rollout.urls_rollouts")),
    # --- places, after the fact, machines: components, releases, incidents, runbooks, history, health
    path("", include("rollout.urls_places")),
    # --- the API and its tokens, GitHub
    path("components/<slug:name>/tokens/", tokens.token_list, name="token_list"),
    path("components/<slug:name>/tokens/new/", tokens.token_create, name="token_create"),
    path("rollouts/<int:pk>/publish/", publishing.rollout_publish, name="rollout_publish"),
    path("rollouts/<int:pk>/merge/", publishing.rollout_merge, name="rollout_merge"),
    path("tokens/<int:pk>/revoke/", tokens.token_revoke, name="token_revoke"),
    path("api/v1/", patterns()),
]
