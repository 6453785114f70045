"""Every text that a form or the API takes, hostile, on every page that then shows it, in a real browser: it is text.

Which texts there are is asked of the forms. A new one fails here until FREE or CHECKED names it: FREE ones are stored
as they come and must be found again on some page; CHECKED ones are refused unless they have the right form.
"""

import csv
import importlib
import os
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db import transaction
from django.test import Client
from playwright.sync_api import Browser, Page, Route

import approvals
import monitoring
import rollout
from approvals.forms_names import PrintedNameField, UserNameField
from monitoring.reasons import Reason
from rollout import access, middleware, once
from rollout.api import shapes
from rollout.models import Target
from tests import factories
from tests.browser.nasty import NASTY
from tests.browser.test_hostile import FOREIGN
from tests.fakes import FakeRunner
from tests.rollout import matrix_world, views_world
from tests.rollout.conftest import fake, target
from tests.rollout.posts import POSTS, World
from tests.rollout.views_world import browser as signed_in

__all__ = ["fake", "target"]
pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.django_db]
# the browser has its loop in this thread, where the pages are made too
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
FREE = {"why", "reason", "text", "resolution", "notes", "name", "why_now", "why_safe", "words"}
CHECKED = {
    *("commits", "version", "commit", "branch", "zone", "components", "commit_emails", "digest", "code"),
    *("q", "channel", "assertion", "action", "actor", "component", "environment", "username", "email", "printed_name"),
}
# a formula for a spreadsheet, a header for an answer, and all that would run
LONG = "=1+1 " + " ".join(NASTY) + "\r\nX-Injected: yes\r\n"
SHORT = "=<svg onload=window.ran=1>"
MARKED = re.compile(rb"=(\w+)! |<script>window.ran=1|&lt;script&gt;window.ran=1")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass
class Shown:
    """What the product answered: documents for the browser, and whether one had a header of a stranger's."""

    documents: dict[str, bytes] = field(default_factory=dict)
    injected: list[str] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    # page and text that were kept already: the same text on the same page proves nothing new
    seen: set[tuple[str, bytes]] = field(default_factory=set)

    def keep(self, name: str, answer: Any) -> None:
        """Keep an answer's document, where it shows anything of ours."""
        body = b"".join(answer.streaming_content) if answer.streaming else answer.content
        if "X-Injected" in answer.headers or any("\n" in value for value in answer.headers.values()):
            self.injected.append(name)
        new = {(name, found) for found in MARKED.findall(body)} - self.seen
        if new and answer.headers["Content-Type"].startswith("text/html"):
            self.documents[f"/{len(self.documents)}/{name}"] = body
        self.seen |= new
        if answer.headers["Content-Type"].startswith("text/csv"):
            self.cells += [cell for row in csv.reader(body.decode().splitlines()) for cell in row]


def texts() -> dict[str, int]:
    """Return the name of every text that a form takes, with its shortest limit."""
    found: dict[str, int] = {}
    for one in classes():
        for name, kind in one.base_fields.items():
            plain = type(kind) in (forms.CharField, PrintedNameField, Reason, UserNameField) and not isinstance(
                kind.widget, forms.PasswordInput
            )
            if plain:
                found[name] = min(found.get(name, 10**6), kind.max_length or 10**6)
    for schema in (shapes.ReleaseIn, shapes.LinkIn, shapes.CommitIn):
        found |= {name: found.get(name, 300) for name, one in schema.model_fields.items() if one.annotation is str}
    return found


def classes() -> Iterator[type[forms.Form]]:
    """Return every form of the three rooms."""
    for room in (approvals, monitoring, rollout):
        for module in pkgutil.walk_packages(room.__path__, f"{room.__name__}."):
            if "form" in module.name or ".views" in module.name:
                for one in vars(importlib.import_module(module.name)).values():
                    if isinstance(one, type) and issubclass(one, forms.BaseForm) and one.__module__ == module.name:
                        yield one


def hostile(data: dict[str, Any], names: set[str], limits: dict[str, int]) -> dict[str, Any]:
    """Return a form's values with texts of a stranger, each of which begins with what it was written into."""
    changed = dict(data)
    for name in names & data.keys() & limits.keys():
        long = f"={name}! {LONG}"
        changed[name] = long if len(long) <= limits[name] else f"={name}! {SHORT}"[: limits[name]]
    return changed


def test_every_text_of_a_form_is_known() -> None:
    api = {"url", "kind", "sha", "author", "subject", "branch", "commit", "version", "notes", "email"}
    unknown = set(texts()) - FREE - CHECKED - api
    assert unknown == set(), "say in FREE or CHECKED what these texts of forms are (tests/browser/test_corpus.py)"


@pytest.fixture
def shown(
    target: Target,
    cast: dict[str, User],
    tmp_path: Path,
    fake: FakeRunner,
    monkeypatch: pytest.MonkeyPatch,
) -> Shown:
    """Send every form with hostile texts, refused and accepted, and keep what the product shows then."""
    views_world.stop_clock(monkeypatch)
    found, limits = Shown(), texts()
    for name, make in POSTS.items():
        with transaction.atomic():
            post = make(World(target, cast, tmp_path, fake, monkeypatch))
            if FREE & post.data.keys() or CHECKED & post.data.keys():
                send(found, name, post, limits)
            transaction.set_rollback(True)
    bring(found, target, cast["rita"])
    return found


def send(found: Shown, name: str, post: Any, limits: dict[str, int]) -> None:
    """Send a form twice, every text of it hostile, then only those that may be, and look where it leads."""
    client = signed_in(post.user)
    for names in (FREE | CHECKED, FREE):
        key = {once.FIELD: once.new_key(factories.NOW)}
        answer = client.post(post.url, {**hostile(post.data, names, limits), **key}, headers={"Referer": LONG[:5]})
        found.keep(name, answer)
        if answer.status_code == 302:
            found.keep(f"{name} then", client.get(answer.url.partition("#")[0]))
            break
    for path in ("/history/", "/history.csv", "/rollouts/"):
        found.keep(path.strip("/"), client.get(path))


def bring(found: Shown, target: Target, rita: User) -> None:
    """Make a release through the API, of which every text is hostile."""
    _, text = matrix_world.make_token(target.component, rita, (access.READ, access.WRITE))
    machine = Client(headers={"Authorization": f"Bearer {text}"})
    commits = [{"sha": "c" * 40, "author": one[:150], "email": "x@example.com", "subject": one} for one in NASTY]
    body = {"version": "6.6.6", "commit": "c" * 40, "branch": "main", "commits": commits, "notes": LONG}
    made = machine.post("/api/v1/components/dhash/releases", body, content_type="application/json")
    assert made.status_code == 201, made.content
    found.keep("API", made)
    found.keep("release", signed_in(rita).get(f"/releases/{made.json()['id']}/"))


@pytest.mark.undoes
def test_no_text_of_a_stranger_runs_loads_breaks_out_or_is_a_formula(shown: Shown, browser: Browser) -> None:
    page = browser.new_context().new_page()
    told: list[str] = []
    page.on("dialog", lambda dialog: (told.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.expose_function("told", lambda said: told.append(said))  # it takes no builtin
    page.add_init_script("addEventListener('securitypolicyviolation', e => told(`${e.violatedDirective} ${e.sample}`))")
    page.route("**/*", lambda route: serve(route, shown.documents))
    for path in shown.documents:
        page.goto(f"http://product.invalid{path}")
        told += harm(page, path)
    assert told == []
    assert len(shown.documents) > 20
    whole = b"".join(shown.documents.values())
    assert {name for name in FREE if f"={name}! ".encode() not in whole} == set(), "shown on no page"
    assert shown.injected == []
    assert [cell for cell in shown.cells if cell.startswith(FORMULA)] == []
    assert any("1+1" in cell for cell in shown.cells)


def harm(page: Page, path: str) -> list[str]:
    """Return foreign nodes of a page, and what a script of a stranger would have left."""
    nodes, ran = page.evaluate(FOREIGN), page.evaluate("window.ran ?? null")
    nodes = [node for node in nodes if 'src="/admin/jsi18n/"' not in node]  # the admin site's own
    return [f"{path}: {node}" for node in nodes] + ([f"{path}: ran {ran}"] if ran is not None else [])


def serve(route: Route, documents: dict[str, bytes]) -> None:
    """Answer the browser as the product would: the kept document under our policy, or a file of ours."""
    path = route.request.url.removeprefix("http://product.invalid").partition("?")[0]
    path = path if path in documents else path.replace("%20", " ")
    if path in documents:
        headers = {"Content-Security-Policy": middleware.POLICY, "X-Content-Type-Options": "nosniff"}
        route.fulfill(body=documents[path], headers=headers, content_type="text/html; charset=utf-8")
    elif path.startswith("/static/") and (found := finders.find(path.removeprefix("/static/"))) is not None:
        route.fulfill(path=str(found))
    else:
        route.fulfill(status=204)
