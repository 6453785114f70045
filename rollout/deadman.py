"""Pings a dead man's switch (healthchecks.io and the like) while this installation is well: silence is the alarm."""

import logging
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection

from monitoring import http
from rollout import readiness

TIMEOUT_S = 10.0

log = logging.getLogger(__name__)


class Switch:
    """Pings from a thread of its own, one at a time, so that a slow answer never delays who asks for it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.pinged_at = float("-inf")
        self.thread: threading.Thread | None = None

    def tick(self) -> None:
        """Ping if it is time to, and the last ping is over."""
        if not settings.GR_HEARTBEAT_URL or self.clock() - self.pinged_at < settings.GR_HEARTBEAT_SECONDS:
            return
        if self.thread is not None and self.thread.is_alive():
            return
        self.pinged_at = self.clock()
        self.thread = threading.Thread(target=ping, name="dead-mans-switch", daemon=True)
        self.thread.start()


def ping() -> None:
    """Ping once, if everything that /readyz asks is well."""
    try:
        wrong = [check.name for check in readiness.look() if not check.ok]
        if wrong:
            log.warning("the dead man's switch is not pinged: %s", ", ".join(wrong))
            return
        url = settings.GR_HEARTBEAT_URL
        answer = http.fetch(url, timeout_s=TIMEOUT_S, allow=[url])
        if answer.status >= 400:
            log.warning("the dead man's switch answered %d", answer.status)
    except (http.HttpError, DatabaseError, OSError) as error:
        log.warning("the dead man's switch is not pinged: %s", error)
    finally:
        connection.close()  # this thread's own
