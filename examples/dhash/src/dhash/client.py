"""A small HTTP client for the checks and the traffic generator."""

import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

SMOKE_HEADERS = {"X-Dhash-Source": "smoke"}


class Unreachable(Exception):
    """No answer came: refused, reset or timed out."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """What a server answered."""

    status: int
    body: bytes

    def json(self) -> dict:
        """Return the body as a JSON object; raise ValueError when it is none."""
        found = json.loads(self.body)
        if not isinstance(found, dict):
            raise ValueError("the answer is no JSON object")
        return found


def request(
    method: str, url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None, timeout_s: float = 10.0
) -> Response:
    """Send one request on a connection of its own; raise Unreachable."""
    parts = urlsplit(url)
    channel = Channel(f"{parts.scheme}://{parts.netloc}", timeout_s=timeout_s)
    try:
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        return channel.send(method, path, body=body, headers={"Connection": "close", **(headers or {})})
    finally:
        channel.close()


class Channel:
    """A kept-alive connection; one that the server closed while it was idle is opened again."""

    def __init__(self, base_url: str, *, timeout_s: float) -> None:
        parts = urlsplit(base_url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)

    def send(self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str]) -> Response:
        """Return the answer; raise Unreachable."""
        reused = self._connection.sock is not None
        try:
            return self._exchange(method, path, body, headers)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError) as error:
            # A server may close an idle kept-alive connection at any time (RFC 9112, 9.5); posting an image twice
            # is harmless because the service knows its bytes.
            self.close()
            if not reused:
                raise Unreachable(f"{type(error).__name__}: {error}") from error
        except (TimeoutError, OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error
        try:
            return self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Unreachable(f"{type(error).__name__}: {error}") from error

    def close(self) -> None:
        """Close the connection; a later `send` opens a new one."""
        self._connection.close()

    def _exchange(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Response:
        self._connection.request(method, path, body=body, headers=headers)
        answer = self._connection.getresponse()
        return Response(status=answer.status, body=answer.read())
