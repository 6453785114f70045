"""The pages of runbooks: values of a rollout put in, boxes ticked and recorded."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from monitoring.models import AuditEntry
from rollout.models import Rollout, Runbook, RunbookTick, Target
from tests import factories
from tests.rollout.signed_in import browser, queries

Cast = dict[str, User]
TEXT = (
    "# Roll {{component}} back from {{release}}\n\nAsk {{owner}}. See {{rollout_url}}\n\n"
    "- [ ] look at {{environment}}\n- [ ] tell\n"
)


@pytest.fixture
def rollout(cast: Cast, target: Target) -> Rollout:
    """Return a draft of 1.1.0, and a runbook with values to fill in."""
    Runbook.objects.filter(slug="rollback").update(text=TEXT)
    return factories.make_draft(target, cast["rita"])


def page_of(rollout: Rollout) -> str:
    """Return the address of the runbook, filled with a rollout."""
    return f"/runbooks/dhash/rollback/?rollout={rollout.pk}"


def tick(user: User, rollout: Rollout, item: str = "1", done: str = "1"):
    """Post a box."""
    runbook = Runbook.objects.get(slug="rollback", current=True)
    url = reverse("runbook_tick", args=[runbook.pk])
    return browser(user).post(url, {"rollout": rollout.pk, "item": item, "done": done})


def test_the_rollouts_values_stand_in_the_text(cast: Cast, rollout: Rollout) -> None:
    page = browser(cast["aud"]).get(page_of(rollout)).content.decode()
    assert "<h1>Roll dhash back from 1.1.0</h1>" in page
    assert "Ask Rita." in page and "look at production" in page and f"/rollouts/{rollout.pk}/</a>" in page


def test_without_a_rollout_the_names_stay_and_nothing_can_be_ticked(cast: Cast, rollout: Rollout) -> None:
    page = browser(cast["tom"]).get("/runbooks/dhash/rollback/").content.decode()
    assert "‹release›" in page and "/runbook-ticks/" not in page


def test_a_tick_is_recorded_with_who_and_when(cast: Cast, rollout: Rollout) -> None:
    answer = tick(cast["tom"], rollout)
    made = RunbookTick.objects.get()
    assert answer.headers["Location"] == f"{page_of(rollout)}#box-1"
    assert (made.by, made.text, made.done) == (cast["tom"], "look at production", True)
    page = browser(cast["aud"]).get(page_of(rollout)).content.decode()
    assert "1 of 2 done" in page and "Tom" in page
    assert AuditEntry.objects.get(action="runbook.ticked").subject_id == str(rollout.pk)


def test_a_cleared_box_is_open_again_and_stays_in_the_record(cast: Cast, rollout: Rollout) -> None:
    tick(cast["tom"], rollout)
    tick(cast["olaf"], rollout, done="0")
    page = browser(cast["aud"]).get(page_of(rollout)).content.decode()
    assert "0 of 2 done" in page and "2 ticks" in page and RunbookTick.objects.count() == 2


@pytest.mark.parametrize("item", ["3", "0", "-1", "x", ""])
def test_a_box_that_is_not_there_is_refused(cast: Cast, rollout: Rollout, item: str) -> None:
    assert tick(cast["tom"], rollout, item).status_code == 409
    assert not RunbookTick.objects.exists()


def test_an_auditor_reads_and_does_not_tick(cast: Cast, rollout: Rollout) -> None:
    assert tick(cast["aud"], rollout).status_code == 403
    assert '<button type="submit" class="box' not in browser(cast["aud"]).get(page_of(rollout)).content.decode()


def test_a_box_of_a_text_that_was_changed_meanwhile_is_refused(cast: Cast, rollout: Rollout) -> None:
    old = Runbook.objects.get(slug="rollback")
    Runbook.objects.filter(pk=old.pk).update(current=False)
    url = reverse("runbook_tick", args=[old.pk])
    answer = browser(cast["tom"]).post(url, {"rollout": rollout.pk, "item": "1", "done": "1"})
    assert answer.status_code == 409 and "changed meanwhile" in answer.content.decode()


@pytest.mark.parametrize("query", ["rollout=999", "rollout=x", "rollout=%00"])
def test_a_rollout_that_is_unknown_is_not_found(cast: Cast, rollout: Rollout, query: str) -> None:
    assert browser(cast["aud"]).get(f"/runbooks/dhash/rollback/?{query}").status_code == 404


def test_the_page_takes_the_same_queries_however_many_ticks(cast: Cast, rollout: Rollout) -> None:
    client = browser(cast["tom"])
    tick(cast["tom"], rollout)
    few = queries(client, page_of(rollout))
    for number in range(6):
        tick(cast["olaf"], rollout, item=str(number % 2 + 1))
    assert queries(client, page_of(rollout)) == few
