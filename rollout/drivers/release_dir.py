"""Numbered release directories behind a `current` symlink: stage, fsync, rename of the link."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from monitoring import storage
from rollout.archive import release
from rollout.drivers.base import Answer, DriverError, Log
from rollout.target import CURRENT, TargetSpec


class ReleaseDir:
    """Changes a target on this machine's disk; every act can be repeated until it is done."""

    recovery: Literal["resumable", "probeable", "opaque"] = "resumable"

    def live(self, target: TargetSpec) -> str:
        """Return what `current` points at, relative to the root, or "" when there is no such link."""
        link = target.root_path / CURRENT
        return str(link.readlink()) if link.is_symlink() else ""

    def stage(self, target: TargetSpec, archive: Path, release_dir: str, *, log: Log) -> None:
        """Unpack the archive beside the final place, then rename; what an earlier try left is replaced."""
        final = target.root_path / release_dir
        if self.live(target) == release_dir:
            raise DriverError(f"{release_dir} is live; staging would change what is served")
        partial = final.with_name(f".staging-{final.name}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.parent.mkdir(parents=True, exist_ok=True)
        release.unpack_release(release.inspect_release(archive), partial)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
        storage.sync_directory(final.parent)
        log(f"staged {archive.name[:12]}… as {release_dir}")

    def switch(self, target: TargetSpec, release_dir: str, *, log: Log) -> None:
        """Swap the symlink by rename, so that it points at the old release or the new one at every moment."""
        root = target.root_path
        if not (root / release_dir).is_dir():
            raise DriverError(f"{release_dir} is not staged under {root}")
        before = self.live(target)
        new = root / f".{CURRENT}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(release_dir)
        new.replace(root / CURRENT)
        storage.sync_directory(root)
        log(f"current: {before or 'nothing'} -> {release_dir}")

    def probe(self, target: TargetSpec, step_kind: str, params: Mapping[str, Any]) -> Answer:
        """Say from the disk whether a release is staged or switched to; of what a command did the disk says nothing."""
        live, release_dir = self.live(target), str(params.get("release_dir", ""))
        stands = f"current leads to {live or 'nothing'}"
        if step_kind == "stage":  # it gets its name by one rename, when every byte is there
            there = (target.root_path / release_dir).is_dir()
            if there:
                return Answer("done", live, f"{release_dir} is there whole; {stands}")
            return Answer("not_done", live, f"{release_dir} is not there; {stands}")
        if step_kind != "switch":
            return Answer("unknown", live, f"{stands}; what the step's command did cannot be seen on the disk")
        if live == release_dir:
            return Answer("done", live, f"{stands}; whether a reload followed cannot be seen on the disk")
        return Answer("not_done", live, f"{stands}, not to {release_dir}")
