"""Settings of the test suite: a directory of its own, and the database that GR_TEST_DATABASE_URL names, or SQLite."""

import os
import tempfile

_VAR = tempfile.mkdtemp(prefix="gr-test-")
# What a developer's .env says about the world outside must not reach a test.
OUTWARD = "SLACK_WEBHOOK_URL TEAMS_WEBHOOK_URL DISCORD_WEBHOOK_URL WEBHOOK_URL WEBHOOK_SECRET EMAIL_TO GITHUB_TOKEN"
os.environ.update({f"GR_{name}": "" for name in OUTWARD.split()})
os.environ.update(
    DJANGO_SECRET_KEY="only-for-tests",
    GR_VAR=_VAR,
    GR_BACKUPS=f"{_VAR}/backups",
    DATABASE_URL=os.environ.get("GR_SUITE_DATABASE_URL", f"sqlite:///{_VAR}/db.sqlite3"),
    EMAIL_URL="memorymail://",
    DJANGO_ALLOWED_HOSTS="localhost,127.0.0.1,testserver",
)

from rollout.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True  # else every test client looks through all static files when it is made
