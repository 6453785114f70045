"""A machine that does all that people can do to a sign-off, in any order, beside an oracle of what may happen."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from approvals import delegation
from approvals.models import Delegation, SignOff
from approvals.proof import Refused
from monitoring.audit import SYSTEM
from rollout import actions, beginning, drafting, freezing, states
from rollout.models import Release, Rollout, Run, Target
from rollout.states import RolloutState as R
from tests.approvals.oracle import Consent, Person, World
from tests.base import make_user
from tests.factories import GATES, NOW, TOML, actor, load, make_release, write_component

CAST = {
    "rita": {"release-owner"},
    "una": {"release-owner", "approver"},
    "ann": {"approver"},
    "abe": {"approver", "ops"},
    "olaf": {"deploy-operator"},
    "roy": {"ops", "deploy-operator"},
    "mia": {"media-eng", "triage"},
    "eve": {"approver", "deploy-operator"},
}
ROLES = ("approver", "ops", "deploy-operator", "media-eng", "release-owner")
# policy of a component -> what the oracle is told of it
POLICIES: dict[str, dict[str, bool]] = {
    "": {},
    'golden_group = "media-eng"\nlast_approver_may_start = false': {"golden": True, "last_may_start": False},
    'barred_from_start = ["approver"]\ndelegation = false': {"approvers_may_start": False, "deputies": False},
}
people = st.sampled_from(sorted(CAST))
duties = st.sampled_from(["", "", "approver", "deploy-operator", "media-eng"])
# mostly as it should be; else with an old proof, another digest, a token, in another's name
manners = st.sampled_from(["right"] * 12 + ["stale", "digest", "token", "name"])
SPANS = st.sampled_from([60, 3600, 6 * 3600, 20 * 3600, 86400])


def prepare(folder: Path) -> tuple[list[Target], dict[str, User]]:
    """Return a target of a component for each policy, with a release, and the people."""
    users = {name: make_user(name, *roles) for name, roles in CAST.items()}
    targets = []
    for number, policy in enumerate(POLICIES):
        text = TOML.replace('"dhash"', f'"dhash{number}"').replace('"show"', f'"show"\n{policy}')
        if "media-eng" in policy:
            text = text.replace('title = "dhash media', 'requires_golden = true\ntitle = "dhash media')
            text = text.replace("[commands]", '[commands]\ngolden = ["true"]')
        text = text.replace("8103", f"81{number}3").replace("8102", f"81{number}2")
        component = load(write_component(folder / str(number), text=text, gates=GATES))
        commit = {"sha": "c" * 40, "author": "Eve", "email": "eve@example.com", "subject": "x"}
        make_release(component, users["una"], commits=[commit] if number == 0 else [])
        targets.append(component.targets.get(environment__name="production"))
    return targets, users


class Machine(RuleBasedStateMachine):
    """Every rule does one thing to the product, tells the oracle, and compares."""

    targets: list[Target]
    users: dict[str, User]
    steps = begun = refused = 0

    def __init__(self) -> None:
        super().__init__()
        self.outer = transaction.atomic()
        self.outer.__enter__()
        self.rollout: Rollout | None = None
        self.queued = self.why = ""
        self.broken = self.review_due = False  # see glass_machine.py
        self.tuners: set[str] = set()
        self.requester = ""
        self.content = {"tuning": "", "commit": 0}
        self.now = NOW

    @initialize(number=st.integers(0, len(POLICIES) - 1))
    def choose(self, number: int) -> None:
        """Choose the component, and so the policy."""
        self.target, self.number = self.targets[number], number
        known = {name: Person(set(roles) - {"triage"}) for name, roles in CAST.items()}
        self.world = World(known, **list(POLICIES.values())[number])

    def teardown(self) -> None:
        """Undo everything."""
        transaction.set_rollback(True)
        self.outer.__exit__(None, None, None)

    @property
    def fresh(self) -> Rollout:
        """Return the rollout as the database has it."""
        assert self.rollout is not None
        return Rollout.objects.with_places().get(pk=self.rollout.pk)

    def who(self, name: str, via: Any = "browser") -> dict[str, Any]:
        """Return who acts, in his own name."""
        return {"user": self.users[name], "by": actor(self.users[name], via), "now": self.now}

    def does(self, act: Any, *args: Any, **how: Any) -> bool:
        """Do something in a transaction of its own, and say whether it was done."""
        Machine.steps += 1
        try:
            with transaction.atomic():
                act(*args, **how)
        except (Refused, PermissionDenied) as refusal:
            Machine.refused += 1
            self.why = str(refusal)
            return False
        return True

    def sees_changes(self) -> None:
        """Note that a sign-off over something else than what would be done is void once anybody looks."""
        if self.world.signed != self.world.content:
            self.world.live = False

    @rule(name=st.sampled_from(["rita", "una", "eve"]))
    @precondition(lambda self: not self.queued)
    def request(self, name: str) -> None:
        """Make a new rollout; an older one is superseded."""
        made: list[Rollout] = []
        release = Release.objects.get(component=self.target.component)
        how = {"reason": "customers wait for it", **self.who(name)}
        target = Target.objects.get(pk=self.target.pk)
        if self.does(lambda: made.append(drafting.create_rollout(release, target, **how))):
            self.rollout, self.requester, self.tuners, self.world.live = made[0], name, set(), False
            self.content["tuning"] = ""
            self.look()
            drafting.tune(self.fresh, changes={}, accepted=True, **self.who(name))

    @rule(name=people, limit=st.sampled_from(["", "1500", "1800"]))
    @precondition(lambda self: self.rollout and not self.queued)
    def tune(self, name: str, limit: str) -> None:
        """Tune a gate, or set it back."""
        changes = {"p95.limit": limit} if limit else {}
        if self.does(drafting.tune, self.fresh, changes=changes, accepted=True, **self.who(name)):
            if limit != self.content["tuning"]:
                self.tuners = self.tuners | {name} if limit else set()
            self.content["tuning"] = limit
            self.look()
            self.sees_changes()

    @rule()
    @precondition(lambda self: self.rollout)
    def edit(self) -> None:
        """Change what is signed past the product, or change it back."""
        self.content["commit"] = 1 - int(self.content["commit"])
        commit = "abcdef"[int(self.content["commit"])] * 40
        Release.objects.filter(component=self.target.component).update(commit=commit)
        self.look()

    def look(self) -> None:
        """Tell the oracle what would be done now."""
        self.world.content = (self.rollout and self.rollout.pk, *self.content.values())

    @rule(name=people)
    @precondition(lambda self: self.rollout and not self.queued)
    def submit(self, name: str) -> None:
        """Submit, and let the validate run pass."""
        barred = {self.requester, "una", *({"eve"} if self.number == 0 else ()), *self.tuners}
        was_draft = self.fresh.state == R.DRAFT
        allowed = bool(self.world.people[name].roles & set(ROLES)) or name == "mia"
        if self.does(self.validate, name):
            assert was_draft and self.world.reachable(barred)
            self.world.open(barred)
        elif was_draft and self.world.people[name].active and allowed and "media-eng" not in CAST[name]:
            assert not (self.world.reachable(barred) and self.world.people[name].roles)

    def validate(self, name: str) -> None:
        """Do what a submit and its validate run do."""
        run = actions.submit(self.fresh, **self.who(name))
        Run.objects.filter(pk=run.pk).update(state="SUCCEEDED")
        freezing.freeze(self.fresh, by=SYSTEM, now=self.now)

    @rule(name=people, duty=duties, manner=manners, absent=st.none() | people)
    @precondition(lambda self: self.rollout)
    def approve(self, name: str, duty: str, manner: str, absent: str | None) -> None:
        """Approve, perhaps on behalf of another."""
        absent = None if absent == name else absent
        allowed = self.world.may_approve(name, duty, absent)
        behalf = self.users[absent].pk if absent else None
        if self.decides("APPROVE", name, manner, allowed, duty=duty, on_behalf_of=behalf):
            self.world.consents.append(Consent(name, absent or name, duty))

    @rule(times=st.integers(1, 4), names=st.lists(people, min_size=4, max_size=8, unique=True))
    def go_on(self, times: int, names: list[str]) -> None:
        """Do what usually comes next, some steps of it: else a quorum would be rare, and a start rarer."""
        for _ in range(times):
            if self.queued:
                self.begin()
            elif self.rollout is None or self.fresh.state in states.FINAL:
                self.request(self.could("release-owner", "rita"))
            elif not self.world.live:
                self.submit(self.could("release-owner", "rita"))
            elif self.fresh.state == R.WAITING:
                for name in names:
                    if self.world.may_approve(name, "", None):
                        self.approve(name, "", "right", None)
            else:
                self.start(next((name for name in names if self.world.valid(name)), "roy"))

    def could(self, role: str, otherwise: str) -> str:
        """Return the first person who holds a role now."""
        able = [name for name, one in self.world.people.items() if one.active and role in one.roles]
        return able[0] if able else otherwise

    @rule(name=people, manner=manners)
    @precondition(lambda self: self.rollout)
    def reject(self, name: str, manner: str) -> None:
        """Reject; now and then only, because it ends everything."""
        if self.decides("REJECT", name, manner, self.world.may_reject(name)):
            self.world.live = False

    @rule(name=people, manner=manners)
    @precondition(lambda self: self.rollout)
    def revoke(self, name: str, manner: str) -> None:
        """Take an approval back."""
        if self.decides("REVOKE", name, manner, self.world.may_revoke(name)):
            self.world.revoke(name)

    def decides(self, kind: str, name: str, manner: str, allowed: bool, **how: Any) -> bool:
        """Decide in a manner, compare with what the oracle allows, and return whether it was recorded."""
        other = next(one for one in CAST if one != name)
        by = actor(self.users[other if manner == "name" else name], "api" if manner == "token" else "browser")
        proved = self.now - timedelta(minutes=6 if manner == "stale" else 1)
        values = {"duty": "", "reason": "looked at it", "authenticated_at": proved, "diff_opened": True, **how}
        values["digest_seen"] = "0" * 64 if manner == "digest" else self.fresh.digest
        expected = allowed and manner == "right" and not self.queued
        if not self.queued:
            self.notice()
        done = self.does(actions.decide, self.fresh, user=self.users[name], kind=kind, by=by, now=self.now, **values)
        assert done == expected, (kind, name, manner, how, done, self.why)
        return done

    def notice(self) -> None:
        """Let the product see, outside of the transaction of a decision, that what was signed was changed."""
        if self.world.live and self.world.signed != self.world.content:
            assert freezing.recheck(self.fresh, now=self.now), "nothing was voided"
        self.sees_changes()

    @rule(name=people)
    @precondition(lambda self: self.rollout and not self.queued)
    def start(self, name: str) -> None:
        """Click start."""
        self.notice()
        rollout = self.fresh
        if self.does(actions.start, rollout, **self.who(name)):
            self.queued = name
        else:
            held = self.review_due or rollout.state != R.APPROVED
            assert held or not self.world.valid(name), "a valid start was refused"

    @rule()
    @precondition(lambda self: self.queued)
    def begin(self) -> None:
        """Let the engine begin the run, and ask the oracle whether it may."""
        Machine.steps += 1
        valid = self.may_begin()
        run = Run.objects.get(rollout=self.fresh, kind="deploy", state="QUEUED")
        begun = beginning.begin(run, self.now)
        state = self.fresh.state
        assert begun == (state == R.RUNNING)
        assert begun == valid, f"began: {begun}, valid: {valid}"
        if begun:
            Machine.begun += 1
            assert SignOff.objects.get(pk=self.fresh.sign_off_id).state == ("BYPASSED" if self.broken else "USED")
            Run.objects.filter(pk=run.pk).update(state="FAILED")
            Rollout.objects.filter(pk=self.fresh.pk).update(state=R.FAILED)
        self.queued, self.broken, self.world.live = "", False, False

    def may_begin(self) -> bool:
        """Ask the oracle whether what was started may begin now."""
        return self.world.valid(self.queued)

    @rule(span=SPANS)
    def wait(self, span: int) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=span)
        self.world.now += span

    @rule()
    def expire(self) -> None:
        """Close what is due, as pulse does."""
        self.does(actions.expire_due, self.now)
        if self.world.now >= self.world.expires:
            self.world.live, self.queued, self.broken = False, "", False

    @rule(name=people, role=st.sampled_from(ROLES))
    def change_role(self, name: str, role: str) -> None:
        """Give a role, or take it away."""
        Machine.steps += 1
        roles = self.world.people[name].roles
        roles ^= {role}
        group, _ = Group.objects.get_or_create(name=role)
        (self.users[name].groups.add if role in roles else self.users[name].groups.remove)(group)

    @rule(name=people)
    def change_account(self, name: str) -> None:
        """Disable an account, or enable it again."""
        Machine.steps += 1
        person = self.world.people[name]
        person.active = not person.active
        User.objects.filter(pk=self.users[name].pk).update(is_active=person.active)

    @rule(name=people, deputy=people, after=st.sampled_from([0, 0, 3600]), span=SPANS)
    def delegate(self, name: str, deputy: str, after: int, span: int) -> None:
        """Name a deputy for a while."""
        begins = self.now + timedelta(seconds=after)
        how: dict[str, datetime | str] = {
            "starts_at": begins,
            "ends_at": begins + timedelta(seconds=span),
            "why": "on holiday",
        }
        who = {key: value for key, value in self.who(name).items() if key != "user"}
        if self.does(delegation.give, self.users[name], self.users[deputy], **how, **who):
            begin = self.world.now + after
            self.world.away.append((name, deputy, begin, begin + span))

    @rule(name=people)
    def come_back(self, name: str) -> None:
        """End the delegations that a person gave and that are not over."""
        for given in Delegation.objects.filter(user=self.users[name], ended_at=None, ends_at__gt=self.now):
            self.does(delegation.end, given, why="back", **self.who(name))
        self.world.away = [one for one in self.world.away if one[0] != name]


def clean(machine: type[Machine]) -> None:
    """Set the counters to nothing."""
    machine.steps = machine.begun = machine.refused = 0
