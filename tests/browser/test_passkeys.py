"""Passkeys in a real Chromium with a virtual authenticator: registered, signed in with, and a decision signed."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.approvals.test_signatures import check
from tests.base import PASSWORD
from tests.browser.product import Product
from tests.browser.visitor import Visitor

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Enter = Callable[..., Visitor]
OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def give_authenticator(page: Page) -> tuple[Any, str]:
    """Give the browser an authenticator; return the session that steers it, and its id."""
    cdp = page.context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    return cdp, cdp.send("WebAuthn.addVirtualAuthenticator", {"options": OPTIONS})["authenticatorId"]


def register(pia: Visitor) -> Page:
    page = pia.go("/account/passkeys/new/")
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Make the passkey").click()
    page.get_by_text("The passkey can sign in, and sign decisions.").wait_for()
    return page


def test_register_sign_in_and_approve_with_a_passkey(enter: Enter, product: Product, ids: dict[str, int]) -> None:
    pia = enter("pia", phone=True, fresh=True)
    cdp, authenticator = give_authenticator(pia.page)
    page = register(pia)
    assert page.locator(".codes li").count() == 10
    page.goto(f"{product.base_url}/account/")
    page.get_by_text("Phone").first.wait_for()
    pia.context.clear_cookies()

    page = pia.go("/login/?next=/inbox/")
    page.get_by_role("button", name="Use a passkey instead").click()
    page.wait_for_url(f"{product.base_url}/inbox/")

    page = pia.go(f"/rollouts/{ids['passkey']}/sign/")
    page.locator("#decide textarea").fill("Two lines,\nread on the train.")
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("The passkey did not answer, or it was cancelled.").wait_for()
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": True})
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Recorded under your name").wait_for()

    [document] = product.stage("signatures")
    record = check(document)
    assert record["decision"] == "APPROVE" and record["reason"] == "Two lines,\nread on the train."
    assert record["person"]["name"] == "Pia" and document["rp_id"] == "localhost"

    page.get_by_label("Your password instead").fill(PASSWORD)
    page.locator("#decide textarea").fill("The phone is in the other room.")
    page.get_by_role("button", name="Take back my approval").click()
    page.get_by_text("Recorded under your name").wait_for()
    assert len(product.stage("signatures")) == 1


def test_a_cancelled_registration_sends_nothing(enter: Enter, product: Product) -> None:
    tom = enter("tom", fresh=True)
    cdp, authenticator = give_authenticator(tom.page)
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page = tom.go("/account/passkeys/new/")
    page.get_by_label("Name").fill("Phone")
    page.get_by_role("button", name="Make the passkey").click()
    page.locator("[data-passkey-error]").wait_for()
    page.goto(f"{product.base_url}/account/")
    assert "No passkey yet." in tom.text()


def test_the_security_pages_pass_axe(enter: Enter, product: Product) -> None:
    tom = enter("tom", fresh=True, bypass_csp=True)
    for path in ("/account/", "/account/password/", "/account/app/", "/account/passkeys/new/", "/confirm/"):
        tom.go(path)
        assert tom.axe() == [], path
