"""A product that runs, a Chromium, and people in it; no page may complain, overflow a phone, or break its policy."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.live import Live, begin, end
from tests.browser.product import Product
from tests.browser.visitor import PHONE, Visitor, visitor

CHROMIUM = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
CHROMIUM += " --disable-component-update --disable-sync"


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """Return a Chromium without a window."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM.split())
        yield started
        started.close()


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """Return the product with rollouts that wait for decisions, served by gunicorn; no worker is needed for that."""
    made = Product(folder=tmp_path_factory.mktemp("browser"))
    made.migrate()
    made.facts = made.stage("desk", str(made.folder / "component"))
    made.serve()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def ids(product: Product) -> dict[str, int]:
    """Return the number of each rollout of the desk, by its place."""
    return product.facts["rollouts"]


@pytest.fixture(scope="session")
def sessions() -> dict[str, Any]:
    """Keep who signed in already."""
    return {}


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Return the product with workers and a real dhash; its rollout to production may start."""
    made = begin(tmp_path_factory.mktemp("live"))
    yield made
    end(made)


@pytest.fixture
def enter(product: Product, browser: Browser, sessions: dict[str, Any]) -> Iterator[Callable[..., Visitor]]:
    """Return a function that lets somebody in; at the end every page must have behaved."""
    yield from door(product, browser, sessions)


@pytest.fixture
def enter_live(live: Live, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Return a function that lets somebody into the product with workers."""
    yield from door(live.product, browser, {})


def door(product: Product, browser: Browser, sessions: dict[str, Any]) -> Iterator[Callable[..., Visitor]]:
    """Yield a function that lets somebody in, and judge at the end."""
    here: list[Visitor] = []

    def come(
        name: str, *, phone: bool = False, fresh: bool = False, expected: tuple[int, ...] = (), **options: Any
    ) -> Visitor:
        known = None if fresh else sessions.get(name)
        one = visitor(product, browser, state=known, phone=phone, **options)
        one.expect_status(*expected)
        here.append(one)
        if known is None:
            one.sign_in(name)
        if known is None and not fresh:
            sessions[name] = one.context.storage_state()
        one.name = name
        return one

    yield come
    problems = [f"{one.name}: {problem}" for one in here for problem in judged(one)]
    for one in here:
        print(f"at the end {one.name} saw {one.page.url}:\n{one.seen()[:4000]}")  # shown when the test failed
        one.context.close()
    assert not problems, "\n".join(problems)


def judged(one: Visitor) -> list[str]:
    """Return what was wrong with the pages that somebody saw, and with the last one on a phone."""
    if one.page.viewport_size == PHONE and not one.page.url.startswith("about:"):
        one.problems += [f"wider than a phone at {one.page.url}: {what}" for what in one.overflow()]
    return one.problems
