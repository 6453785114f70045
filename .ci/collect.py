"""Gather what a demo run proved into premerge_artifacts/: backups, evidence files, logs, each with its .sha256."""

import hashlib
import shutil
import sqlite3
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "var" / "demo"
TARGET = ROOT / "var" / "premerge_artifacts"
EVIDENCE = "SELECT coalesce('rollout-' || rollout_id, 'release-' || release_id), name, sha256 FROM rollout_artifact"


def evidence() -> list[tuple[Path, Path]]:
    """Return (kept file, path in the bundle) of every artifact that the demo's database knows."""
    with sqlite3.connect(f"file:{DEMO / 'gr' / 'db.sqlite3'}?mode=ro", uri=True) as database:
        rows = database.execute(EVIDENCE).fetchall()
    kept = DEMO / "gr" / "artifacts"
    return [(kept / sha256[:2] / sha256, Path("evidence", owner, Path(name).name)) for owner, name, sha256 in rows]


def main() -> int:
    """Copy everything, write the checksum files, print what was gathered; return 1 when it was nothing."""
    wanted = evidence()
    wanted += [(path, Path("backups", path.name)) for path in DEMO.glob("backups/*.zip")]
    wanted += [(path, Path("log", path.name)) for path in DEMO.glob("log/*.log")]
    shutil.rmtree(TARGET, ignore_errors=True)
    for source, inside in wanted:
        copy = TARGET / inside
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        digest = hashlib.sha256(copy.read_bytes()).hexdigest()
        copy.with_name(f"{copy.name}.sha256").write_text(f"{digest}  {copy.name}\n")
    print(f"{len(wanted)} files in {TARGET.relative_to(ROOT)}")
    return 0 if wanted else 1


if __name__ == "__main__":
    sys.exit(main())
