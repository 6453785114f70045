"""The rollout package as a Django app: acts."""

from django.apps import AppConfig


class RolloutConfig(AppConfig):
    """Top floor: the only one that changes a target."""

    name = "rollout"
