"""Puts rows back to what the audit tells of them, where somebody wrote something else: a run has to end somewhere.

Only how a run or rollout stands, and of which kind and rollout a run is: by these the engine knows what may come next,
and who holds a target. Whoever does it ends, parks or begins a run in the same turn.
"""

import logging
from typing import Any

from django.db.models import F

from monitoring import audit, audit_told
from monitoring.models import AuditEntry
from rollout import opened, states, transitions
from rollout.models import Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from rollout.states import StepState as S

log = logging.getLogger(__name__)
ACTIVE: dict[type[Rollout | Run], frozenset[Any]] = {Rollout: states.ACTIVE, Run: states.RUN_ACTIVE}


def put_back(row: Run | Rollout) -> None:
    """Let a row stand as the newest entry about it says, if entries tell of it and can be read.

    A run is of the kind, and of the rollout, for which the one entry that opened it was written.
    """
    told = _told_of(row)
    if told.get("state") in ACTIVE[type(row)]:
        make_way(row.target, but=row)
    _stand(row, told)


def set_right(rollout: Rollout) -> None:
    """Let a rollout on which a person wants to act stand as entries tell; where one was edited, as the others do.

    So no row that somebody wrote keeps people from bringing a service back.
    """
    with audit.turn():
        put_back(rollout)
        if not _told_of(rollout):
            found = moves_of(rollout.pk)
            _stand(rollout, {"state": found[-1][1]} if found else {})


def to_its_place(rollout: Rollout) -> None:
    """Let a rollout be of the target for which its newest deploy was opened; an older version did not tell."""
    with audit.turn():
        deploy = rollout.runs.filter(kind=Run.Kind.DEPLOY).order_by("-pk").first()
        entry = opened.entry_of(audit_told.sound_about("run", [deploy.pk])) if deploy is not None else None
        place = Target.objects.filter(pk=entry["data"].get("target", 0)).first() if entry else None
        if entry and place is not None and opened.is_named(place, entry):
            _stand(rollout, {"target_id": place.pk})


def make_way(target: Target, *, but: Run | Rollout) -> None:
    """Put back the other rows by which somebody seems to hold a target: one may, and each of them would keep it.

    A row of which no entry tells at all is cancelled. Where an entry about it was edited, the others tell; but not that
    it only waits: then the edited one may have told that it began.
    """
    for row in holders(target, but):
        _stand(row, _told_of(row) or _told_by_the_others(row))


def bring_to_light(target: Target) -> Run | None:
    """Put back and return the run that is at work at a target, where its row says that it is over, or parked."""
    run = hidden(target)
    if run is None:
        return None
    before = run.state
    put_back(run)
    put_back(run.rollout)
    return run if run.state != before and run.state in states.RUN_ACTIVE else None


def hidden(target: Target) -> Run | None:
    """Return the run whose step was begun last at a target, and did not end, if its row does not say that it goes on.

    By what stands in columns, so it has to be compared; and it may just have ended, where it is asked without a turn.
    """
    place = {"component": target.component.name, "environment": target.environment.name, "subject_kind": "step"}
    told = audit_told.written().filter(**place).exclude(new="").order_by("-seq")
    newest = told.values_list("subject_id", "new", "seq").first()
    begun = newest is not None and newest[0][:18].isdecimal() and (newest[1] == S.RUNNING or _is_edited(newest[2]))
    step = Step.objects.filter(pk=newest[0][:18]).first() if newest and begun else None
    return step.run if step is not None and step.run.state != N.RUNNING else None


def _is_edited(seq: int) -> bool:
    return bool(audit_told.told(AuditEntry.objects.filter(seq=seq))[1])


def is_disowned(target: Target) -> Rollout | None:
    """Return the rollout that last succeeded at a target, if its row says something else, and no entry since does."""
    place = {"component": target.component.name, "environment": target.environment.name, "subject_kind": "rollout"}
    told = audit_told.written().filter(**place).exclude(new="").order_by("-seq")
    for key in told.filter(action=f"rollout.{R.SUCCEEDED.lower()}").values_list("subject_id", flat=True):
        if told.filter(subject_id=key, action__startswith="rollout.").values_list("new", flat=True)[0] == R.SUCCEEDED:
            rows = Rollout.objects.with_places().filter(pk=key) if key[:18].isdecimal() else Rollout.objects.none()
            return rows.exclude(state=R.SUCCEEDED).first()  # the newest that was not rolled back since
    return None


def moves_of(number: object) -> list[tuple[int, str]]:
    """Return how a rollout moved by entries that stand as they were written: the entry's number and the state."""
    entries = audit_told.sound_about("rollout", [number])
    return [(one["seq"], one["new"]) for one in entries if one["new"] and one["action"].startswith("rollout.")]


def is_unclear(row: Run | Rollout) -> bool:
    """Say whether the audit does not tell how a row stands, because entries about it were edited, or are gone."""
    return not _told_of(row)


def in_the_way(target: Target, *, but: Run | Rollout) -> str:
    """Return which row seems to hold a target, though the audit does not tell so; empty when none does. In a turn."""
    untold = (row for row in holders(target, but) if _told_of(row).get("state") != row.state)
    row = next(untold, None)
    return f"{transitions.KINDS[type(row)]} {row.pk} seems to hold the target; the database was edited" if row else ""


def holders(target: Target, but: Run | Rollout) -> list[Run | Rollout]:
    """Return the rows that claim to be active at a target, but for a rollout and its runs, or a run and its rollout."""
    mine = but.rollout_id if isinstance(but, Run) else but.pk
    rollouts = Rollout.objects.filter(target=target, state__in=states.ACTIVE).exclude(pk=mine)
    runs = Run.objects.filter(target=target, state__in=states.RUN_ACTIVE).exclude(rollout=mine)
    return [*rollouts, *runs]


def _told_of(row: Run | Rollout) -> dict[str, Any]:
    """Return the columns that entries tell of a row; none where no entry does, or something is wrong with them."""
    kind = transitions.KINDS[type(row)]
    entries, wrong = audit_told.about(kind, [row.pk])
    found = _states(kind, entries)
    if wrong or not found:
        return {}
    told: dict[str, Any] = {"state": found[-1]}
    if isinstance(row, Run) and (opening := opened.entry_of(entries)):
        told |= {"kind": opening["action"].split(".")[1], "rollout_id": opening["data"].get("rollout", row.rollout_id)}
    return told


def _told_by_the_others(row: Run | Rollout) -> dict[str, Any]:
    kind = transitions.KINDS[type(row)]
    if not audit_told.is_known(kind, row.pk):
        return {"state": "CANCELLED"}
    found = _states(kind, audit_told.sound_about(kind, [row.pk]))
    if not found or found[-1] in {*ACTIVE[type(row)], "QUEUED"}:
        return {}
    return {"state": found[-1]}


def _states(kind: str, entries: list[dict[str, Any]]) -> list[str]:
    """Return the states that entries tell of a row of a kind, the oldest first; pure."""
    return [one["new"] for one in entries if one["new"] and one["action"].startswith(f"{kind}.")]


def _stand(row: Run | Rollout, told: dict[str, Any]) -> None:
    # as it stands now: whoever read it before somebody moved it has lost a race, and is to be told so by his own move
    edited = type(row)._default_manager.filter(pk=row.pk).exclude(**told)
    if told and edited.update(**told, version=F("version") + 1):
        kind = transitions.KINDS[type(row)]
        log.warning("the row of %s %s was edited; the audit tells %s, and so it stands again", kind, row.pk, told)
        row.refresh_from_db(fields=[name.removesuffix("_id") for name in told] + ["version"])
