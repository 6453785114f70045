"""The sign-off page and the whole difference: what an approver reads, and what the server records of it."""

import io
import re
import zipfile

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.urls import reverse

from approvals.models import Decision, SignOff
from monitoring.models import AuditEntry
from rollout import drafting
from rollout.models import Backup, DiffReading, Rollout, Run, Step, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.rollout import views_world
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db
Cast = dict[str, User]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)


@pytest.fixture
def waiting(target: Target, cast: Cast) -> Rollout:
    return factories.make_waiting(target, cast["rita"])


def url(what: str, rollout: Rollout) -> str:
    return reverse(f"rollout_{what}", args=[rollout.pk])


def said(answer) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def archive(**files: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as out:
        for name, text in files.items():
            out.writestr(name.replace("__", "/"), text)
    return made.getvalue()


def test_opening_the_difference_is_recorded_once_for_a_digest(waiting: Rollout, cast: Cast) -> None:
    ann = browser(cast["ann"])
    for _ in range(2):
        assert ann.get(url("difference", waiting)).status_code == 200
    row = DiffReading.objects.get()
    assert (row.user, row.digest) == (cast["ann"], waiting.digest)
    assert AuditEntry.objects.filter(action="rollout.diff_opened").count() == 1


@pytest.mark.parametrize("headers", [{"Sec-Purpose": "prefetch"}, {"Sec-Purpose": "prefetch;prerender"}])
def test_a_browser_that_looks_ahead_has_opened_nothing(waiting: Rollout, cast: Cast, headers: dict) -> None:
    browser(cast["ann"]).get(url("difference", waiting), headers=headers)
    assert not DiffReading.objects.exists()


def test_the_page_around_it_opens_nothing(waiting: Rollout, cast: Cast) -> None:
    ann = browser(cast["ann"])
    ann.get(url("sign", waiting))
    ann.get(waiting.get_absolute_url())
    assert not DiffReading.objects.exists()


def test_what_was_opened_before_another_digest_does_not_count(waiting: Rollout, cast: Cast) -> None:
    ann = browser(cast["ann"])
    ann.get(url("difference", waiting))
    Rollout.objects.filter(pk=waiting.pk).update(digest="e" * 64)
    assert "you opened the difference" not in said(ann.get(url("sign", waiting)))


def test_after_the_decision_is_over_nothing_is_recorded(waiting: Rollout, cast: Cast) -> None:
    SignOff.objects.filter(pk=waiting.sign_off_id).update(state="EXPIRED")
    browser(cast["ann"]).get(url("difference", waiting))
    assert not DiffReading.objects.exists()


def test_the_record_of_an_opening_is_not_edited(waiting: Rollout, cast: Cast) -> None:
    browser(cast["ann"]).get(url("difference", waiting))
    with pytest.raises(Exception, match="append-only"), transaction.atomic():
        DiffReading._base_manager.update(user=cast["abe"])


def test_without_script_it_is_a_page_and_with_it_a_part(waiting: Rollout, cast: Cast) -> None:
    ann = browser(cast["ann"])
    assert "<html" in ann.get(url("difference", waiting)).content.decode()
    assert "<html" not in ann.get(url("difference", waiting), headers={"HX-Request": "true"}).content.decode()


def test_files_that_nothing_is_there_to_compare_with_ask_for_a_closer_look(waiting: Rollout, cast: Cast) -> None:
    points = browser(cast["ann"]).get(url("sign", waiting)).context["points"]
    assert [one.tone for one in points if one.label == "Files"] == ["warn"]


def test_the_first_rollout_of_a_target_has_nothing_to_compare_with(waiting: Rollout, cast: Cast) -> None:
    assert "there is nothing to compare with" in said(browser(cast["ann"]).get(url("sign", waiting)))
    assert "was not brought here by this product" in said(browser(cast["ann"]).get(url("difference", waiting)))


@pytest.fixture
def second(target: Target, cast: Cast) -> Rollout:
    """Return a rollout after one that is live, with other files, another migration and another gate."""
    old = factories.make_release(target.component, cast["rita"], "1.0.5")
    factories.bring_archive(old, cast["rita"], archive(app="1", same="1", gone="1"))
    before = factories.freeze(factories.make_draft(target, cast["rita"], release=old))
    factories.put_in(before, R.SUCCEEDED)
    SignOff.objects.filter(pk=before.sign_off_id).update(state="USED")
    Target.objects.filter(pk=target.pk).update(live_version="1.0.5")
    new = factories.make_release(target.component, cast["rita"], "1.1.0")
    factories.bring_archive(new, cast["rita"], archive(app="2", same="1", migrations__0002__sql="DROP TABLE images"))
    draft = factories.make_draft(Target.objects.get(pk=target.pk), cast["rita"], release=new)
    rita = cast["rita"]
    drafting.tune(draft, changes={"p95.limit": "2500"}, accepted=True, user=rita, by=actor(rita), now=NOW)
    run = Run.objects.create(rollout=draft, target=target, kind="validate", state="SUCCEEDED", created_at=NOW)
    outcome = {"sentence": "1 migration(s) applied to a copy in 0.1 s", "facts": {"migrations": ["sql"]}}
    params = {"what": "migrate"}
    Step.objects.create(run=run, number=1, kind="dry_run", title="Migration dry run", params=params, outcome=outcome)
    return factories.freeze(draft)


def test_the_sign_off_page_says_what_changes_in_five_lines(second: Rollout, cast: Cast) -> None:
    page = said(browser(cast["ann"]).get(url("sign", second)))
    assert "1 changed, 1 added, 1 removed, 1 the same." in page
    assert "takes away or rewrites" in page
    assert "1 value differs to what is live (1.0.5), some gates looser." in page


def test_the_difference_names_each_file_statement_and_value(second: Rollout, cast: Cast) -> None:
    page = said(browser(cast["ann"]).get(url("difference", second)))
    for words in ("~ app", "+ migrations/0002/sql", "− gone", "DROP TABLE", "gates.p95.limit", "looser"):
        assert words in page
    assert "What is live is also what was signed and used last." in page


def test_what_was_signed_after_what_is_live_is_compared_too(second: Rollout, target: Target, cast: Cast) -> None:
    later = factories.make_release(target.component, cast["rita"], "1.0.9")
    draft = factories.make_draft(target, cast["rita"], release=later)
    between = factories.put_in(factories.freeze(draft), R.ROLLED_BACK)
    SignOff.objects.filter(pk=between.sign_off_id).update(state="USED")
    factories.put_in(second, R.WAITING)
    page = said(browser(cast["ann"]).get(url("difference", second)))
    assert f"Against what was signed last: 1.0.9, rollout {between.pk}" in page


def test_what_was_proved_stands_with_its_words_and_its_time(second: Rollout, target: Target, cast: Cast) -> None:
    factories.put_in(second, R.WAITING)
    page = said(browser(cast["ann"]).get(url("sign", second)))
    assert "1 migration(s) applied to a copy" in page


def backup_of(run: Run, name: str, sha256: str) -> Backup:
    """Return a backup that a run took and rehearsed."""
    values = {"path": f"/b/{name}.zip", "sha256": sha256, "size": 10, "release_version": "1.0.5", "created_at": NOW}
    return Backup.objects.create(target=run.target, run=run, rehearsed_at=NOW, rehearsal_s=74.2, **values)


def test_after_the_deploy_the_record_still_shows_the_backup_that_was_signed(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    run = {"rollout": draft, "target": target, "host_id": "here", "created_at": NOW}
    backup_of(Run.objects.create(kind="validate", state="SUCCEEDED", **run), "signed", "b" * 64)
    frozen = factories.freeze(draft)
    later = backup_of(Run.objects.create(kind="deploy", state="SUCCEEDED", **run), "later", "c" * 64)
    factories.put_in(frozen, R.SUCCEEDED, backup=later)
    page = said(browser(cast["ann"]).get(url("sign", frozen)))
    assert "signed.zip" in page and "b" * 12 in page and "later.zip" not in page
    assert "rehearsed in a scratch place and took 1 min 14 s" in page


def test_the_page_takes_the_decision_and_keeps_what_was_typed(waiting: Rollout, cast: Cast) -> None:
    ann, values = browser(cast["ann"]), {"digest": waiting.digest, "page": "sign"}
    answer = ann.post(url("decide", waiting), {**values, "kind": "REJECT", "duty": "", "reason": "no"})
    assert answer.status_code == 422 and "What was proved" in said(answer)
    ann.post(url("decide", waiting), {**values, "kind": "APPROVE", "duty": "approver", "reason": "read it"})
    assert Decision.objects.get().kind == "APPROVE"


def test_before_anything_is_frozen_there_is_no_sign_off_page(target: Target, cast: Cast) -> None:
    draft = factories.make_draft(target, cast["rita"])
    assert browser(cast["ann"]).get(url("sign", draft)).url == draft.get_absolute_url()


def test_the_paper_record_holds_the_sentence_that_was_signed(waiting: Rollout, cast: Cast) -> None:
    factories.decide(waiting, cast["ann"], "approver")
    page = said(browser(cast["aud"]).get(url("sign", fresh(waiting))))
    assert f"I have reviewed dhash 1.1.0 to production with digest {waiting.digest} and approve it as approver." in page
    assert "proved by password" in page
