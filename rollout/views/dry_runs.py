"""The output of the dry runs, to be read on the page by whoever signs: its beginning and its end."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollout import evidence
from rollout.models import Artifact

TITLES = {"deploy_dryrun": "Deploy dry run", "migrate_dryrun": "Migration dry run, on a copy of the database"}
HALF_BYTES = 8 * 1024


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """One log; `cut` is how many bytes in its middle are not shown."""

    title: str
    artifact: Artifact
    text: str
    cut: int


def of(artifacts: Iterable[Artifact]) -> tuple[DryRun, ...]:
    """Return the dry runs among the files that the runs of a rollout made; one whose bytes are gone says so."""
    newest = {one.kind: one for one in artifacts if one.kind in TITLES and one.replaced_at is None}
    return tuple(_read(title, newest[kind]) for kind, title in TITLES.items() if kind in newest)


def _read(title: str, artifact: Artifact) -> DryRun:
    try:
        with evidence.path_of(artifact).open("rb") as source:
            size = source.seek(0, 2)
            source.seek(0)
            head = source.read(2 * HALF_BYTES if size <= 2 * HALF_BYTES else HALF_BYTES)
            cut = max(0, size - 2 * HALF_BYTES)
            source.seek(len(head) + cut)
            tail = source.read(HALF_BYTES)
    except OSError:
        return DryRun(title=title, artifact=artifact, text="The bytes are no longer where they were kept.", cut=0)
    between = f"\n… {cut} bytes are left out here; the file has them …\n" if cut else ""
    text = head.decode("utf-8", "replace") + between + tail.decode("utf-8", "replace")
    return DryRun(title=title, artifact=artifact, text=text, cut=cut)
