"""What the tests of pages share: a client signed in as one of the cast, and a count of queries."""

from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.base import Client


def browser(user: User) -> Client:
    """Return a client that is signed in."""
    client = Client()
    client.force_login(user)
    return client


def queries(client: Client, url: str) -> int:
    """Return how many queries a page takes; it must answer 200."""
    with CaptureQueriesContext(
        connection,
    ) as seen:
        assert client.get(url).status_code == 200
    return len(seen)
