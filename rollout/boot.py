"""What every process asserts before it serves: the database's guards and settings stand."""

from django.core import checks
from django.core.exceptions import ImproperlyConfigured


def assert_ready() -> None:
    """Raise ImproperlyConfigured, with what to do, when a check that looks into the database reports an error."""
    found = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    errors = [one for one in found if one.level >= checks.ERROR]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{one.id}: {one.msg} {one.hint or ''}".strip() for one in errors))
