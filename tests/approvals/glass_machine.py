"""The machine of consent, with the glass that may be broken in an emergency, and its review by two others."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from rollout import glass, glass_review, states
from rollout.models import BreakGlass
from tests.approvals.consent_machine import CAST, Machine, manners, people
from tests.approvals.oracle import DUTIES_OF_START
from tests.factories import actor

WORDS = ("Customers see errors on every page.", "Tried in staging, and read by the whole team.")


class GlassMachine(Machine):
    """Beside everything else somebody breaks the glass, and others review that."""

    broke = 0

    def __init__(self) -> None:
        super().__init__()
        self.glasses: list[tuple[int, str, set[str], set[str]]] = []  # id, who broke it, who is barred, who reviewed

    def may_start(self, name: str) -> bool:
        """Say whether a person holds a role with which one starts."""
        person = self.world.people[name]
        return person.active and bool(person.roles & set(DUTIES_OF_START))

    def may_begin(self) -> bool:
        """Begin with valid consent, or past it where the glass was broken over what is still to be done, in time."""
        if not self.broken:
            return super().may_begin()
        same = self.world.signed == self.world.content and self.world.now < self.world.expires
        return same and self.may_start(self.queued)

    @rule(
        name=people, manner=manners, reasons=st.sampled_from([WORDS, WORDS, WORDS, ("short", WORDS[1]), WORDS[:1] * 2])
    )
    @precondition(lambda self: self.rollout and not self.queued)
    def break_the_glass(self, name: str, manner: str, reasons: tuple[str, str]) -> None:
        """Start past what the sign-off lacks."""
        self.notice()
        by = actor(self.users[next(iter(set(CAST) - {name}))] if manner == "name" else self.users[name])
        by = actor(self.users[name], "api") if manner == "token" else by
        needed = self.review_due or not self.world.valid(name)
        allowed = self.world.holds and self.may_start(name) and needed and reasons == WORDS and manner == "right"
        how: dict[str, Any] = {
            "digest_seen": "0" * 64 if manner == "digest" else self.fresh.digest,
            "why_now": reasons[0],
            "why_safe": reasons[1],
            "authenticated_at": self.now - timedelta(minutes=6 if manner == "stale" else 1),
        }
        done = self.does(glass.break_glass, self.fresh, user=self.users[name], by=by, now=self.now, **how)
        assert done == allowed, (name, manner, reasons, done, self.why)
        if done:
            GlassMachine.broke += 1
            made = BreakGlass.objects.latest("pk")
            self.glasses.append((made.pk, name, set(self.world.barred), set()))
            self.queued, self.broken, self.review_due, self.world.live = name, True, True, False

    @rule(name=st.sampled_from(["olaf", "roy", "abe"]))
    @precondition(lambda self: not self.queued)
    def emergency(self, name: str) -> None:
        """Do what comes before, where it has to be done, and break the glass."""
        if self.rollout is None or self.fresh.state in states.FINAL:
            self.request("rita")
        if self.rollout is not None and not self.world.live:
            self.submit("rita")
        if self.rollout is not None:
            self.break_the_glass(name, "right", WORDS)

    @rule(name=people, manner=manners)
    @precondition(lambda self: self.glasses)
    def review(self, name: str, manner: str) -> None:
        """Review the oldest break-glass."""
        pk, breaker, barred, reviewed = self.glasses[0]
        person = self.world.people[name]
        asked = {"approver", "ops", "deploy-operator", *(["media-eng"] if self.world.golden else [])}
        may = person.active and name != breaker and name not in barred | reviewed and bool(person.roles & asked)
        by = actor(self.users[next(iter(set(CAST) - {name}))] if manner == "name" else self.users[name])
        by = actor(self.users[name], "api") if manner == "token" else by
        proved = self.now - timedelta(minutes=6 if manner == "stale" else 1)
        how = {"verdict": "AGREE", "words": WORDS[1], "authenticated_at": proved}
        found = BreakGlass.objects.get(pk=pk)
        done = self.does(glass_review.review, found, user=self.users[name], by=by, now=self.now, **how)
        assert done == (may and manner in ("right", "digest")), (name, manner, done, self.why)
        if done:
            reviewed.add(name)
        if len(reviewed) == 2:
            self.glasses.pop(0)
            self.review_due = bool(self.glasses)
