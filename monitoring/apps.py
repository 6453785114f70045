"""The monitoring package as a Django app: watches, remembers, tells."""

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate

from . import checks


class MonitoringConfig(AppConfig):
    """Ground floor: every room may use it, it uses none."""

    name = "monitoring"

    def ready(self) -> None:
        """Enter the system check and the re-creation of the guard triggers (an AlterField drops them)."""
        post_migrate.connect(checks.install_guards, sender=self, dispatch_uid="monitoring.guards")
        register(checks.guards_stand, Tags.database)
