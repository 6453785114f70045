"""dhash 1.0.0 as real processes: what it answers, and that its checks fail when they should."""

import json
import shutil
import sqlite3
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.dhash_world import EXAMPLE, make_world, run_python

pytestmark = pytest.mark.slow

WHERE = "production"
GOLDEN = EXAMPLE / "src" / "golden"
EXPECTED = json.loads((GOLDEN / "expected.json").read_text())


@pytest.fixture(scope="module")
def dhash(tmp_path_factory):
    made = make_world(tmp_path_factory.mktemp("service") / "world", demo_span=False)
    made.start(WHERE)
    yield made
    made.stop_all()


def ask(made, path: str, *, method: str = "GET", body: bytes | None = None, smoke: bool = False) -> tuple[int, dict]:
    headers = {"X-Dhash-Source": "smoke"} if smoke else {}
    request = urllib.request.Request(made.base_url(WHERE) + path, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def post(made, body: bytes, **how) -> tuple[int, dict]:
    return ask(made, "/images", method="POST", body=body, **how)


def images(made) -> int:
    with sqlite3.connect(made.root(WHERE) / "shared" / "dhash.sqlite3") as connection:
        return connection.execute("SELECT COUNT(*) FROM images").fetchone()[0]


def test_health_names_version_environment_and_schema(dhash):
    status, said = ask(dhash, "/health")
    assert (status, said["version"], said["environment"], said["schema"]) == (200, "1.0.0", WHERE, 1)


def test_every_golden_image_hashes_as_expected(dhash):
    for name, expected in EXPECTED.items():
        status, said = post(dhash, (GOLDEN / name).read_bytes(), smoke=True)
        assert (name, status, said["hash"]) == (name, 201, expected)
        assert ask(dhash, f"/images/{said['id']}", method="DELETE") == (200, {"deleted": said["id"]})


def test_a_posted_image_is_stored_once_and_found_again(dhash):
    body = (GOLDEN / "12-portrait.jpg").read_bytes()
    first, again = post(dhash, body)[1], post(dhash, body)[1]
    assert (first["duplicate"], again["duplicate"]) == (False, True)
    assert again["match"] == {"image_id": first["id"], "distance": 0, "confidence": "high"}
    assert ask(dhash, f"/images/{first['id']}")[1]["hash"] == EXPECTED["12-portrait.jpg"]


def test_a_match_that_is_not_sure_goes_into_the_queue(dhash):
    code = "import sys; from dhash.frames import *; sys.stdout.buffer.write(encoded({}, 'PNG'))"
    mixed = "Image.blend(scene_image(1), scene_image(1001, scene_image(1).size), 0.3)"
    scene, unsure = ("scene_image(1)", mixed)
    bodies = [run_python(code.format(picture), text=False).stdout for picture in (scene, unsure)]
    before = ask(dhash, "/metrics/queue_status")[1]["low_confidence_queue_length"]
    said = [post(dhash, body)[1] for body in bodies]
    assert (said[0]["queued"], said[1]["queued"], said[1]["match"]["confidence"]) == (False, True, "low")
    assert ask(dhash, "/metrics/queue_status")[1]["low_confidence_queue_length"] == before + 1


def test_match_answers_null_when_nothing_is_near(dhash):
    assert ask(dhash, "/match?hash=0123456789abcdef")[1]["match"] is None


@pytest.mark.parametrize(
    ("path", "method", "body", "status"),
    [
        ("/match?hash=xyz", "GET", None, 400),
        ("/images", "POST", b"", 400),
        ("/images/999999", "GET", None, 404),
        ("/nowhere", "GET", None, 404),
        ("/health", "POST", b"x", 405),
        ("/images/1", "DELETE", None, 409),
    ],
)
def test_a_bad_request_is_refused_with_a_sentence(dhash, path, method, body, status):
    found, said = ask(dhash, path, method=method, body=body)
    assert found == status
    assert said["error"]


def test_an_undecodable_image_is_an_extraction_failure(dhash):
    before = ask(dhash, "/metrics/extraction_failures")[1]["failures"]
    assert post(dhash, b"\x89PNG\r\n\x1a\n broken")[0] == 422
    after = ask(dhash, "/metrics/extraction_failures")[1]
    assert after["failures"] == before + 1
    assert after["failure_rate_percent"] == pytest.approx(100 * after["failures"] / after["images"], abs=0.001)


def test_metrics_are_right_with_several_worker_processes(dhash):
    before = ask(dhash, "/metrics/hash_performance")[1]["images"]
    body = (GOLDEN / "01-scene.png").read_bytes()
    with ThreadPoolExecutor(8) as pool:
        assert {status for status, _ in pool.map(lambda _: post(dhash, body), range(40))} == {201}
        pids = {said["pid"] for _, said in pool.map(lambda _: ask(dhash, "/health"), range(60))}
    assert ask(dhash, "/metrics/hash_performance")[1]["images"] == before + 40
    assert len(pids) == 2


@pytest.mark.parametrize("module", ["smoke_tests", "check_logging", "golden"])
def test_the_checks_pass_and_leave_nothing_behind(dhash, module):
    observed, rows = ask(dhash, "/metrics/hash_performance")[1]["images"], images(dhash)
    done = dhash.run(WHERE, module)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (ask(dhash, "/metrics/hash_performance")[1]["images"], images(dhash)) == (observed, rows)


def test_smoke_tests_fail_for_another_environment(dhash):
    release = dhash.variables(WHERE)["GR_RELEASE_DIR"]
    elsewhere = dhash.variables(WHERE) | {"GR_ENVIRONMENT": "staging", "PYTHONPATH": release}
    done = run_python("import sys; from dhash.smoke_tests import main; sys.exit(main())", variables=elsewhere)
    assert done.returncode == 1
    assert "environment is 'production', expected 'staging'" in done.stdout


def test_the_golden_check_shows_what_differs(dhash, tmp_path):
    shutil.copytree(EXAMPLE / "src", tmp_path / "release")
    (tmp_path / "release" / "VERSION").write_text("9.9.9\n")
    changed = EXPECTED | {"01-scene.png": "0" * 16}
    (tmp_path / "release" / "golden" / "expected.json").write_text(json.dumps(changed))
    variables = dhash.variables(WHERE) | {"PYTHONPATH": str(tmp_path / "release")}
    done = run_python("import sys; from dhash.golden import main; sys.exit(main([]))", variables=variables)
    assert done.returncode == 1
    assert f"DIFFERS 01-scene.png             expected {'0' * 16}  found {EXPECTED['01-scene.png']}" in done.stdout
    assert "golden: 11 of 12 frames as expected by the code of 9.9.9 in process" in done.stdout


def test_a_malformed_log_line_fails_the_logging_check(dhash):
    log = dhash.root(WHERE) / "shared" / "log" / "dhash.log"
    good = log.read_bytes()
    try:
        log.write_bytes(good + b"Traceback (most recent call last):\n")
        done = dhash.run(WHERE, "check_logging")
    finally:
        log.write_bytes(good)
    assert done.returncode == 1
    assert "FAIL  no JSON" in done.stdout


def test_the_prometheus_counter_agrees_with_the_histogram(dhash):
    with urllib.request.urlopen(dhash.base_url(WHERE) + "/metrics", timeout=10) as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if not line.startswith("#"))
    assert lines["dhash_images_total"] == lines["dhash_hash_duration_seconds_count"]
    assert lines['dhash_info{environment="production",version="1.0.0"}'] == "1"
