"""Settings of the crash harness: everything stands in the one folder that GR_CRASH_FOLDER names, on a tmpfs."""

import os
import tempfile
from pathlib import Path

FOLDER = Path(os.environ["GR_CRASH_FOLDER"])
tempfile.tempdir = str(FOLDER)  # what tests.settings makes goes with the folder

from tests.settings import *  # noqa: E402, F403

# One world at a time, always at the same path: the target's root is part of what was signed.
WORLD = FOLDER / "world"
GR_VAR = WORLD / "var"
GR_BACKUPS = WORLD / "backups"
GR_RUN_DIR = GR_VAR / "run"
GR_ARTIFACTS = GR_VAR / "artifacts"
GR_NOTICE_FILE = GR_VAR / "notices.log"
DATABASES["default"]["NAME"] = str(GR_VAR / "db.sqlite3")  # noqa: F405
GR_GITHUB_TOKEN = ""
LOGGING = {"version": 1, "disable_existing_loggers": True}
