"""A link to a CI run is worth what was checked of it, and is of the component's own repository."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from rollout import checklist, evidence, links
from rollout.checklist import Found, Item
from rollout.models import Rollout
from tests import factories
from tests.factories import NOW, actor
from tests.rollout import views_world
from tests.rollout.views_world import browser

OWN = "https://github.com/example-org/dhash/actions/runs/1"
OTHER = "https://github.com/other-org/dhash/actions/runs/1"


def found(state: str, detail: str = "", *, strict: bool = False) -> Found:
    return links.found(
        SimpleNamespace(kind="ci_ubuntu", url=OWN, check_state=state, check_detail=detail), strict=strict
    )


@pytest.mark.parametrize("state", ["not_checked", "not_configured", "error"])
def test_what_nobody_could_check_counts_as_a_claim(state: str) -> None:
    one = found(state)
    assert one.unchecked and one.note and not one.bad


@pytest.mark.parametrize("state", ["failed", "pending", "wrong_commit", "wrong_platform", "not_found"])
def test_what_was_disproved_does_not_count(state: str) -> None:
    assert found(state).bad and not found(state).unchecked


def test_what_github_proved_is_checked() -> None:
    one = found("ok", "run 1 succeeded", strict=True)
    assert (one.note, one.bad, one.unchecked) == ("run 1 succeeded", "", False)


def test_where_proof_is_asked_for_a_claim_does_not_count() -> None:
    assert found("not_configured", strict=True).bad == "not asked: GitHub is not connected"


def items(*unchecked: bool) -> tuple[Item, ...]:
    """Return a checklist of links that are there."""
    here = [Found(kind="ci", name=OWN, unchecked=one) for one in unchecked]
    return tuple(Item(kind="ci", label="CI", required=True, found=one) for one in here)


def test_the_headline_calls_nothing_complete_that_nobody_checked() -> None:
    shown = checklist.headline(items(False, True, True))
    assert (shown.state, shown.words) == ("UNCHECKED", "3 of 3 are there; 2 links were not checked")
    assert checklist.headline(items(False, False)).words == "Complete"
    assert checklist.headline((*items(True), Item(kind="x", label="X", required=True, found=None))).state == "MISSING"


ROUNDABOUT = [
    OTHER,
    "https://GitHub.com/other-org/dhash/actions/runs/1",
    "https://www.github.com/other-org/dhash/actions/runs/1",
    "https://github.com./other-org/dhash/actions/runs/1",
    "https://github.com/example-org/dhash-two/actions/runs/1",
    "https://github.com/example-org/dhash/../../other-org/dhash/actions/runs/1",
    "https://github.com/example-org/dhash/%2e%2E/x",
    "https://github.com/example-org/dhash\\..\\..\\other-org/dhash",
    "https://github.com/",
]


@pytest.mark.parametrize("url", ROUNDABOUT)
def test_a_link_past_the_repository_is_foreign(url: str) -> None:
    assert links.is_foreign(url, repository="example-org/dhash", web_url="https://github.com")


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        (OWN, "example-org/dhash"),
        (OWN.replace("example-org", "Example-Org"), "example-org/dhash"),
        ("https://ci.example.org/other-org/dhash/1", "example-org/dhash"),
        (OTHER, ""),
    ],
)
def test_its_own_runs_other_hosts_and_components_without_a_repository_are_not(url: str, repository: str) -> None:
    assert not links.is_foreign(url, repository=repository, web_url="https://github.com")


@pytest.fixture
def cited(tmp_path: Path, cast: dict[str, User]) -> Rollout:
    """Return a draft whose component has a repository and whose release cites a run."""
    text = factories.TOML.replace('name = "dhash"', 'name = "dhash"\nrepository = "example-org/dhash"')
    component = factories.load(factories.write_component(tmp_path, text=text))
    draft = factories.make_draft(component.targets.get(environment__name="production"), cast["rita"])
    cite(draft, OWN, cast["rita"])
    return draft


def cite(rollout: Rollout, url: str, user: User) -> None:
    evidence.link(rollout.release, kind="ci_ubuntu", url=url, user=user, by=actor(user), now=NOW)


@pytest.mark.django_db
def test_the_run_of_another_repository_is_refused(cited: Rollout, cast: dict[str, User]) -> None:
    with pytest.raises(Refused, match="is not of example-org/dhash, the repository of dhash"):
        cite(cited, OTHER, cast["rita"])
    assert cited.release.links.get().url == OWN


@pytest.mark.django_db
@pytest.mark.parametrize("page", ["", "sign/"])
def test_the_pages_say_what_was_not_checked(
    cited: Rollout, cast: dict[str, User], page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    views_world.stop_clock(monkeypatch)
    waiting = factories.freeze(cited)
    text = browser(cast["ann"]).get(f"{waiting.get_absolute_url()}{page}").content.decode()
    assert "1 of 1 are there; 1 link was not checked" in text and "not asked: GitHub is not connected" in text


@pytest.mark.django_db
def test_the_page_of_the_release_does_not_call_it_complete_either(cited: Rollout, cast: dict[str, User]) -> None:
    text = browser(cast["rita"]).get(f"/releases/{cited.release_id}/").content.decode()
    assert "1 link was not checked" in text and "evidence complete" not in text
