"""PostgreSQL is dumped as of one moment and put back exactly; its password is in no argv and no file."""

import os
import secrets
import zipfile
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from rollout.archive import dump
from rollout.archive.errors import BackupError
from rollout.archive.restore import rehearse_into, restore
from rollout.archive.spec import BackupSpec
from tests.rollout.archive_world import LIVE, make_environment, quiet, save

SERVER = os.environ.get("GR_TEST_DATABASE_URL", "")
needs_server = [pytest.mark.postgres, pytest.mark.skipif(not SERVER, reason="GR_TEST_DATABASE_URL is not set")]


@pytest.fixture
def databases():
    """Two new databases on the test server, as URLs."""
    names = [f"gr_archive_{secrets.token_hex(4)}" for _ in range(2)]
    with psycopg.connect(SERVER, autocommit=True) as server:
        for name in names:
            server.execute(f"CREATE DATABASE {name}")
        yield [urlunsplit(urlsplit(SERVER)._replace(path=f"/{name}")) for name in names]
        for name in names:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def run(url, *statements):
    with psycopg.connect(url) as connection:
        for statement in statements:
            connection.execute(statement)


def spec_of(root, *urls):
    spec = make_environment(root)
    return BackupSpec(
        component="dhash", environment="production", release="1.0.0", root=spec.root, release_dir=LIVE, postgresql=urls
    )


class TestServer:
    """What needs a real server."""

    pytestmark = needs_server

    def test_rows_tables_and_schemas_are_put_back_exactly(self, databases, tmp_path):
        live = databases[0]
        run(live, "CREATE TABLE image (id serial PRIMARY KEY, hash text)", "CREATE SCHEMA extra")
        run(live, "INSERT INTO image (hash) SELECT 'x' FROM generate_series(1, 30)", "CREATE TABLE extra.other (n int)")
        report = save(spec_of(tmp_path / "env", live), tmp_path / "backups")
        assert report.rows == {"postgresql/0.dump": {"public.image": 30, "extra.other": 0}}
        run(live, "ALTER TABLE image ADD COLUMN late text", "DELETE FROM image WHERE id < 20")
        run(live, "CREATE TABLE migrated (n int)", "DROP SCHEMA extra CASCADE")
        for _ in range(2):
            proof = restore(
                report.path,
                sha256=None,
                component="dhash",
                environment="production",
                root=tmp_path / "env",
                keep_database=False,
                log=quiet,
                progress=quiet,
                postgresql=(live,),
            )
            assert (proof.equal, proof.rows) == (True, report.rows)
        with psycopg.connect(live) as connection, pytest.raises(psycopg.errors.UndefinedColumn):
            connection.execute("SELECT late FROM image")

    def test_a_rehearsal_uses_a_scratch_database(self, databases, tmp_path):
        live, scratch = databases
        run(live, "CREATE TABLE image (id int)", "INSERT INTO image VALUES (1)")
        report = save(spec_of(tmp_path / "env", live), tmp_path / "backups")
        proof = rehearse_into(report.path, tmp_path / "scratch", log=quiet, progress=quiet, postgresql=(scratch,))
        assert (proof.equal, dump.pg_row_counts(scratch)) == (True, {"public.image": 1})

    def test_a_restore_without_the_url_is_refused(self, databases, tmp_path):
        report = save(spec_of(tmp_path / "env", databases[0]), tmp_path / "backups")
        with pytest.raises(BackupError, match="service URLs were given"):
            rehearse_into(report.path, tmp_path / "scratch", log=quiet, progress=quiet)

    def test_a_dump_of_a_missing_database_is_refused(self, databases, tmp_path):
        url = urlunsplit(urlsplit(SERVER)._replace(path="/gr_never_there"))
        with pytest.raises((BackupError, psycopg.OperationalError)):
            save(spec_of(tmp_path / "env", url), tmp_path / "backups")
        assert list((tmp_path / "backups").iterdir()) == []


URL = "postgresql://dhash:hunt%2Fer2@db.example.org:5433/dhash?sslmode=require"


def tool(tmp_path, monkeypatch, body):
    """Put a program named pg_dump at the front of the PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/pg_dump").write_text(f"#!/bin/sh\n{body}\n")
    (tmp_path / "bin/pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


def test_the_password_is_in_the_environment_of_the_tool_not_in_its_argv(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, f'echo "$@" > {tmp_path}/argv; echo "$PGPASSWORD" > {tmp_path}/password')
    dump._run(["pg_dump", "--format=custom"], URL)
    assert (tmp_path / "password").read_text() == "hunt/er2\n"
    shown = "--dbname=postgresql://dhash@db.example.org:5433/dhash?sslmode=require --format=custom\n"
    assert (tmp_path / "argv").read_text() == shown


def test_a_tool_that_fails_is_quoted(tmp_path, monkeypatch):
    tool(tmp_path, monkeypatch, "echo no such server >&2; exit 3")
    with pytest.raises(BackupError, match="pg_dump ended with 3: no such server"):
        dump._run(["pg_dump"], URL)


def test_a_missing_tool_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match="pg_dump is not installed"):
        dump._run(["pg_dump"], URL)


def test_a_shown_url_has_no_password():
    assert dump.without_password(URL) == "postgresql://dhash@db.example.org:5433/dhash"


def test_no_archive_holds_a_password(tmp_path, monkeypatch):
    monkeypatch.setattr(dump, "pg_dump", lambda url, dest: dest.write_bytes(b"dump") and {"public.image": 1})
    with zipfile.ZipFile(save(spec_of(tmp_path / "env", URL), tmp_path / "backups").path) as archive:
        assert not any(b"hunt" in archive.read(name) for name in archive.namelist())
