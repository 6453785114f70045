"""Admins who confirm at the same moment; run by test_people_race.py in a process of its own, on a database of its own.

Of its own, because threads need committed rows, and guard triggers refuse the flush that would clean up after them.
"""

import json
import sys
import threading
from collections.abc import Callable, Sequence

import django
from django.core.management import call_command

ADMINS = 8


def main(mode: str) -> None:
    """Print as JSON what happened."""
    django.setup()
    call_command("migrate", verbosity=0)
    print(json.dumps({"one": _one_change, "crossed": _crossed, "last": _last}[mode]()))


def _one_change() -> dict[str, object]:
    """Let every other admin confirm one change."""
    from approvals import changes
    from tests.approvals.people_world import asker, proposed
    from tests.base import make_user

    admins = [make_user(f"a{number}", "admin") for number in range(ADMINS)]
    change = proposed(admins[0], make_user("ann", "approver"), "triage")
    return _together([lambda one=one: changes.confirm(change, asker=asker(one)) for one in admins[1:]])


def _crossed() -> dict[str, object]:
    """Let three admins take the role from each other: each change is right, and all three would leave nobody."""
    from approvals import changes
    from tests.approvals.people_world import asker, proposed
    from tests.base import make_user

    ann, ben, cid = (make_user(name, "admin") for name in ("ann", "ben", "cid"))
    waiting = [(proposed(ben, ann), cid), (proposed(cid, ben), ann), (proposed(ann, cid), ben)]
    return _together([lambda change=change, by=by: changes.confirm(change, asker=asker(by)) for change, by in waiting])


def _last() -> dict[str, object]:
    """Take the role from both admins past every verb, as a shell could."""
    from tests.base import make_user

    return _together([make_user(name, "admin").groups.clear for name in ("ann", "ben")])


def _together(acts: Sequence[Callable[[], object]]) -> dict[str, object]:
    from django.db import DatabaseError, connection

    from approvals import roles
    from approvals.models import ChangeAnswer
    from approvals.proof import Refused
    from monitoring.models import AuditEntry

    gate, refused = threading.Barrier(len(acts)), []

    def run(act: Callable[[], object]) -> None:
        gate.wait()
        try:
            act()
        except (Refused, DatabaseError) as refusal:
            refused.append(str(refusal).splitlines()[0])
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "admins": len(roles.admins()),
        "answers": ChangeAnswer.objects.count(),
        "changed": AuditEntry.objects.filter(action="person.rights_changed").count(),
        "refused": len(refused),
        "why": sorted(set(refused)),
    }


if __name__ == "__main__":
    main(sys.argv[1])
