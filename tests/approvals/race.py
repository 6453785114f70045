"""Fifty people decide at the same moment on a database file; run by test_race.py in a process of its own.

Of its own, because threads need committed rows, and guard triggers refuse the flush that would clean up after them.
"""

import json
import sys
import threading
from collections.abc import Callable, Sequence

import django
from django.core.management import call_command

PEOPLE = 50


def main(mode: str) -> None:
    """Print as JSON what happened."""
    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps(_race(mode)))


def _race(mode: str) -> dict[str, object]:
    from django.db import connection

    from approvals.ledger import Refused
    from approvals.models import Decision, SignOff
    from approvals.rules import Policy
    from monitoring.models import AuditEntry
    from tests.approvals import world
    from tests.base import make_user

    rita = make_user("rita", "release-owner")
    users = [make_user(f"p{number}", "approver", "ops") for number in range(PEOPLE)]
    operator = make_user("olaf", "deploy-operator")
    sign_off = world.opened(rita, policy=Policy(approvers=PEOPLE))
    chosen = users if mode == "everybody" else [users[0]] * PEOPLE
    gate, refused = threading.Barrier(len(chosen)), []

    def decide(user: object) -> None:
        gate.wait()
        try:
            world.decide(sign_off, user)  # type: ignore[arg-type]
        except Refused as refusal:
            refused.append(str(refusal))
        finally:
            connection.close()

    _together(decide, chosen)
    if mode == "everybody":
        world.decide(sign_off, operator)
    return {
        "decisions": Decision.objects.count(),
        "people": Decision.objects.values("user").distinct().count(),
        "seqs": list(Decision.objects.order_by("seq").values_list("seq", flat=True)),
        "audited": AuditEntry.objects.filter(action="sign_off.approved").count(),
        "refused": sorted(set(refused)),
        "state": SignOff.objects.get().state,
    }


def _together(act: Callable[[object], None], people: Sequence[object]) -> None:
    threads = [threading.Thread(target=act, args=(one,)) for one in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1])
