"""The rollout package as a Django app: acts."""

from importlib import import_module

from django.apps import AppConfig
from django.core.checks import Tags, register
from django.db.models.signals import post_migrate

from rollout import checks, guarded


class RolloutConfig(AppConfig):
    """Top floor: the only one that changes a target."""

    name = "rollout"

    def ready(self) -> None:
        """Enter the system checks, end tokens with their accounts, and guard the tables that are history."""
        # by name, because it imports models and those are loaded after this module
        import_module("rollout.tokens").connect()
        post_migrate.connect(guarded.install_guards, sender=self, dispatch_uid="rollout.guards")
        register(guarded.guards_stand, Tags.database)
        register(checks.sqlite_is_durable, Tags.database)
        register(checks.sqlite_has_one_host, Tags.database)
        for check in (
            checks.transactions_are_immediate,
            checks.messages_come_once,
            checks.redis_can_be_spoken_to,
            checks.checkpoints_can_be_stamped,
            checks.locks_are_local,
            checks.directories_can_be_written,
            checks.secret_is_strong,
            checks.debug_is_off,
        ):
            register(check, checks.INSTALLATION)
