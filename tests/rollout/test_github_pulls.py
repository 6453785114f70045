"""Statuses, pull requests and merges on a fake GitHub."""

import pytest

from monitoring import http
from rollout.github.client import GitHub
from rollout.github.pulls import Told, merge, pull_for_commit, set_commit_status
from tests.rollout.fake_github import OTHER_SHA, REPOSITORY, SHA, TOKEN, fake_github, pull


@pytest.fixture
def fake():
    with fake_github() as server:
        yield server


@pytest.fixture
def github(fake):
    return GitHub(TOKEN, repository=REPOSITORY, api_url=fake.url)


@pytest.fixture
def nobody(fake):
    return GitHub("", repository=REPOSITORY, api_url=fake.url)


def test_a_status_is_set_with_context_and_link(fake, github):
    told = set_commit_status(github, SHA, "success", "4 of 4 signed", target_url="http://localhost/rollouts/1")
    assert told.state is Told.DONE
    assert fake.statuses == [
        {
            "sha": SHA,
            "state": "success",
            "description": "4 of 4 signed",
            "context": "guarded-rollout/sign-off",
            "target_url": "http://localhost/rollouts/1",
        }
    ]


def test_a_long_description_is_cut_at_what_github_takes(fake, github):
    assert set_commit_status(github, SHA, "failure", "void: " + "x" * 200).state is Told.DONE
    assert len(fake.statuses[0]["description"]) == 140 and fake.statuses[0]["description"].endswith("…")


def test_a_commit_that_github_does_not_know_is_refused(github):
    told = set_commit_status(github, OTHER_SHA, "success", "signed")
    assert told.state is Told.REFUSED and "No commit found for SHA" in told.sentence


def test_a_status_that_got_no_clear_answer_is_unknown(fake, github):
    fake.answers["POST", f"statuses/{SHA}"] = (502, b"", {})
    assert set_commit_status(github, SHA, "success", "signed").state is Told.UNKNOWN


@pytest.mark.parametrize(("sha", "state"), [(SHA, "good"), ("abc", "success"), ("../" * 14, "success")])
def test_a_state_or_sha_that_is_none_is_a_caller_s_error(github, sha, state):
    with pytest.raises(ValueError, match="expected"):
        set_commit_status(github, sha, state, "signed")


def test_the_open_pull_request_at_the_commit_is_found(fake, github):
    fake.pulls = {
        1: pull(1, state="closed"),
        2: pull(2, head=OTHER_SHA, commits=(SHA,)),
        3: pull(3),
    }
    found = pull_for_commit(github, SHA).pull
    assert (found.number, found.head_sha, found.base, found.open) == (3, SHA, "main", True)


def test_a_merged_pull_request_is_found_when_none_is_open(fake, github):
    fake.pulls = {1: pull(1, state="closed"), 2: pull(2, head=OTHER_SHA, commits=(SHA,))}
    assert pull_for_commit(github, SHA).pull.number == 1


def test_two_open_pull_requests_are_not_guessed_between(fake, github):
    fake.pulls = {1: pull(1), 2: pull(2)}
    found = pull_for_commit(github, SHA)
    assert found.pull is None and found.sentence.endswith("is in more than one pull request: #1, #2")


def test_a_commit_without_a_pull_request_says_so(github):
    assert pull_for_commit(github, SHA).sentence == "no pull request holds 1f1f1f1f1f1f"


def test_a_merge_asks_for_the_signed_head_and_rebase(fake, github):
    fake.pulls[3] = pull(3)
    told = merge(github, 3, SHA)
    assert (told.state, told.sha) == (Told.DONE, OTHER_SHA)
    assert fake.asked[0].body == {"sha": SHA, "merge_method": "rebase"}


def test_a_head_that_moved_on_is_refused_by_its_sha(fake, github):
    fake.pulls[3] = pull(3, head=OTHER_SHA)
    told = merge(github, 3, SHA)
    assert told.state is Told.REFUSED
    assert told.sentence == "#3 is no longer at 1f1f1f1f1f1f, the commit that was signed off; nothing was merged"


def test_a_pull_request_that_cannot_be_merged_says_why(fake, github):
    fake.pulls[3] = pull(3, state="closed")
    told = merge(github, 3, SHA)
    assert told.state is Told.REFUSED
    assert told.sentence == "#3 cannot be merged by rebase now: Pull Request is not mergeable"


@pytest.mark.parametrize(("status", "message"), [(403, "Resource not accessible"), (404, "Not Found"), (429, "slow")])
def test_any_other_no_is_a_refusal(fake, github, status, message):
    fake.answers["PUT", "pulls/3/merge"] = (status, {"message": message}, {})
    assert merge(github, 3, SHA).state is Told.REFUSED


def test_a_lost_answer_is_looked_up_and_found_merged(fake, github):
    fake.pulls[3] = {**pull(3, state="closed"), "merged": True}
    fake.answers["PUT", "pulls/3/merge"] = (502, b"", {})
    told = merge(github, 3, SHA)
    assert told.state is Told.DONE and "answer was lost" in told.sentence


@pytest.mark.parametrize("lost", [(502, b"", {}), (200, b"<html>", {})])
def test_a_lost_answer_that_cannot_be_cleared_up_is_unknown(fake, github, lost):
    fake.pulls[3] = pull(3)
    fake.answers["PUT", "pulls/3/merge"] = lost
    told = merge(github, 3, SHA)
    assert told.state is Told.UNKNOWN and "it may have been merged" in told.sentence


def test_a_merge_is_sent_once_even_when_the_connection_breaks():
    sent = []

    def broken(url, *, method, **options):
        sent.append(method)
        raise http.HttpError("http://x:80 broke the connection", False)

    told = merge(GitHub(TOKEN, repository=REPOSITORY, fetch=broken), 3, SHA)
    assert told.state is Told.UNKNOWN and sent == ["PUT", "GET"]


def test_a_method_that_github_does_not_know_is_a_caller_s_error(github):
    with pytest.raises(ValueError, match="merge, squash, rebase"):
        merge(github, 3, SHA, method="fast")


def test_without_a_token_nothing_is_asked(fake, nobody):
    told = (set_commit_status(nobody, SHA, "success", "x"), merge(nobody, 3, SHA))
    assert {one.state for one in told} == {Told.NOT_CONFIGURED}
    assert "not configured" in pull_for_commit(nobody, SHA).sentence
    assert fake.asked == []
