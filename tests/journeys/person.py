"""Somebody in a browser, as far as HTTP goes: a session of his own, CSRF enforced, forms as the page shows them."""

import re
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from rollout.models import Rollout
from tests.base import PASSWORD

HIDDEN = re.compile(r'name="(csrfmiddlewaretoken|once)" value="([^"]+)"')
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')


class Person:
    """One person's session, signed in through the form."""

    def __init__(self, user: User) -> None:
        self.user = user
        self.client = Client(enforce_csrf_checks=True)
        answer = self.post("/login/", page="/login/", username=user.get_username(), password=PASSWORD)
        assert answer.status_code == 302, text_of(answer)

    def read(self, path: str) -> str:
        """Return a page."""
        answer = self.client.get(path)
        assert answer.status_code == 200, f"GET {path} as {self.user}: {text_of(answer)}"
        return str(answer.getvalue().decode())

    def post(self, path: str, *, page: str, **fields: str) -> Any:
        """Send a form with the hidden fields of the page that shows it, and return the answer."""
        hidden = dict(HIDDEN.findall(self.read(page)))
        assert "csrfmiddlewaretoken" in hidden, f"{page} shows {self.user} no form"
        return self.client.post(path, {**hidden, **fields})

    def prove(self) -> None:
        """Enter the password again."""
        answer = self.post("/confirm/", page="/confirm/", password=PASSWORD)
        assert answer.status_code == 302, text_of(answer)

    def ask(self, rollout: Rollout, verb: str, **fields: str) -> Any:
        """Press a button of a rollout's page with the password, and return the answer."""
        page = f"/rollouts/{rollout.pk}/"
        return self.post(f"{page}{verb}/", page=page, password=PASSWORD, **fields)

    def press(self, rollout: Rollout, verb: str, **fields: str) -> None:
        """Press a button of a rollout's page; it must be accepted."""
        answer = self.ask(rollout, verb, **fields)
        assert answer.status_code == 302, text_of(answer)

    def approve(self, rollout: Rollout, duty: str) -> None:
        """Approve what the page shows."""
        digest = DIGEST.search(self.read(f"/rollouts/{rollout.pk}/"))
        assert digest, f"the page of {rollout} offers {self.user} no decision"
        self.press(rollout, "decide", kind="APPROVE", duty=duty, digest=digest[1], diff_opened="1", reason="Read it.")


def text_of(answer: Any) -> str:
    """Return status and words of an answer, for a failure's message."""
    body = answer.getvalue().decode()
    main = re.search(r"<main.*</main>", body, re.DOTALL)
    words = re.sub(r"<script.*?</script>|<[^>]+>|\s+", " ", main[0] if main else body, flags=re.DOTALL)
    return f"{answer.status_code} {re.sub(r' +', ' ', words)[:1500]}"
