"""The monitoring package as a Django app: watches, remembers, tells."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Ground floor: every room may use it, it uses none."""

    name = "monitoring"
