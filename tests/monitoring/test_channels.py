"""The channels, against a real server on loopback: what is sent, and how a refusal is told."""

import hashlib
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core import mail

from monitoring.channels import (
    ChannelConfig,
    ChannelError,
    Message,
    console,
    discord,
    email,
    file,
    slack,
    teams,
    webhook,
)

MESSAGE = Message(
    event="watch_breached",
    severity="critical",
    title="Limit breached: dhash <1.2.0>",
    body="p95 3000 ms & rising\nlimit 2000 ms",
    url="http://localhost:8000/rollouts/41",
    key="rollout:41:3:slack",
    subject_kind="rollout",
    subject_id="41",
    subject_label="dhash 1.2.0 → production",
    component="dhash",
    environment="production",
    at="2026-11-23T12:00:00.000000+00:00",
)
SECRET_PATH = "/hooks/T0/B0/very-secret"


class Receiver:
    """A webhook receiver that keeps what it got and answers `status`."""

    def __init__(self):
        receiver, self.got, self.status, self.answer = self, [], 200, b"ok"

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                self.send_response(receiver.status)
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.send_header("Content-Length", str(len(receiver.answer)))
                self.end_headers()
                self.wfile.write(receiver.answer)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def config(self):
        """Return a configuration that points here."""
        return ChannelConfig(url=self.origin + SECRET_PATH, timeout_s=2)

    def json(self):
        """Return the only body, parsed."""
        return json.loads(self.got[0][2])


@pytest.fixture(scope="module")
def server():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def receiver(server):
    server.got, server.status, server.answer = [], 200, b"ok"
    return server


@pytest.mark.parametrize("channel", [slack, teams, discord, webhook])
def test_each_webhook_channel_posts_json_to_its_address_once(receiver, channel):
    channel.send(MESSAGE, receiver.config)
    ((path, headers, body),) = receiver.got
    assert path == SECRET_PATH and headers["Content-Type"] == "application/json" and json.loads(body)


def test_slack_text_cannot_mention_or_link():
    told = json.dumps(slack.payload(MESSAGE)["blocks"][1])
    assert "&amp; rising" in told
    assert slack.escape("<!channel> & <@U1>") == "&lt;!channel&gt; &amp; &lt;@U1&gt;"


def test_slack_cuts_a_header_and_a_section_at_their_limits():
    long = Message(**{**MESSAGE.__dict__, "title": "t" * 400, "body": "&" * 4000})
    header, section, *_ = slack.payload(long)["blocks"]
    assert len(header["text"]["text"]) == 150 and len(section["text"]["text"]) <= 3000
    assert section["text"]["text"].endswith("&amp;…")


def test_slack_button_only_links():
    button = slack.payload(MESSAGE)["blocks"][-1]["elements"][0]
    assert button["url"] == MESSAGE.url and "action_id" not in button


def test_teams_card_is_an_adaptive_card_with_a_link():
    (attachment,) = teams.payload(MESSAGE)["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert card["type"] == "AdaptiveCard" and card["actions"][0]["url"] == MESSAGE.url
    assert card["body"][0]["color"] == "Attention"


def test_teams_text_keeps_its_lines_and_no_markdown():
    assert teams.escape("a_b\n[x](y)") == "a\\_b\n\n\\[x\\](y)"


def test_discord_content_holds_at_most_2000_characters_and_the_whole_link():
    long = Message(**{**MESSAGE.__dict__, "body": "*" * 5000})
    content = discord.payload(long)["content"]
    assert len(content) == 2000 and content.endswith(f"<{MESSAGE.url}>")


def test_discord_pings_nobody():
    assert discord.payload(MESSAGE)["allowed_mentions"] == {"parse": []}


def test_webhook_signature_covers_timestamp_and_raw_body(receiver):
    config = ChannelConfig(url=receiver.config.url, secret="s3cret")
    webhook.send(MESSAGE, config)
    _, headers, body = receiver.got[0]
    stamp = headers["X-Guarded-Rollout-Timestamp"]
    expected = hmac.new(b"s3cret", stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert headers["X-Guarded-Rollout-Signature"] == f"sha256={expected}"


def test_webhook_without_a_secret_is_not_signed(receiver):
    webhook.send(MESSAGE, receiver.config)
    assert "X-Guarded-Rollout-Signature" not in receiver.got[0][1]


def test_webhook_carries_the_key_against_duplicates(receiver):
    webhook.send(MESSAGE, receiver.config)
    assert receiver.got[0][1]["Idempotency-Key"] == MESSAGE.key and receiver.json()["key"] == MESSAGE.key


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (404, True), (410, True), (408, False), (429, False), (500, False), (503, False)],
)
def test_status_tells_whether_to_try_again(receiver, status, permanent):
    receiver.status = status
    with pytest.raises(ChannelError, match=f"answered {status}") as refused:
        slack.send(MESSAGE, receiver.config)
    assert refused.value.permanent is permanent


def test_a_redirect_is_not_followed(receiver):
    receiver.status = 302
    with pytest.raises(ChannelError, match="answered 302"):
        slack.send(MESSAGE, receiver.config)
    assert len(receiver.got) == 1


def test_an_error_never_tells_the_secret_path(receiver):
    receiver.status, receiver.answer = 404, f"no such hook {receiver.origin}{SECRET_PATH} or {SECRET_PATH}".encode()
    with pytest.raises(ChannelError) as refused:
        slack.send(MESSAGE, receiver.config)
    assert "very-secret" not in str(refused.value)


def test_a_refused_connection_is_not_permanent_and_tells_no_path():
    with pytest.raises(ChannelError) as refused:
        slack.send(MESSAGE, ChannelConfig(url=f"http://127.0.0.1:1{SECRET_PATH}", timeout_s=1))
    assert not refused.value.permanent and "very-secret" not in str(refused.value)


def test_an_address_that_is_none_is_permanent():
    with pytest.raises(ChannelError) as refused:
        slack.send(MESSAGE, ChannelConfig(url="hooks.example.org/x"))
    assert refused.value.permanent


def test_mail_reaches_all_recipients_in_plain_text():
    email.send(MESSAGE, ChannelConfig(recipients=("ops@example.com", "aud@example.com"), sender="gr@example.com"))
    (sent,) = mail.outbox
    assert sent.to == ["ops@example.com", "aud@example.com"] and MESSAGE.url in sent.body


def test_mails_about_one_subject_share_a_thread_and_a_duplicate_its_id():
    config = ChannelConfig(recipients=("a@example.com",), sender="Guarded <gr@example.com>")
    other = Message(**{**MESSAGE.__dict__, "key": "rollout:41:4:email"})
    first, same, second = (email.build(message, config).extra_headers for message in (MESSAGE, MESSAGE, other))
    assert first["References"] == second["References"] and first["Message-ID"] == same["Message-ID"]
    assert first["Message-ID"] != second["Message-ID"] and first["Message-ID"].endswith("@example.com>")


def test_a_line_break_in_a_title_is_no_second_header():
    sly = Message(**{**MESSAGE.__dict__, "title": "x\r\nBcc: otto@example.com"})
    built = email.build(sly, ChannelConfig(recipients=("a@example.com",), sender="g@example.com"))
    assert built.message()["Bcc"] is None


def test_no_mail_server_is_not_permanent(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with pytest.raises(ChannelError) as refused:
        email.send(MESSAGE, ChannelConfig(recipients=("a@example.com",), sender="g@example.com", timeout_s=1))
    assert not refused.value.permanent


def test_file_appends_one_json_line_a_message_for_the_owner_only(tmp_path):
    path = tmp_path / "new" / "notices.log"
    for _ in range(2):
        file.send(MESSAGE, ChannelConfig(path=path))
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 2 and json.loads(lines[0])["title"] == MESSAGE.title
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_says_why(tmp_path):
    with pytest.raises(ChannelError, match="Is a directory"):
        file.send(MESSAGE, ChannelConfig(path=tmp_path))


def test_console_prints_one_line(capsys):
    console.send(MESSAGE, ChannelConfig())
    assert capsys.readouterr().out.count("\n") == 1
