"""The pull-request checklist tells the rollout's real state, and ticks only what is true."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from rollout import evidence, pull_request
from rollout.models import Backup, EvidenceLink, Rollout, Target
from tests import factories
from tests.rollout.signed_in import browser

Cast = dict[str, User]


@pytest.fixture
def draft(cast: Cast, target: Target) -> Rollout:
    """Return a draft."""
    return factories.make_draft(target, cast["rita"])


def test_a_draft_is_not_ready_to_merge(cast: Cast, draft: Rollout) -> None:
    answer = browser(cast["rita"]).get(reverse("rollout_checklist_md", args=[draft.pk]))
    assert answer.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert "**Not ready to merge:**" in answer.content.decode() and "MERGE_NOW" not in answer.content.decode()


def test_a_link_counts_only_when_github_proved_it(cast: Cast, draft: Rollout) -> None:
    url = "https://github.com/example-org/dhash/actions/runs/1"
    rita = cast["rita"]
    evidence.link(draft.release, kind="ci_ubuntu", url=url, user=rita, by=factories.actor(rita), now=factories.NOW)
    assert [one.ok for one in pull_request.facts_of(factories.fresh(draft), now=factories.NOW).ci] == [False]
    EvidenceLink.objects.update(check_state="ok", check_detail="run 1 succeeded")
    (fact,) = pull_request.facts_of(factories.fresh(draft), now=factories.NOW).ci
    assert (fact.platform, fact.ok, fact.sentence) == ("Ubuntu", True, "run 1 succeeded")


def test_only_approvals_that_count_are_listed(cast: Cast, target: Target) -> None:
    rollout = factories.make_approved(target, cast)
    facts = pull_request.facts_of(rollout, now=factories.later(60))
    assert [(one.name, one.role) for one in facts.sign_offs] == [
        ("Ann", "approver"),
        ("Abe", "approver"),
        ("Olaf", "deploy-operator"),
    ]
    assert facts.sign_off_complete
    later = pull_request.facts_of(rollout, now=factories.NOW + timedelta(days=2))
    assert not later.sign_off_complete


def test_the_backup_is_named_as_the_commands_want_it(draft: Rollout, target: Target) -> None:
    name = "dhash_production_20261123_120000.zip"
    backup = Backup.objects.create(
        target=target, path=f"/b/{name}", sha256="c" * 64, size=1, release_version="1", created_at=timezone.now()
    )
    facts = pull_request.facts_of(factories.put_in(draft, "DRAFT", backup=backup), now=factories.NOW)
    assert facts.backup is not None and (facts.backup.path, facts.backup.verified) == (f"backups/{name}", False)


def test_without_a_token_the_protection_is_not_configured(draft: Rollout) -> None:
    (finding,) = pull_request.facts_of(draft, now=factories.NOW).protection
    assert finding.state == "not_configured"
