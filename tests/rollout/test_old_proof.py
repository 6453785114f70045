"""What a session may do whose proof is old: docs/security.md tells what a stolen, unlocked browser could."""

import pytest
from django.urls import reverse
from django.utils import timezone

from rollout import once
from rollout.models import Idempotency, Target
from tests.rollout.posts import POSTS, World
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
PREPARES = {"release_new", "artifact_upload", "link_add", "rollout_new", "rollout_tune", "rollout_submit"}
PUBLISHES = {"rollout_merge", "rollout_publish"}
WRITES_DOWN = {
    *("incident_acknowledge", "incident_close", "incident_note", "incident_severity"),
    *("rollout_review", "runbook_tick", "rollout_probe"),
}
HOLDS_BACK = {"target_lock", "rollout_cancel", "token_revoke", "delegation_end"}
GOES_THROUGH = PREPARES | PUBLISHES | WRITES_DOWN | HOLDS_BACK


@pytest.mark.parametrize("name", sorted(POSTS))
def test_an_old_proof_is_enough_for_this_and_for_nothing_else(world: World, name: str) -> None:
    post = POSTS[name](world)
    browser(post.user, stale=True).post(post.url, {**post.data, once.FIELD: once.new_key(timezone.now())})
    assert Idempotency.objects.exists() == (name in GOES_THROUGH)


def test_an_old_proof_that_would_unlock_is_led_to_a_new_one_and_keeps_its_words(world: World) -> None:
    post = POSTS["target_unlock"](world)
    answer = browser(post.user, stale=True).post(post.url, {"why": "the disk is new"})
    said = answer.content.decode()
    assert answer.status_code == 409 and Target.objects.get(pk=world.target.pk).locked
    assert "asks once more who you are" in said and "/confirm/?next=%2Fcomponents%2Fdhash%2F" in said
    assert "the disk is new" in said


def test_the_page_offers_an_old_proof_a_new_one_in_place_of_the_form(world: World) -> None:
    POSTS["target_unlock"](world)
    form = reverse("target_unlock", args=[world.target.pk])
    pages = [
        browser(world.cast["tom"], stale=stale).get("/components/dhash/").content.decode() for stale in (True, False)
    ]
    assert [form in page for page in pages] == [False, True]
    assert ["Before%20you%20unlock" in page for page in pages] == [True, False]
