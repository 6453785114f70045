"""Measures how long `python3 up.py` takes on a fresh clone and the second time, against a bare venv with pip install.

`python -m bench.start [--rounds N]`: prints seconds and ratios. Each round clones the last commit. The network is not
what is measured: pip's cache is warmed before, for all alike, and `uv` is hidden from all alike.
"""

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UP = "Guarded Rollout is up"


def clean_environment() -> dict[str, str]:
    """Return an environment without our settings and without directories that hold uv."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GR_", "DJANGO_", "VIRTUAL_ENV"))}
    kept.pop("DATABASE_URL", None)
    path = (folder for folder in kept["PATH"].split(":") if not Path(folder, "uv").exists())
    return {**kept, "PATH": ":".join(path)}


def bare(folder: Path, env: dict[str, str]) -> float:
    """Make a venv and install the same locked libraries with pip; return the seconds."""
    began = time.monotonic()
    python = str(folder / "bin" / "python")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, env=env)
    argv = [python, "-m", "pip", "install", "-qq", "--no-input", "--require-hashes", "-r", ROOT / "requirements.txt"]
    subprocess.run(argv, check=True, env=env)
    return time.monotonic() - began


def until_up(clone: Path, env: dict[str, str]) -> float:
    """Start up.py in a clone, stop it as soon as its web process answers; return the seconds until then."""
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "up.py"], cwd=clone, env=env, stdout=subprocess.PIPE, text=True)
    try:
        told = []
        for line in process.stdout or ():
            told.append(line)
            if UP in line:
                return time.monotonic() - began
        raise SystemExit(f"up.py did not come up:\n{''.join(told)}")
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def measure(folder: Path, env: dict[str, str]) -> dict[str, float]:
    """Measure one round in an empty directory."""
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", ROOT, clone], check=True)
    return {
        "bare venv + pip install": bare(folder / "bare", env),
        "up.py on a fresh clone": until_up(clone, env),
        "up.py the second time": until_up(clone, env),
    }


def main() -> int:
    """Measure some rounds and print the median seconds and their ratios to the bare install."""
    parser = argparse.ArgumentParser(prog="python -m bench.start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    env, rounds = clean_environment(), []
    with tempfile.TemporaryDirectory() as folder:
        bare(Path(folder, "warm-up"), env)
    for number in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(measure(Path(folder), env))
        print(
            f"round {number + 1}: " + ", ".join(f"{name} {took:.2f} s" for name, took in rounds[-1].items()), flush=True
        )
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    floor = medians["bare venv + pip install"]
    print(f"\n{'':28}{'median':>9}{'ratio':>8}")
    for name, took in medians.items():
        print(f"{name:28}{took:7.2f} s{took / floor:8.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
