"""Somebody who clicks in a scratch installation, over HTTP, with forms as the pages show them."""

import re

import requests

from tests.faults.processes import Installation

FORM = r'<form[^>]*action="{}".*?</form>'
HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)"')
PASSWORD = "correct horse battery"  # everybody's in tests.base, which needs Django
PATIENCE_S = 30


class Person:
    """Somebody signed in over HTTP, with the password entered lately."""

    def __init__(self, house: Installation) -> None:
        self.session, self.base = requests.Session(), house.env["GR_BASE_URL"]
        fields = self.fields("/login/", "")
        self.send("/login/", {**fields, "username": "olaf", "password": PASSWORD})

    def fields(self, page: str, path: str) -> dict[str, str]:
        """Return the hidden fields of the form on a page that is sent to `path`."""
        text = self.session.get(self.base + page, timeout=PATIENCE_S).text
        form = re.search(FORM.format(path), text, re.DOTALL)
        assert form, f"{page} shows no form for {path}"
        return dict(HIDDEN.findall(form[0]))

    def send(self, path: str, fields: dict[str, str]) -> None:
        """POST; it must be accepted."""
        answer = self.session.post(self.base + path, data=fields, allow_redirects=False, timeout=PATIENCE_S)
        assert answer.status_code == 302, f"{path}: {answer.status_code} {answer.text[:2000]}"

    def start(self, rollout: int) -> None:
        """Click start on a rollout's page."""
        page = f"/rollouts/{rollout}/"
        self.send(f"{page}start/", self.fields(page, f"{page}start/"))
