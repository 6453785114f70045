"""The two roles of PostgreSQL in docs/audit-format.md: the product's can add to the audit and change nothing."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.postgres]
ROOT = Path(__file__).resolve().parents[2]
NAME, APP, OWNER = "gr_test_roles", "gr_test_app", "gr_test_owner"


def told() -> str:
    """Return the SQL as the document tells it, with names of the test."""
    text = (ROOT / "docs" / "audit-format.md").read_text()
    sql = re.search(r"```sql\n(.*?)```", text, re.S)
    assert sql is not None
    return sql[1].replace("gr_owner", OWNER).replace("gr_app", APP)


def as_role(server: str, role: str) -> str:
    """Return the URL of the test's database, for one role."""
    parts = urlsplit(server)
    place = f"{parts.hostname}:{parts.port or 5432}"
    return urlunsplit(("postgresql", f"{role}:secret@{place}", f"/{NAME}", "", ""))


@pytest.fixture(scope="module")
def app(postgres_url: str) -> Iterator[str]:
    """Migrate as the owner, grant as the document says, write one entry as the product; return its URL."""
    with psycopg.connect(postgres_url, autocommit=True) as server:
        clean(server)
        for role in (OWNER, APP):
            server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        server.execute(f"CREATE DATABASE {NAME} OWNER {OWNER}")
    manage(as_role(postgres_url, OWNER), "call_command('migrate', verbosity=0, skip_checks=True)")
    with psycopg.connect(as_role(postgres_url, OWNER), autocommit=True) as owner:
        owner.execute(told())
    manage(as_role(postgres_url, APP), WRITE)
    yield as_role(postgres_url, APP)
    with psycopg.connect(postgres_url, autocommit=True) as server:
        clean(server)


WRITE = """
from django.db import transaction
from django.utils import timezone
from monitoring import audit, checkpoints, signing
with transaction.atomic():
    by = audit.Actor(id=7, name="Rita", via="shell")
    audit.append(action="x", by=by, subject=checkpoints.KEY, now=timezone.now())
assert checkpoints.sign(signing.make(checkpoints.key_file()), now=timezone.now()) is not None
"""


def manage(url: str, code: str) -> None:
    """Run something in Django on that database, in a process of its own."""
    start = "import os, tempfile\nos.environ['GR_VAR'] = tempfile.mkdtemp()\nimport django\ndjango.setup()\n"
    env = {"DATABASE_URL": url, "DJANGO_SECRET_KEY": "only-for-tests", "DJANGO_SETTINGS_MODULE": "rollout.settings"}
    code = f"{start}from django.core.management import call_command\n{code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def clean(server: psycopg.Connection) -> None:
    server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
    for role in (APP, OWNER):
        server.execute(f"DROP ROLE IF EXISTS {role}")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE monitoring_auditentry SET why = 'x'",
        "UPDATE monitoring_auditentry SET body = 'x'",
        "DELETE FROM monitoring_auditentry",
        "TRUNCATE monitoring_auditentry",
        "ALTER TABLE monitoring_auditentry DISABLE TRIGGER ALL",
        "DROP TRIGGER monitoring_auditentry_no_update ON monitoring_auditentry",
        "DROP TABLE monitoring_checkpoint",
        "UPDATE monitoring_checkpoint SET hash = 'x'",
        "DELETE FROM monitoring_checkpoint",
        "UPDATE approvals_decision SET reason = 'x'",
        "SET session_replication_role = replica",
    ],
)
def test_the_product_cannot(app: str, sql: str) -> None:
    with psycopg.connect(app) as server, pytest.raises(psycopg.errors.InsufficientPrivilege):
        server.execute(sql)


def test_the_product_can_erase_a_person_and_nothing_else_of_an_entry(app: str) -> None:
    with psycopg.connect(app) as server:
        server.execute("UPDATE monitoring_auditentry SET person = '', actor_name = ''")
        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            server.execute("UPDATE monitoring_auditentry SET actor_name = 'Otto'")
