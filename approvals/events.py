"""What happens to accounts that the floor above follows, in the transaction that does it; who fails there undoes it."""

from django.dispatch import Signal

# An account was closed or opened again: what it held must not wake up with it. Sent with user, why, by and now.
account_turned = Signal()
