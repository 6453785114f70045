"""Asks, before a run begins, whether its outcome, evidence, backup and notices could be kept: room, right to write."""

import os
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from rollout import ballast


def refusal() -> str:
    """Return why nothing may begin on this installation, in a sentence, or "" when it may."""
    return next((f"{what} cannot be written ({place}). {DO}" for what, place in unwritable().items()), "") or (
        ballast.refusal()
    )


DO = "Let the account of the worker write there, or mount it for writing; nothing begins before."


def unwritable() -> Mapping[str, Path]:
    """Return what could not be kept, with the place that refuses; asked of the system, which knows read-only mounts."""
    wanted = {
        "The directory of artifacts": Path(settings.GR_ARTIFACTS),
        "The directory of backups": Path(settings.GR_BACKUPS),
        "The directory of attachments": Path(settings.GR_VAR) / "attachments",
        "The directory of locks and runner files": Path(settings.GR_RUN_DIR),
        "The file of notices": Path(settings.GR_NOTICE_FILE),
    }
    return {what: place for what, place in wanted.items() if not _can_write(place)}


def _can_write(place: Path) -> bool:
    nearest = next(one for one in (place, *place.parents) if one.exists())
    return os.access(nearest, os.W_OK | os.X_OK if nearest.is_dir() else os.W_OK)
