"""The approvals package as a Django app: consents."""

from importlib import import_module

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate

from . import checks


class ApprovalsConfig(AppConfig):
    """Middle floor: knows digests and people, not rollouts."""

    name = "approvals"

    def ready(self) -> None:
        """Connect sign-ins to the audit, end what a closed account gave, and guard the table of decisions."""
        # by name, because it imports models and those are loaded after this module
        import_module("approvals.signins").connect()
        import_module("approvals.delegation").connect()
        post_migrate.connect(checks.install_guards, sender=self, dispatch_uid="approvals.guards")
        register(checks.guards_stand, Tags.database)
