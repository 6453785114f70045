"""What anybody writes stands bare on no page: whatever reorders or hides text is shown by its code, everywhere."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.http import HttpResponse

from monitoring.models import Incident
from rollout import actions, aftermath, opening, transitions
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from rollout.states import RunState as N
from tests.base import Client
from tests.factories import actor, fresh, later
from tests.rollout import posts
from tests.rollout.posts import POSTS, World
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
TURN, HIDE = "\u202e", "\u2060"
TEXTS = ("why", "reason", "text", "why_now", "why_safe", "words", "resolution", "notes", "commits", "name")
TEXTS += ("printed_name", "username", "version", "branch", "url", "p95.limit")
CLOSE = ("/", "/inbox/", "/history/")
FAR = ("/rollouts/", "/components/", "/components/dhash/", "/components/dhash/tokens/", "/incidents/", "/runbooks/")
FAR += (
    "/people/",
    "/people/changes/",
    "/delegations/",
    "/population/",
    "/controls/",
    "/unread-decisions/",
    "/notices/",
)
OF_A_ROLLOUT = ("", "sign/", "live/", "verbs/", "undo/", "difference/", "glass/", "manifests/")
# what a form gives back to be mended, and what a button copies, are the words themselves
TYPED = re.compile(r'<textarea.*?</textarea>|<input[^>]* value="[^"]*"|data-copy="[^"]*"', re.DOTALL)
FORMS = {
    **{name: make for name, make in POSTS.items() if not name.startswith("admin:")},
    "rollout_decide: no": posts.verb(
        "rollout_decide", "ann", posts.waiting, kind="REJECT", duty="", reason="it locks", **posts.DIGEST
    ),
}


def nasty(data: dict[str, Any]) -> dict[str, Any]:
    return {key: f"{value}{TURN}{HIDE} and on" if key in TEXTS else value for key, value in data.items()}


def bare(answer: HttpResponse) -> list[str]:
    """Return where on a page a character that nobody sees stands as it was written, with what is before it."""
    return re.findall(f".{{0,80}}[{TURN}{HIDE}]", TYPED.sub("", answer.content.decode()))


def reader() -> Client:
    """Return the browser of somebody who may read everything."""
    aud = User.objects.get(username="aud")
    aud.groups.set(Group.objects.all())
    return browser(aud)


def seen_bare(*far: str) -> dict[str, list[str]]:
    """Return what stands bare on the pages of what there is, by its address."""
    of = [f"/rollouts/{one.pk}/{part}" for one in Rollout.objects.all() for part in OF_A_ROLLOUT]
    of += [f"/releases/{one.release_id}/" for one in Rollout.objects.all()]
    of += [f"/incidents/{one.pk}/" for one in Incident.objects.all()]
    read = reader()
    return {url: found for url in (*CLOSE, *far, *of) if (found := bare(read.get(url)))}


@pytest.mark.parametrize("name", sorted(FORMS))
def test_the_words_of_every_form_are_shown_and_not_obeyed(world: World, name: str) -> None:
    post = FORMS[name](world)
    client, written = browser(post.user), nasty(post.data)
    if written == post.data:
        return  # a form with nothing to write
    # the second comes too late for many: the page that says so repeats what was written
    for _ in range(2):
        assert bare(client.post(post.url, written, follow=True)) == []
    assert seen_bare() == {}


def test_the_story_of_a_rollback_shows_them(world: World) -> None:
    olaf, why = world.cast["olaf"], f"slow{TURN}{HIDE} today"
    by = actor(olaf)
    rollout = posts.watched(world)
    run = actions.roll_back(fresh(rollout), user=olaf, why=why, by=by, now=later(40))
    opening.end_run(run, N.SUCCEEDED, why=why, by=by, now=later(50))
    transitions.move(fresh(rollout), R.ROLLED_BACK, why=f"{why}.", by=by, now=later(50), ended_at=later(50))
    aftermath.lock_after_rollback(Run.objects.get(pk=run.pk), why=why, now=later(51))
    assert Target.objects.get(pk=world.target.pk).locked
    assert seen_bare(*FAR) == {}
