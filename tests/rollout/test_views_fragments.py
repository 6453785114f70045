"""What is polled: the same bytes cost nothing, a running step shows the end of its output, charts get their series."""

from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse

from rollout.models import Run, Step, Target
from rollout.views import charts
from tests import factories
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def run(target: Target, cast: Cast) -> Run:
    return views_world.started(factories.make_approved(target, cast), cast["olaf"])


def say(step: Step, text: bytes, percent: str = "") -> None:
    folder = Path(settings.GR_RUN_DIR) / "steps" / step.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "output.log").write_bytes(text)
    if percent:
        (folder / "progress.json").write_text(percent)


@pytest.mark.parametrize("name", ["rollout_live", "rollout_verbs", "rollout_undo"])
def test_a_poll_that_brings_nothing_new_is_a_304_without_a_body(run: Run, cast: Cast, name: str) -> None:
    client, url = browser(cast["olaf"]), reverse(name, args=[run.rollout_id])
    tag = client.get(url).headers["ETag"]
    again = client.get(url, headers={"If-None-Match": tag})
    assert again.status_code == 304 and again.content == b""


def test_a_step_that_goes_on_changes_the_tag(run: Run, cast: Cast) -> None:
    client, url = browser(cast["olaf"]), reverse("rollout_live", args=[run.rollout_id])
    tag = client.get(url).headers["ETag"]
    views_world.ran(run, 2, running=True)
    assert client.get(url, headers={"If-None-Match": tag}).status_code == 200


def test_a_running_step_shows_progress_and_the_end_of_its_output_made_harmless(run: Run, cast: Cast) -> None:
    step = views_world.ran(run, 2, running=True)
    say(step, b"first line\n" + b"x" * 20_000 + b"\n<script>\x1b[31mlast", '{"percent": 62}')
    html = browser(cast["olaf"]).get(reverse("rollout_live", args=[run.rollout_id])).content.decode()
    assert 'value="62"' in html and "first line" not in html
    assert "&lt;script&gt;" in html and "<script>" not in html and "\x1b" not in html


def test_a_broken_progress_file_is_no_progress(run: Run, cast: Cast) -> None:
    step = views_world.ran(run, 2, running=True)
    say(step, b"", "{nonsense")
    assert "<progress" not in browser(cast["olaf"]).get(reverse("rollout_live", args=[run.rollout_id])).content.decode()


def test_the_whole_log_is_plain_text_that_no_browser_runs(run: Run, cast: Cast) -> None:
    step = views_world.ran(run, 1)
    say(step, b"<script>alert(1)</script>")
    answer = browser(cast["aud"]).get(reverse("step_log", args=[step.pk]))
    assert b"".join(answer.streaming_content) == b"<script>alert(1)</script>"  # type: ignore[attr-defined]
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_log_that_is_no_longer_kept_is_a_404(run: Run, cast: Cast) -> None:
    step = views_world.ran(run, 4)
    assert browser(cast["aud"]).get(reverse("step_log", args=[step.pk])).status_code == 404


def test_a_page_that_is_out_of_date_says_so(target: Target, cast: Cast) -> None:
    waiting = factories.make_waiting(target, cast["rita"])
    client, url = browser(cast["olaf"]), reverse("rollout_live", args=[waiting.pk])
    seen = client.get(waiting.get_absolute_url()).context["seen"]
    assert "Something changed" not in client.get(url, {"seen": seen}).content.decode()
    factories.decide(waiting, cast["ann"], "approver")
    assert "Something changed" in client.get(url, {"seen": seen}).content.decode()


def test_the_polled_parts_hold_no_form(run: Run, cast: Cast) -> None:
    html = browser(cast["olaf"]).get(reverse("rollout_live", args=[run.rollout_id])).content.decode()
    assert "<form" not in html


def test_the_series_of_a_gate_is_what_the_chart_draws(target: Target, cast: Cast, tmp_path: Path) -> None:
    approved = factories.make_approved(target, cast)
    watch = views_world.watched(approved, cast["olaf"], tmp_path)
    client, url = browser(cast["aud"]), reverse("watch_series", args=[approved.pk])
    answer = client.get(url, {"gate": "p95"})
    drawn = answer.json()
    assert drawn["limit"]["value"] == 2000 and drawn["series"][0]["v"] == [120.5, 120.5]
    assert len(drawn["t"]) == watch.polls == 2
    assert client.get(url, {"gate": "p95"}, headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def test_a_gate_that_is_not_there_is_a_404(target: Target, cast: Cast, tmp_path: Path) -> None:
    approved = factories.make_approved(target, cast)
    views_world.watched(approved, cast["olaf"], tmp_path)
    assert browser(cast["aud"]).get(reverse("watch_series", args=[approved.pk]), {"gate": "no"}).status_code == 404


def test_spans_of_failing_looks_are_shaded() -> None:
    states = ["passing", "failing", "failing", "passing", "failing"]
    assert charts.breaches([1.0, 2.0, 3.0, 4.0, 5.0], states) == [[2.0, 4.0], [5.0, 5.0]]
