"""The verbs of a person by name, each with a good reason, so that a test can try them all."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User

from monitoring.audit import Actor
from rollout import actions, drafting, locking
from rollout.models import Rollout
from tests.factories import NOW

Verb = Callable[[Rollout, User, Actor], Any]
WHY = "because it must be"
VERBS: dict[str, Verb] = {
    "submit": lambda rollout, user, by: actions.submit(rollout, user=user, by=by, now=NOW),
    "start": lambda rollout, user, by: actions.start(rollout, user=user, by=by, now=NOW),
    "abort": lambda rollout, user, by: actions.abort(rollout, user=user, why=WHY, by=by, now=NOW),
    "roll_back": lambda rollout, user, by: actions.roll_back(rollout, user=user, why=WHY, by=by, now=NOW),
    "accept": lambda rollout, user, by: actions.accept(rollout, user=user, why=WHY, by=by, now=NOW),
    "cancel": lambda rollout, user, by: actions.cancel(rollout, user=user, why=WHY, by=by, now=NOW),
    "lock": lambda rollout, user, by: locking.lock(rollout.target, user=user, why=WHY, by=by, now=NOW),
    "unlock": lambda rollout, user, by: locking.unlock(rollout.target, user=user, why=WHY, by=by, now=NOW),
    "tune": lambda rollout, user, by: drafting.tune(rollout, changes={}, accepted=True, user=user, by=by, now=NOW),
}
