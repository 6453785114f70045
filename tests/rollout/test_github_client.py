"""How the GitHub client asks, pages, and turns refusals into sentences."""

import socket

import pytest

from rollout.github.client import GitHub, GitHubError
from tests.rollout.fake_github import OTHER_SHA, REPOSITORY, TOKEN, fake_github, rule


@pytest.fixture
def fake():
    with fake_github() as server:
        yield server


def client(fake, token=TOKEN, **options):
    return GitHub(token, repository=REPOSITORY, api_url=fake.url, **options)


def refusal(fake, status, body, **headers):
    fake.answers["GET", "x"] = (status, body, {name.replace("_", "-"): value for name, value in headers.items()})
    with pytest.raises(GitHubError) as caught:
        client(fake).call("GET", "x")
    return caught.value


def test_version_and_media_type_are_named(fake):
    fake.answers["GET", "x"] = (200, {}, {})
    client(fake).call("GET", "x")
    asked = fake.asked[0].headers
    assert (asked["x-github-api-version"], asked["accept"]) == ("2022-11-28", "application/vnd.github+json")


def test_every_page_is_read(fake):
    fake.page_size = 2
    fake.rules["main"] = [rule(f"kind{number}") for number in range(5)]
    assert len(list(client(fake).pages("rules/branches/main?per_page=100"))) == 5
    assert len(fake.asked) == 3


def test_a_next_page_elsewhere_is_not_followed_with_the_token(fake):
    with fake_github() as thief:
        fake.answers["GET", "x"] = (200, [], {"Link": f'<{thief.url}/steal>; rel="next"'})
        with pytest.raises(GitHubError, match="not among the allowed origins"):
            list(client(fake).pages("x"))
        assert thief.asked == []


def test_pages_without_end_are_an_error_not_a_short_list(fake):
    here = f"{fake.url}/repos/{REPOSITORY}/x"
    fake.answers["GET", "x"] = (200, [], {"Link": f'<{here}>; rel="next"'})
    with pytest.raises(GitHubError, match="more than 20 pages"):
        list(client(fake).pages("x"))


def test_a_wrong_token_is_told_without_showing_it(fake):
    with pytest.raises(GitHubError) as caught:
        client(fake, token="ghp_WRONG").call("GET", "x")
    said = caught.value.sentence
    assert said == 'GitHub answered 401 and said "Bad credentials": the token is wrong, expired or revoked'


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (403, "Resource not accessible by personal access token", "lacks a permission"),
        (404, "Not Found", "no such thing, or the token may not see it"),
        (422, "Validation Failed", "found the request invalid"),
        (301, "Moved Permanently", "the repository moved"),
    ],
)
def test_a_refusal_quotes_github_and_says_what_it_means(fake, status, said, reason):
    sentence = refusal(fake, status, {"message": said}).sentence
    assert f'answered {status} and said "{said}"' in sentence and reason in sentence


def test_a_redirect_is_refused_and_the_token_goes_nowhere(fake):
    with fake_github() as thief:
        assert refusal(fake, 302, b"", Location=f"{thief.url}/steal").status == 302
        assert thief.asked == []


def test_retry_after_is_told(fake):
    problem = refusal(fake, 429, {"message": "slow down"}, Retry_After="60")
    assert problem.sentence == "GitHub's rate limit is reached; try again in 60 s"


def test_the_reset_of_the_primary_limit_is_told(fake):
    said = {"message": "API rate limit exceeded for user ID 1."}
    problem = refusal(fake, 403, said, X_RateLimit_Remaining="0", X_RateLimit_Reset="1764000000")
    assert problem.sentence == "GitHub's rate limit is reached; try again after 16:00:00 UTC"


def test_a_secondary_limit_without_headers_is_known_by_its_message(fake):
    problem = refusal(fake, 403, {"message": "You have exceeded a secondary rate limit."})
    assert problem.sentence == "GitHub's rate limit is reached; try again in a minute or later"


def test_a_plain_403_is_no_rate_limit(fake):
    assert "rate limit" not in refusal(fake, 403, {"message": "Forbidden"}, X_RateLimit_Remaining="4999").sentence


@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[1]", b'{"message": 5}'])
def test_a_refusal_without_a_message_is_still_a_sentence(fake, body):
    assert refusal(fake, 500, body).sentence.startswith("GitHub answered 500 and ")


def test_a_token_that_the_server_echoes_is_hidden(fake):
    assert TOKEN not in str(refusal(fake, 422, {"message": f"bad header Bearer {TOKEN}"}))


def test_line_breaks_in_github_s_message_do_not_reach_the_sentence(fake):
    assert "a b c" in refusal(fake, 422, {"message": "a\r\nb\x00c" + "x" * 500}).sentence


def test_an_answer_that_is_no_json_is_an_error(fake):
    fake.answers["GET", "x"] = (200, b"<html>", {})
    with pytest.raises(GitHubError, match="not JSON; is the API URL right"):
        client(fake).call("GET", "x")


@pytest.mark.parametrize("body", [{"jobs": 5}, {}, [1], {"jobs": ["a"]}])
def test_a_list_of_the_wrong_shape_is_an_error(fake, body):
    fake.answers["GET", "x"] = (200, body, {})
    with pytest.raises(GitHubError, match="no list of objects"):
        list(client(fake).pages("x", "jobs"))


def test_a_huge_body_is_refused(fake):
    fake.answers["GET", "x"] = (200, b" " * (8 * 1024 * 1024 + 1), {})
    with pytest.raises(GitHubError, match="more than 8388608 bytes"):
        client(fake).call("GET", "x")


def test_no_answer_is_an_error_without_a_status():
    with socket.create_server(("127.0.0.1", 0)) as spare:
        url = f"http://127.0.0.1:{spare.getsockname()[1]}"
    with pytest.raises(GitHubError, match=r"no answer from GitHub: .* refused the connection") as caught:
        GitHub(TOKEN, repository=REPOSITORY, api_url=url).call("GET", "x")
    assert caught.value.status is None


def test_a_server_that_never_answers_is_left_in_time():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        github = GitHub(TOKEN, repository=REPOSITORY, api_url=url, timeout_s=0.05)
        with pytest.raises(GitHubError, match=r"did not answer within 0\.05 s"):
            github.call("GET", "x")


def test_the_token_is_not_in_the_client_s_own_text(fake):
    assert TOKEN not in repr(client(fake))


def test_a_token_with_a_line_break_inside_is_refused_unseen(fake):
    with pytest.raises(GitHubError) as caught:
        client(fake, token="HUSH\nHUSH").call("GET", "x")
    assert "malformed header" in caught.value.sentence and "HUSH" not in caught.value.sentence


def test_a_trailing_line_break_of_a_token_file_does_no_harm(fake):
    fake.answers["GET", "x"] = (200, {"a": 1}, {})
    assert client(fake, token=TOKEN + "\n").call("GET", "x") == {"a": 1}


@pytest.mark.parametrize(
    ("api", "pages"),
    [
        ("https://api.github.com/", "https://github.com"),
        ("https://api.octo.ghe.com", "https://octo.ghe.com"),
        ("https://git.example.org/api/v3/", "https://git.example.org"),
    ],
)
def test_the_pages_follow_from_the_api_s_address(api, pages):
    assert GitHub(TOKEN, repository=REPOSITORY, api_url=api).web_url == pages


@pytest.mark.parametrize("name", ["dhash", "a/b/c", "../x", "a/b?c", "-a/b", "a/b\n"])
def test_a_repository_that_is_no_owner_and_name_is_refused(name):
    with pytest.raises(ValueError, match="owner/name"):
        GitHub(TOKEN, repository=name)


@pytest.mark.parametrize(("token", "repository"), [("", REPOSITORY), ("  \n", REPOSITORY), (TOKEN, "")])
def test_without_token_or_repository_nothing_is_asked(fake, token, repository):
    github = GitHub(token, repository=repository, api_url=fake.url)
    with pytest.raises(GitHubError, match="not configured"):
        github.call("GET", f"commits/{OTHER_SHA}/pulls")
    assert not github.configured and fake.asked == []
