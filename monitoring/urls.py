"""Addresses of the monitoring room."""

from django.urls import path

from . import views

urlpatterns = [
    path("incidents/", views.incident_list, name="incident_list"),
    path("incidents/<int:pk>/", views.incident, name="incident"),
    path("incidents/<int:pk>/note/", views.incident_note, name="incident_note"),
    path("incidents/<int:pk>/acknowledge/", views.incident_acknowledge, name="incident_acknowledge"),
    path("incidents/<int:pk>/severity/", views.incident_severity, name="incident_severity"),
    path("incidents/<int:pk>/close/", views.incident_close, name="incident_close"),
    path("attachments/<int:pk>/", views.attachment, name="attachment"),
    path("notices/", views.notice_list, name="notice_list"),
]
