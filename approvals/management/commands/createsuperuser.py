"""Refuse: an account is opened by two admins, and a superuser would have no role anyway."""

from approvals.management.refusing import RefusedCommand


class Command(RefusedCommand):
    """Takes the place of Django's command of this name."""

    help = "Refuse: an account is opened by two admins, and a superuser would have no role anyway."
    instead = (
        "people are added in the browser: one admin proposes a person, another confirms. On an empty installation: "
        "manage.py first_admins_link; with fewer than three admins: manage.py add_admin"
    )
