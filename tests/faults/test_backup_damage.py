"""A backup with a flipped bit anywhere, and a tool that reports success and saves nothing: refused, nothing goes on."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from rollout.archive.errors import CorruptBackup
from rollout.archive.reader import verify
from rollout.intent import Intent, Outcome
from rollout.target import TargetSpec
from tests.faults.cluster import Cluster
from tests.faults.scale import count, seed
from tests.rollout.archive_world import make_environment, quiet, save

ROOT = Path(__file__).resolve().parents[2]


def test_a_backup_with_any_flipped_bit_is_refused(tmp_path: Path) -> None:
    backup = save(make_environment(tmp_path / "env"), tmp_path / "backups").path
    whole, chosen = backup.read_bytes(), seed()
    chance = random.Random(chosen)
    for bit in (chance.randrange(len(whole) * 8) for _ in range(count(50, 1000))):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        backup.write_bytes(damaged)
        with pytest.raises(CorruptBackup):
            verify(backup, sha256=None, component="dhash", environment="production", progress=quiet)
            pytest.fail(f"nobody missed bit {bit} of {len(whole) * 8}, seed {chosen}")


def intent_to_save(folder: Path, url: str) -> None:
    """Write the intent of a backup step whose component keeps rows in PostgreSQL."""
    target = TargetSpec(
        component="dhash",
        environment="production",
        driver="release_dir",
        root=str(make_environment(folder / "env").root),
        host="127.0.0.1",
        port=1,
        commands={},
        placeholders={},
        health_path="/health",
        health_timeout_s=1,
        directories=("shared/config",),
        sqlite=(),
        postgresql=(url,),
        database="restore",
        migrate="before",
        minimum_free_bytes=0,
    )
    Intent(
        token="run1-step1-try1",
        epoch=1,
        run_kind="deploy",
        step_kind="backup",
        title="Backup",
        target=target,
        params={},
        backups=str(folder / "backups"),
        scratch=str(folder / "scratch"),
    ).write(folder)


def test_a_dump_that_ends_well_and_is_empty_stops_the_step_and_leaves_no_backup(tmp_path: Path) -> None:
    liar = tmp_path / "bin" / "pg_dump"
    liar.parent.mkdir()
    liar.write_text("#!/bin/sh\nexit 0\n")
    liar.chmod(0o755)
    with Cluster() as cluster:
        intent_to_save(tmp_path, cluster.url)
        env = {"PATH": f"{liar.parent}:{os.environ['PATH']}"}
        argv = [sys.executable, "-m", "rollout.steps.backup", str(tmp_path)]
        done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
    outcome = Outcome.read(tmp_path)
    assert outcome is not None
    assert (done.returncode, outcome.result) == (1, "failed")
    assert "pg_dump ended well but wrote nothing" in outcome.sentence
    assert list((tmp_path / "backups").glob("*.zip*")) == []
