"""What every answer carries, whatever went wrong; and how the pages stand behind TLS."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory

from rollout import middleware
from tests.rollout.signed_in import browser

pytestmark = pytest.mark.django_db
ROOT = Path(__file__).resolve().parents[2]
HEADERS = {
    "Content-Security-Policy": middleware.POLICY,
    "Permissions-Policy": middleware.FEATURES,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
# who asks, how, for what, and what it is answered
ANSWERS = (
    ("ann", "GET", "/", 200),
    ("ann", "GET", "/people/", 200),
    ("ada", "GET", "/admin/", 200),
    ("ann", "GET", "/nowhere/", 404),
    ("ann", "GET", "/rollouts/new/", 403),
    ("ann", "DELETE", "/people/", 405),
    ("", "GET", "/people/", 302),
    ("", "GET", "/login/", 200),
    ("", "GET", "/healthz", 200),
    ("", "GET", "/api/v1/rollouts", 401),
    ("", "GET", "/api/v1/nowhere", 404),
    ("", "GET", "/api/v1/docs", 200),
    ("", "GET", "/api/v1/openapi.json", 200),
)


@pytest.mark.parametrize(("name", "method", "path", "status"), ANSWERS)
def test_every_answer_carries_the_headers(
    cast: dict[str, User], name: str, method: str, path: str, status: int
) -> None:
    client = browser(cast[name]) if name else Client()
    answer = client.generic(method, path)
    assert (answer.status_code, {key: answer.headers.get(key) for key in HEADERS}) == (status, HEADERS)


def test_a_form_of_another_site_gets_the_headers_with_its_refusal(cast: dict[str, User]) -> None:
    client = Client(enforce_csrf_checks=True)
    answer = client.post("/login/", {"username": "ann"})
    assert (answer.status_code, {key: answer.headers.get(key) for key in HEADERS}) == (403, HEADERS)


def test_a_file_of_ours_may_be_kept_by_a_cache_but_not_be_used_by_another_site() -> None:
    answer = Client().get("/static/js/poll.js")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "no-store" not in answer.headers.get("Cache-Control", "")


def test_no_page_of_ours_may_stand_in_a_frame() -> None:
    assert "frame-ancestors 'none'" in middleware.POLICY
    assert Client().get("/login/").headers["X-Frame-Options"] == "DENY"


def test_browsers_report_where_the_setting_says(settings: LazySettings) -> None:
    settings.GR_CSP_REPORT_URI = "https://reports.example.org/csp"
    policy = middleware.SecurityPolicy(lambda request: HttpResponse())(RequestFactory().get("/")).headers
    assert policy["Content-Security-Policy"].endswith("; report-uri https://reports.example.org/csp")


def test_an_error_quotes_no_secret_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GR_GITHUB_TOKEN", "ghp_canary12")
    failed = HttpResponse("no answer with ghp_canary12", status=500, headers={"Content-Length": "27"})
    answer = middleware.SecurityPolicy(lambda request: failed)(RequestFactory().get("/"))
    assert (answer.content, answer.headers["Content-Length"]) == (b"no answer with [redacted]", "25")


BEHIND_TLS = """
import django, io, json
django.setup()
from django.core.management import call_command
from django.test import Client
said = io.StringIO()
call_command("check", "--deploy", "--fail-level", "WARNING", stdout=said, stderr=said)
call_command("migrate", verbosity=0)
client = Client()
plain = client.get("/login/")
page = client.get("/login/", secure=True)
client.post("/login/", {"username": "x", "password": "y"}, secure=True)
cookies = {name: {key: morsel[key] for key in ("secure", "path", "domain", "samesite", "httponly")}
           for name, morsel in client.cookies.items()}
print(json.dumps({"plain": [plain.status_code, plain.headers.get("Location")], "cookies": cookies,
                  "hsts": page.headers["Strict-Transport-Security"], "said": said.getvalue()}))
"""


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a process says that stands behind TLS, with a strong key."""
    given = {"GR_HTTPS": "1", "DJANGO_SECRET_KEY": secrets.token_urlsafe(60), "DATABASE_URL": "sqlite://:memory:"}
    given |= {"GR_VAR": str(tmp_path_factory.mktemp("tls")), "DJANGO_SETTINGS_MODULE": "rollout.settings"}
    environment = {**os.environ, **given, "DJANGO_ALLOWED_HOSTS": "testserver"}
    done = subprocess.run(
        [sys.executable, "-c", BEHIND_TLS], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.slow
def test_check_deploy_finds_nothing(tls: dict[str, Any]) -> None:
    assert "no issues" in tls["said"]


@pytest.mark.slow
def test_every_cookie_is_bound_to_this_host_and_to_tls(tls: dict[str, Any]) -> None:
    assert "__Host-csrf" in tls["cookies"]
    for name, morsel in tls["cookies"].items():
        assert name.startswith("__Host-")
        assert (morsel["secure"], morsel["path"], morsel["domain"]) == (True, "/", "")
        assert morsel["samesite"] in ("Lax", "Strict")


@pytest.mark.slow
def test_plain_requests_are_led_to_tls_and_browsers_remember_it(tls: dict[str, Any]) -> None:
    assert tls["plain"] == [301, "https://testserver/login/"]
    assert tls["hsts"] == "max-age=31536000; includeSubDomains"
