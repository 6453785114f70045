"""A secret that is printed stands nowhere, however it is written and wherever it is cut in two."""

import base64
import html
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from monitoring import redact
from monitoring.redact import MARK, Filter, secrets_of, text
from rollout import detached, logs

CANARY = 'Canary~7?"f&\\x+/=é 9d'
SECRETS = frozenset({CANARY})
RAW = CANARY.encode()
ENCODINGS: dict[str, Callable[[], str]] = {
    "raw": lambda: CANARY,
    "base64": lambda: base64.b64encode(RAW).decode(),
    "base64 after one byte": lambda: base64.b64encode(b"u" + RAW).decode(),
    "base64 as a user's password": lambda: base64.b64encode(b"ci:" + RAW + b"\n").decode(),
    "base64 for URLs": lambda: base64.urlsafe_b64encode(RAW).decode(),
    "base32": lambda: base64.b32encode(RAW).decode(),
    "hex": lambda: RAW.hex(),
    "HEX": lambda: RAW.hex().upper(),
    "URL": lambda: quote(CANARY, safe=""),
    "URL, small letters": lambda: re.sub("%..", lambda found: found[0].lower(), quote(CANARY, safe="")),
    "form": lambda: quote_plus(CANARY),
    "every byte by percent": lambda: "".join(f"%{byte:02X}" for byte in RAW),
    "JSON": lambda: json.dumps({"password": CANARY}),
    "JSON in UTF-8": lambda: json.dumps({"password": CANARY}, ensure_ascii=False),
    "HTML": lambda: html.escape(CANARY),
    "Python": lambda: repr(CANARY),
}
# what would be left of it; a rest shorter than that tells nobody anything
PARTS = tuple(form[: len(form) * 2 // 3] for form in redact.forms(SECRETS))


def told(output: bytes) -> list[bytes]:
    """Return the forms, or two thirds of one, that an output still holds."""
    return [part for part in PARTS if part in output]


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoded_secret_is_not_told(name: str) -> None:
    said = f"before {ENCODINGS[name]()} after"
    assert told(said.encode()) != []
    assert told(text(said, SECRETS).encode()) == []


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_secret_cut_in_two_anywhere_is_not_told(name: str) -> None:
    said = f"before {ENCODINGS[name]()} after".encode()
    for cut in range(len(said)):
        one = Filter(SECRETS)
        whole = one.feed(said[:cut]) + one.feed(said[cut:]) + one.end()
        assert told(whole) == []
        assert MARK.encode() in whole


def test_a_secret_that_comes_letter_by_letter_is_not_told() -> None:
    one = Filter(SECRETS)
    whole = b"".join(one.feed(bytes([byte])) for byte in b"<" + RAW + b">") + one.end()
    assert whole == f"<{MARK}>".encode()


def test_everything_else_is_kept_byte_by_byte() -> None:
    noise = bytes(range(256)) * 20 + RAW[:-1] + b"\xff"
    one = Filter(SECRETS)
    assert one.feed(noise[:700]) + one.feed(noise[700:]) + one.end() == noise


def test_nothing_is_held_back_that_is_no_beginning() -> None:
    assert Filter(SECRETS).feed(b"a line\n") == b"a line\n"


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("GR_GITHUB_TOKEN", "ghp_12345678", "ghp_12345678"),
        ("GR_WEBHOOK_SECRET", "a-long-secret", "a-long-secret"),
        ("DJANGO_SECRET_KEY", "k" * 50, "k" * 50),
        ("PGPASSWORD", "correct horse", "correct horse"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI", "wJalrXUtnFEMI"),
        ("DATABASE_URL", "postgres://gr:hunter2%21hunter@db/gr", "hunter2!hunter"),
        ("EMAIL_URL", "smtp+tls://u:hunter2hunter@mail:587", "hunter2hunter"),
        ("GR_REDIS_URL", "redis://:hunter2hunter@cache:6379", "hunter2hunter"),
        ("GR_SLACK_WEBHOOK_URL", "https://hooks.example.com/T0/B0/xyz", "https://hooks.example.com/T0/B0/xyz"),
        ("GR_HEARTBEAT_URL", "https://hc.example.com/uuid", "https://hc.example.com/uuid"),
    ],
)
def test_a_setting_that_holds_a_secret_is_known(name: str, value: str, secret: str) -> None:
    assert secret in secrets_of({name: value})


@pytest.mark.parametrize(("name", "value"), [("GR_BASE_URL", "https://rollout.example.org"), ("API_TOKEN", "short")])
def test_ordinary_settings_and_short_words_stay(name: str, value: str) -> None:
    assert secrets_of({name: value}) == frozenset()


def test_a_secret_in_a_file_is_known(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    assert secrets_of({"GR_GITHUB_TOKEN_FILE": str(tmp_path / "token")}) == {"from-a-file"}


def test_the_runner_keeps_no_secret_of_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR_GITHUB_TOKEN", CANARY)
    forms = [make().encode() for make in ENCODINGS.values()]
    program = "import os, sys, time\nfor part in sys.argv[1:]:\n    data = bytes.fromhex(part)\n"
    program += "    os.write(1, data[:5]); time.sleep(0.03); os.write(1, data[5:] + b'\\n')"
    argv = [sys.executable, "-c", program, *(form.hex() for form in forms)]
    command = {"argv": argv, "cwd": str(tmp_path), "env": dict(os.environ), "timeout_s": 30}
    detached.write(tmp_path / detached.COMMAND, command)
    detached.main(tmp_path, detached.open_lock(tmp_path / "target.lock"))
    kept = (tmp_path / detached.OUTPUT).read_bytes()
    assert kept.count(MARK.encode()) >= len(forms)
    assert told(kept) == []
    assert not (tmp_path / "output.raw").exists()


def line(message: str, **more: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "WARNING", **more})
    return logs.Line("%(levelname)s %(message)s").format(record)


def test_our_own_log_keeps_no_secret_not_even_in_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR_GITHUB_TOKEN", CANARY)
    try:
        raise RuntimeError(f"no answer with {CANARY}")
    except RuntimeError:
        said = line(f"sent {CANARY}", exc_info=sys.exc_info())
    assert "RuntimeError: no answer with [redacted]" in said
    assert told(said.encode()) == []


def test_a_refusal_is_one_line_and_a_failure_keeps_its_traceback() -> None:
    try:
        raise PermissionError("no")
    except PermissionError:
        kept = [line("Forbidden", status_code=code, exc_info=sys.exc_info()) for code in (403, 500)]
    assert ["Traceback" in one for one in kept] == [False, True]


def test_a_log_line_obeys_no_control_of_a_stranger() -> None:
    assert line("\x1b[2Jgone\u202e") == "WARNING \\u001b[2Jgone\\u202e"
