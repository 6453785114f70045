"""Steady traffic of real images for a demo world: python examples/dhash/demo_traffic.py DIR, until TERM or 4 hours."""

import signal
import subprocess
import sys
from pathlib import Path

import world

# Images a second; production's makes 1.2.0 turn bad after about 20 s (world.DEMO_THUMBNAILS).
RATES = {"canary": 2, "staging": 2, "production": 10}
SECONDS = 4 * 3600


def post_to_all(made: world.World) -> None:
    """Post to every environment until the time is over; whatever ends us ends the posting."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    posting: list[subprocess.Popen] = []
    try:
        for environment, rate in RATES.items():
            asked = ("--rate", str(rate), "--seconds", str(SECONDS), "--tolerate", "100")
            argv = made.command(environment, "traffic", *asked)
            where = (made.root(environment) / "current").resolve()
            posting.append(subprocess.Popen(argv, cwd=where, env=made.variables(environment)))
        for process in posting:
            process.wait()
    finally:
        for process in posting:
            process.terminate()


if __name__ == "__main__":
    post_to_all(world.load(Path(sys.argv[1])))
