"""The checklist of a rollout: what is required, what is there, what is missing; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LABELS = {
    "release_archive": "Release archive",
    "premerge_artifacts": "Pre-merge CI artifacts bundle",
    "monitor_logs": "Monitor logs of a staging or canary run",
    "ci_ubuntu": "CI run on Ubuntu",
    "ci_macos": "CI run on macOS",
    "ci_windows": "CI run on Windows",
    "ci_premerge": "Pre-merge validation run",
    "backup": "Backup with its .sha256, read back whole and restored in a rehearsal",
    "deploy_dryrun": "deploy-dryrun.log",
    "migrate_dryrun": "migrate-dryrun.log",
    "postdeploy_smoketests": "postdeploy-smoketests.log",
    "test_logging": "test_logging.log",
    "golden": "Golden set checked",
    "secret_scan": "No committed webhooks or keys",
    "branch_protection": "Branch protection: CI contexts and 2 approvals",
}
# What a person or CI brings, before the validate run makes the rest.
BROUGHT = frozenset(
    {"release_archive", "premerge_artifacts", "monitor_logs", "ci_ubuntu", "ci_macos", "ci_windows", "ci_premerge"}
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """One piece of evidence that is there; `bad` says why it does not count, `unchecked` that it is only a claim."""

    kind: str
    name: str
    sha256: str = ""
    size: int = 0
    url: str = ""
    artifact_id: int | None = None
    bad: str = ""
    note: str = ""
    unchecked: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """One line of the checklist."""

    kind: str
    label: str
    required: bool
    found: Found | None

    @property
    def done(self) -> bool:
        """Say whether the evidence is there and counts."""
        return self.found is not None and not self.found.bad

    @property
    def unchecked(self) -> bool:
        """Say whether it counts although nobody checked what it claims."""
        return self.found is not None and not self.found.bad and self.found.unchecked

    @property
    def brought(self) -> bool:
        """Say whether a person or CI has to bring it."""
        return self.kind in BROUGHT

    @property
    def state(self) -> str:
        """Return done, bad, missing or optional."""
        if self.done:
            return "done"
        if self.found is not None:
            return "bad"
        return "missing" if self.required else "optional"


@dataclass(frozen=True, kw_only=True)
class Headline:
    """What stands above a checklist: the state that its badge shows, and its words."""

    state: str
    words: str


def headline(items: Sequence[Item]) -> Headline:
    """Sum a checklist up; what nobody checked is never called complete."""
    required = [item for item in items if item.required]
    if missing(items):
        return Headline(state="MISSING", words="Missing")
    unchecked = sum(item.unchecked for item in items)
    if not unchecked:
        return Headline(state="VERIFIED", words="Complete")
    links = "1 link was" if unchecked == 1 else f"{unchecked} links were"
    there = f"{len(required)} of {len(required)} are there"
    return Headline(state="UNCHECKED", words=f"{there}; {links} not checked")


def build(required: Iterable[str], found: Mapping[str, Found]) -> tuple[Item, ...]:
    """Return every line: the required ones first in the checklist's order, then what else is there."""
    wanted = set(required)
    return tuple(
        Item(kind=kind, label=label, required=kind in wanted, found=found.get(kind))
        for kind, label in LABELS.items()
        if kind in wanted or kind in found or kind == "monitor_logs"
    )


def missing(items: Iterable[Item], *, brought_only: bool = False) -> tuple[str, ...]:
    """Return the labels of the required lines that are not done."""
    return tuple(item.label for item in items if item.required and not item.done and (item.brought or not brought_only))
