"""Builds the release archives of dhash from src/ and the differing files in releases/<version>/; same bytes each time.

python3 examples/dhash/build_releases.py OUT_DIR
"""

import hashlib
import json
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCE = HERE / "src"
OVERLAYS = HERE / "releases"
STAMP = (2026, 1, 1, 0, 0, 0)
SKIPPED = {"__pycache__"}


def build(out_dir: Path) -> list[dict]:
    """Write the archives and releases.json into out_dir; return what releases.json says, oldest release first."""
    out_dir.mkdir(parents=True, exist_ok=True)
    facts = json.loads((OVERLAYS / "history.json").read_text(encoding="utf-8"))
    described = []
    for release in facts:
        version = release["version"]
        archive = out_dir / f"dhash-{version}.zip"
        _write_archive(archive, _tree(version, facts))
        data = archive.read_bytes()
        sha256 = hashlib.sha256(data).hexdigest()
        described.append({**release, "file": archive.name, "sha256": sha256, "size": len(data)})
    text = json.dumps(described, indent=2) + "\n"
    (out_dir / "releases.json").write_text(text, encoding="utf-8")
    return described


def _tree(version: str, facts: list[dict]) -> dict[str, bytes]:
    """Return path -> bytes of a release: src/, then the overlays along its line of bases."""
    bases = {release["version"]: release["base"] for release in facts}
    line = [version]
    while bases[line[-1]] is not None:
        line.append(bases[line[-1]])
    files = _read(SOURCE)
    for step in reversed(line):
        files |= _read(OVERLAYS / step)
    files["VERSION"] = f"{version}\n".encode()
    return files


def _read(directory: Path) -> dict[str, bytes]:
    if not directory.is_dir():
        return {}
    paths = (path for path in directory.rglob("*") if path.is_file() and not SKIPPED & set(path.parts))
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in paths}


def _write_archive(archive: Path, files: dict[str, bytes]) -> None:
    # Stored, not deflated: the bytes then depend on no version of zlib, and the sha256 is the same everywhere.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as out:
        for name in sorted(files):
            info = zipfile.ZipInfo(name, STAMP)
            info.create_system = 3
            info.external_attr = 0o100644 << 16
            out.writestr(info, files[name])


def main() -> int:
    """Build into the directory that the command line names and print a line for each archive."""
    if len(sys.argv) != 2:
        print("usage: build_releases.py OUT_DIR", file=sys.stderr)
        return 2
    for release in build(Path(sys.argv[1])):
        print(f"{release['sha256']}  {release['file']}  {release['size']} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
