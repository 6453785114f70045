"""The parts of the dhash example that need no Pillow: hash, distance, percentile, metrics, log lines, settings."""

import json
import sqlite3
import sys

import pytest

from tests.dhash_world import EXAMPLE

sys.path.insert(0, str(EXAMPLE / "src"))

from dhash import database, fingerprint, journal, metrics, migrate, processes, settings

NOW = 1_800_000_000.0


@pytest.fixture
def connection(tmp_path):
    opened = database.connect(tmp_path / "dhash.sqlite3")
    migrate.apply(opened, migrate.read_migrations(EXAMPLE / "src" / "migrations"))
    yield opened
    opened.close()


def observe(connection: sqlite3.Connection, *times_ms: float, ok: bool = True, at: float = NOW) -> None:
    with database.writing(connection):
        for hash_ms in times_ms:
            metrics.record(connection, ok=ok, hash_ms=hash_ms, now=at, keep_s=3600)


def test_a_picture_that_brightens_to_the_right_has_all_bits_set():
    assert fingerprint.difference_hash([10 * column for _ in range(8) for column in range(9)]) == "f" * 16


def test_an_even_picture_has_no_bit_set():
    assert fingerprint.difference_hash([128] * 72) == "0" * 16


def test_the_first_pair_is_the_highest_bit():
    assert fingerprint.difference_hash([0, 1] + [1] * 7 + [0] * 63) == "8" + "0" * 15


def test_a_wrong_number_of_grey_values_is_refused():
    with pytest.raises(ValueError, match="expected 72 grey values, got 64"):
        fingerprint.difference_hash([0] * 64)


@pytest.mark.parametrize(("text", "good"), [("0" * 16, True), ("F" * 16, False), ("0" * 15, False), ("0x" * 8, False)])
def test_a_hash_is_sixteen_lower_case_hex_digits(text, good):
    assert fingerprint.is_hash(text) is good


def test_distance_counts_differing_bits():
    assert fingerprint.distance("00000000000000ff", "0000000000000f0f") == 8


def test_the_nearest_is_the_oldest_among_equals():
    candidates = [("00000000000000ff", 1), ("0000000000000001", 7), ("0000000000000001", 3)]
    assert fingerprint.nearest("0000000000000000", candidates) == (3, 1)


def test_nothing_is_near_in_an_empty_database():
    assert fingerprint.nearest("0" * 16, []) is None


@pytest.mark.parametrize(("percent", "expected"), [(95, 95.0), (50, 50.0), (100, 100.0), (0, 1.0)])
def test_a_percentile_is_a_value_that_occurred(percent, expected):
    assert metrics.percentile([float(n) for n in range(100, 0, -1)], percent) == expected


def test_no_values_have_no_percentile():
    assert metrics.percentile([], 95) is None


def test_without_traffic_the_failure_rate_is_null_not_zero(connection):
    assert metrics.extraction_failures(connection, now=NOW, span_s=300)["failure_rate_percent"] is None


def test_without_traffic_the_hash_time_is_null_not_zero(connection):
    assert metrics.hash_performance(connection, now=NOW, span_s=300)["p95_time_ms"] is None


def test_the_failure_rate_is_in_percent(connection):
    observe(connection, *[1.0] * 19)
    observe(connection, 1.0, ok=False)
    assert metrics.extraction_failures(connection, now=NOW, span_s=300)["failure_rate_percent"] == 5.0


def test_metrics_forget_what_is_older_than_the_span(connection):
    observe(connection, 3000.0, ok=False, at=NOW - 8)
    observe(connection, 2.0)
    assert metrics.hash_performance(connection, now=NOW, span_s=7.5)["p95_time_ms"] == 2.0
    assert metrics.extraction_failures(connection, now=NOW, span_s=7.5)["failures"] == 0


def test_failed_extractions_count_in_the_hash_time(connection):
    observe(connection, 1.0)
    observe(connection, 2600.0, ok=False)
    assert metrics.hash_performance(connection, now=NOW, span_s=300)["p95_time_ms"] == 2600.0


def test_an_empty_queue_has_length_zero(connection):
    assert metrics.queue_status(connection, now=NOW) == {"low_confidence_queue_length": 0, "oldest_age_s": None}


def test_old_observations_are_pruned_and_the_totals_stay(connection):
    observe(connection, *[1.0] * 200, at=NOW - 7200)
    observe(connection, *[1.0] * 56)
    assert connection.execute("SELECT COUNT(*) FROM observations").fetchone()[0] == 56
    assert "dhash_images_total 256" in metrics.prometheus(connection, version="1", environment="e", now=NOW)


def test_histogram_buckets_are_cumulative(connection):
    observe(connection, 0.5, 3.0, 9000.0)
    text = metrics.prometheus(connection, version="1", environment="e", now=NOW)
    counts = [int(line.rpartition(" ")[2]) for line in text.splitlines() if "_bucket{" in line]
    assert counts == sorted(counts)
    assert (counts[0], counts[-2], counts[-1]) == (1, 2, 3)


def test_a_log_line_has_the_required_keys(tmp_path):
    log = journal.Journal(tmp_path / "log" / "dhash.log", version="1.0.0", environment="canary")
    log.write("info", "image", hash="0" * 16)
    line = (tmp_path / "log" / "dhash.log").read_text()
    assert journal.complaint(line) is None
    assert json.loads(line)["environment"] == "canary"


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("oops", "no JSON"),
        ("[1]", "no JSON object"),
        ('{"ts": "2026-01-01T00:00:00+00:00"}', "lacks level"),
        (json.dumps(dict.fromkeys(journal.REQUIRED_KEYS, "yesterday")), "no ISO 8601 time"),
        (json.dumps(dict.fromkeys(journal.REQUIRED_KEYS, "2026-01-01T00:00:00")), "no time zone"),
    ],
)
def test_a_bad_log_line_is_named(line, complaint):
    assert complaint in journal.complaint(line)


def settings_from(tmp_path, monkeypatch, config: str) -> settings.Settings:
    release = tmp_path / "release"
    release.mkdir()
    (release / "VERSION").write_text("9.9.9\n")
    monkeypatch.setattr(settings, "RELEASE_DIR", release)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dhash.json").write_text(config)
    for name, value in (("GR_SHARED", str(tmp_path)), ("GR_PORT", "8103"), ("GR_ENVIRONMENT", "canary")):
        monkeypatch.setenv(name, value)
    return settings.load()


def test_the_configuration_sets_the_span(tmp_path, monkeypatch):
    assert settings_from(tmp_path, monkeypatch, '{"metrics_span_s": 7.5}').metrics_span_s == 7.5


def test_the_span_is_five_minutes_by_default(tmp_path, monkeypatch):
    assert settings_from(tmp_path, monkeypatch, "{}").metrics_span_s == 300


def test_keys_of_other_releases_are_kept_apart(tmp_path, monkeypatch):
    assert settings_from(tmp_path, monkeypatch, '{"thumbnail_cache_size": 9}').others == {"thumbnail_cache_size": 9}


@pytest.mark.parametrize("config", ["{", "[]", '{"metrics_span_s": "long"}', '{"metrics_span_s": 0}'])
def test_a_bad_configuration_is_refused(tmp_path, monkeypatch, config):
    with pytest.raises(settings.SettingsError, match=r"dhash\.json"):
        settings_from(tmp_path, monkeypatch, config)


def test_a_missing_variable_is_named(monkeypatch):
    monkeypatch.delenv("GR_SHARED", raising=False)
    with pytest.raises(settings.SettingsError, match="GR_SHARED is not set"):
        settings.load()


def test_a_master_is_no_child_of_its_own_launch():
    one = processes.Process(pid=10, parent=1, launch="old")
    worker = processes.Process(pid=11, parent=10, launch="old")
    upgraded = processes.Process(pid=12, parent=10, launch="new")
    assert processes.masters([worker, one, upgraded]) == [one, upgraded]
