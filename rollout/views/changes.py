"""What a rollout changes, compared with what is live: version, commits, migrations, tuning, what a rollback undoes."""

import json
from dataclasses import dataclass
from typing import Any

from monitoring.gates import Difference
from rollout import freezing
from rollout.models import Rollout
from rollout.states import RolloutState


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """One tuned number; `looser` means that less is caught, or later."""

    name: str
    before: str
    after: str
    looser: bool

    @property
    def label(self) -> str:
        """Return what is tuned, as a table writes it."""
        if self.name == "window_s":
            return "Window, seconds"
        _, _, own = self.name.partition(".")
        gate, _, what = (own or self.name).rpartition(".")
        words = {"limit": "limit", "over_s": "judged over, seconds"}.get(what, what)
        return f"{gate}: {words}" if gate else words


@dataclass(frozen=True, kw_only=True)
class PlanLine:
    """One step of the plan that is signed, with its command parameters in words."""

    title: str
    effect: bool
    timeout_s: int
    params: str


@dataclass(frozen=True, kw_only=True)
class Changes:
    """The difference to what is live; `frozen` says that it is read from the signed manifest."""

    before: str
    after: str
    commit: str
    commits: tuple[dict[str, str], ...]
    migrations: tuple[str, ...]
    tuning: tuple[Tuned, ...]
    frozen: bool
    database: str
    deploy: tuple[PlanLine, ...]
    rollback: tuple[PlanLine, ...]
    runbooks: tuple[str, ...]
    configuration: str

    @property
    def looser(self) -> bool:
        """Say whether any gate catches less than by default."""
        return any(one.looser for one in self.tuning)

    @property
    def limits_before(self) -> dict[str, str]:
        """Return gate name -> the limit before the tuning."""
        own = [one for one in self.tuning if one.name.startswith("gates.") and one.name.endswith(".limit")]
        return {one.name.split(".")[1]: one.before for one in own}

    @property
    def undo_sentence(self) -> str:
        """Say what a rollback would undo, before anything has begun."""
        if self.database == "keep":
            return f"A rollback goes back to {self.before or 'what was live'}; the database is kept as it is."
        count = len(self.migrations)
        undone = f"{count} migration{'s' if count != 1 else ''} and " if count else ""
        return (
            f"A rollback goes back to {self.before or 'what was live'} and undoes {undone}every database row written "
            "since the fresh backup that the deploy takes first (what is there then is copied first, where it can be)."
        )


def changes(rollout: Rollout) -> Changes:
    """Return the difference: from the frozen manifest when there is one, otherwise as it would be frozen now."""
    document: dict[str, Any] = json.loads(rollout.manifest) if _is_frozen(rollout) else {}
    plan = document.get("plan", {})
    tuning = [Difference(**one) for one in document["tuning"]] if document else freezing.tuning_of(rollout)
    return Changes(
        before=rollout.previous_version or rollout.target.live_version,
        after=rollout.release.version,
        commit=rollout.release.commit,
        commits=tuple(rollout.release.commits),
        migrations=tuple(document["migrations"] if document else freezing.migrations_of(rollout)),
        tuning=tuple(Tuned(name=one.name, before=one.before, after=one.after, looser=one.looser) for one in tuning),
        frozen=bool(document),
        database=document.get("target", {}).get("database", "restore"),
        deploy=_lines(plan.get("deploy", ())),
        rollback=_lines(plan.get("rollback", ())),
        runbooks=tuple(sorted(document.get("runbooks", {}))),
        configuration=document.get("configuration", ""),
    )


def _is_frozen(rollout: Rollout) -> bool:
    """Say whether a manifest holds; that of a draft that came back is void."""
    return bool(rollout.manifest and rollout.sign_off_id) and rollout.state != RolloutState.DRAFT


def _lines(steps: Any) -> tuple[PlanLine, ...]:
    return tuple(
        PlanLine(
            title=step["title"],
            effect=step["effect"],
            timeout_s=step["timeout_s"],
            params=", ".join(f"{key} {value}" for key, value in step["params"].items()),
        )
        for step in steps
    )
