"""Addresses of the approvals room."""

from django.urls import path

from . import account_views, session_views, sign_in_views, sso, views, views_changes, views_delegation, views_people

urlpatterns = [
    path("login/", sign_in_views.SignIn.as_view(), name="login"),
    # --- these names are allauth's, which leads there
    path("login/", sign_in_views.SignIn.as_view(), name="account_login"),
    path("login/code/", sign_in_views.Code.as_view(), name="mfa_authenticate"),
    path("login/passkey/", sign_in_views.PasskeySignIn.as_view(), name="mfa_login_webauthn"),
    path("login/sso/", sso.begin, name="sso"),
    path("login/<slug:provider_id>/callback/", sso.callback, name="openid_connect_callback"),
    path("account/", account_views.security, name="security"),
    path("account/password/", account_views.password, name="password"),
    path("account/app/", account_views.app_add, name="app_add"),
    path("account/passkeys/new/", account_views.passkey_add, name="passkey_add"),
    path("account/recovery-codes/", account_views.recovery_codes, name="recovery_codes"),
    path("account/factors/<int:pk>/remove/", account_views.factor_remove, name="factor_remove"),
    path("account/identities/<int:pk>/remove/", account_views.identity_remove, name="identity_remove"),
    path("account/sessions/", session_views.own_sessions, name="sessions"),
    # --- people, and what is changed about them
    path("people/", views_people.people, name="people"),
    path("people/new/", views_people.person_new, name="person_new"),
    path("people/<int:user_id>/", views_people.person, name="person"),
    path("people/<int:user_id>/sessions/", session_views.person_sessions, name="person_sessions"),
    path("people/changes/", views_changes.change_list, name="change_list"),
    path("people/changes/<int:pk>/", views_changes.change, name="change"),
    path("people/changes/<int:pk>/answer/", views_changes.change_answer, name="change_answer"),
    path("choose-password/<str:token>/", views_changes.choose_password, name="choose_password"),
    path("delegations/", views_delegation.delegations, name="delegations"),
    path("delegations/<int:pk>/end/", views_delegation.delegation_end, name="delegation_end"),
    path("confirm/", views.confirm, name="confirm"),
    path("welcome/<str:token>/", views.first_admins, name="first_admins"),
]
