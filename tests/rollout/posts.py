"""For every form of the product a world in which it can be sent, so that a test can send them all."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from approvals import changes, factors, roles
from approvals.change_rules import Asker
from approvals.models import BrowserSession
from monitoring import incidents
from monitoring.audit import SYSTEM
from monitoring.models import Watch
from rollout import actions, commands, engine, loading, publishing, second_admin, tokens, transitions
from rollout.drivers import Answer
from rollout.models import Freeze, Rollout, Target
from tests import factories
from tests.approvals.app import SECRET, app_code
from tests.base import Client
from tests.fakes import FakeRunner, drive
from tests.rollout import posts_delegation, views_world

GLASS = {"why_now": "uploads fail for every customer", "why_safe": "the fix ran on staging for an hour"}
WHY = {"why": "because it must be"}


@dataclass(frozen=True)
class World:
    """What a form may need."""

    target: Target
    cast: dict[str, User]
    folder: Path
    fake: FakeRunner
    patch: pytest.MonkeyPatch


@dataclass(frozen=True)
class Post:
    """One form, filled in: who sends it where."""

    user: User
    url: str
    data: dict[str, Any]


class Opaque:
    """A driver that cannot say what became of a step."""

    recovery = "opaque"

    def probe(self, target: object, step_kind: str, params: object) -> Answer:
        """Answer."""
        return Answer("unknown", "", "nobody can see it")


Make = Callable[[World], Post]


def verb(name: str, user: str, make: Callable[[World], Rollout], **data: Any) -> Make:
    """Return what makes a post of a verb of the rollout page."""

    def made(world: World) -> Post:
        rollout = make(world)
        given = {key: value(rollout) if callable(value) else value for key, value in data.items()}
        return Post(world.cast[user], reverse(name, args=[rollout.pk]), given)

    return made


def about_incident(name: str, **data: str) -> Make:
    """Return what makes a post of a verb of an incident."""

    def made(world: World) -> Post:
        about = transitions.subject_of(world.target)
        values = {"severity": "P1", "title": "Slow", "summary": "p95", "runbook": "rollback", "by": SYSTEM}
        opened = incidents.open(subject=about, **values, routes=[], url="", now=timezone.now())
        return Post(world.cast["tom"], reverse(f"incident_{name}", args=[opened.pk]), data)

    return made


def draft(world: World) -> Rollout:
    return factories.make_draft(world.target, world.cast["rita"])


def waiting(world: World) -> Rollout:
    return factories.make_waiting(world.target, world.cast["rita"])


def approved(world: World) -> Rollout:
    return factories.make_approved(world.target, world.cast)


def started(world: World) -> Rollout:
    return views_world.started(approved(world), world.cast["olaf"]).rollout


def watched(world: World) -> Rollout:
    rollout = approved(world)
    views_world.watched(rollout, world.cast["olaf"], world.folder)
    return rollout


def undecided(world: World) -> Rollout:
    rollout = watched(world)
    Rollout.objects.filter(pk=rollout.pk).update(needs_decision="the watch saw too little")
    Watch.objects.update(state=Watch.State.DECIDED, outcome=Watch.Outcome.NEEDS_DECISION)
    return rollout


def rolled_back(world: World) -> Rollout:
    rollout = approved(world)
    views_world.rolled_back(rollout, world.cast["olaf"], world.folder)
    return rollout


def stuck(world: World) -> Rollout:
    return factories.put_in(draft(world), "NOT_RESTORED")


def unknown(world: World) -> Rollout:
    """Return a rollout of whose migration nobody saw the end."""
    world.patch.setattr(commands, "driver_of", lambda run: Opaque())
    rollout = approved(world)
    olaf = world.cast["olaf"]
    run = actions.start(rollout, user=olaf, by=factories.actor(olaf), now=factories.NOW)
    drive(run, world.fake, stop_at="migrate")
    world.fake.lose()
    engine.advance(run.pk)
    return factories.fresh(rollout)


def seen(rollout: Rollout) -> str:
    """Return what a decision about the unknown step says that it is about."""
    return str(rollout.runs.get(state="UNKNOWN").version)


def mergeable(world: World) -> Rollout:
    world.patch.setattr(publishing, "_require_open_to_merge", lambda rollout, now: None)
    return approved(world)


def review_of_glass(world: World) -> Post:
    glass = factories.break_glass(waiting(world), world.cast["olaf"])
    url = reverse("rollout_glass_review", args=[glass.rollout_id, glass.pk])
    return Post(world.cast["ann"], url, {"verdict": "AGREE", "words": "read the log of that hour"})


def new_rollout(world: World) -> Post:
    release = factories.make_release(world.target.component, world.cast["rita"])
    values = {"release": release.pk, "target": world.target.pk, "reason": "customers wait for it"}
    return Post(world.cast["rita"], reverse("rollout_new"), values)


def new_release(world: World) -> Post:
    values = {"version": "2.0.0", "commit": "b" * 40, "branch": "main", "commits": "", "notes": ""}
    return Post(world.cast["rita"], reverse("release_new", args=["dhash"]), values)


def upload(world: World) -> Post:
    release = factories.make_release(world.target.component, world.cast["rita"])
    file = SimpleUploadedFile("premerge.zip", b"bundle")
    return Post(
        world.cast["rita"],
        reverse("artifact_upload", args=[release.pk]),
        {"kind": "premerge_artifacts", "file": file},
    )


def link(world: World) -> Post:
    release = factories.make_release(world.target.component, world.cast["rita"])
    values = {"kind": "ci_ubuntu", "url": "https://ci.example.com/1"}
    return Post(world.cast["rita"], reverse("link_add", args=[release.pk]), values)


def lock(world: World) -> Post:
    return Post(world.cast["tom"], reverse("target_lock", args=[world.target.pk]), WHY)


def unlock(world: World) -> Post:
    Target.objects.filter(pk=world.target.pk).update(locked=True)
    return Post(world.cast["tom"], reverse("target_unlock", args=[world.target.pk]), WHY)


def confirm_configuration(world: World) -> Post:
    path = Path(world.target.component.live.base_dir) / "component.toml"
    path.write_text(path.read_text().replace('unmatched_author = "show"', "approvers = 3"))
    by = factories.actor(world.cast["ada"])
    pending = loading.load(path, by=by, now=timezone.now()).configuration
    seen = second_admin.shown(pending, world.target.component.live).digest
    values = {"answer": "confirm", "seen": seen}
    return Post(world.cast["ari"], reverse("configuration_confirm", args=[pending.pk]), values)


def tick(world: World) -> Post:
    runbook = world.target.component.runbooks.get(slug="rollback", current=True)
    values = {"rollout": draft(world).pk, "item": "1", "done": "1"}
    return Post(world.cast["tom"], reverse("runbook_tick", args=[runbook.pk]), values)


def new_token(world: World) -> Post:
    values = {"name": "premerge", "scopes": ["release:write"], "days": "30"}
    return Post(world.cast["rita"], reverse("token_create", args=["dhash"]), values)


def revoke_token(world: World) -> Post:
    rita = world.cast["rita"]
    values = {"name": "ci", "scopes": ["rollout:read"], "days": 30, "now": timezone.now()}
    made, _ = tokens.create(world.target.component, user=rita, by=factories.actor(rita), **values)
    return Post(rita, reverse("token_revoke", args=[made.pk]), {})


def profile(world: World) -> Post:
    values = {"part": "profile", "printed_name": "Ann Approver", "zone": "Europe/Berlin"}
    return Post(world.cast["ann"], reverse("person", args=[world.cast["ann"].pk]), values)


def about_person(**data: Any) -> Make:
    """Return what makes a post of an admin about somebody else."""

    def made(world: World) -> Post:
        return Post(world.cast["ada"], reverse("person", args=[world.cast["ann"].pk]), {**data, "why": "new on call"})

    return made


def new_person(world: World) -> Post:
    values = {"username": "zoe", "printed_name": "Zoe Zed", "email": "zoe@example.com", "roles": ["triage"]}
    return Post(world.cast["ada"], reverse("person_new"), {**values, "why": "joins us"})


def answer(world: World) -> Post:
    """Return the confirmation of a change by the second admin."""
    now, ada = timezone.now(), world.cast["ada"]
    stands = roles.rights_of(world.cast["ann"])
    wanted = dataclasses.replace(stands, roles=frozenset({"triage"}))
    asker = Asker(user=ada, authenticated_at=now, by=factories.actor(ada), now=now)
    change = changes.propose(world.cast["ann"], wanted, kind="RIGHTS", why="new on call", asker=asker)
    return Post(world.cast["ari"], reverse("change_answer", args=[change.pk]), {"answer": "confirm"})


def with_app(world: World) -> User:
    factors.add_app(world.cast["ann"], SECRET, app_code(), by=factories.actor(world.cast["ann"]), now=timezone.now())
    return world.cast["ann"]


def lost_factors(world: World) -> Post:
    with_app(world)
    return about_person(part="factors")(world)


def new_codes(world: World) -> Post:
    return Post(with_app(world), reverse("recovery_codes"), {})


def remove_factor(world: World) -> Post:
    user = with_app(world)
    return Post(user, reverse("factor_remove", args=[Authenticator.objects.get(user=user).pk]), {})


def remove_identity(world: World) -> Post:
    user = world.cast["ann"]
    row = SocialAccount.objects.create(user=user, provider="sso", uid="4711", extra_data={})
    return Post(user, reverse("identity_remove", args=[row.pk]), {})


def end_session(world: World, name: str, url: str) -> Post:
    Client().force_login(world.cast["ann"])
    return Post(world.cast[name], url, {"session": str(BrowserSession.objects.get(user=world.cast["ann"]).pk)})


def end_own(world: World) -> Post:
    return end_session(world, "ann", reverse("sessions"))


def end_anothers(world: World) -> Post:
    return end_session(world, "ada", reverse("person_sessions", args=[world.cast["ann"].pk]))


def freeze(world: World) -> Post:
    span = {"starts_at_0": "2026-12-24", "starts_at_1": "00:00", "ends_at_0": "2026-12-27", "ends_at_1": "00:00"}
    values = {**span, "component": world.target.component.pk, "environment": "", "reason": "the holidays"}
    return Post(world.cast["ada"], reverse("admin:rollout_freeze_add"), values)


def longer_freeze(world: World) -> Post:
    now = timezone.now()
    times = {"starts_at": now, "ends_at": now + timedelta(days=1)}
    made = Freeze.objects.create(component=world.target.component, reason="x", by=world.cast["ada"], **times)
    times["ends_at"] += timedelta(days=1)
    values = {
        f"{name}_{n}": part for name, at in times.items() for n, part in enumerate(at.isoformat()[:19].split("T"))
    }
    values["starts_at_1"] = "00:00:00"
    return Post(
        world.cast["ari"], reverse("admin:rollout_freeze_change", args=[made.pk]), {**values, "why": "still on"}
    )


DIGEST = {"digest": lambda rollout: rollout.digest, "diff_opened": ""}

POSTS: dict[str, Make] = {
    "rollout_submit": verb("rollout_submit", "rita", draft),
    "rollout_tune": verb("rollout_tune", "rita", draft, **{"accepted": "on", "p95.limit": "1500"}),
    "rollout_decide": verb(
        "rollout_decide", "ann", waiting, kind="APPROVE", duty="approver", reason="looked at it", **DIGEST
    ),
    "rollout_start": verb("rollout_start", "olaf", approved, digest=DIGEST["digest"]),
    "rollout_abort": verb("rollout_abort", "tom", started, **WHY),
    "rollout_rollback": verb("rollout_rollback", "tom", watched, **WHY),
    "rollout_accept": verb("rollout_accept", "tom", undecided, **WHY),
    "rollout_cancel": verb("rollout_cancel", "rita", waiting, **WHY),
    "rollout_settle": verb("rollout_settle", "tom", stuck, **WHY),
    "rollout_glass": verb("rollout_glass", "olaf", waiting, **GLASS, **DIGEST),
    "rollout_glass_review": review_of_glass,
    "rollout_review": verb("rollout_review", "tom", rolled_back, **WHY),
    "rollout_done": verb("rollout_done", "tom", unknown, seen=seen, **WHY),
    "rollout_not_done": verb("rollout_not_done", "tom", unknown, seen=seen, **WHY),
    "rollout_try_again": verb("rollout_try_again", "tom", unknown, seen=seen, **WHY),
    "rollout_probe": verb("rollout_probe", "tom", unknown),
    "rollout_publish": verb("rollout_publish", "rita", approved),
    "rollout_merge": verb("rollout_merge", "rita", mergeable),
    "rollout_new": new_rollout,
    "release_new": new_release,
    "artifact_upload": upload,
    "link_add": link,
    "target_lock": lock,
    "target_unlock": unlock,
    "configuration_confirm": confirm_configuration,
    "runbook_tick": tick,
    "token_create": new_token,
    "token_revoke": revoke_token,
    "incident_note": about_incident("note", text="looked at the disk"),
    "incident_acknowledge": about_incident("acknowledge"),
    "incident_severity": about_incident("severity", severity="P0", why="it spreads"),
    "incident_close": about_incident("close", resolution="the disk was full"),
    "person": profile,
    "person: rights": about_person(part="rights", active="on", email="ann@example.com", roles=["triage"]),
    "person: password": about_person(part="password"),
    "person: factors": lost_factors,
    "person: disable": about_person(part="disable"),
    "person_new": new_person,
    "change_answer": answer,
    "recovery_codes": new_codes,
    "factor_remove": remove_factor,
    "identity_remove": remove_identity,
    "sessions": end_own,
    "person_sessions": end_anothers,
    "delegations": lambda world: Post(*posts_delegation.given(world.cast)),
    "delegation_end": lambda world: Post(*posts_delegation.ended(world.cast)),
    "admin:rollout_freeze_add": freeze,
    "admin:rollout_freeze_change": longer_freeze,
}
