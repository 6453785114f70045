"""Links to CI runs, followed on a fake GitHub."""

import pytest

from rollout.github.checks import Link, RunLink, check_run_link, job_platforms, parse_run_link
from rollout.github.client import GitHub
from tests.rollout.fake_github import OTHER_SHA, REPOSITORY, SHA, TOKEN, fake_github, job, run

LINK = f"https://github.com/{REPOSITORY}/actions/runs/7"
THREE = [job(1, ["ubuntu-24.04"]), job(2, ["macos-14"]), job(3, ["windows-latest"])]


@pytest.fixture
def fake():
    with fake_github() as server:
        server.runs[7] = run()
        server.jobs[7] = THREE
        yield server


def check(fake, url=LINK, *, token=TOKEN, commit=SHA, platform="ubuntu", **options):
    github = GitHub(token, repository=REPOSITORY, api_url=fake.url, web_url="https://github.com")
    return check_run_link(github, url, commit=commit, platform=platform, **options)


@pytest.mark.parametrize("platform", ["ubuntu", "macos", "windows"])
def test_a_successful_run_of_the_commit_on_the_platform_is_ok(fake, platform):
    found = check(fake, platform=platform)
    assert (found.state, found.run_id, found.run_attempt, found.conclusion) == (Link.OK, 7, 1, "success")
    assert found.sentence == f"run 7 on {platform} succeeded for 1f1f1f1f1f1f"


def test_a_run_of_another_commit_is_no_proof(fake):
    fake.runs[7] = run(head_sha=OTHER_SHA)
    found = check(fake)
    assert found.state is Link.WRONG_COMMIT
    assert found.sentence == "expected a run of 1f1f1f1f1f1f, this one is of 2e2e2e2e2e2e"


@pytest.mark.parametrize("conclusion", ["failure", "cancelled", "timed_out", "neutral", "skipped", None])
def test_only_success_is_success(fake, conclusion):
    fake.runs[7] = run(conclusion=conclusion)
    found = check(fake)
    assert (found.state, found.conclusion) == (Link.FAILED, conclusion)


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "requested"])
def test_a_run_that_is_not_finished_is_pending(fake, status):
    fake.runs[7] = run(status=status, conclusion=None)
    assert check(fake).state is Link.PENDING


def test_a_run_without_a_job_on_the_platform_is_refused_and_says_where_it_ran(fake):
    fake.jobs[7] = [job(1, ["ubuntu-latest"])]
    found = check(fake, platform="windows")
    assert found.state is Link.WRONG_PLATFORM
    assert found.sentence == "no job of the run is on windows; they are on ubuntu"


def test_a_failed_job_under_a_successful_run_is_a_failure(fake):
    fake.jobs[7] = [job(1, ["ubuntu-latest"]), job(2, ["ubuntu-latest"], "failure")]
    assert check(fake).state is Link.FAILED


def test_a_failed_job_of_another_platform_does_not_count(fake):
    fake.jobs[7] = [job(1, ["ubuntu-latest"]), job(2, ["macos-14"], "failure")]
    assert check(fake).state is Link.OK


def test_a_skipped_job_proves_nothing(fake):
    fake.jobs[7] = [job(1, ["windows-latest"], "skipped")]
    found = check(fake, platform="windows")
    assert found.state is Link.FAILED and "ended with skipped" in found.sentence


def test_the_job_is_found_on_a_later_page(fake):
    fake.page_size = 10
    fake.jobs[7] = [job(number, ["ubuntu-latest"]) for number in range(25)] + [job(99, ["windows-2022"])]
    assert check(fake, platform="windows").state is Link.OK


def test_a_link_to_one_job_is_judged_by_that_job(fake):
    assert check(fake, LINK + "/job/3", platform="windows").state is Link.OK
    assert check(fake, LINK + "/job/3", platform="ubuntu").state is Link.WRONG_PLATFORM
    assert check(fake, LINK + "/job/4").state is Link.NOT_FOUND


def test_a_rerun_that_failed_outweighs_the_linked_attempt(fake):
    fake.runs[7] = run(run_attempt=2, conclusion="failure")
    found = check(fake, LINK + "/attempts/1")
    assert (found.state, found.run_attempt) == (Link.FAILED, 2)
    assert "judged by attempt 2, the latest" in found.sentence


def test_an_attempt_that_never_was_is_not_found(fake):
    assert check(fake, LINK + "/attempts/3").state is Link.NOT_FOUND


def test_an_unknown_run_is_not_found(fake):
    found = check(fake, LINK + "8")
    assert (found.state, found.run_id) == (Link.NOT_FOUND, 78) and "has no run 78" in found.sentence


def test_the_premerge_link_must_be_of_the_workflow_file(fake):
    assert check(fake, platform=None).state is Link.OK
    fake.runs[7] = run(path=".github/workflows/not-premerge.yml")
    found = check(fake, platform=None)
    assert found.state is Link.WRONG_WORKFLOW
    assert found.sentence == "expected a run of premerge.yml, this one is of .github/workflows/not-premerge.yml"


def test_a_platform_link_may_be_of_any_workflow(fake):
    fake.runs[7] = run(path=".github/workflows/nightly.yml")
    assert check(fake).state is Link.OK


@pytest.mark.parametrize(
    "url",
    [
        "https://github.com/evil/dhash/actions/runs/7",
        "https://github.com.evil.example/example-org/dhash/actions/runs/7",
        f"http://github.com/{REPOSITORY}/actions/runs/7",
        f"https://github.com/{REPOSITORY}/actions/runs/7/../8",
        f"https://github.com/{REPOSITORY}/actions/runs/0",
        f"https://github.com/{REPOSITORY}/actions/runs/７",
        f"https://github.com/{REPOSITORY}/pull/7",
        "javascript:alert(1)",
        "",
    ],
)
def test_any_other_link_is_refused_without_asking(fake, url):
    found = check(fake, url)
    assert found.state is Link.NOT_FOUND and f"{REPOSITORY}/actions/runs/NUMBER" in found.sentence
    assert fake.asked == []


def test_the_parts_of_a_link_are_read():
    whole = "https://GitHub.com/Example-Org/dhash/actions/runs/12/attempts/3/job/45?pr=1#step:2:3"
    assert parse_run_link(whole, repository=REPOSITORY) == RunLink(run_id=12, attempt=3, job_id=45)


def test_an_enterprise_server_has_links_of_its_own():
    url = "https://git.example.org/a/b/actions/runs/5"
    assert parse_run_link(url, repository="a/b", web_url="https://git.example.org") == RunLink(run_id=5)


def test_a_broken_github_is_an_error_not_a_failure(fake):
    fake.answers["GET", "actions/runs/7"] = (502, b"", {})
    found = check(fake)
    assert found.state is Link.ERROR and "502" in found.sentence


def test_jobs_that_cannot_be_read_are_an_error(fake):
    fake.answers["GET", "actions/runs/7/jobs"] = (403, {"message": "Resource not accessible"}, {})
    assert check(fake).state is Link.ERROR


def test_without_a_token_the_check_says_so(fake):
    assert check(fake, token="").state is Link.NOT_CONFIGURED
    assert fake.asked == []


@pytest.mark.parametrize(
    ("shape", "platforms"),
    [
        ({"labels": ["self-hosted", "Windows", "X64"], "name": "not ubuntu"}, {"windows"}),
        ({"labels": ["self-hosted", "big"], "runner_name": "ubuntu-builder-3", "name": "x"}, {"ubuntu"}),
        ({"labels": [], "runner_name": None, "name": "test / macOS"}, {"macos"}),
        ({"labels": None, "runner_name": "", "name": "kubuntu"}, set()),
    ],
)
def test_labels_outweigh_the_runner_s_name_and_that_the_job_s(shape, platforms):
    assert job_platforms(shape) == platforms
