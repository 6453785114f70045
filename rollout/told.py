"""Whether rows that commands come from are what the audit told when they came to be: configurations and backups."""

import json
from collections.abc import Iterator
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from monitoring import audit, audit_told
from monitoring.models import AuditEntry
from rollout import component, transitions
from rollout.models import Backup, Component, Configuration, Run, Target

Json = dict[str, Any]
LOADED, CONFIRMED = "configuration.loaded", "configuration.confirmed"
ANSWERS = (CONFIRMED, "configuration.refused", "configuration.withdrawn", "configuration.expired")
TAKEN = "backup.taken"
KEPT = (TAKEN, "backup.registered")
STANDS = "it stands in"  # where a configuration was loaded from: paths in it go on from there


def configuration_problems(row: Component) -> Iterator[str]:
    """Yield how the configuration in force is not the one of which the audit last told that it came into force."""
    live = row.configurations.filter(state=Configuration.State.LIVE).first()
    entries, wrong = _came_into_force(row)
    yield from wrong
    if live is None or not entries:
        yield f"no entry of the audit tells that a configuration of {row} came into force"
        return
    if entries[0]["action"] != LOADED:
        yield f"no entry of the audit tells that the configuration of {row} was loaded"
    if not _has_told_text(live, entries):
        yield f"the configuration of {row} is not the one that came into force by #{entries[-1]['seq']}"
    elif not _has_told_place(live, entries):
        yield f"the configuration of {row} stands elsewhere than #{entries[0]['seq']} says"


def target_problems(target: Target) -> Iterator[str]:
    """Yield how what a target is reached by is not what the audit tells to be in force.

    Of one that the configuration in force does not declare any more: what came into force before it.
    """
    yield from configuration_problems(target.component)
    try:
        row = target.declaration[0]
    except component.ComponentError as error:
        yield f"nothing declares {target}: {error}"
        return
    if row.state != Configuration.State.LIVE:
        yield from _past_problems(row)


def in_force(row: Component, *others: Configuration) -> Configuration | None:
    """Return the configuration that came into force by what the audit tells, whichever row says that it is the one.

    It is looked for among the rows of the component, then among others, by its text and its place; None where it is
    not to be found, or its entries do not hold.
    """
    entries, wrong = _came_into_force(row)
    if wrong or not entries or entries[0]["action"] != LOADED:
        return None
    rows = sorted(row.configurations.all(), key=lambda one: (one.state != Configuration.State.LIVE, -one.pk))
    fitting = (one for one in (*rows, *others) if _has_told_text(one, entries) and _has_told_place(one, entries))
    return next(fitting, None)


def borne_out(row: Component, *others: Configuration) -> Configuration | None:
    """Return the configuration that is `in_force`, where the whole chain holds since: no entry hides a newer one.

    That reads every entry since, so it is for who is about to put another one in force, and not for each step.
    """
    first = min(_newest(row), default=0)
    if not first or audit_told.broken_from(first, by_anchor=False):
        return None
    return in_force(row, *others)


def is_known(name: str) -> bool:
    """Say whether the audit tells anything of a component of a name."""
    return AuditEntry.objects.filter(component=name).exists()


def waiting_problems(row: Configuration) -> Iterator[str]:
    """Yield how a configuration that waits is not the one that the audit tells this person loaded, and nobody answered.

    What the newest entry about this very row tells is what counts.
    """
    seq, action = _newest_about(row)
    entries, wrong = audit_told.told(AuditEntry.objects.filter(seq=seq))
    yield from wrong
    if action in ANSWERS:
        yield f"#{seq} tells that it was {action.rpartition('.')[2]} already"
    elif not entries or not _is_loading(entries[0], row):
        yield f"no entry of the audit tells that {row.loaded_by} loaded it from {row.base_dir} when its row says"
    else:
        yield from audit_told.broken_from(seq)


def backup_problems(
    backup: Backup, *, target: Target, deploy: Json | None = None, chosen: bool = False
) -> Iterator[str]:
    """Yield how a backup is not one of which the audit told that it was taken of a target, by anybody or by a deploy.

    `deploy`: the entry that opened it. An older version did not tell which run took a backup. `chosen`: a person named
    the file, which was read whole; then an entry about it that somebody edited does not keep him from it.
    """
    subject = transitions.subject_of(target)
    mine = audit_told.written().filter(
        subject_kind=subject.kind, subject_id=subject.id, action__in=KEPT, body__contains=backup.sha256
    )
    entries, wrong = audit_told.told(mine)
    if chosen and wrong:
        return
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


def taken_by(runs: QuerySet[Run], *, target: Target) -> Backup | None:
    """Return the backup of which the audit tells that these runs took it of a target, before they changed anything."""
    subject = transitions.subject_of(target)
    mine = audit_told.written().filter(subject_kind=subject.kind, subject_id=subject.id, action=TAKEN)
    for pk in runs.order_by("-pk").values_list("pk", flat=True):
        entries, wrong = audit_told.told(mine.filter(body__contains=f'"run":{pk}'))
        taken = [one["data"]["sha256"] for one in entries if not wrong and _took(one, pk)]
        if taken:
            return Backup.objects.filter(target=target, sha256=taken[-1], run=pk).first()
    return None


def _took(entry: Json, run_id: int) -> bool:
    """Say whether an entry tells of the backup that a deploy took, and not of an undo copy or one on request."""
    wanted = {"run": run_id, "kind": Backup.Kind.BACKUP}
    return entry["action"] == TAKEN and all(entry["data"].get(name, value) == value for name, value in wanted.items())


def _past_problems(row: Configuration) -> Iterator[str]:
    """Yield how a configuration that was in force once is not one of which the audit tells that."""
    entries, wrong = audit_told.told(_of(row.component, LOADED, CONFIRMED).filter(body__contains=row.sha256))
    yield from wrong
    in_force = [one for one in entries if not one["data"].get("pending", False)]
    if not any(_has_told_text(row, [one]) and _has_told_place(row, [one]) for one in in_force):
        yield f"no entry of the audit tells that the configuration {row}, which declares the target, came into force"


def _came_into_force(row: Component) -> tuple[list[Json], list[str]]:
    """Return the entries by which the configuration in force came to be, the loading first; and what is wrong with it.

    What is wrong with newer ones about configurations counts: by an edited column one hides from whoever filters.
    """
    numbers = _newest(row)
    entries, wrong = audit_told.told(AuditEntry.objects.filter(seq__in=numbers))
    told_so = Q(action__in=(LOADED, *ANSWERS), body__contains=f'"id":"{row.pk}","kind":"component"')
    about = told_so | Q(subject_kind="component", subject_id=str(row.pk))
    newer = AuditEntry.objects.filter(about, seq__gt=min(numbers, default=0)).exclude(seq__in=numbers)
    return entries, wrong + audit_told.told(newer)[1]


def _has_told_text(one: Configuration, entries: list[Json]) -> bool:
    return bool(entries[-1]["data"]["sha256"] == one.sha256 == component.sha256_of(one.text, one.gates_text))


def _has_told_place(one: Configuration, entries: list[Json]) -> bool:
    told = next((entry["data"]["places"] for entry in entries[::-1] if "places" in entry["data"]), None)
    return told is None or f"{STANDS} {one.base_dir}" in told  # of old: not told


def _is_loading(entry: Json, row: Configuration) -> bool:
    """Say whether an entry tells that a configuration was loaded as its row says: what, from where, by whom, when."""
    loader = User.objects.filter(username=row.loaded_by).values_list("pk", flat=True).first()
    return bool(
        entry["data"]["sha256"] == component.sha256_of(row.text, row.gates_text) == row.sha256
        and f"{STANDS} {row.base_dir}" in entry["data"].get("places", ())
        and entry["person"].get("name", row.loaded_by) == row.loaded_by  # of an erased person the number is left
        and entry["actor"]["id"] in (loader, None)  # whoever loaded it in the shell may have the name of an account
        and entry["at"] == audit.stamp(row.loaded_at)
    )


def _newest_about(row: Configuration) -> tuple[int, str]:
    """Return number and action of the newest entry about a configuration; (0, "") where there is none.

    Older versions did not tell which row: there, every entry of its digest is taken to be about it.
    """
    mine = _of(row.component).order_by("-seq").values_list("seq", "action", "body")
    for seq, action, body in mine.iterator(chunk_size=20):
        try:
            told = json.loads(body)["data"]
            if told.get("configuration") == row.pk or ("configuration" not in told and told["sha256"] == row.sha256):
                return seq, action
        except audit_told.BROKEN:
            return seq, action  # somebody wrote into it, which is told of it
    return 0, ""


def _newest(row: Component) -> list[int]:
    """Return the number of the entry by which the configuration in force came to be, and that of its loading."""
    confirmed: dict[str, int] = {}
    mine = _of(row, LOADED, CONFIRMED).order_by("-seq")
    for seq, action, body in mine.values_list("seq", "action", "body").iterator(chunk_size=20):
        try:
            digest, pending = (told := json.loads(body)["data"])["sha256"], told.get("pending", False)
        except audit_told.BROKEN:
            return [seq]  # somebody wrote into it, which is told of it
        if action == CONFIRMED:
            confirmed = confirmed or {digest: seq}
        elif digest in confirmed or not (confirmed or pending):
            return [seq, *confirmed.values()]
    return list(confirmed.values())


def _of(row: Component, *actions: str) -> QuerySet[AuditEntry]:
    wanted = actions or (LOADED, *ANSWERS)
    return AuditEntry.objects.filter(subject_kind="component", subject_id=str(row.pk), action__in=wanted)
