"""An oracle of consent, written from docs/sign-off.md alone: it shares no line with the product, and tries every way.

A world is told what happened; it says who may approve now, and whether a start rests on valid consent.
"""

from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

DUTIES_OF_START = ("deploy-operator", "ops")
EXPIRES = 86400


@dataclass
class Person:
    """Somebody, with the roles he holds now."""

    roles: set[str]
    active: bool = True


@dataclass
class Consent:
    """An approval: who gave it, whose roles it is worth, in which duty ("" leaves it open)."""

    by: str
    source: str
    duty: str


@dataclass
class World:
    """Everything that consent depends on; moments are seconds."""

    people: dict[str, Person]
    golden: bool = False
    last_may_start: bool = True
    approvers_may_start: bool = True
    deputies: bool = True
    now: int = 0
    away: list[tuple[str, str, int, int]] = field(default_factory=list)  # user, deputy, from, until
    content: Any = None  # what would be frozen now
    signed: Any = None  # what was frozen
    barred: set[str] = field(default_factory=set)
    expires: int = 0
    live: bool = False  # decisions are taken
    consents: list[Consent] = field(default_factory=list)

    def open(self, barred: set[str]) -> None:
        """Begin a sign-off over the present content."""
        self.signed, self.barred, self.consents = self.content, barred, []
        self.expires, self.live = self.now + EXPIRES, True

    @property
    def holds(self) -> bool:
        """Say whether decisions are taken over what would be done."""
        return self.live and self.signed == self.content and self.now < self.expires

    @property
    def seats(self) -> list[set[str]]:
        """Return whose roles each seat accepts; the golden one is not among them."""
        return [{"ops"}, {"approver", "ops"} | ({"media-eng"} if self.golden else set()), {"deploy-operator"}]

    def asked(self, name: str) -> set[str]:
        """Return the roles that a person could consent with now; none for who is barred or disabled."""
        person = self.people[name]
        asked = {"approver", "ops", "deploy-operator"} | ({"media-eng"} if self.golden else set())
        return person.roles & asked if person.active and name not in self.barred else set()

    def used(self, name: str) -> bool:
        """Say whether a person has a part in a consent already."""
        return any(name in (one.by, one.source) for one in self.consents)

    def may_approve(self, by: str, duty: str, absent: str | None) -> bool:
        """Say whether a person may approve now, in a duty, for himself or on behalf of an absent one."""
        source = absent or by
        if not self.holds or self.used(by) or self.used(source) or not self.asked(by) or not self.asked(source):
            return False
        if absent and not (self.deputies and any(self._stands_in(by, absent, one) for one in self.away)):
            return False
        if duty == "media-eng" and not (self.golden and duty in self.asked(source)):
            return False
        return any(self._suits(Consent(by, source, duty), seat) for seat in [*self.seats, *self._golden_seat()])

    def may_reject(self, by: str) -> bool:
        """Say whether a person may reject now: a part in the release does not keep him from that."""
        asked = self.people[by].roles & {"approver", "ops", "deploy-operator", *(["media-eng"] if self.golden else [])}
        return self.holds and self.people[by].active and bool(asked) and not self.used(by)

    def may_revoke(self, by: str) -> bool:
        """Say whether there is something for a person to take back."""
        return self.holds and self.people[by].active and self.used(by)

    def revoke(self, by: str) -> None:
        """Take back what a person approved, or what was approved for him."""
        self.consents = [one for one in self.consents if by not in (one.by, one.source)]

    def reachable(self, barred: set[str]) -> bool:
        """Say whether consent, and a start that rests on it, could still come about with these people barred."""
        all_of_them = World(self.people, self.golden, barred=barred)
        could = [Consent(name, name, "") for name in self.people if all_of_them.asked(name)]
        if not all_of_them._complete(could):
            return False
        return any(self._could_start(name, could, all_of_them) for name in self.people)

    def _could_start(self, name: str, could: list[Consent], world: "World") -> bool:
        others = [one for one in could if one.by != name]
        may = self.people[name].active and self.people[name].roles & set(DUTIES_OF_START)
        enough = self.approvers_may_start or world._complete(others)
        return bool(may) and enough and (self.last_may_start or bool(others))

    def valid(self, starter: str) -> bool:
        """Say whether a run may begin now that this person started."""
        person = self.people[starter]
        counted = [one for one in self.consents if self.asked(one.by) and self.asked(one.source)]
        if not (self.holds and person.active and person.roles & set(DUTIES_OF_START) and self._complete(counted)):
            return False
        last = (counted[-1].by, counted[-1].source)
        has_part = any(starter in (one.by, one.source) for one in counted)
        return (self.last_may_start or starter not in last) and (self.approvers_may_start or not has_part)

    def _complete(self, counted: list[Consent]) -> bool:
        for chosen in permutations(counted, len(self.seats)):
            if all(self._suits(one, seat) for one, seat in zip(chosen, self.seats, strict=True)):
                rest = [one for one in counted if one is not chosen[-1]]  # who deploys cannot sign for the golden set
                if not self.golden or any(self._suits(one, {"media-eng"}) for one in rest):
                    return True
        return False

    def _golden_seat(self) -> list[set[str]]:
        return [{"media-eng"}] if self.golden else []

    def _suits(self, one: Consent, seat: set[str]) -> bool:
        deploys = seat == {"deploy-operator"}
        return bool(self.asked(one.source) & seat) and (not one.duty or (one.duty == "deploy-operator") == deploys)

    def _stands_in(self, by: str, absent: str, away: tuple[str, str, int, int]) -> bool:
        return away[:2] == (absent, by) and away[2] <= self.now < away[3]
