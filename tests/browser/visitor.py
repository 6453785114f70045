"""A person in a real browser, and what must be true of every page that he sees."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.utils import timezone
from playwright.sync_api import Browser, BrowserContext, Page, Response
from playwright.sync_api import Error as PlaywrightError

from rollout import once
from tests.base import PASSWORD
from tests.browser.product import Product

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
AXE = Path(__file__).with_name("vendor") / "axe-4.14.1.min.js"
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# a colour on its way is no colour to judge; what turns for ever is not waited for
STILL = """Promise.race([Promise.all(document.getAnimations().map(one => one.finished.catch(() => null))),
  new Promise(done => setTimeout(done, 700))])"""
LISTEN = "addEventListener('securitypolicyviolation', e => told(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`))"
OVERFLOW = """() => [...document.querySelectorAll('main *, header *, footer *')]
  .filter(e => e.getBoundingClientRect().right > innerWidth + 1)
  .filter(e => { for (let a = e; a; a = a.parentElement)
    if (getComputedStyle(a).overflowX !== 'visible') return false
    return true })
  .slice(0, 5).map(e => e.outerHTML.slice(0, 150))"""


@dataclass(kw_only=True)
class Visitor:
    """One person with one window; `problems` collects what no page may do."""

    product: Product
    context: BrowserContext
    page: Page
    name: str = ""
    problems: list[str] = field(default_factory=list)
    allowed: set[int] = field(default_factory=set)

    def watch(self) -> "Visitor":
        """Listen to console, requests and the security policy of every page of this window."""
        self.context.on("page", self._listen)
        self._listen(self.page)
        return self

    def _listen(self, page: Page) -> None:
        page.on("console", lambda said: self._console(said.type, said.text))
        page.on("pageerror", lambda error: self.problems.append(f"script error: {error}"))
        page.on("requestfailed", lambda request: self._failed(request.url, request.failure or ""))
        page.on("response", self._answered)
        page.on("dialog", lambda dialog: (self.problems.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def expect_status(self, *codes: int) -> None:
        """Allow answers that a test asks for on purpose."""
        self.allowed |= set(codes)

    def go(self, path: str) -> Page:
        """Open a page of the product."""
        self.page.goto(f"{self.product.base_url}{path}")
        return self.page

    def sign_in(self, name: str) -> "Visitor":
        """Sign in through the form."""
        self.name = name
        page = self.go("/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{self.product.base_url}/")
        return self

    def text(self) -> str:
        """Return what the main part of the page says, without line breaks."""
        return re.sub(r"\s+", " ", self.page.locator("main").inner_text())

    def seen(self) -> str:
        """Return what the whole page says, dialogs too; why it does not when it is on its way to another."""
        try:
            return self.page.locator("body").inner_text(timeout=2000)
        except PlaywrightError as error:
            return str(error)

    def post(self, path: str, **fields: str) -> Any:
        """Send a form past the page, with this session's token and a fresh key; return the answer."""
        token = next(one["value"] for one in self.context.cookies() if one["name"] == "csrftoken")
        return self.context.request.post(
            f"{self.product.base_url}{path}",
            form={once.FIELD: once.new_key(timezone.now()), **fields, "csrfmiddlewaretoken": token},
            headers={"Referer": f"{self.product.base_url}/"},
            max_redirects=0,
        )

    def overflow(self) -> list[str]:
        """Return what makes the page wider than the window."""
        wide = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return (self.page.evaluate(OVERFLOW) or ["the document is wider than the window"]) if wide else []

    def axe(self, *rules: str) -> list[str]:
        """Return what axe finds against WCAG 2.2 A and AA, or some rules; needs `bypass_csp`: axe writes styles."""
        if not self.page.evaluate("typeof axe === 'object'"):
            self.page.evaluate(AXE.read_text())
        self.page.evaluate(STILL)
        chosen = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": AXE_TAGS}
        options = {"runOnly": chosen, "resultTypes": ["violations"], "preload": False}
        found = self.page.evaluate("options => axe.run(document, options)", options)["violations"]
        return [
            f"{one['id']}: {node['target']} {node['html'][:160]} {node['failureSummary'][:300]}"
            for one in found
            for node in one["nodes"][:3]
        ]

    def _console(self, kind: str, text: str) -> None:
        asked_for = any(f"status of {code}" in text for code in self.allowed)
        if kind in ("error", "warning") and not asked_for:
            self.problems.append(f"console {kind}: {text}")

    def _failed(self, url: str, why: str) -> None:
        if "ERR_ABORTED" not in why:  # a poll that the next page cut off
            self.problems.append(f"request failed: {url} {why}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.allowed:
            self.problems.append(f"{response.status} for {response.url}")


def visitor(product: Product, browser: Browser, *, state: Any = None, phone: bool = False, **options: Any) -> Visitor:
    """Return somebody with a fresh window; every page tells what its security policy refused."""
    options = {"viewport": PHONE if phone else DESK, "has_touch": phone, "storage_state": state, **options}
    context = browser.new_context(**options)
    context.set_default_timeout(15000)
    here = Visitor(product=product, context=context, page=context.new_page())
    if options.get("java_script_enabled", True):
        context.expose_function("told", lambda what: here.problems.append(f"CSP: {what}"))
        context.add_init_script(LISTEN)
    return here.watch()
