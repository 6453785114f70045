"""The outbox: what is queued, and how it is delivered."""

import json

import pytest
from django.conf import settings

from monitoring import channels, notices
from monitoring.channels import ChannelError
from monitoring.models import AuditEntry, Notice, NoticeAttempt
from monitoring.routes import Route

from .effects import NOW, RITA, ROLLOUT, later

pytestmark = pytest.mark.django_db
TEMPLATES = settings.BASE_DIR / "templates/notices"
EVENTS = sorted(path.name.removesuffix("_subject.txt") for path in TEMPLATES.glob("*_subject.txt"))
PROMISED = {
    *("signoff_requested", "decision_recorded", "signoff_complete", "signoff_void", "rollout_rejected"),
    *("rollout_expired", "run_started", "step_failed", "watch_started", "watch_breached", "watch_alert"),
    *("needs_decision", "rollback_started", "rollback_finished", "rollout_succeeded", "rollout_failed"),
    *("incident_opened", "incident_closed", "target_locked", "target_unlocked", "config_pending", "run_unknown"),
    *("try_again_asked", "rollout_superseded"),
}


@pytest.fixture(autouse=True)
def outside(settings, tmp_path):
    settings.GR_NOTICE_FILE = tmp_path / "notices.log"
    settings.GR_SLACK_WEBHOOK_URL = "https://hooks.example.org/T0/secret-path"
    settings.GR_DISCORD_WEBHOOK_URL = ""


@pytest.fixture
def slack(monkeypatch):
    """Replace the Slack channel; put an error into `fails` to make it refuse."""
    sent, fails = [], []

    def send(message, config):
        if fails:
            raise fails[0]
        sent.append(message)

    monkeypatch.setitem(channels.CHANNELS, "slack", send)
    send.sent, send.fails = sent, fails
    return send


def queue(key="rollout:41:1", channel="slack", event="run_started", **changes):
    values = {
        "subject": ROLLOUT,
        "severity": "info",
        "context": {"by": "Olaf & <ops>", "why": "window open"},
        "routes": [Route(channel=channel)],
        "url": "http://localhost/rollouts/41",
        "now": NOW,
    }
    return notices.queue(event, key=key, **{**values, **changes})


def drain(until=0):
    return notices.deliver_due(later(until))


DOWN = ChannelError("no answer", permanent=False)
REFUSED = ChannelError("answered 404", permanent=True)


def test_one_row_for_each_channel_of_the_routes():
    rows = queue(routes=[Route(channel="slack"), Route(channel="console"), Route(channel="slack")])
    assert [row.channel for row in rows] == ["slack", "console"]


def test_the_same_key_again_adds_nothing():
    first, again = queue(), queue()
    assert [row.pk for row in first] == [row.pk for row in again] and Notice.objects.count() == 1


def test_a_long_key_is_hashed_not_cut():
    (one,), (other,) = queue(key="x" * 300 + "1"), queue(key="x" * 300 + "2")
    assert one.dedupe_key != other.dedupe_key


def test_a_route_takes_only_its_severity_and_events():
    routes = [Route(channel="slack", min_severity="warning"), Route(channel="console", events=("run_started",))]
    assert [row.channel for row in queue(routes=routes)] == ["console"]


def test_a_channel_without_its_setting_is_left_out_and_the_file_takes_the_message():
    assert [row.channel for row in queue(channel="discord")] == ["file"]


def test_the_text_is_plain_and_names_who_and_why():
    (row,) = queue()
    assert "Olaf & <ops>" in row.body and "window open" in row.body and "http://localhost/rollouts/41" in row.body


def test_the_footer_carries_the_head_of_the_audit():
    from monitoring import audit

    entry = audit.append(action="x", by=RITA, subject=ROLLOUT, now=NOW)
    (row,) = queue()
    assert f"Audit head #{entry.seq} {entry.hash}" in row.body


def test_every_promised_event_has_its_own_pair_of_templates():
    assert set(EVENTS) - {"generic"} >= PROMISED
    assert all((TEMPLATES / f"{event}.txt").exists() for event in EVENTS)


@pytest.mark.parametrize("event", EVENTS)
def test_every_template_renders_with_little_context(event):
    (row,) = queue(event=event, key=event, context={})
    assert ROLLOUT.label in row.title + row.body or "dhash" in row.title
    assert "{" not in row.title + row.body and "None" not in row.body


def test_an_unknown_event_is_told_in_general_words():
    (row,) = queue(event="moon_landed")
    assert row.title == "moon landed: dhash 1.1.0 → production"


def test_a_title_is_one_line():
    (row,) = queue(context={"rollout": "a\nBcc: b"})
    assert "\n" not in row.title


@pytest.mark.django_db(transaction=True)
def test_queueing_outside_a_transaction_is_refused():
    with pytest.raises(RuntimeError, match=r"transaction\.atomic"):
        queue()


def test_a_delivered_notice_is_sent_once(slack):
    queue()
    assert (drain(), drain(1), len(slack.sent)) == (1, 0, 1)
    assert Notice.objects.get().state == "SENT"


def test_every_attempt_is_kept_with_its_reason(slack):
    queue()
    slack.fails.append(DOWN)
    drain()
    slack.fails.clear()
    drain(5)
    assert list(NoticeAttempt.objects.values_list("ok", "detail")) == [(False, "no answer"), (True, "")]


def test_retries_wait_longer_each_time(slack):
    queue()
    slack.fails.append(DOWN)
    waits, at = [], 0
    for _ in range(6):
        drain(at)
        due = (notices.next_due(later(at)) - NOW).total_seconds()
        waits.append(due - at)
        at = due
    assert waits == [5, 30, 120, 600, 1800, 1800]


def test_the_third_failure_writes_the_file_and_goes_on_trying(slack, settings):
    queue()
    slack.fails.append(DOWN)
    for at in (0, 5, 35):
        drain(at)
    line = json.loads(settings.GR_NOTICE_FILE.read_text())
    assert (line["fallback_for"], line["why"], line["subject_id"]) == ("slack", "no answer", "41")
    notice = Notice.objects.get()
    assert notice.state == "FELL_BACK" and notice.next_attempt_at is not None


def test_a_channel_that_comes_back_gets_what_fell_back(slack):
    queue()
    slack.fails.append(DOWN)
    for at in (0, 5, 35):
        drain(at)
    slack.fails.clear()
    drain(155)
    assert Notice.objects.get().state == "SENT" and len(slack.sent) == 1


def test_a_permanent_error_falls_back_at_once_and_is_not_tried_again(slack, settings):
    queue()
    slack.fails.append(REFUSED)
    drain()
    assert Notice.objects.get().state == "FELL_BACK" and notices.next_due(NOW) is None
    assert settings.GR_NOTICE_FILE.stat().st_mode & 0o777 == 0o600


def test_retries_end_after_a_day(slack):
    queue()
    slack.fails.append(DOWN)
    for at in (0, 5, 35, 24 * 3600 - 10):
        drain(at)
    assert notices.next_due(NOW) is None


def test_a_channel_that_is_down_is_tried_once_a_batch_and_keeps_the_order(slack):
    queue(key="1"), queue(key="2")
    slack.fails.append(DOWN)
    drain()
    assert NoticeAttempt.objects.count() == 1
    slack.fails.clear()
    drain(5)
    assert [message.key for message in slack.sent] == ["1:slack", "2:slack"]


def test_what_waits_behind_a_channel_that_is_down_falls_back_with_it(slack, settings):
    queue(key="1"), queue(key="2")
    slack.fails.append(DOWN)
    for at in (0, 5, 35):
        drain(at)
    assert len(settings.GR_NOTICE_FILE.read_text().splitlines()) == 2


def test_one_refused_message_does_not_hold_the_others(slack, monkeypatch):
    queue(key="1"), queue(key="2")
    tried = []

    def send(message, config):
        tried.append(message.key)
        if message.key == "1:slack":
            raise REFUSED

    monkeypatch.setitem(channels.CHANNELS, "slack", send)
    assert drain() == 1 and tried == ["1:slack", "2:slack"]


def test_a_dead_channel_does_not_hold_another(slack, settings):
    queue(routes=[Route(channel="slack"), Route(channel="file")])
    slack.fails.append(DOWN)
    assert drain() == 1


def test_a_fault_of_our_own_is_a_failed_attempt(slack, caplog):
    queue()
    slack.fails.append(ZeroDivisionError())
    drain()
    assert NoticeAttempt.objects.get().detail == "an error of our own: see the log"


def test_a_claimed_notice_is_left_alone_until_the_claim_runs_out(slack):
    queue()
    Notice.objects.update(claimed_until=later(120))
    assert (drain(60), notices.next_due(NOW)) == (0, later(120))
    assert drain(120) == 1


def test_a_channel_that_lost_its_setting_falls_back(slack, settings):
    queue()
    settings.GR_SLACK_WEBHOOK_URL = ""
    drain()
    assert "lost its setting" in NoticeAttempt.objects.get().detail
    assert Notice.objects.get().state == "FELL_BACK"


def test_delivery_writes_no_audit(slack):
    queue()
    drain()
    assert not AuditEntry.objects.exists()


def test_a_new_message_waits_behind_the_ones_that_its_channel_has_not_taken(slack):
    queue(key="first")
    slack.fails.append(DOWN)
    drain()
    slack.fails.clear()
    queue(key="second", now=later(1))
    assert drain(1) == 2 and [message.key for message in slack.sent] == ["first:slack", "second:slack"]


def test_what_waits_behind_a_message_that_was_given_up_is_still_sent(slack):
    queue(key="first")
    queue(key="second", now=later(80_000))
    Notice.objects.filter(dedupe_key="first:slack").update(state="FELL_BACK", attempts=50)
    slack.fails.append(DOWN)
    drain(86_000)
    assert Notice.objects.get(dedupe_key="first:slack").next_attempt_at is None
    slack.fails.clear()
    drain(90_000)
    assert [message.key for message in slack.sent] == ["second:slack"]


def test_a_channel_that_another_worker_speaks_to_is_left_to_it(slack):
    queue(key="first")
    queue(key="second")
    Notice.objects.filter(dedupe_key="first:slack").update(claimed_until=later(120))
    assert drain(60) == 0 and drain(121) == 2


def test_a_message_that_we_cannot_even_send_holds_no_other(slack, caplog):
    queue(key="first")
    queue(key="second")
    slack.fails.append(TypeError("a fault of ours"))
    drain()
    assert set(Notice.objects.values_list("attempts", flat=True)) == {1}
