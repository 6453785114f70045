"""Drives the newest run in the foreground; dies with the error of its database, as a real process would.

With a file of whole numbers: waits at the so-manieth statement until somebody has removed the file.
"""

import sys
import time
from pathlib import Path
from typing import Any

import django


class Waiter:
    """Stops once, at one statement of this process, and says so in a file."""

    def __init__(self, file: Path) -> None:
        self.file, self.left = file, int(file.read_text()) if file.exists() else 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        """Count a statement, and stop before the one that was asked for."""
        self.left -= 1
        if self.left == 0:
            self.file.with_suffix(".reached").write_text(sql[:200])
            while self.file.exists():
                time.sleep(0.01)
        return execute(sql, params, many, context)


def main(file: Path) -> None:
    """Drive until the run ends."""
    django.setup()
    from django.db import connection

    from rollout import driving
    from rollout.models import Run

    with connection.execute_wrapper(Waiter(file)):
        driving.drive(Run.objects.latest("pk"), lambda line: print(line, flush=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
