"""`python -m tests.faults.harness random|statements|names|pairs|replay …`: runs trials, prints a report as JSON."""

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Set up Django in a folder of memory, run what is asked, and leave nothing behind."""
    place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="gr-crash-", dir=place))
    os.environ.update(GR_CRASH_FOLDER=str(folder), DJANGO_SETTINGS_MODULE="tests.faults.harness.settings")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        import django

        django.setup()
        from tests.faults.harness import session

        raise SystemExit(session.main(sys.argv[1:]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
