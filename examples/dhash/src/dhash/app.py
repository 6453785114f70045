"""The WSGI application: routes to handlers, handlers to the store and the metrics."""

import hashlib
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from dhash import database, fingerprint, health, metrics, settings, store
from dhash.extraction import ExtractionError, Extractor
from dhash.journal import Journal

CONFIG = settings.load()
JOURNAL = Journal(CONFIG.log_file, version=CONFIG.version, environment=CONFIG.environment)
EXTRACTOR = Extractor(CONFIG)

REASONS = {
    200: "OK",
    201: "Created",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

Answer = tuple[int, object]


class Refused(Exception):
    """The request cannot be served; carries the status and a sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Serve one request."""
    request_id = environ.get("HTTP_X_REQUEST_ID", "")[:64] or uuid.uuid4().hex
    began = time.perf_counter()
    try:
        status, answer = _handler(environ)(environ, request_id)
    except Refused as refusal:
        status, answer = refusal.status, {"error": str(refusal), "request_id": request_id}
    except Exception as error:
        JOURNAL.write("error", "request_failed", request_id=request_id, error=f"{type(error).__name__}: {error}")
        status, answer = 500, {"error": "internal error; the log has it", "request_id": request_id}
    spent = round((time.perf_counter() - began) * 1000, 3)
    if status >= 400:
        path = environ["PATH_INFO"]
        JOURNAL.write("warning", "refused", request_id=request_id, path=path, status=status, ms=spent, answer=answer)
    text = isinstance(answer, str)
    body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode() + b"\n"
    kind = "text/plain; version=0.0.4; charset=utf-8" if text else "application/json"
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("X-Request-ID", request_id)]
    start_response(f"{status} {REASONS[status]}", headers)
    return [body]


def post_image(environ: dict[str, Any], request_id: str) -> Answer:
    """Extract, hash, store and match the image in the body."""
    source = _source(environ)
    data = _body(environ)
    now, began = time.time(), time.perf_counter()
    try:
        frame = EXTRACTOR.extract(data)
    except ExtractionError as error:
        hash_ms = (time.perf_counter() - began) * 1000
        _observe(source, ok=False, hash_ms=hash_ms, now=now)
        raise Refused(422, f"no image could be extracted: {error}") from error
    hash_ms = (time.perf_counter() - began) * 1000
    sha256 = hashlib.sha256(data).hexdigest()
    connection = database.connection(CONFIG.database)
    with database.writing(connection):
        if source == settings.LIVE:
            _record(connection, ok=True, hash_ms=hash_ms, now=now)
        match = store.find_match(connection, frame.hash, source, CONFIG)
        image_id = store.known_image(connection, sha256, source)
        duplicate = image_id is not None
        if image_id is None:
            image_id = store.add_image(connection, frame, sha256, source, now)
            if match is not None and match.confidence == "low":
                store.queue_match(connection, image_id, match, now)
    queued = not duplicate and match is not None and match.confidence == "low"
    found = None if match is None else match.__dict__
    answer = {"id": image_id, "hash": frame.hash, **frame.described, "match": found, "queued": queued}
    spent = round(hash_ms, 3)
    JOURNAL.write("info", "image", request_id=request_id, source=source, duplicate=duplicate, hash_ms=spent, **answer)
    return 201, {**answer, "duplicate": duplicate, "hash_ms": spent}


def get_match(environ: dict[str, Any], request_id: str) -> Answer:
    """Return the nearest known image of ?hash=."""
    wanted = parse_qs(environ.get("QUERY_STRING", "")).get("hash", [""])[0].lower()
    if not fingerprint.is_hash(wanted):
        raise Refused(400, "expected ?hash= with 16 hex digits")
    connection = database.connection(CONFIG.database)
    match = store.find_match(connection, wanted, _source(environ), CONFIG)
    return 200, {"hash": wanted, "match": None if match is None else match.__dict__}


def get_image(environ: dict[str, Any], request_id: str) -> Answer:
    """Return what is known of an image."""
    found = store.get_image(database.connection(CONFIG.database), _image_id(environ))
    if found is None:
        raise Refused(404, "no such image")
    return 200, found


def delete_image(environ: dict[str, Any], request_id: str) -> Answer:
    """Delete an image that a smoke test posted."""
    connection = database.connection(CONFIG.database)
    with database.writing(connection):
        deleted = store.delete_smoke_image(connection, _image_id(environ))
    if not deleted:
        raise Refused(409, "only an image of a smoke test can be deleted")
    return 200, {"deleted": _image_id(environ)}


def get_health(environ: dict[str, Any], request_id: str) -> Answer:
    """Return 200 when the database answers and has this release's schema, 503 otherwise."""
    return health.check(CONFIG)


def get_failures(environ: dict[str, Any], request_id: str) -> Answer:
    """Return the extraction failure rate of the span."""
    connection = database.connection(CONFIG.database)
    return 200, metrics.extraction_failures(connection, now=time.time(), span_s=CONFIG.metrics_span_s)


def get_performance(environ: dict[str, Any], request_id: str) -> Answer:
    """Return the hash time of the span."""
    connection = database.connection(CONFIG.database)
    return 200, metrics.hash_performance(connection, now=time.time(), span_s=CONFIG.metrics_span_s)


def get_queue(environ: dict[str, Any], request_id: str) -> Answer:
    """Return the length of the low-confidence queue."""
    return 200, metrics.queue_status(database.connection(CONFIG.database), now=time.time())


def get_prometheus(environ: dict[str, Any], request_id: str) -> Answer:
    """Return the counters and the histogram as Prometheus text."""
    connection = database.connection(CONFIG.database)
    labels = {"version": CONFIG.version, "environment": CONFIG.environment}
    return 200, metrics.prometheus(connection, now=time.time(), **labels)


ROUTES: dict[str, dict[str, Callable[[dict[str, Any], str], Answer]]] = {
    "/images": {"POST": post_image},
    "/match": {"GET": get_match},
    "/health": {"GET": get_health},
    "/metrics": {"GET": get_prometheus},
    "/metrics/extraction_failures": {"GET": get_failures},
    "/metrics/hash_performance": {"GET": get_performance},
    "/metrics/queue_status": {"GET": get_queue},
    "/images/{id}": {"GET": get_image, "DELETE": delete_image},
}


def _handler(environ: dict[str, Any]) -> Callable[[dict[str, Any], str], Answer]:
    path = environ["PATH_INFO"]
    methods = ROUTES.get("/images/{id}" if re.fullmatch(r"/images/\d{1,18}", path) else path)
    if methods is None:
        raise Refused(404, f"no such address: {path}")
    if environ["REQUEST_METHOD"] not in methods:
        raise Refused(405, f"{path} answers {', '.join(methods)}")
    return methods[environ["REQUEST_METHOD"]]


def _source(environ: dict[str, Any]) -> str:
    return settings.SMOKE if environ.get("HTTP_X_DHASH_SOURCE") == settings.SMOKE else settings.LIVE


def _image_id(environ: dict[str, Any]) -> int:
    return int(environ["PATH_INFO"].rpartition("/")[2])


def _body(environ: dict[str, Any]) -> bytes:
    length = environ.get("CONTENT_LENGTH") or "0"
    size = int(length) if length.isdigit() else 0
    if size == 0:
        raise Refused(400, "expected the bytes of one image in the body, with a Content-Length")
    if size > CONFIG.max_body_bytes:
        raise Refused(413, f"the body has {size} bytes, at most {CONFIG.max_body_bytes} are read")
    data = environ["wsgi.input"].read(size)
    if len(data) != size:
        raise Refused(400, f"the body ended after {len(data)} of {size} bytes")
    return data


def _observe(source: str, *, ok: bool, hash_ms: float, now: float) -> None:
    if source == settings.LIVE:
        connection = database.connection(CONFIG.database)
        with database.writing(connection):
            _record(connection, ok=ok, hash_ms=hash_ms, now=now)


def _record(connection: sqlite3.Connection, *, ok: bool, hash_ms: float, now: float) -> None:
    metrics.record(connection, ok=ok, hash_ms=hash_ms, now=now, keep_s=CONFIG.observations_keep_s)
