"""The queue in the database: a message is taken once, and an empty queue costs one query."""

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django_q.brokers import get_broker
from django_q.conf import Conf

from rollout.broker import DatabaseBroker

pytestmark = pytest.mark.django_db


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> DatabaseBroker:
    """Return the broker of this host, which does not wait."""
    monkeypatch.setattr(Conf, "POLL", 0)
    found = get_broker()
    assert isinstance(found, DatabaseBroker)
    return found


def test_a_message_is_taken_once(broker: DatabaseBroker) -> None:
    pk = broker.enqueue("a message")
    assert broker.dequeue() == [(pk, "a message")]
    assert broker.dequeue() is None


def test_a_message_of_another_host_is_left(broker: DatabaseBroker) -> None:
    get_broker("guarded-rollout@elsewhere").enqueue("not for us")
    assert broker.dequeue() is None


def test_a_message_that_was_taken_and_not_done_comes_again(
    broker: DatabaseBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Conf, "RETRY", -1)
    pk = broker.enqueue("a message")
    broker.dequeue()
    assert broker.dequeue() == [(pk, "a message")]


def test_an_empty_queue_costs_one_query(broker: DatabaseBroker) -> None:
    with CaptureQueriesContext(connection) as seen:
        broker.dequeue()
    assert len(seen) == 1


def test_queue_of_this_host_is_served(broker: DatabaseBroker) -> None:
    assert broker.list_key == f"guarded-rollout@{settings.GR_HOST_ID}"


def test_a_database_that_does_not_answer_ends_the_cluster_at_once(
    broker: DatabaseBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(self: DatabaseBroker) -> bool:
        raise OperationalError("the connection is closed")

    monkeypatch.setattr(DatabaseBroker, "_waits", gone)
    with pytest.raises(SystemExit, match="the connection is closed"):
        broker.dequeue()
