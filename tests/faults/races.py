"""Fifty processes click at once, round after round: `python -m tests.faults.races SEED KIND=ROUNDS…`.

They send real forms to the real views. Prints as JSON what happened, and what should not have.
"""

import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from approvals.models import Decision  # noqa: E402
from monitoring.models import AuditEntry  # noqa: E402
from rollout import nudge, runner, states  # noqa: E402
from rollout.models import Artifact, BreakGlass, Rollout, Run, Target  # noqa: E402
from rollout.states import RolloutState as R  # noqa: E402
from rollout.states import RunState as N  # noqa: E402
from rollout.views import needs  # noqa: E402
from tests import factories  # noqa: E402
from tests.base import make_cast  # noqa: E402
from tests.faults.crowd import (  # noqa: E402
    Click,
    Crowd,
    broken,
    browser,
    expect,
    losers,
    one_winner,
)
from tests.faults.race_parts import CAST, PEOPLE, Race, decision, form, sign_in, target, version  # noqa: E402


def approve(number: int) -> Race:
    """One person approves in fifty tabs."""
    rollout = factories.make_waiting(target(), CAST["rita"], version(number))

    def judge(told: list[dict[str, Any]]) -> list[str]:
        made = Decision.objects.filter(sign_off=rollout.sign_off)
        faults = one_winner(told, ("decision", made.first().pk if made else 0))
        return faults + expect(made.count() == 1, f"{made.count()} decisions")

    return Race([decision(rollout, "ann", "APPROVE") for _ in range(PEOPLE)], judge)


def same_key(number: int) -> Race:
    """One click arrives fifty times: all are led to the same place, one thing is done."""
    rollout = factories.make_approved(target(), CAST, version(number))
    click = form("olaf", rollout, "start")

    def judge(told: list[dict[str, Any]]) -> list[str]:
        runs = Run.objects.filter(rollout=rollout, kind="deploy").count()
        led = all(one["status"] == 302 and one["to"] == rollout.get_absolute_url() for one in told)
        return broken(told) + expect(led, "not all were led to the rollout") + expect(runs == 1, f"{runs} runs")

    return Race([click] * PEOPLE, judge)


def approve_revoke(number: int) -> Race:
    """One person approves and takes back in fifty tabs: what stands in the ledger takes turns."""
    rollout = factories.make_waiting(target(), CAST["rita"], version(number))

    def judge(told: list[dict[str, Any]]) -> list[str]:
        kinds = list(Decision.objects.filter(sign_off=rollout.sign_off).order_by("seq").values_list("kind", flat=True))
        turns = [("APPROVE", "REVOKE")[place % 2] for place in range(len(kinds))]
        won = sum(one["status"] == 302 for one in told)
        faults = expect(kinds == turns, f"decisions {kinds}") + expect(won == len(kinds), f"{won} told that they won")
        # whoever takes back before anybody approved has lost to nobody: he is told of the draft
        return faults + broken(told) + losers(told, "decision", "rollout")

    clicks = [decision(rollout, "ann", kind) for _ in range(PEOPLE // 2) for kind in ("APPROVE", "REVOKE")]
    return Race(clicks, judge)


def revoke_start(number: int) -> Race:
    """An approver takes back while the operator starts: one of them is too late."""
    rollout = factories.make_approved(target(), CAST, version(number))

    def judge(told: list[dict[str, Any]]) -> list[str]:
        run = Run.objects.filter(rollout=rollout, kind="deploy").first()
        taken = Decision.objects.filter(sign_off=rollout.sign_off, kind="REVOKE").last()
        faults = expect((run is None) != (taken is None), f"run {run}, revocation {taken}")
        winner = ("run", run.pk) if run else ("decision", taken.pk if taken else 0)
        return faults + one_winner(told, winner)

    half = PEOPLE // 2
    clicks = [decision(rollout, "ann", "REVOKE") for _ in range(half)]
    return Race([*clicks, *(form("olaf", rollout, "start") for _ in range(half))], judge)


def break_glass(number: int) -> Race:
    """Two break the glass, the last signature comes, and a third starts: one of these ways deploys, or none."""
    rollout = factories.make_waiting(target(), CAST["rita"], version(number))
    for name in ("ann", "abe"):
        factories.decide(rollout, CAST[name], "approver")

    def judge(told: list[dict[str, Any]]) -> list[str]:
        glass = BreakGlass.objects.filter(rollout=rollout).count()
        signed = Decision.objects.filter(sign_off=rollout.sign_off, user=CAST["olaf"], kind="APPROVE").count()
        runs = Run.objects.filter(rollout=rollout, kind="deploy").count()
        won = sum(one["status"] == 302 for one in told)
        faults = expect(runs <= 1 and won == signed + runs, f"{won} told that they won; {signed} signed, {runs} runs")
        faults += expect(
            glass + signed == 1, f"glass {glass}, signed {signed}: a glass that is broken ends the signing"
        )
        return faults + broken(told) + losers(told, "decision", "rollout", "run")

    reasons = {"why_now": "uploads fail for all", "why_safe": "it ran on staging", "digest": rollout.digest}
    ways = (
        lambda: form("abe", rollout, "glass", **reasons),
        lambda: form("olaf", rollout, "glass", **reasons),
        lambda: decision(rollout, "olaf", "APPROVE"),
        lambda: form("abe", rollout, "start"),
    )
    return Race([ways[place % 4]() for place in range(PEOPLE)], judge)


def deploy(number: int) -> Race:
    """Two operators click start in fifty tabs."""
    rollout = factories.make_approved(target(), CAST, version(number))

    def judge(told: list[dict[str, Any]]) -> list[str]:
        runs = Run.objects.filter(rollout=rollout, kind="deploy")
        faults = one_winner(told, ("run", runs.first().pk if runs else 0))
        return faults + expect(runs.count() == 1, f"{runs.count()} runs")

    return Race([form(("olaf", "abe")[place % 2], rollout, "start") for place in range(PEOPLE)], judge)


def deploy_rollback(number: int) -> Race:
    """A release is deployed while the one before is rolled back on the same target: one run holds it."""
    place = target()
    before = deployed(place, f"{version(number)}-a")
    after = factories.make_approved(place, CAST, f"{version(number)}-b")

    def judge(told: list[dict[str, Any]]) -> list[str]:
        active = Run.objects.filter(target=place, state__in=states.RUN_ACTIVE)
        starts, backs = told[: PEOPLE // 2], told[PEOPLE // 2 :]
        queued = Run.objects.filter(rollout=after, kind="deploy")
        undone = Run.objects.filter(rollout=before, kind="rollback")
        won = [sum(one["status"] == 302 for one in half) for half in (starts, backs)]
        faults = expect(active.count() == 1, f"active: {list(active)}")
        faults += expect(queued.count() == won[0] == 1, f"{queued.count()} deploys, {won[0]} told so")
        faults += expect(undone.count() == won[1] <= 1, f"{undone.count()} rollbacks, {won[1]} told so")
        holder = {("run", run.pk) for run in [*active, *queued]}
        wrong = [one["winner"] for one in told if one["status"] == 409 and tuple(one["winner"] or ()) not in holder]
        return faults + broken(told) + expect(not wrong, f"losers were told of {wrong[:3]}, not {holder}")

    starts = [form("olaf", after, "start", advance=after.pk) for _ in range(PEOPLE // 2)]
    backs = [form("tom", before, "rollback", why="hashes are slow") for _ in range(PEOPLE // 2)]
    return Race([*starts, *backs], judge)


def upload(number: int) -> Race:
    """A file is brought fifty times: each replaces the one before, one stands."""
    release = factories.make_release(target().component, CAST["rita"], version(number))
    brought = Artifact.objects.filter(release=release, kind="premerge_artifacts")

    def judge(told: list[dict[str, Any]]) -> list[str]:
        standing = brought.filter(replaced_at=None).count()
        return broken(told) + expect((standing, brought.count()) == (1, PEOPLE), f"{standing} of {brought.count()}")

    url, data = f"/releases/{release.pk}/artifacts/", {"kind": "premerge_artifacts"}
    return Race([Click("rita", url, data, file=f"bytes {place}") for place in range(PEOPLE)], judge)


RACES: dict[str, Callable[[int], Race]] = {
    "approve": approve,
    "approve+revoke": approve_revoke,
    "break-glass": break_glass,
    "deploy": deploy,
    "deploy+rollback": deploy_rollback,
    "revoke+start": revoke_start,
    "same key": same_key,
    "upload": upload,
}


def deployed(place: Target, number: str) -> Rollout:
    """Return a rollout that succeeded and can be rolled back."""
    rollout = factories.make_approved(place, CAST, number)
    backup = factories.make_backup(place, path=f"/b/{number}.zip")
    run = Run.objects.create(rollout=rollout, target=place, kind="deploy", state=N.SUCCEEDED, created_at=timezone.now())
    run.steps.create(number=1, kind="switch", title="Switched", effect=True, attempt=1, state="SUCCEEDED")
    Target.objects.filter(pk=place.pk).update(live_version=number)
    now = timezone.now()
    values = {"backup": backup, "started_at": now, "ended_at": now, "previous_version": "1.0.0"}
    return factories.put_in(rollout, R.SUCCEEDED, **values)


def busy(path: Path) -> Any:
    """Stand in for the target's lock: no command is started in a race."""
    raise runner.BusyError(f"{path.name} is held")


def prepare(folder: Path) -> None:
    """Make the database, the people and the component; nothing is enqueued and no command runs."""
    call_command("migrate", verbosity=0)
    logging.disable(logging.CRITICAL)
    settings.GR_STEP_UP_SECONDS = 24 * 3600
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, folder / name.lower())
        (folder / name.lower()).mkdir()
    nudge._soon = lambda *message: None  # type: ignore[assignment]
    runner.lock = busy  # type: ignore[assignment]
    needs.of = lambda *args, **kwargs: []  # the frame of a page, half of a click's time, reads and races with nobody
    CAST.update(make_cast())
    factories.make_target(folder / "dhash")
    sign_in()


def warm() -> None:
    """Do once what every process would do at its first click."""
    rollout = factories.make_waiting(target(), CAST["rita"], "1.1.0")
    client = browser("olaf")
    for told in (client.get(rollout.get_absolute_url()), client.post(f"/rollouts/{rollout.pk}/start/")):
        assert told.status_code in (200, 409), told.content.decode()[:2000]


def run(crowd: Crowd, kind: str, first: int, rounds: int) -> dict[str, Any]:
    """Run the rounds of one race; return what happened."""
    began, statuses, faults = time.monotonic(), Counter[int](), []
    for number in range(first, first + rounds):
        factories.NOW = timezone.now()  # type: ignore[misc]
        race = RACES[kind](number)
        told = crowd.click(race.clicks)
        statuses.update(one["status"] for one in told)
        faults += [f"round {number - first + 1}: {fault}" for fault in race.judge(told)]
        if len(faults) > 20:
            break
    seconds = round(time.monotonic() - began, 1)
    return {"rounds": number - first + 1, "statuses": dict(statuses), "seconds": seconds, "faults": faults}


def main(seed: int, wanted: list[tuple[str, int]]) -> None:
    """Run each race on the same crowd; print a line for each."""
    random.seed(seed)
    first = 1
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        warm()
        crowd = Crowd.gather(PEOPLE)
        for kind, rounds in wanted:
            happened = run(crowd, kind, first, rounds)
            first += rounds
            print(json.dumps({"kind": kind, "database": connection.vendor, "seed": seed, **happened}), flush=True)
        crowd.leave()
    seqs = list(AuditEntry.objects.order_by("seq").values_list("seq", flat=True))
    print(json.dumps({"kind": "audit", "entries": len(seqs), "faults": expect(gapless(seqs), "the audit has a gap")}))


def gapless(seqs: list[int]) -> bool:
    return seqs == list(range(1, len(seqs) + 1))


if __name__ == "__main__":
    main(int(sys.argv[1]), [(kind, int(rounds)) for kind, _, rounds in (one.partition("=") for one in sys.argv[2:])])
