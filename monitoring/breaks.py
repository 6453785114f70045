"""What does not hold in the chain, in room that does not grow: so an admin's acceptance can tell all of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from .verify import PROBLEMS_MAX, sha256


@dataclass
class Breaks:
    """What does not hold from the first entry on, in the order of the chain, and how much of it was accepted.

    The sha256 goes over the words, and over the hashes of each such entry and of the one before it; these cover what
    holds before. So an acceptance that tells it is of the chain just as it was, and of nothing that is edited later.
    """

    count: int = 0
    sha256: str = ""
    accepted: int = 0
    told: tuple[str, ...] = ()  # the first that were not accepted, in words

    @property
    def is_in_words(self) -> bool:
        """Say whether `told` has all that was not accepted."""
        return self.count - self.accepted == len(self.told)

    def see(self, before: object, digest: object, problems: Iterable[str]) -> None:
        """Add what does not hold of the next entry, which has that hash; `before` is that of the one before it."""
        words = tuple(problems)
        self.count += len(words)
        self.sha256 = sha256("\n".join((self.sha256, f"{before!r} {digest!r}", *words)))
        self.told = (*self.told, *words)[:PROBLEMS_MAX]

    def accept(self) -> None:
        """Take all of it for accepted."""
        self.accepted, self.told = self.count, ()
