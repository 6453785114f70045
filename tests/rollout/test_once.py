"""What is sent twice with one key is done once, and leads where the first one led."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse
from django.utils import timezone

from monitoring.models import AuditEntry, Notice
from rollout import once
from rollout.models import Artifact, Idempotency, Rollout, Target
from rollout.views.refusals import NO_KEY
from tests import factories
from tests.base import PASSWORD, Client
from tests.rollout.posts import POSTS, Post, World, approved, lock, upload, waiting
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
SEALED = "This was done already; nothing was done twice."


def key() -> str:
    return once.new_key(timezone.now())


def again(data: dict[str, Any]) -> dict[str, Any]:
    """Return the same form, with the file at its beginning."""
    for value in data.values():
        if isinstance(value, SimpleUploadedFile):
            value.seek(0)
    return data


def send(client: Client, post: Post, key: str, **changed: Any) -> HttpResponse:
    return client.post(post.url, {**again(post.data), once.FIELD: key, **changed})


def traces() -> tuple[int, ...]:
    return AuditEntry.objects.count(), Notice.objects.count(), Idempotency.objects.count()


@pytest.mark.parametrize("name", sorted(POSTS))
def test_every_form_that_comes_twice_is_done_once(
    world: World, name: str, django_capture_on_commit_callbacks: Any
) -> None:
    post = POSTS[name](world)
    client, mine = browser(post.user), key()
    with django_capture_on_commit_callbacks() as hints:
        first = send(client, post, mine)
    done = traces()
    assert first.status_code in (201, 302), first.content.decode()[:2000]
    assert Idempotency.objects.get().key == mine
    with django_capture_on_commit_callbacks() as more:
        second = send(client, post, mine)
    assert (second.status_code, traces(), more) == (302, done, [])
    assert first.status_code == 201 or name.startswith("admin:") or second.url == first.url
    assert hints or AuditEntry.objects.exists()


def test_the_reader_is_told_that_it_was_done_already(world: World) -> None:
    post, mine = lock(world), key()
    client = browser(post.user)
    send(client, post, mine)
    assert SEALED in client.get(send(client, post, mine).url).content.decode()


@pytest.mark.parametrize("bad", [None, "", "x", "1764331200", "1764331200-short", "-" + "a" * 22])
def test_a_form_without_a_key_of_ours_is_refused_and_nothing_is_done(world: World, bad: str | None) -> None:
    post = lock(world)
    sent = {once.FIELD: bad, **post.data} if bad is not None else post.data
    answer = browser(post.user).post(post.url, sent, keyless=True)
    assert answer.status_code == 400 and not Target.objects.get(pk=world.target.pk).locked


def test_the_page_without_a_key_leads_back_and_keeps_what_was_typed(world: World) -> None:
    post, back = lock(world), "http://testserver/components/dhash/"
    answer = browser(post.user).post(post.url, post.data, keyless=True, headers={"Referer": back})
    page = answer.content.decode()
    assert NO_KEY in page and "Nothing was changed by this click" in page and post.data["why"] in page
    assert f'href="{back}">Open the page again</a>' in page


def test_the_page_without_a_key_tells_nothing_of_the_others(world: World) -> None:
    post = POSTS["target_unlock"](world)
    browser(world.cast["abe"]).post(post.url, {"why": "it is replaced"})
    page = browser(post.user).post(post.url, post.data, keyless=True).content.decode()
    assert NO_KEY in page and "data-winner" not in page and "Abe" not in page


def test_whoever_may_not_is_told_so_key_or_no_key(world: World) -> None:
    post, client = lock(world), browser(world.cast["aud"])
    answers = [client.post(post.url, post.data, keyless=keyless) for keyless in (True, False)]
    assert [one.status_code for one in answers] == [403, 403] and NO_KEY not in answers[0].content.decode()


def test_the_same_key_with_other_words_is_refused_and_the_words_are_kept(world: World) -> None:
    post, mine = lock(world), key()
    client = browser(post.user)
    send(client, post, mine)
    answer = send(client, post, mine, why="quite another reason")
    assert answer.status_code == 409
    assert "with something else in it" in answer.content.decode() and "quite another reason" in answer.content.decode()


def test_the_same_key_with_another_file_of_the_same_size_is_refused(world: World) -> None:
    post, mine = upload(world), key()
    client = browser(post.user)
    send(client, post, mine)
    answer = send(client, post, mine, file=SimpleUploadedFile("premerge.zip", b"BUNDLE"))
    assert (answer.status_code, Artifact.objects.filter(kind="premerge_artifacts").count()) == (409, 1)


def test_the_key_of_one_person_is_not_that_of_another(world: World) -> None:
    mine = key()
    for name, verb in (("tom", "target_lock"), ("abe", "target_lock")):
        answer = send(browser(world.cast[name]), POSTS[verb](world), mine)
    assert answer.status_code == 409 and "locked already" in answer.content.decode()


def test_a_refused_form_leaves_its_key_free(world: World) -> None:
    rollout, mine = waiting(world), key()
    post = Post(world.cast["olaf"], f"/rollouts/{rollout.pk}/start/", {"digest": rollout.digest})
    client = browser(post.user)
    assert send(client, post, mine).status_code == 409
    factories.approve(rollout, world.cast)
    assert send(client, post, mine).status_code == 302 and factories.fresh(rollout).state == "QUEUED"


def test_a_wrong_password_leaves_the_key_free(world: World) -> None:
    rollout, mine = approved(world), key()
    post = Post(world.cast["olaf"], f"/rollouts/{rollout.pk}/start/", {"digest": rollout.digest})
    client = browser(post.user, stale=True)
    assert send(client, post, mine, password="wrong").status_code == 422
    assert send(client, post, mine, password=PASSWORD).status_code == 302
    assert factories.fresh(rollout).state == "QUEUED"


def test_the_password_is_no_part_of_what_is_kept(world: World) -> None:
    rollout, mine = approved(world), key()
    post = Post(world.cast["olaf"], f"/rollouts/{rollout.pk}/start/", {"digest": rollout.digest})
    client = browser(post.user, stale=True)
    send(client, post, mine, password=PASSWORD)
    assert send(client, post, mine).status_code == 302


def test_a_sign_off_found_void_stays_void_though_the_start_is_refused(world: World) -> None:
    rollout, mine = approved(world), key()
    factories.bring_archive(rollout.release, world.cast["rita"], b"other bytes")
    answer = send(browser(world.cast["olaf"]), Post(world.cast["olaf"], f"/rollouts/{rollout.pk}/start/", {}), mine)
    assert (answer.status_code, factories.fresh(rollout).state) == (409, "DRAFT")
    assert not Idempotency.objects.exists()


def test_a_work_that_fails_leaves_neither_effect_nor_key(world: World) -> None:
    post, mine = lock(world), key()
    client = browser(post.user)
    world.patch.setattr("rollout.actions.audit.append", lambda **told: 1 / 0)
    client.raise_request_exception = False
    assert send(client, post, mine).status_code == 500
    assert not Idempotency.objects.exists() and not Target.objects.get(pk=world.target.pk).locked


def test_a_twin_that_took_the_key_a_moment_before_answers_for_both(world: World) -> None:
    """Nobody saw the key when this one came in: it was taken while this one was at its work."""
    post, mine = POSTS["rollout_start"](world), key()
    client = browser(post.user)
    seen = once.answer_to
    answers = iter([None])
    world.patch.setattr(once, "answer_to", lambda asked: next(answers, None) or seen(asked))
    send(Client(headers=client.headers), post, mine)
    first = send(client, post, mine)
    answers = iter([None])
    second = send(client, post, mine)
    assert (first.status_code, second.status_code, second.url) == (302, 302, first.url)
    assert Rollout.objects.get().runs.filter(kind="deploy").count() == 1
