"""The two bad releases of dhash are bad in the way that the demo needs: 1.2.0 late and under traffic, 1.3.0 at once."""

import json
import time
import urllib.request

import pytest

from tests.dhash_world import make_world, post_in_background, stage, switch

pytestmark = pytest.mark.slow

WHERE = "production"
# Smaller than in the demo, so that the fault comes within seconds.
THUMBNAILS = 100


@pytest.fixture
def dhash(tmp_path):
    made = make_world(tmp_path / "world")
    config = made.root(WHERE) / "shared" / "config" / "dhash.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"thumbnail_cache_size": THUMBNAILS}))
    made.start(WHERE)
    yield made
    made.stop_all()


def get(made, path: str) -> dict:
    with urllib.request.urlopen(made.base_url(WHERE) + path, timeout=10) as answer:
        return json.load(answer)


def deploy(made, version: str):
    switch(made, WHERE, stage(made, WHERE, version))
    assert made.run(WHERE, "migrate").returncode == 0
    return made.run(WHERE, "ctl", "reload")


def test_the_good_release_answers_with_its_new_column(dhash):
    assert "average_colour" not in get(dhash, "/images/1")
    assert deploy(dhash, "1.1.0").returncode == 0
    assert get(dhash, "/images/1")["average_colour"] is None
    assert dhash.run(WHERE, "traffic", "--rate", "10", "--seconds", "1").returncode == 0
    assert get(dhash, "/images/4")["average_colour"].startswith("#")


def test_the_slow_release_passes_every_check_and_five_seconds_of_traffic(dhash):
    assert deploy(dhash, "1.2.0").returncode == 0
    for module in ("smoke_tests", "check_logging", "golden", "traffic"):
        done = dhash.run(WHERE, module)
        assert done.returncode == 0, done.stdout
    assert get(dhash, "/metrics/hash_performance")["p95_time_ms"] < 500
    assert get(dhash, "/metrics/extraction_failures")["failure_rate_percent"] == 0


def test_the_slow_release_breaches_both_gates_under_traffic_and_stays_healthy(dhash):
    assert deploy(dhash, "1.2.0").returncode == 0
    traffic = post_in_background(dhash, WHERE, rate=20, seconds=40)
    deadline = time.monotonic() + 40
    slow = failing = False
    while time.monotonic() < deadline and not (slow and failing):
        slow = slow or (get(dhash, "/metrics/hash_performance")["p95_time_ms"] or 0) > 2000
        failing = failing or (get(dhash, "/metrics/extraction_failures")["failure_rate_percent"] or 0) > 5
        assert get(dhash, "/health")["status"] == "ok"
        time.sleep(0.25)
    traffic.terminate()
    traffic.communicate()
    assert (slow, failing) == (True, True)


def test_the_crashing_release_leaves_the_old_one_serving(dhash):
    traffic = post_in_background(dhash, WHERE, rate=40, seconds=4)
    done = deploy(dhash, "1.3.0")
    summary = json.loads(traffic.communicate()[0])
    assert done.returncode == 1
    assert "1.3.0 did not come up; 1.0.0 serves on" in done.stderr
    assert "ModuleNotFoundError: No module named 'dhash.codecs'" in done.stderr
    assert (get(dhash, "/health")["version"], summary["failed"]) == ("1.0.0", 0)


def test_the_crashing_release_does_not_start_and_leaves_nothing_running(dhash):
    dhash.stop(WHERE)
    switch(dhash, WHERE, stage(dhash, WHERE, "1.3.0"))
    done = dhash.run(WHERE, "ctl", "start")
    assert done.returncode == 1
    assert "1.3.0 did not come up; it is stopped" in done.stderr
    assert dhash.run(WHERE, "ctl", "stop").stdout == "nothing was running\n"
