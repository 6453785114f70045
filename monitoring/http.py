"""The one HTTP client: a deadline for the whole request, a cap on the answer, no redirects, no secrets in errors."""

import json as jsonlib
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from monitoring import deadline

DEFAULT_LIMIT = 65536
PORTS = {"http": 80, "https": 443}
# urllib3 logs whole URLs, and a webhook's URL is its secret. A filter outlives the logging configuration.
for _chatty in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_chatty}").addFilter(lambda _: False)


class HttpError(Exception):
    """A request got no usable answer; `permanent`: trying again cannot help. Names the origin, never path or query."""

    def __init__(self, message: str, permanent: bool) -> None:
        super().__init__(message)
        self.message = message
        self.permanent = permanent


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer, of any status: 3xx is returned, never followed. Header names are matched in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float

    def json(self) -> Any:
        """Return the body as JSON; raise HttpError when it is none."""
        try:
            return jsonlib.loads(self.body)
        except (ValueError, RecursionError):
            size = len(self.body)
            raise HttpError(f"expected JSON, got {size} bytes of something else, status {self.status}", False) from None


def origin(url: str) -> str:
    """Return "scheme://host:port" of `url`, default port included; raise HttpError unless it is a plain http(s) URL."""
    if any(ch.isspace() or not ch.isprintable() or ch == "\\" for ch in url):
        raise HttpError("the URL holds a space, a backslash or a control character", True)
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname, parts.port
    except ValueError:
        raise HttpError("the URL cannot be read", True) from None
    if scheme not in PORTS or not host:
        raise HttpError("expected a URL that begins with https:// or http:// and names a host", True)
    if "@" in parts.netloc:
        raise HttpError("the URL holds a user name or password; send credentials in a header", True)
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}:{PORTS[scheme] if port is None else port}"


def fetch(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    json: object = None,
    body: bytes | None = None,
    timeout_s: float,
    limit_bytes: int = DEFAULT_LIMIT,
    allow: Collection[str] | None,
) -> Response:
    """Return the answer to one request, all of it within `timeout_s` seconds; raise HttpError.

    `allow` holds the origins that may be reached; None: the caller answers for `url` (a target of component.toml).
    """
    name = origin(url)
    wanted = requests.Request(method, url, headers=dict(headers or {}), data=body, json=json)
    try:
        request = _session().prepare_request(wanted)
    except (requests.RequestException, TypeError, ValueError):
        # Not quoted: the text of a refused header may be the token itself.
        raise HttpError(f"the request to {name} cannot be sent: malformed header, URL or body", True) from None
    # Judged on the very text that is connected to, so that no second way of reading a URL can slip through.
    name = origin(request.url or "")
    if allow is not None and name not in {origin(one) for one in allow}:
        raise HttpError(f"{name} is not among the allowed origins", True)
    return _send(name, request, timeout_s, limit_bytes)


def _send(name: str, request: requests.PreparedRequest, timeout_s: float, limit_bytes: int) -> Response:
    deadline.start(timeout_s)
    try:
        try:
            return _exchange(name, request, timeout_s, limit_bytes)
        except _BROKEN:
            # A kept connection that the server closed meanwhile says nothing about its health: ask again on a new one.
            if deadline.current.dialled or request.method not in ("GET", "HEAD"):
                raise
            _session().close()
            return _exchange(name, request, timeout_s, limit_bytes)
    except _BROKEN as problem:
        raise HttpError(_explain(name, problem, timeout_s), False) from None


def _exchange(name: str, request: requests.PreparedRequest, timeout_s: float, limit_bytes: int) -> Response:
    begun = time.monotonic()
    send = _session().send
    with send(request, timeout=timeout_s, stream=True, verify=True, proxies={}, allow_redirects=False) as answer:
        status, body = answer.status_code, bytearray()
        for chunk in answer.iter_content(8192):
            body += chunk
            if len(body) > limit_bytes:
                raise HttpError(f"{name} answered {status} with more than {limit_bytes} bytes", status < 500)
        elapsed = time.monotonic() - begun
        return Response(status=status, headers=answer.headers, body=bytes(body), elapsed_s=elapsed)


_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


def _explain(name: str, problem: BaseException, timeout_s: float) -> str:
    for cause in _causes(problem):
        match cause:
            case TimeoutError():
                return f"{name} did not answer within {timeout_s:g} s"
            case ssl.SSLCertVerificationError():
                return f"the certificate of {name} is not trusted: {cause.verify_message}"
            case ssl.SSLError():
                return f"no TLS connection to {name}: {cause.reason}"
            case socket.gaierror() | UnicodeError():
                return f"the host name of {name} was not found"
            case ConnectionRefusedError():
                return f"{name} refused the connection"
    return f"{name} broke the connection before its answer was whole"


def _causes(problem: BaseException | None) -> Iterator[BaseException]:
    while problem is not None:
        yield problem
        problem = problem.__cause__ or problem.__context__


class _Kept(threading.local):
    """A thread's own session (requests does not promise that threads may share one) and the process that made it."""

    session: requests.Session | None = None
    pid = 0


_kept = _Kept()


def _session() -> requests.Session:
    if _kept.session is None or _kept.pid != os.getpid():  # a forked child must not speak on its parent's connections
        session = _Session()
        session.trust_env = False
        session.headers.clear()
        session.headers.update({"User-Agent": "guarded-rollout", "Accept": "*/*", "Accept-Encoding": "identity"})
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.mount("https://", _Adapter())
        session.mount("http://", _Adapter())
        _kept.session, _kept.pid = session, os.getpid()
    return _kept.session


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        # Even unfollowed, requests prepares the next request, and for that reads a redirect's whole body, uncapped.
        return None


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=deadline.tls_context(), **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": deadline.Pool, "https": deadline.TlsPool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        # The context holds the authorities already; requests would load its bundle again for each connection, 10 ms.
        conn.cert_reqs = "CERT_REQUIRED"
