"""Whether rows that commands come from are what the audit told when they came to be: configurations and backups."""

import json
from collections.abc import Iterator
from typing import Any

from monitoring import audit_told
from monitoring.models import AuditEntry
from rollout import component, transitions
from rollout.models import Backup, Component, Configuration, Target

Json = dict[str, Any]
LOADED, CONFIRMED = "configuration.loaded", "configuration.confirmed"
TAKEN = "backup.taken"
KEPT = (TAKEN, "backup.registered")
STANDS = "it stands in"  # where a configuration was loaded from: paths in it go on from there


def configuration_problems(row: Component) -> Iterator[str]:
    """Yield how the configuration in force is not the one of which the audit last told that it came into force."""
    live = row.configurations.filter(state=Configuration.State.LIVE).first()
    entries, wrong = audit_told.told(AuditEntry.objects.filter(seq__in=_newest(row)))
    yield from wrong
    if live is None or not entries:
        yield f"no entry of the audit tells that a configuration of {row} came into force"
        return
    if entries[0]["action"] != LOADED:
        yield f"no entry of the audit tells that the configuration of {row} was loaded"
    told = {name: value for one in entries for name, value in one["data"].items()}
    if not told["sha256"] == live.sha256 == component.sha256_of(live.text, live.gates_text):
        yield f"the configuration of {row} is not the one that came into force by #{entries[-1]['seq']}"
    elif f"{STANDS} {live.base_dir}" not in told.get("places", [f"{STANDS} {live.base_dir}"]):  # of old: not told
        yield f"the configuration of {row} stands elsewhere than #{entries[0]['seq']} says"


def waiting_problems(row: Configuration) -> Iterator[str]:
    """Yield how a configuration that waits is not the one that the audit tells this person loaded."""
    mine = AuditEntry.objects.filter(
        subject_kind="component", subject_id=str(row.component_id), action=LOADED, body__contains=row.sha256
    )
    entries, wrong = audit_told.told(mine)
    yield from wrong
    digest, stands = component.sha256_of(row.text, row.gates_text), f"{STANDS} {row.base_dir}"
    fitting = [
        one["seq"]
        for one in entries
        if one["data"]["sha256"] == digest == row.sha256
        and stands in one["data"].get("places", ())
        and one["person"].get("name", row.loaded_by) == row.loaded_by  # of an erased person nothing is known
    ]
    if not fitting:
        yield f"no entry of the audit tells that {row.loaded_by} loaded it from {row.base_dir}"
    else:
        yield from audit_told.broken_since(*audit_told.root_of(fitting[-1]))


def backup_problems(backup: Backup, *, target: Target, deploy: Json | None = None) -> Iterator[str]:
    """Yield how a backup is not one of which the audit told that it was taken of a target, by anybody or by a deploy.

    `deploy`: the entry that opened it. An older version did not tell which run took a backup.
    """
    subject = transitions.subject_of(target)
    mine = AuditEntry.objects.filter(
        subject_kind=subject.kind, subject_id=subject.id, action__in=KEPT, body__contains=backup.sha256
    )
    entries, wrong = audit_told.told(mine)
    yield from wrong
    version = backup.release_version
    fitting = [
        one
        for one in entries
        if one["data"]["sha256"] == backup.sha256 and one["data"].get("release", version) == version
    ]
    if deploy is not None:
        fitting = [one for one in fitting if one["seq"] > deploy["seq"] and _took(one, int(deploy["subject"]["id"]))]
    if not fitting:
        yield f"no entry of the audit tells of the backup {backup}{' by the deploy that it undoes' if deploy else ''}"


def _took(entry: Json, run_id: int) -> bool:
    """Say whether an entry tells of the backup that a deploy took, and not of an undo copy or one on request."""
    wanted = {"run": run_id, "kind": Backup.Kind.BACKUP}
    return entry["action"] == TAKEN and all(entry["data"].get(name, value) == value for name, value in wanted.items())


def _newest(row: Component) -> list[int]:
    """Return the number of the entry by which the configuration in force came to be, and that of its loading."""
    mine = AuditEntry.objects.filter(subject_kind="component", subject_id=str(row.pk), action__in=(LOADED, CONFIRMED))
    confirmed: dict[str, int] = {}
    for seq, action, body in mine.order_by("-seq").values_list("seq", "action", "body").iterator(chunk_size=20):
        try:
            digest, pending = (told := json.loads(body)["data"])["sha256"], told.get("pending", False)
        except audit_told.BROKEN:
            return [seq]  # somebody wrote into it, which is told of it
        if action == CONFIRMED:
            confirmed = confirmed or {digest: seq}
        elif digest in confirmed or not (confirmed or pending):
            return [seq, *confirmed.values()]
    return list(confirmed.values())
