"""The product's own settings, with a quick password hash: every sign-in of a browser test would cost half a second."""

from rollout.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
