"""Speak with GitHub's REST API; every refusal becomes one sentence that never holds the token."""

import re
from collections.abc import Callable, Iterator
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from monitoring import http

NOT_CONFIGURED = "GitHub is not configured: set a token and the component's repository (owner/name)"
LIMIT_BYTES = 8 * 1024 * 1024  # a page of 100 jobs lists every step of each
MAX_PAGES = 20


class GitHubError(Exception):
    """GitHub said no or nothing; `status` is None when there was no answer, so that an effect may have happened."""

    def __init__(self, sentence: str, *, status: int | None = None, message: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.status = status
        self.message = message


@dataclass(frozen=True)
class GitHub:
    """One repository, seen with one token. `web_url` is where its pages are; by default it follows from `api_url`."""

    token: str = field(repr=False)
    _: KW_ONLY
    repository: str
    api_url: str = "https://api.github.com"
    web_url: str = ""
    timeout_s: float = 10.0
    fetch: Callable[..., http.Response] = field(default=http.fetch, repr=False)

    def __post_init__(self) -> None:
        if self.repository and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+", self.repository):
            raise ValueError(f"expected a repository as owner/name, got {self.repository!r}")
        object.__setattr__(self, "token", self.token.strip())
        object.__setattr__(self, "api_url", self.api_url.rstrip("/"))
        object.__setattr__(self, "web_url", (self.web_url or pages_of(self.api_url)).rstrip("/"))

    @property
    def configured(self) -> bool:
        """Tell whether there is a token and a repository to ask about."""
        return bool(self.token and self.repository)

    def call(self, method: str, path: str, json: object = None) -> Any:
        """Return the decoded answer to `method` on `path` within the repository, None if empty; raise GitHubError."""
        return self._decode(self._ask(method, self._url(path), json))

    def pages(self, path: str, key: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield the objects of every page of a list, which stands under `key` or is the answer; raise GitHubError."""
        url: str | None = self._url(path)
        for _ in range(MAX_PAGES):
            answer = self._ask("GET", str(url), None)
            found = self._decode(answer)
            if key is not None:
                found = found.get(key) if isinstance(found, dict) else None
            if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
                raise GitHubError(f"GitHub answered GET {_kind(path)} with something that is no list of objects")
            yield from found
            url = _next_page(answer.headers.get("link", ""))
            if url is None:
                return
        raise GitHubError(f"GitHub's list of {_kind(path)} has more than {MAX_PAGES} pages; it was not read to its end")

    def _url(self, path: str) -> str:
        return f"{self.api_url}/repos/{self.repository}/{path}"

    def _ask(self, method: str, url: str, json: object) -> http.Response:
        if not self.configured:
            raise GitHubError(NOT_CONFIGURED)
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {self.token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        limits = {"timeout_s": self.timeout_s, "limit_bytes": LIMIT_BYTES, "allow": (http.origin(self.api_url),)}
        try:
            answer = self.fetch(url, method=method, headers=headers, json=json, **limits)
        except http.HttpError as problem:
            raise GitHubError(self._hide(f"no answer from GitHub: {problem.message}")) from None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            message = self._hide(_message(answer))
            raise GitHubError(_refusal(answer, message), status=answer.status, message=message)
        return answer

    def _decode(self, answer: http.Response) -> Any:
        try:
            return answer.json() if answer.body else None
        except http.HttpError:
            raise GitHubError("GitHub's answer is not JSON; is the API URL right?") from None

    def _hide(self, text: str) -> str:
        return text.replace(self.token, "[token]")


def pages_of(api_url: str) -> str:
    """Return where people look: api.github.com -> github.com, api.NAME.ghe.com -> NAME.ghe.com, HOST/api/v3 -> HOST."""
    return api_url.removesuffix("/api/v3").replace("://api.", "://", 1)


def quoted(name: str) -> str:
    """Return a branch name or the like as one segment of a path."""
    return quote(name, safe="")


def _kind(path: str) -> str:
    return path.split("?")[0]


def _next_page(link: str) -> str | None:
    found = re.search(r'<([^>]*)>\s*;\s*rel="next"', link)
    return found.group(1) if found else None


def _message(answer: http.Response) -> str:
    try:
        said = answer.json()
    except http.HttpError:
        return ""
    text = said.get("message") if isinstance(said, dict) else ""
    return " ".join("".join(ch if ch.isprintable() else " " for ch in str(text or "")).split())[:200]


def _refusal(answer: http.Response, message: str) -> str:
    limited = _rate_limit(answer, message)
    if limited:
        return limited
    reason = {
        401: "the token is wrong, expired or revoked",
        403: "the token lacks a permission for this",
        404: "there is no such thing, or the token may not see it",
        422: "it found the request invalid",
    }.get(answer.status, "the repository moved; correct its name" if answer.status in (301, 302, 307, 308) else "")
    said = f'said "{message}"' if message else "gave no reason"
    return f"GitHub answered {answer.status} and {said}" + (f": {reason}" if reason else "")


def _rate_limit(answer: http.Response, message: str) -> str | None:
    if answer.status not in (403, 429):
        return None
    wait, left = answer.headers.get("retry-after", ""), answer.headers.get("x-ratelimit-remaining")
    reset = answer.headers.get("x-ratelimit-reset", "")
    if wait.isdecimal():
        return f"GitHub's rate limit is reached; try again in {int(wait)} s"
    if left == "0" and reset.isdecimal() and int(reset) < 1 << 35:
        return f"GitHub's rate limit is reached; try again after {datetime.fromtimestamp(int(reset), UTC):%H:%M:%S} UTC"
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS or left == "0" or "rate limit" in message.lower():
        return "GitHub's rate limit is reached; try again in a minute or later"
    return None
