"""The queue in our database, as django-q keeps it, but an empty one is asked with a plain query, 20 times a second."""

from time import sleep

from django.db import InterfaceError, OperationalError, connections
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf


class DatabaseBroker(ORM):
    """What django-q's own broker does, at a fraction of its CPU while nothing waits."""

    def dequeue(self) -> list[tuple[int, str]] | None:
        """Take the next message; wait a moment when there is none.

        Raises SystemExit when the database does not answer: the cluster leaves and is started again, with new
        connections. Of any other exception django-q's process would end, too, but ten seconds later.
        """
        try:
            if self._waits():
                found: list[tuple[int, str]] | None = super().dequeue()
                return found
        except (InterfaceError, OperationalError) as error:
            raise SystemExit(f"the database does not answer, so this cluster leaves: {error}")
        sleep(Conf.POLL)
        return None

    def _waits(self) -> bool:
        table, connection = self.get_connection().model._meta.db_table, connections[Conf.ORM]
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT 1 FROM {table} WHERE key = %s AND lock < %s LIMIT 1",  # noqa: S608
                [self.list_key, now],
            )
            return cursor.fetchone() is not None
