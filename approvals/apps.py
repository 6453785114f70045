"""The approvals package as a Django app: consents."""

from django.apps import AppConfig


class ApprovalsConfig(AppConfig):
    """Middle floor: knows digests and people, not rollouts."""

    name = "approvals"
