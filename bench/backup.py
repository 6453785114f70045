"""Measures backup, verification and restore against `zip -r -6`, `sha256sum` and `unzip`, in one run, round by round.

`python -m bench.backup [--files N] [--megabytes N] [--rounds N]`: prints seconds and ratios. The tree is made of this
Python's own library (source, bytecode, shared objects), repeated until it is large enough.
"""

import argparse
import hashlib
import resource
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rollout.archive.reader import verify
from rollout.archive.restore import rehearse_into
from rollout.archive.spec import BackupSpec
from rollout.archive.writer import create

LIVE = "releases/0001-1.0.0"
FIRST = datetime(2026, 1, 1, tzinfo=UTC)


def quiet(_: object) -> None:
    """Take what nobody looks at."""


def make_tree(root: Path, files: int, megabytes: int) -> tuple[int, int]:
    """Copy library files until there are enough; return how many and how many bytes."""
    found = sorted(path for path in Path(sysconfig.get_paths()["stdlib"]).rglob("*") if path.is_file())
    count = total = number = 0
    while count < files and total < megabytes << 20:
        for path in found:
            size = path.stat().st_size
            place = root / LIVE / f"copy-{number:03}" / f"{count // 100:04}"
            place.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place / f"{count}{path.suffix}")
            count, total = count + 1, total + size
            if count >= files or total >= megabytes << 20:
                break
        number += 1
    (root / "current").symlink_to(LIVE)
    return count, total


def seconds(work: Callable[[], object]) -> float:
    """Return how long `work` took."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run(*argv: str | Path, cwd: Path) -> None:
    """Run a peer quietly."""
    subprocess.run(argv, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def one_round(place: Path, spec: BackupSpec, number: int) -> dict[str, float]:
    """Time every peer and every part of ours once, alternating."""
    peer, folder, found = place / "peer.zip", place / "backups", {}
    peer.unlink(missing_ok=True)
    found["zip -6 + sha256sum"] = seconds(
        lambda: (run("zip", "-q", "-y", "-r", "-6", peer, ".", cwd=spec.root), run("sha256sum", peer, cwd=place))
    )
    now = FIRST + timedelta(seconds=number)
    found["create"] = seconds(lambda: create(spec, folder, now=now, log=quiet, progress=quiet))
    made = max(folder.glob("*.zip"))
    found["sha256sum"] = seconds(lambda: run("sha256sum", made, cwd=place))
    with made.open("rb") as source:
        found["sha256 alone"] = seconds(lambda: hashlib.file_digest(source, "sha256"))
    found["unzip -t"] = seconds(lambda: run("unzip", "-tq", made, cwd=place))
    found["verify"] = seconds(lambda: verify(made, sha256=None, component=None, environment=None, progress=quiet))
    found["unzip"] = seconds(lambda: run("unzip", "-q", made, "-d", place / "peer", cwd=place))
    shutil.rmtree(place / "peer")
    found["rehearse"] = seconds(lambda: rehearse_into(made, place / "ours", log=quiet, progress=quiet))
    shutil.rmtree(place / "ours")
    found["size ratio"] = made.stat().st_size / peer.stat().st_size
    return found


def main() -> int:
    """Run the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--megabytes", type=int, default=120)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    missing = [tool for tool in ("zip", "unzip", "sha256sum") if not shutil.which(tool)]
    if missing:
        sys.stderr.write(f"the peers {', '.join(missing)} are not installed; nothing was measured\n")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        count, total = make_tree(place / "env", options.files, options.megabytes)
        spec = BackupSpec(component="bench", environment="bench", release="1", root=place / "env", release_dir=LIVE)
        rounds = [one_round(place, spec, number) for number in range(options.rounds)]
    print(f"{count} files, {total / 1e6:.0f} MB, {options.rounds} rounds; best of each, seconds")
    best = {name: min(found[name] for found in rounds) for name in rounds[0]}
    for name, value in best.items():
        print(f"  {name:20} {value:8.3f}   {' '.join(f'{found[name]:.3f}' for found in rounds)}")
    print(f"create is {best['zip -6 + sha256sum'] / best['create']:.1f} x as fast as zip -6 + sha256sum")
    print(f"verify is {best['unzip -t'] / best['verify']:.1f} x as fast as unzip -t (which reads no sha256)")
    print(f"verify + restore + proof takes {best['rehearse'] / best['unzip']:.1f} x as long as unzip (no sync)")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
