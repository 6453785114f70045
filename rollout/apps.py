"""The rollout package as a Django app: acts."""

from django.apps import AppConfig
from django.core.checks import Tags, register

from rollout import checks


class RolloutConfig(AppConfig):
    """Top floor: the only one that changes a target."""

    name = "rollout"

    def ready(self) -> None:
        """Enter the system checks."""
        register(checks.sqlite_is_durable, Tags.database)
        for check in (
            checks.transactions_are_immediate,
            checks.messages_come_once,
            checks.directories_can_be_written,
            checks.secret_is_strong,
            checks.debug_is_off,
        ):
            register(check)
