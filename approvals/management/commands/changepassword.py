"""Refuse: whoever sets a password for another could sign in, and approve, in that name."""

from approvals.management.refusing import RefusedCommand


class Command(RefusedCommand):
    """Takes the place of Django's command of this name."""

    help = "Refuse: whoever sets a password for another could sign in, and approve, in that name."
    instead = (
        "nobody sets the password of another. One admin proposes a new password on the person's page, another "
        "confirms it, and the person chooses it; your own you change in the browser, with the old one"
    )
