"""Read settings from the environment, from files that it names, and from `.env`; a misspelt one is told by name."""

import ipaddress
import math
import os
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.FileAwareEnv):
    """Environment variables; NAME_FILE names a file that holds the value of NAME, without the newline at its end."""

    def get_value(self, var: str, *args: Any, **kwargs: Any) -> Any:
        """Return the value of a name as django-environ does, from a clean text."""
        if os.environ.get(f"{var}_FILE"):
            self.ENVIRON.files_cache[var] = Path(os.environ[f"{var}_FILE"]).read_text("utf-8").rstrip("\r\n")
        return super().get_value(var, *args, **kwargs)


def seconds(name: str, default: float, low: float) -> float:
    """Return a span of at least `low` seconds from the environment; a misspelt one is told, not guessed at."""
    text = env(name, default=str(default))
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value < math.inf:
        raise ImproperlyConfigured(f"{name} is {text!r}: a number of seconds from {low:g} is expected.")
    return value


def address(name: str, *schemes: str) -> str:
    """Return a URL from the environment, or "" without one; raise where its scheme is none of these."""
    url: str = env(name, default="")
    if url and not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        raise ImproperlyConfigured(f"{name} is set, but does not begin with {' or '.join(schemes)}, and ://")
    return url


def needed(name: str, because: str) -> str:
    """Return a text from the environment; raise where it is missing, because another setting is given."""
    text: str = env(name, default="")
    if not text:
        raise ImproperlyConfigured(f"{because} is set, so {name} is needed, too.")
    return text


def networks(name: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    """Return addresses and networks from a comma list of the environment; a misspelt one is told, not left out."""
    found = []
    for text in env.list(name, default=[]):
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            raise ImproperlyConfigured(f"{name}: {text!r} is no address and no network ({error}).") from None
    return tuple(found)


def database(name: str, default: str) -> dict[str, Any]:
    """Return the database of a URL in the environment, as it has to be so that nothing acknowledged is lost."""
    found: dict[str, Any] = {**env.db_url(name, default=default), "CONN_MAX_AGE": 600}
    if found["ENGINE"].endswith("sqlite3"):
        # FULL, because NORMAL lost acknowledged commits in 3 of 15 power cuts; IMMEDIATE, because a deferred
        # transaction that turns into a writer fails with "database is locked" (LIBRARIES.md, RELIABILITY.md).
        options = {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;"
            "PRAGMA recursive_triggers=ON;",
        }
        return {**found, "ENGINE": "rollout.fair_sqlite3", "OPTIONS": options}
    # One that the network lost says nothing: the connection must fail within 20 s, or pulse and worker wait for hours.
    options = {
        "prepare_threshold": 2,  # of monitoring/prepared.py
        "connect_timeout": 5,
        "tcp_user_timeout": 20_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
        **found.get("OPTIONS", {}),
    }
    return {**found, "CONN_HEALTH_CHECKS": True, "OPTIONS": options}  # a server that restarted costs no request


env = Environment()
env.read_env(BASE_DIR / ".env")
