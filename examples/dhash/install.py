"""dhash's own virtual environment: made once from the hash-locked requirements, instant the next time."""

import hashlib
import os
import subprocess
import venv
from pathlib import Path

LOCK = Path(__file__).resolve().parent / "requirements.txt"


class InstallError(Exception):
    """pip refused; the message carries its words."""


def install(venv_dir: Path) -> Path:
    """Make a virtual environment with dhash's locked requirements; return its python. The second time is instant."""
    python = Path(os.path.abspath(venv_dir)) / "bin" / "python"  # never resolved: that would leave the venv
    stamp, wanted = venv_dir / "installed.sha256", hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    venv.create(venv_dir, with_pip=True, clear=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    done = subprocess.run([*pip, "-r", str(LOCK)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise InstallError(f"pip could not install {LOCK}:\n{done.stderr.strip()}")
    stamp.write_text(wanted, encoding="utf-8")
    return python
