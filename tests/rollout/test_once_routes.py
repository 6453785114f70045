"""Every route that takes a POST has a key in its form and is tried twice, or `rollout/keyless.py` says why not."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.urls import URLPattern, URLResolver, get_resolver, resolve, reverse
from django.urls.exceptions import NoReverseMatch

from rollout.keyless import KEYLESS
from rollout.models import Target
from tests.base import Client
from tests.rollout.posts import POSTS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
# Route -> why it is not tried twice, though its form has a key.
UNTRIED = {
    "password": "the old password, which it asks for, is right only once",
    "app_add": "the code that it asks for is good once",
    "passkey_add": "the challenge that it answers is good once",
}
FORMS_WITHOUT = {
    "registration/login.html": "login",
    "registration/confirm.html": "confirm",
    "registration/_passkey.html": "confirm, mfa_authenticate and mfa_login_webauthn",
    "mfa/authenticate.html": "mfa_authenticate",
    "registration/first_admins.html": "first_admins",
    "registration/choose_password.html": "choose_password",
    "_nav.html": "logout",
    "admin/base_site.html": "logout",
}
# The admin's tables that can only be read refuse every POST that would write (test_admin.py).
READ_ONLY = re.compile(r"admin:(?!rollout_freeze|login|logout|password).*|admin:.*_(delete|history|changelist)")


def routes(patterns: list[URLPattern | URLResolver], space: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns, pattern.namespace or space)
        else:
            yield f"{space}:{pattern.name}" if space else str(pattern.name), pattern


def address(name: str, pattern: URLPattern) -> str | None:
    """Return an address of a route, for rows that need not exist."""
    values = {
        key: "dhash" if "slug" in str(kind) or "Slug" in type(kind).__name__ else 1 for key, kind in kinds(pattern)
    }
    try:
        return (
            reverse(name, kwargs=values) if values else reverse(name, args=[1] if "<" in str(pattern.pattern) else [])
        )
    except NoReverseMatch:
        return None


def kinds(pattern: URLPattern) -> list[tuple[str, object]]:
    return [(key, kind) for key, kind in pattern.pattern.converters.items() if key not in ("app_label", "url")]


@pytest.fixture
def everybody(cast: dict[str, User], target: Target) -> Client:
    """Return the browser of somebody with every role, whom no route turns away before it looks at the method."""
    ada = cast["ada"]
    ada.groups.set(Group.objects.all())
    client = Client(raise_request_exception=False)
    client.force_login(ada)
    return client


def test_every_route_that_takes_a_post_is_tried_twice_or_says_why_not(everybody: Client) -> None:
    tried = {name.partition(":")[0] if name.startswith("person:") else name for name in POSTS}
    taking = set()
    for name, pattern in routes(get_resolver().url_patterns):
        if name.startswith("api:") or READ_ONLY.fullmatch(name):
            continue
        url = address(name, pattern)
        assert url is not None, f"no address for {name}"
        everybody.force_login(User.objects.get(username="ada"))
        if everybody.post(url, {}).status_code != 405:
            taking.add(resolve(url).view_name)  # ours stand before the admin site's own
    new = taking - tried - set(UNTRIED) - set(KEYLESS)
    assert new == set(), "new routes that take a POST: give their forms a key, and try them"
    assert (tried | set(UNTRIED) | set(KEYLESS)) - taking == {"account_login", "api:"}, "these take no POST any more"


def test_no_route_both_needs_no_key_and_is_tried_with_one() -> None:
    assert not KEYLESS.keys() & ({name.partition(":")[0] for name in POSTS} | UNTRIED.keys())


def forms() -> Iterator[tuple[str, str]]:
    """Return template and text of every form that posts."""
    for path in sorted(TEMPLATES.rglob("*.html")):
        for found in re.finditer(r'<form\b[^>]*?method="post".*?(?:</form>|\Z)', path.read_text(), re.DOTALL):
            yield path.relative_to(TEMPLATES).as_posix(), found[0]


def test_every_form_that_posts_carries_a_key() -> None:
    lacking = {name for name, text in forms() if "{% once %}" not in text}
    assert lacking == set(FORMS_WITHOUT)


def test_no_form_is_sent_by_script() -> None:
    """A request that htmx sends would need the key as a value of its own."""
    sent = re.compile(r"\b(data-)?hx-(post|put|patch|delete)=")
    assert [path.name for path in TEMPLATES.rglob("*.html") if sent.search(path.read_text())] == []


def test_the_form_of_the_admin_site_carries_a_key(everybody: Client) -> None:
    assert 'name="once"' in everybody.get(reverse("admin:rollout_freeze_add")).content.decode()


def test_two_renderings_have_two_keys(everybody: Client) -> None:
    found = [re.findall(r'name="once" value="([^"]+)"', everybody.get("/rollouts/new/").content.decode()) for _ in "ab"]
    assert len(found[0]) == 1 and found[0] != found[1]
