"""Seal what a watch looks at and judges by: whoever writes into the database chooses no command and no limit."""

import json

from django.conf import settings
from django.utils.crypto import constant_time_compare, salted_hmac

from .models import Watch

SALT = "guarded-rollout watch"
EDITED = (
    "what it looks at, or by which limits, was edited in the database, so nothing of it counts; "
    "or DJANGO_SECRET_KEY was replaced, without the old one in DJANGO_SECRET_KEY_FALLBACKS"
)


def of(watch: Watch) -> str:
    """Return the seal of a watch, as 64 hex digits; only DJANGO_SECRET_KEY makes it."""
    return _made(watch, settings.SECRET_KEY)


def holds(watch: Watch) -> bool:
    """Say whether a watch is as it was opened; a key that was rotated (SECRET_KEY_FALLBACKS) still seals."""
    keys = (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    return any(constant_time_compare(watch.seal, _made(watch, key)) for key in keys)


def _made(watch: Watch, key: str) -> str:
    about = [watch.subject_kind, watch.subject_id, watch.base_url, watch.profile, watch.surroundings]
    return salted_hmac(SALT, json.dumps(about, sort_keys=True), secret=key, algorithm="sha256").hexdigest()
