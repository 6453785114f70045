"""What every process asserts before it serves: the database's guards and settings stand."""

from pathlib import Path

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from rollout import alive

# The name, in GR_VAR, of the file that stands while a restore of this installation is not finished.
UNFINISHED = "restoring"


def is_unfinished() -> bool:
    """Say whether a restore of this installation has begun and not ended."""
    return (Path(settings.GR_VAR) / UNFINISHED).exists()


def assert_whole() -> None:
    """Raise RestoringError while a restore of this installation is not finished."""
    if is_unfinished():
        raise alive.RestoringError("A restore of this installation was not finished: run manage.py restore_self again.")


def assert_ready() -> None:
    """Raise ImproperlyConfigured, with what to do, when a check that looks into the database reports an error.

    From here on this process is seen by a restore, which waits for nobody: it refuses to begin.
    """
    alive.hold()  # before the look at the marker: a restore that begins now is refused, one that began has the lock
    assert_whole()
    found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    errors = [one for one in found if one.level >= checks.ERROR]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{one.id}: {one.msg} {one.hint or ''}".strip() for one in errors))
