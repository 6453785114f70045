"""What a target itself remembers of who changed it: no older epoch acts, and nothing is started twice.

The database may lose what it knew: a failover, an older copy put back. The target does not, because its fence stands
on the target, in a file that no backup holds and no rollback puts back. One epoch belongs to one run.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from monitoring import storage

FILE = ".guarded-rollout-fence.json"


class StaleError(RuntimeError):
    """The target has seen more than the one who asks; nothing was done."""


@dataclass(frozen=True, kw_only=True)
class Fence:
    """The newest epoch that changed a target, the run it belongs to, and what that run has started."""

    epoch: int = 0
    run: str = ""
    tokens: tuple[str, ...] = ()


def read(root: Path) -> Fence:
    """Return what stands on the target; raise ValueError when that cannot be read, for it is never guessed."""
    try:
        document = json.loads((root / FILE).read_text())
        return Fence(epoch=int(document["epoch"]), run=str(document["run"]), tokens=tuple(document["tokens"]))
    except FileNotFoundError:
        return Fence()
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{root / FILE} cannot be read ({error}); see docs/engine.md, The fence")


def make_passable(root: Path) -> str:
    """Put right what would keep a rollback out, and return what that was: it must go on without what the target knew.

    A root that is gone is made, and a fence that cannot be read is set aside. No deploy may ask for this.
    """
    storage.make_directory(root)
    try:
        read(root)
    except (OSError, ValueError) as error:
        aside = root / f"{FILE}.damaged"
        (root / FILE).replace(aside)
        storage.sync_directory(root)
        return f"the fence is set aside as {aside}: {error}"
    return ""


def enter(root: Path, *, epoch: int, run: str, token: str) -> None:
    """Write down, durably, that `token` starts now; the caller holds the target's lock. Raises StaleError."""
    seen = read(root)
    if epoch < seen.epoch:
        raise StaleError(f"the target has seen epoch {seen.epoch} (of {seen.run}), this is epoch {epoch}")
    if epoch == seen.epoch and run != seen.run:
        raise StaleError(f"the target has seen epoch {epoch} of another run ({seen.run})")
    if epoch == seen.epoch and token in seen.tokens:
        raise StaleError(f"the target has seen {token} start in epoch {epoch}")
    tokens = (*seen.tokens, token) if epoch == seen.epoch else (token,)
    document = asdict(Fence(epoch=epoch, run=run, tokens=tokens))
    storage.write_atomic(root / FILE, json.dumps(document, sort_keys=True).encode())
