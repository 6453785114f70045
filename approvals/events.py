"""What happens to accounts that the floor above follows, in the transaction that does it; who fails there undoes it."""

from django.dispatch import Signal

# An account was closed or opened again, or its password or factors were taken away because somebody else may have them:
# what it held must neither wake up with it nor outlive them. Sent with user, why, by and now.
account_turned = Signal()
