"""A local server that answers as GitHub's REST documentation says, for one repository, and keeps what it was asked."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

REPOSITORY = "example-org/dhash"
TOKEN = "hush-hush-this-is-the-token-0001"
SHA = "1f" * 20
OTHER_SHA = "2e" * 20
NOT_FOUND = {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}


@dataclass
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class FakeGitHub:
    """What the repository holds. `answers` overrides a (method, path) with (status, body, headers)."""

    url: str = ""
    classic: dict[str, Any] = field(default_factory=dict)
    rules: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict)
    statuses: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[str, str], tuple[int, Any, dict[str, str]]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    page_size: int = 100

    def answer(self, asked: Asked, query: dict[str, list[str]]) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers; the body is bytes as they are, a list that is paged, or any JSON."""
        prefix = f"/repos/{REPOSITORY}/"
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"message": "Bad credentials", "status": "401"}, {}
        path = asked.path.removeprefix(prefix)
        if (asked.method, path) in self.answers:
            return self.answers[asked.method, path]
        if not asked.path.startswith(prefix):
            return 404, NOT_FOUND, {}
        match asked.method, path.split("/"):
            case "GET", ["branches", branch, "protection"]:
                return self._classic(branch)
            case "GET", ["rules", "branches", branch]:
                return self._page(self.rules.get(branch, []), None, asked, query)
            case "GET", ["actions", "runs", number]:
                run = self.runs.get(int(number))
                return (200, run, {}) if run else (404, NOT_FOUND, {})
            case "GET", ["actions", "runs", number, "jobs"]:
                return self._page(self.jobs.get(int(number), []), "jobs", asked, query)
            case "GET", ["commits", sha, "pulls"]:
                held = [pull for pull in self.pulls.values() if sha in (pull["head"]["sha"], *pull["commits"])]
                return self._page(held, None, asked, query)
            case "POST", ["statuses", sha]:
                return self._status(sha, asked.body)
            case method, ["pulls", number, "merge"]:
                return self._merge(method, self.pulls.get(int(number)), asked.body)
        return 404, NOT_FOUND, {}

    def _classic(self, branch: str) -> tuple[int, Any, dict[str, str]]:
        if branch in self.classic:
            return 200, self.classic[branch], {}
        return 404, {**NOT_FOUND, "message": "Branch not protected"}, {}

    def _status(self, sha: str, body: Any) -> tuple[int, Any, dict[str, str]]:
        if len(body.get("description", "")) > 140:
            return 422, {"message": "Validation Failed", "status": "422"}, {}
        if sha != SHA:
            return 422, {"message": f"No commit found for SHA: {sha}", "status": "422"}, {}
        self.statuses.append({"sha": sha, **body})
        return 201, {"id": 1, **body}, {}

    def _merge(self, method: str, pull: dict[str, Any] | None, body: Any) -> tuple[int, Any, dict[str, str]]:
        if pull is None:
            return 404, NOT_FOUND, {}
        if method == "GET":
            return (204, b"", {}) if pull.get("merged") else (404, NOT_FOUND, {})
        if pull["state"] != "open":
            return 405, {"message": "Pull Request is not mergeable", "status": "405"}, {}
        if body.get("sha") != pull["head"]["sha"]:
            return 409, {"message": "Head branch was modified. Review and try the merge again.", "status": "409"}, {}
        pull.update(state="closed", merged=True)
        return 200, {"sha": OTHER_SHA, "merged": True, "message": "Pull Request successfully merged"}, {}

    def _page(
        self, rows: list[Any], key: str | None, asked: Asked, query: dict[str, list[str]]
    ) -> tuple[int, Any, dict[str, str]]:
        number = int(query.get("page", ["1"])[0])
        size = min(self.page_size, int(query.get("per_page", ["30"])[0]))
        part = rows[(number - 1) * size : number * size]
        headers = {}
        if number * size < len(rows):
            here = f"{self.url}{asked.path}?per_page={size}&page="
            headers["Link"] = f'<{here}{number + 1}>; rel="next", <{here}{-(-len(rows) // size)}>; rel="last"'
        return 200, {"total_count": len(rows), key: part} if key else part, headers


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    fake: FakeGitHub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536  # one write an answer, or delayed acknowledgements cost 40 ms each
    server: _Server

    def log_message(self, *args: object) -> None:
        pass

    def _serve(self) -> None:
        fake, parts = self.server.fake, urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, parts.path, headers, json.loads(raw) if raw else None)
        fake.asked.append(asked)
        status, body, extra = fake.answer(asked, parse_qs(parts.query))
        whole = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **extra}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(whole)))
        self.end_headers()
        self.wfile.write(whole)

    do_GET = do_POST = do_PUT = _serve


@contextmanager
def fake_github() -> Iterator[FakeGitHub]:
    """Serve an empty repository on a free port of 127.0.0.1."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.fake = FakeGitHub(url=f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True)
        thread.start()
        try:
            yield server.fake
        finally:
            server.shutdown()
            thread.join(5)


def classic_protection(contexts: list[str], approvals: int | None, code_owners: bool = False) -> dict[str, Any]:
    """Return what `GET .../branches/{branch}/protection` answers."""
    answer: dict[str, Any] = {"enforce_admins": {"enabled": True}, "allow_force_pushes": {"enabled": False}}
    if contexts:
        checks = [{"context": context, "app_id": 15368} for context in contexts]
        answer["required_status_checks"] = {"strict": True, "contexts": contexts, "checks": checks}
    if approvals is not None:
        answer["required_pull_request_reviews"] = {
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": code_owners,
            "required_approving_review_count": approvals,
        }
    return answer


def rule(kind: str, **parameters: Any) -> dict[str, Any]:
    """Return one row of what `GET .../rules/branches/{branch}` answers."""
    source = {"ruleset_source_type": "Repository", "ruleset_source": REPOSITORY, "ruleset_id": 42}
    return {"type": kind, **source, **({"parameters": parameters} if parameters else {})}


def run(number: int = 7, **changes: Any) -> dict[str, Any]:
    """Return a successful run of premerge.yml for SHA, changed as told."""
    base = {
        "id": number,
        "name": "premerge",
        "path": ".github/workflows/premerge.yml@main",
        "head_sha": SHA,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "success",
        "run_attempt": 1,
    }
    return {**base, **changes}


def job(number: int, labels: list[str], conclusion: str = "success", **changes: Any) -> dict[str, Any]:
    """Return a completed job of a run."""
    name = f"test ({', '.join(labels)})"
    base = {"id": number, "name": name, "status": "completed", "conclusion": conclusion, "labels": labels}
    return {**base, "runner_name": f"GitHub Actions {number}", **changes}


def pull(number: int, head: str = SHA, state: str = "open", commits: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a pull request into main; `commits` are further commits that it holds."""
    url = f"https://github.com/{REPOSITORY}/pull/{number}"
    shown = {"number": number, "state": state, "title": "Faster hashing", "html_url": url}
    return {**shown, "head": {"sha": head, "ref": "faster"}, "base": {"ref": "main"}, "commits": commits}
