"""The dhash example's numbered migrations: applied once, whole or not at all, never edited afterwards."""

import sys

import pytest

from tests.dhash_world import EXAMPLE

sys.path.insert(0, str(EXAMPLE / "src"))

from dhash import database, migrate

FIRST = "CREATE TABLE one (id INTEGER);\nINSERT INTO one VALUES (1);\n"


@pytest.fixture
def connection(tmp_path):
    opened = database.connect(tmp_path / "dhash.sqlite3")
    yield opened
    opened.close()


@pytest.fixture
def directory(tmp_path):
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_first.sql").write_text(FIRST)
    return made


def tables(connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_migrations_are_applied_in_order_and_recorded(connection, directory):
    (directory / "0002_second.sql").write_text("ALTER TABLE one ADD COLUMN extra TEXT;\n")
    applied = migrate.apply(connection, migrate.read_migrations(directory))
    assert [migration.number for migration in applied] == [1, 2]
    assert migrate.applied_number(connection) == 2


def test_the_sha256_of_the_file_is_recorded(connection, directory):
    wanted = migrate.read_migrations(directory)
    migrate.apply(connection, wanted)
    assert connection.execute("SELECT sha256 FROM schema_migrations").fetchone()[0] == wanted[0].sha256


def test_a_second_time_does_nothing(connection, directory):
    wanted = migrate.read_migrations(directory)
    migrate.apply(connection, wanted)
    assert migrate.apply(connection, wanted) == []
    assert connection.execute("SELECT COUNT(*) FROM one").fetchone()[0] == 1


def test_a_failing_migration_leaves_nothing_of_itself(connection, directory):
    (directory / "0002_second.sql").write_text("CREATE TABLE two (id INTEGER);\nINSERT INTO nowhere VALUES (1);\n")
    with pytest.raises(migrate.MigrationError, match="0002_second: no such table: nowhere; nothing of it was applied"):
        migrate.apply(connection, migrate.read_migrations(directory))
    assert "two" not in tables(connection)
    assert migrate.applied_number(connection) == 1


def test_an_edited_migration_is_refused(connection, directory):
    migrate.apply(connection, migrate.read_migrations(directory))
    (directory / "0001_first.sql").write_text(FIRST + "-- a small change\n")
    with pytest.raises(migrate.MigrationError, match="must not be edited"):
        migrate.apply(connection, migrate.read_migrations(directory))


def test_a_database_ahead_of_the_release_is_left_alone(connection, directory):
    (directory / "0002_second.sql").write_text("CREATE TABLE two (id INTEGER);\n")
    wanted = migrate.read_migrations(directory)
    migrate.apply(connection, wanted)
    assert migrate.apply(connection, wanted[:1]) == []
    assert "two" in tables(connection)


def test_a_gap_in_the_numbers_is_refused(directory):
    (directory / "0003_third.sql").write_text("SELECT 1;\n")
    with pytest.raises(migrate.MigrationError, match="without a gap"):
        migrate.read_migrations(directory)


def test_a_file_without_a_number_is_refused(directory):
    (directory / "second.sql").write_text("SELECT 1;\n")
    with pytest.raises(migrate.MigrationError, match="expected a name such as"):
        migrate.read_migrations(directory)


def test_a_semicolon_in_a_text_ends_no_statement():
    assert len(migrate.statements("INSERT INTO one VALUES ('a;\nb');\nSELECT 1;\n")) == 2


def test_a_database_without_migrations_is_at_zero(connection):
    assert migrate.applied_number(connection) == 0


def test_folding_the_log_leaves_one_file(connection, directory, tmp_path):
    migrate.apply(connection, migrate.read_migrations(directory))
    connection.close()
    database.fold_log(tmp_path / "dhash.sqlite3")
    assert sorted(path.name for path in tmp_path.glob("dhash*")) == ["dhash.sqlite3"]


def test_no_connection_creates_a_database(tmp_path):
    with pytest.raises(Exception, match=r"no database at .*run dhash\.migrate"):
        database.connection(tmp_path / "missing.sqlite3")
    assert not (tmp_path / "missing.sqlite3").exists()
