"""What each kind of source makes of an answer; no network, `fetch` is given."""

import sys

import pytest

from monitoring.gates import Source
from monitoring.probes import PROBES, host, read_all

BASE = "http://127.0.0.1:8103"


def source(kind: str, **more) -> Source:
    return Source(**{"name": "it", "title": "It", "kind": kind, "path": "/there"} | more)


def answering(body: bytes = b"", status: int = 200):
    """Return a fetch that always answers so."""
    return lambda url, *, timeout_s: (status, body)


def refusing(url, *, timeout_s):
    raise ConnectionError("connection refused")


def read(kind: str, fetch, **more):
    return PROBES[kind](source(kind, **more), BASE, fetch)


# --- http


def test_a_health_check_that_answers_200_is_well():
    found = read("http", answering())

    assert (found.ok, found.value, found.error) == (True, 1, "")


@pytest.mark.parametrize("status", [500, 503, 404, 301, 204])
def test_a_health_check_with_another_status_failed(status):
    found = read("http", answering(status=status))

    assert (found.ok, found.error) == (False, f"/there answered {status}, expected 200")


def test_a_health_check_without_an_answer_failed():
    found = read("http", refusing)

    assert (found.ok, found.error) == (False, "connection refused")


def test_the_source_s_path_and_time_out_are_asked_for():
    asked = []

    def fetch(url, *, timeout_s):
        asked.append((url, timeout_s))
        return 200, b""

    PROBES["http"](source("http", timeout_s=3), BASE + "/", fetch)

    assert asked == [(f"{BASE}/there", 3.0)]


# --- json_metric


@pytest.mark.parametrize(("body", "value"), [(b'{"rate": 2.5}', 2.5), (b'{"rate": 0}', 0), (b'{"rate": -1}', -1)])
def test_a_number_in_json_is_read(body, value):
    found = read("json_metric", answering(body), key="rate")

    assert (found.ok, found.value) == (True, value)


def test_a_number_inside_objects_is_read_by_a_dotted_key():
    assert read("json_metric", answering(b'{"a": {"b": 3}}'), key="a.b").value == 3


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"rate": null}', "rate is null"),
        (b'{"other": 1}', "no 'rate', there is other"),
        (b"{}", "there is nothing"),
        (b'{"rate": true}', "rate is 'True', expected a number"),
        (b'{"rate": "2.5"}', "expected a number"),
        (b'{"rate": NaN}', "expected a number"),
        (b'{"rate": 1e999}', "expected a number"),
        (b'{"rate": {}}', "expected a number"),
        (b"[]", "expected an object"),
        (b"<html>", "Expecting value"),
        (b"\xff\xfe", ""),
    ],
)
def test_anything_but_a_number_is_no_data(body, error):
    found = read("json_metric", answering(body), key="rate")

    assert (found.ok, found.value) == (False, None)
    assert error in found.error


@pytest.mark.parametrize("fetch", [answering(b'{"rate": 1}', status=500), refusing])
def test_a_metric_that_is_not_served_is_no_data(fetch):
    found = read("json_metric", fetch, key="rate")

    assert (found.ok, found.value) == (False, None)


# --- prometheus

TEXT = b"""# HELP requests Requests.
# TYPE requests counter
requests_total{status="200",method="GET"} 90
requests_total{status="500",method="GET"} 6
requests_total{status="500",method="POST"} 4
# TYPE waiting gauge
waiting 12
# TYPE broken gauge
broken NaN
# TYPE took_seconds histogram
took_seconds_bucket{le="0.5"} 3
took_seconds_bucket{le="+Inf"} 4
took_seconds_count 4
took_seconds_sum 1.5
"""


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("waiting", 12),
        ("requests_total", 100),
        ('requests_total{status="500"}', 10),
        ('requests_total{ status = "500", method="POST" }', 4),
        ("waiting{}", 12),
        ("took_seconds_count", 4),
        ('took_seconds_bucket{le="0.5"}', 3),
    ],
)
def test_series_that_match_add_up(key, value):
    found = read("prometheus", answering(TEXT), key=key)

    assert (found.ok, found.value) == (True, value)


@pytest.mark.parametrize("key", ["absent", 'requests_total{status="404"}', "broken", "no selector!", 'a{b!="c"}'])
def test_no_series_or_no_number_is_no_data(key):
    found = read("prometheus", answering(TEXT), key=key)

    assert (found.ok, found.value) == (False, None)
    assert found.error


def test_a_text_that_is_not_prometheus_is_no_data():
    assert not read("prometheus", answering(b"<html>{"), key="waiting").ok


# --- host

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
@pytest.mark.parametrize("key", ["memory_percent", "disk_percent"])
def test_the_host_s_shares_are_percentages(key):
    found = read("host", refusing, key=key, path="/")

    assert found.ok, found.error
    assert 0 < found.value < 100


@linux
def test_processor_time_used_is_part_of_processor_time():
    busy, total = (read("host", refusing, key=key).value for key in ("cpu_busy_seconds", "cpu_seconds"))

    assert 0 < busy < total


def test_the_figures_of_another_machine_are_no_data():
    found = PROBES["host"](source("host", key="memory_percent"), "http://10.0.0.7:80", refusing)

    assert (found.ok, found.error) == (
        False,
        "the target runs on another machine, whose figures cannot be read from here",
    )


def test_an_unknown_host_figure_is_named():
    assert "there is cpu_seconds" in read("host", refusing, key="load").error


def test_memory_used_is_what_is_not_available(tmp_path, monkeypatch):
    (tmp_path / "meminfo").write_text("MemTotal: 1000 kB\nMemFree: 10 kB\nMemAvailable: 250 kB\n")
    monkeypatch.setattr(host, "PROC", tmp_path)

    assert read("host", refusing, key="memory_percent").value == 75


def test_a_system_without_proc_has_no_data(tmp_path, monkeypatch):
    monkeypatch.setattr(host, "PROC", tmp_path)

    assert read("host", refusing, key="cpu_seconds").error.startswith("FileNotFoundError")


# --- all at once


def test_every_source_gives_one_reading_in_order_at_the_same_moment():
    sources = [source("http", name=name) for name in "abc"]
    readings = read_all(sources, BASE, fetch=answering(), now=7.5)

    assert [(reading.source, reading.at, reading.ok) for reading in readings] == [(name, 7.5, True) for name in "abc"]


def test_no_source_gives_no_reading():
    assert read_all([], BASE, fetch=answering(), now=0) == []


def test_fewer_threads_than_sources_still_read_them_all():
    sources = [source("http", name=str(index)) for index in range(5)]

    assert len(read_all(sources, BASE, fetch=answering(), now=0, max_workers=2)) == 5


def test_an_error_that_nobody_expected_becomes_a_reading(monkeypatch):
    def broken(source, base_url, fetch):
        raise RuntimeError("a bug")

    monkeypatch.setitem(PROBES, "http", broken)
    (first, second) = read_all(
        [source("http", name="a"), source("json_metric", name="b", key="rate")],
        BASE,
        fetch=answering(b'{"rate": 1}'),
        now=0,
    )

    assert (first.ok, first.error) == (False, "RuntimeError: a bug")
    assert second.ok


def test_a_long_error_is_cut():
    def fetch(url, *, timeout_s):
        raise ConnectionError("x" * 1000)

    assert len(read("http", fetch).error) == 300
