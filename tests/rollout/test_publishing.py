"""GitHub and a rollout: links proved, protection read, the status told, the merge done only when everything holds."""

import pytest

from approvals.ledger import Refused
from monitoring import audit
from monitoring.models import AuditEntry
from rollout import checklist, evidence, nudge, publishing, pull_request, tasks
from rollout.models import EvidenceLink
from rollout.states import RolloutState as R
from tests.base import Client
from tests.factories import (
    NOW,
    TOML,
    actor,
    approve,
    freeze,
    fresh,
    load,
    make_draft,
    make_release,
    make_waiting,
    put_in,
    write_component,
)
from tests.rollout import fake_github as fakes

LINKED = TOML.replace('title = "dhash media service"', f'title = "dhash"\nrepository = "{fakes.REPOSITORY}"')
STRICT = LINKED.replace("[evidence]", '[evidence]\ngithub = "block"').replace(
    '["release_archive"]', '["release_archive", "ci_ubuntu"]'
)


@pytest.fixture
def github(settings):
    with fakes.fake_github() as fake:
        settings.GR_GITHUB_TOKEN, settings.GR_GITHUB_API_URL = fakes.TOKEN, fake.url
        fake.classic["main"] = fakes.classic_protection(["premerge"], 2)
        yield fake


@pytest.fixture
def nudged(monkeypatch):
    """Collect the messages instead of leaving them in a queue."""
    seen = []
    monkeypatch.setattr(nudge, "_soon", lambda task, *args: seen.append((task.rpartition(".")[2], *args)))
    return seen


@pytest.fixture
def target(cast, tmp_path, nudged):
    return load(write_component(tmp_path, text=LINKED)).targets.get(environment__name="production")


def linked(release, github, user, kind="ci_ubuntu", run=7):
    url = f"{github.url}/{fakes.REPOSITORY}/actions/runs/{run}"
    told = {"by": actor(user), "subject": evidence.subject_of(release), "data": {"kind": kind, "url": url}}
    with audit.turn():
        audit.append(action="link.attached", **told, now=NOW)
    return EvidenceLink.objects.create(release=release, kind=kind, url=url, added_by=user, via="api", added_at=NOW)


def with_commit(release, sha=fakes.SHA):
    type(release).objects.filter(pk=release.pk).update(commit=sha)
    release.refresh_from_db()
    return release


def test_a_successful_run_proves_its_link(github, target, cast):
    release = with_commit(make_release(target.component, cast["rita"]))
    github.runs[7], github.jobs[7] = fakes.run(7), [fakes.job(1, ["ubuntu-latest"])]
    link = linked(release, github, cast["rita"])
    publishing.check_release(release, now=NOW)
    link.refresh_from_db()
    assert (link.check_state, link.checked_at) == ("ok", NOW)


def test_a_run_of_another_commit_does_not_count(github, target, cast):
    release = with_commit(make_release(target.component, cast["rita"]))
    github.runs[7] = fakes.run(7, head_sha=fakes.OTHER_SHA)
    linked(release, github, cast["rita"])
    publishing.check_release(release, now=NOW)
    item = next(one for one in evidence.release_checklist(release) if one.kind == "ci_ubuntu")
    assert item.state == "bad" and "expected a run of" in item.found.bad


def test_protection_is_kept_as_a_link_to_its_settings(github, target, cast):
    release = make_release(target.component, cast["rita"])
    publishing.check_release(release, now=NOW)
    link = release.links.get(kind="branch_protection")
    assert link.check_state == "ok" and link.url.endswith("/settings/branches")
    github.classic.clear()
    publishing.check_release(release, now=NOW)
    link.refresh_from_db()
    assert link.check_state == "failed" and "not protected" in link.check_detail


def test_protection_is_not_added_to_what_is_being_signed(github, target, cast):
    rollout = make_waiting(target, cast["rita"])
    publishing.check_release(rollout.release, now=NOW)
    assert not rollout.release.links.exists()


def test_without_a_token_a_link_says_not_configured(target, cast):
    release = make_release(target.component, cast["rita"])
    url = f"https://github.com/{fakes.REPOSITORY}/actions/runs/7"
    link = evidence.link(release, kind="ci_ubuntu", url=url, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    assert link.check_state == "not_configured"


def test_a_link_is_checked_as_soon_as_it_is_added(github, target, cast, nudged):
    release = make_release(target.component, cast["rita"])
    url = f"https://github.com/{fakes.REPOSITORY}/actions/runs/7"
    evidence.link(release, kind="ci_ubuntu", url=url, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    assert ("check", release.pk) in nudged


def test_a_policy_that_blocks_counts_no_unproved_link(cast, tmp_path, nudged):
    target = load(write_component(tmp_path, text=STRICT)).targets.get(environment__name="production")
    rollout = make_draft(target, cast["rita"])
    url = f"https://github.com/{fakes.REPOSITORY}/actions/runs/7"
    evidence.link(rollout.release, kind="ci_ubuntu", url=url, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    assert checklist.missing(evidence.checklist(rollout), brought_only=True) == ("CI run on Ubuntu",)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (R.WAITING, "pending"),
        (R.APPROVED, "success"),
        (R.DRAFT, "failure"),
        (R.REJECTED, "failure"),
        (R.SUPERSEDED, "failure"),
    ],
)
def test_the_commit_gets_the_status_of_the_sign_off(github, target, cast, state, told):
    rollout = put_in(make_waiting(target, cast["rita"]), state)
    with_commit(rollout.release)
    tasks.publish(rollout.pk)
    status = github.statuses[-1]
    assert (status["state"], status["context"]) == (told, "guarded-rollout/sign-off/production")
    assert "audit #" in status["description"] and status["target_url"].endswith(f"/rollouts/{rollout.pk}/")
    assert AuditEntry.objects.get(action="github.status").why.endswith(f"set to {told}")


def test_a_draft_that_was_never_signed_has_no_status(github, target, cast):
    publishing.publish(make_draft(target, cast["rita"]), now=NOW)
    assert github.asked == []


def test_a_move_nudges_the_status_when_there_is_a_token(github, target, cast, nudged):
    rollout = make_waiting(target, cast["rita"])
    assert ("publish", rollout.pk) in nudged


def test_a_move_nudges_nothing_without_a_token(target, cast, nudged):
    make_waiting(target, cast["rita"])
    assert not [one for one in nudged if one[0] == "publish"]


def ready(github, target, cast):
    """Return an approved rollout whose pull request may be merged."""
    release = with_commit(make_release(target.component, cast["rita"]))
    for number, kind in enumerate(("ci_ubuntu", "ci_premerge"), start=7):
        github.runs[number], github.jobs[number] = fakes.run(number), [fakes.job(1, ["ubuntu-latest"])]
        linked(release, github, cast["rita"], kind, number)
    publishing.check_release(release, now=NOW)
    github.pulls[12] = fakes.pull(12)
    return release


def test_a_merge_waits_until_everything_holds(github, target, cast):
    rollout = make_waiting(target, cast["rita"])
    with pytest.raises(Refused, match="not merged"):
        publishing.request_merge(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    result = publishing.merge(rollout, now=NOW)
    assert result.state == "refused" and not [one for one in github.asked if one.method == "PUT"]


def test_everything_holds_and_the_pull_request_is_merged(github, target, cast, monkeypatch):
    release = ready(github, target, cast)
    rollout = make_draft(target, cast["rita"], release=release)
    backup = checklist.Found(kind="backup", name="dhash_production_20261123_120000.zip", sha256="b" * 64)
    real = evidence.found
    monkeypatch.setattr(evidence, "found", lambda one: {**real(one), "backup": backup})
    rollout = approve(freeze(rollout), cast)
    assert rollout.state == R.APPROVED
    publishing.request_merge(rollout, user=cast["rita"], by=actor(cast["rita"]), now=NOW)
    result = publishing.merge(fresh(rollout), now=NOW)
    assert (result.state, github.pulls[12].get("merged")) == ("done", True), result.sentence
    sent = next(one.body for one in github.asked if one.method == "PUT")
    assert sent == {"sha": fakes.SHA, "merge_method": "rebase"}
    assert AuditEntry.objects.get(action="github.merge").why == "pull request #12 merged by rebase"
    assert "MERGE_NOW approved" in pull_request.markdown(fresh(rollout), now=NOW)


def test_the_checklist_ticks_only_what_is_proved(target, cast):
    rollout = make_waiting(target, cast["rita"])
    text = pull_request.markdown(rollout, now=NOW)
    assert "Not ready to merge" in text and "- [ ] Deploy operator sign-off obtained" in text
    assert "- [x] Monitoring defaults accepted or tuned" in text and rollout.digest in text


def test_the_page_gives_the_checklist_out_as_text(target, cast):
    rollout = make_waiting(target, cast["rita"])
    client = Client()
    client.force_login(cast["aud"])
    answer = client.get(f"/rollouts/{rollout.pk}/pull-request.md")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("text/markdown")
    assert client.post(f"/rollouts/{rollout.pk}/merge/").status_code == 403


def test_a_merge_before_its_time_is_a_409_with_the_reason(target, cast):
    rollout = make_waiting(target, cast["rita"])
    client = Client()
    client.force_login(cast["rita"])
    answer = client.post(f"/rollouts/{rollout.pk}/merge/")
    assert answer.status_code == 409 and b"not merged" in answer.content
