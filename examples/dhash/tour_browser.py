"""A person in a browser, as far as HTTP goes: a signed-in session that posts forms with their hidden fields."""

import hashlib
import re
import time
from typing import Any

import requests

# what every form of a page carries: the token against forms of other sites, the key against sending it twice
HIDDEN = re.compile(r'name="(csrfmiddlewaretoken|once|digest)" value="([^"]+)"')
DIGEST = re.compile(r'name="digest" value="([0-9a-f]{64})"')


class TourFailed(Exception):
    """Something that the tour has to see was not there; the sentence says what was seen instead."""


class Browser:
    """One person's session."""

    def __init__(self, base_url: str, username: str, password: str) -> None:
        self.base_url, self.username, self.password = base_url, username, password
        self.session = requests.Session()
        self.session.trust_env = False

    def sign_in(self) -> "Browser":
        """Sign in through the form; raise TourFailed when that does not work."""
        answer = self.post("/login/", username=self.username, password=self.password)
        if "/login" in answer.url:
            raise TourFailed(f"{self.username} could not sign in")
        return self

    def get(self, path: str) -> requests.Response:
        """Return a page; raise TourFailed unless it answers with 200."""
        answer = self.session.get(self.base_url + path, timeout=30)
        if answer.status_code != 200:
            raise TourFailed(f"GET {path} answered {answer.status_code} to {self.username}")
        return answer

    def post(self, path: str, *, page: str = "", files: dict | None = None, **fields: str) -> requests.Response:
        """Send a form as the page `page` (default: the same path) shows it; raise TourFailed on an error."""
        hidden = dict(HIDDEN.findall(self.get(page or path).text))
        answer = self.session.post(
            self.base_url + path,
            data={**hidden, **fields},
            files=files,
            headers={"Referer": self.base_url + (page or path)},
            timeout=60,
        )
        if answer.status_code >= 400:
            raise TourFailed(f"POST {path} as {self.username} answered {answer.status_code}: {alert_of(answer.text)}")
        return answer

    def approve(self, path: str, duty: str) -> None:
        """Read the rollout's page and approve what it shows, with the password, as a person would."""
        page = self.get(path).text
        digest = DIGEST.search(page)
        if digest is None:
            raise TourFailed(f"{self.username} finds no decision form on {path}")
        self.post(
            f"{path}decide/",
            page=path,
            kind="APPROVE",
            duty=duty,
            digest=digest[1],
            diff_opened="1",
            reason="Read the plan, the dry runs and the checklist.",
            password=self.password,
        )


class Client:
    """What a machine sees: the API with a token."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {token}"

    def rollout(self, number: int) -> dict:
        """Return a rollout as the API tells it."""
        answer = self.session.get(f"{self.base_url}/api/v1/rollouts/{number}", timeout=30)
        answer.raise_for_status()
        return answer.json()

    def release(self, version: str) -> int | None:
        """Return the number of a release of dhash, or None when there is none."""
        found = self._json(self.session.get(f"{self.base_url}/api/v1/components/dhash/releases", timeout=30))
        return next((int(one["id"]) for one in found if one["version"] == version), None)

    def post(self, path: str, json: dict) -> dict:
        """Send JSON and return the answer."""
        return self._json(self.session.post(f"{self.base_url}/api/v1{path}", json=json, timeout=60))

    def put(self, path: str, name: str, data: bytes) -> dict:
        """Upload a file."""
        headers = {"X-Filename": name, "X-SHA256": hashlib.sha256(data).hexdigest()}
        return self._json(self.session.put(f"{self.base_url}/api/v1{path}", data=data, headers=headers, timeout=60))

    def _json(self, answer: requests.Response) -> Any:
        if answer.status_code >= 400:
            raise TourFailed(f"{answer.request.method} {answer.request.path_url} answered {answer.text[:300]}")
        return answer.json()

    def wait_for(self, number: int, wanted: str, *, seconds: float, on_the_way: frozenset[str]) -> dict:
        """Wait until a rollout stands at `wanted`; raise TourFailed when it goes elsewhere or the time is over."""
        deadline, shown = time.monotonic() + seconds, ""
        while time.monotonic() < deadline:
            facts = self.rollout(number)
            if facts["state"] != shown:
                shown = facts["state"]
                print(f"      rollout {number}: {shown.replace('_', ' ').lower()}", flush=True)
            if shown == wanted:
                return facts
            if shown not in on_the_way:
                raise TourFailed(f"rollout {number} is {shown}, not {wanted}: {facts.get('why', '')}")
            time.sleep(0.5)
        raise TourFailed(f"rollout {number} is still {shown} after {seconds:.0f} s, not {wanted}")


def alert_of(page: str) -> str:
    """Return what a refusing page says, without its tags."""
    found = re.search(r'role="alert"[^>]*>(.*?)</(?:div|section|p)>', page, re.DOTALL)
    return re.sub(r"<[^>]+>|\s+", " ", found[1] if found else page[:300]).strip()[:300]
