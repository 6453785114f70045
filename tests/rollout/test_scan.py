"""Committed webhooks and keys are found, named by place and kind, and never repeated."""

import zipfile

import pytest

from rollout.archive.errors import HostileArchive
from rollout.scan import Finding, kinds_in, scan_archive

LIMIT = 1 << 24
# Written in pieces, so that no scanner takes this file for a leak.
SECRETS = {
    "Slack webhook": "https://hooks.slack" + ".com/services/T0AB12CD3/B0AB12CD3/abcdefghijklmnopqrstuvwx",
    "Slack workflow": "https://hooks.slack" + ".com/triggers/T0AB12CD3/1234567890/abcdefghijklmnop",
    "Slack token": "xox" + "b-123456789012-123456789012-abcdefghijklmnopqrstuvwx",
    "Discord webhook": "https://discord" + ".com/api/webhooks/123456789012345678/" + "aB3-_" * 13,
    "Discord old name": "https://discord" + "app.com/api/v10/webhooks/123456789012345678/" + "aB3-_" * 13,
    "Discord token": "MTIzNDU2Nzg5MDEyMzQ1Njc4" + ".AbCdEf." + "a" * 27,
    "Teams webhook": "https://contoso.webhook.office" + ".com/webhookb2/0f0f0f0f-1111-2222-3333-444444444444@x/I/a/b",
    "Teams workflow": "https://prod-01.westeurope.logic.azure"
    + ".com:443/workflows/abc/triggers/m?sp=1&sig="
    + "Ab1" * 14,
    "Google Chat": "https://chat.googleapis" + ".com/v1/spaces/AAA/messages?key=k&token=" + "Ab1-" * 10,
    "Zapier": "https://hooks.zapier" + ".com/hooks/catch/123456/abcdef",
    "Mattermost": "https://chat.example.org/hooks/" + "a1" * 13,
    "AWS key": "AKIA" + "Q3EGRLXHZ2JW7YTA",
    "AWS secret": "aws_secret_access_key = '" + "wJalrXUtnFEMI/K7MDENG/bPxRfiCYzzzzzzzabc" + "'",
    "GitHub token": "ghp" + "_" + "aB3" * 12,
    "GitHub fine-grained": "github" + "_pat_" + "a" * 22 + "_" + "b" * 59,
    "GitLab token": "glpat" + "-abcdefghij1234567890",
    "Stripe": "sk" + "_live_" + "aB3d" * 6,
    "Twilio": "SK" + "0123456789abcdef" * 2,
    "SendGrid": "SG." + "a" * 22 + "." + "b" * 43,
    "RSA key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "PKCS8 key": "-----BEGIN " + "PRIVATE KEY-----",
    "OpenSSH key": "-----BEGIN OPENSSH " + "PRIVATE KEY-----",
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NSJ9." + "c2lnbmF0dXJlLWhlcmU",
    "Basic auth": "postgres://dhash:" + "hunter2x@db.internal/dhash",
    "npm": "//registry.example.org/:_authToken=npm_" + "aB3" * 12,
}
HARMLESS = [
    "see https://api.slack.com/messaging/webhooks",
    "https://discord.com/api/webhooks/<id>/<token>",
    "https://example.org/hooks/deploy",
    "postgres://user:password@localhost/db",
    "postgres://dhash:<password>@localhost/db",
    "postgres://$USER:$PASSWORD@localhost/db",
    "sha256:" + "0123456789abcdef" * 4,
    "password = os.environ['GR_PASSWORD']",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "AAAC" + "0123456789abcdef" * 4,
    "webhook.office.com is the host of Teams",
    "mailto:ops@example.org",
]


@pytest.fixture
def release(tmp_path):
    def build(**files):
        path = tmp_path / "dhash-1.1.0.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name.replace("__", "."), data)
        return path

    return build


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
def test_a_secret_is_found(secret):
    assert kinds_in(f"url = '{secret}'") or kinds_in(secret)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_is_left_alone(text):
    assert kinds_in(text) == ()


def test_a_finding_names_file_line_and_kind(release):
    path = release(VERSION="1\n", config__py=f"a = 1\nurl = '{SECRETS['Teams webhook']}'\n")
    assert scan_archive(path, limit_bytes=LIMIT) == (Finding(path="config.py", line=2, kind="Webhook URL"),)


def test_a_finding_never_holds_the_secret(release):
    found = scan_archive(release(a__py="\n".join(SECRETS.values())), limit_bytes=LIMIT)
    assert len(found) >= len(SECRETS)
    assert not any(secret[-12:] in repr(found) for secret in SECRETS.values())


def test_a_secret_in_a_binary_file_is_found(release):
    data = bytes(range(256)) * 50 + SECRETS["SendGrid"].encode() + b"\xff\xfe"
    assert [one.kind for one in scan_archive(release(a__bin=data), limit_bytes=LIMIT)] == ["SendGrid API Key"]


@pytest.mark.parametrize("before", [4000, 4090, 4096, 8100])
def test_a_secret_in_a_long_line_is_found_once_wherever_it_stands(release, before):
    line = ("x = 1;" * 2000)[:before] + " " + SECRETS["Discord webhook"] + " " + "y" * 5000
    assert scan_archive(release(a__js=line), limit_bytes=LIMIT) == (Finding(path="a.js", line=1, kind="Webhook URL"),)


def test_a_clean_release_has_no_finding(release):
    assert scan_archive(release(a__py="\n".join(HARMLESS)), limit_bytes=LIMIT) == ()


def test_a_release_over_the_limit_is_refused_not_scanned_in_part(release):
    with pytest.raises(HostileArchive, match="at most 10"):
        scan_archive(release(a__py="x" * 11), limit_bytes=10)


def test_looking_never_asks_the_network(release, monkeypatch):
    asked = []
    monkeypatch.setattr("requests.sessions.Session.request", lambda *a, **k: asked.append(a))
    scan_archive(release(a__py="\n".join(SECRETS.values())), limit_bytes=LIMIT)
    assert asked == []
