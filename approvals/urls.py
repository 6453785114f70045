"""Addresses of the approvals room."""

from django.urls import path

from . import views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("people/<int:user_id>/", views.person, name="person"),
    path("confirm/", views.confirm, name="confirm"),
    path("welcome/<str:token>/", views.first_admins, name="first_admins"),
]
