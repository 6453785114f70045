"""Who is barred from approving what he had a part in: by rows, and by what the audit told, whatever rows say now."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from approvals.ledger import Refused
from monitoring import audit
from monitoring.models import AuditEntry
from rollout import actions, barring, drafting, evidence, freezing
from rollout.models import Rollout, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.approvals import forger
from tests.base import make_user
from tests.factories import NOW, actor, fresh
from tests.fakes import FakeRunner, drive

pytestmark = pytest.mark.django_db


def barred_in(rollout: Rollout) -> dict[str, list[str]]:
    """Freeze a draft and return user name -> what bars this person."""
    frozen = factories.freeze(rollout)
    names = {str(user.pk): user.get_username() for user in User.objects.all()}
    return {names[key]: duties for key, duties in frozen.sign_off.barred.items()}


def test_a_tuner_stays_barred_when_another_saves_the_same_tuning(target: Target, cast: dict) -> None:
    draft, changes = factories.make_draft(target, cast["rita"]), {"p95.limit": "1500"}
    for name in ("tom", "rita"):
        user = cast[name]
        drafting.tune(fresh(draft), changes=changes, accepted=True, user=user, by=actor(user), now=NOW)
    assert barred_in(draft) == {"tom": ["tuner"], "rita": ["requester", "uploader"]}


def test_whoever_attached_a_link_to_a_ci_run_is_barred(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    for name in ("tom", "rita"):
        values = {"kind": "ci_ubuntu", "url": "https://ci.example.org/1", "user": cast[name], "by": actor(cast[name])}
        evidence.link(draft.release, **values, now=NOW)
    assert barred_in(draft)["tom"] == ["uploader"]


def test_whoever_uploaded_the_bytes_that_stand_is_barred_when_another_brings_them_again(
    target: Target, cast: dict
) -> None:
    draft = factories.make_draft(target, cast["rita"])
    factories.bring_archive(draft.release, cast["ann"], b"other bytes")
    factories.bring_archive(draft.release, cast["tom"], b"the same bytes")
    factories.bring_archive(draft.release, cast["rita"], b"the same bytes")
    assert barred_in(draft) == {"tom": ["uploader"], "rita": ["requester", "uploader"]}


@pytest.fixture
def mals(target: Target, cast: dict) -> Rollout:
    """Return a draft that mal requested, of a release that he made, with a file, a link and a tuning of his."""
    mal = make_user("mal", "approver", "release-owner")
    who = {"user": mal, "by": actor(mal), "now": NOW}
    draft = factories.make_draft(target, mal)
    evidence.link(draft.release, kind="ci_ubuntu", url="https://ci.example.org/1", **who)
    drafting.tune(fresh(draft), changes={"p95.limit": "1500"}, accepted=True, **who)
    return fresh(draft)


def handed_to(rollout: Rollout, user: User) -> Rollout:
    """Write another person into every row that tells who had a part in a rollout."""
    forger.edit(rollout, requester_id=user.pk, tuners=json.dumps({"p95.limit": [user.pk]}))
    forger.edit(rollout.release, created_by_id=user.pk)
    forger.edit(rollout.release.links.get(), added_by_id=user.pk)
    for one in rollout.release.artifacts.all():
        forger.edit(one, uploaded_by_id=user.pk)
    return fresh(rollout)


ALL_BUT_COMMITS = ["requester", "uploader", "tuner"]


def test_rows_that_name_another_let_nobody_approve_what_is_his_own(mals: Rollout, cast: dict) -> None:
    assert barred_in(handed_to(mals, cast["rita"])) == {"mal": ALL_BUT_COMMITS, "rita": ALL_BUT_COMMITS}


def test_where_nothing_was_edited_the_audit_bars_whom_the_rows_do(mals: Rollout) -> None:
    assert barred_in(mals) == {"mal": ALL_BUT_COMMITS}


def test_whose_file_and_link_were_replaced_is_not_barred_by_them(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    for name, number in (("ann", "1"), ("tom", "2")):
        factories.bring_archive(draft.release, cast[name], number.encode())
        values = {"kind": "ci_ubuntu", "url": f"https://ci.example.org/{number}", "user": cast[name]}
        evidence.link(draft.release, **values, by=actor(cast[name]), now=NOW)
    assert barred_in(draft) == {"rita": ["requester", "uploader"], "tom": ["uploader"]}


def test_whose_tuning_was_set_back_to_the_default_is_not_barred_by_it(target: Target, cast: dict) -> None:
    draft, tom = factories.make_draft(target, cast["rita"]), cast["tom"]
    for changes in ({"p95.limit": "1500"}, {}):
        drafting.tune(fresh(draft), changes=changes, accepted=True, user=tom, by=actor(tom), now=NOW)
    assert barred_in(draft) == {"rita": ["requester", "uploader"]}


def test_who_was_erased_from_the_audit_is_barred_by_his_number(mals: Rollout, cast: dict) -> None:
    mal = User.objects.get(username="mal")
    audit.erase_person(mal.pk, before=NOW + timedelta(days=1), by=audit.SYSTEM, why="asked", now=NOW)
    assert barred_in(handed_to(mals, cast["rita"]))["mal"] == ALL_BUT_COMMITS


def test_a_release_of_an_older_version_that_did_not_tell_its_commits_is_frozen(
    target: Target, cast: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = audit.append
    with monkeypatch.context() as older:
        lacking = {"version": "1.1.0", "commit": factories.COMMIT}
        was = {"release.created": lacking}
        older.setattr(audit, "append", lambda **one: append(**{**one, "data": was.get(one["action"], one.get("data"))}))
        draft = factories.make_draft(target, cast["rita"])
    assert barred_in(draft) == {"rita": ["requester", "uploader"]}


ENTRIES = ["release.created", "rollout.created", "artifact.attached", "link.attached", "rollout.tuned"]
HIDE = {
    "removed": forger.remove,
    "hidden": lambda entry: forger.edit(entry, action="x", subject_id="0"),
    "rewritten": lambda entry: forger.edit(entry, body=entry.body.replace('"actor":{"id":', '"actor":{"id":9')),
}


@pytest.mark.parametrize("action", ENTRIES)
@pytest.mark.parametrize("how", sorted(HIDE))
def test_without_an_entry_that_tells_who_had_a_part_nothing_is_frozen(mals: Rollout, action: str, how: str) -> None:
    HIDE[how](AuditEntry.objects.filter(action=action).latest("seq"))
    with pytest.raises(Refused, match=r"does not tell who had a part in this: .*; the database was edited"):
        factories.freeze(mals)
    assert fresh(mals).sign_off is None


def test_an_entry_that_another_one_covers_is_missed(mals: Rollout, cast: dict) -> None:
    factories.bring_archive(mals.release, cast["rita"])
    handed_to(mals, cast["rita"])
    HIDE["hidden"](AuditEntry.objects.filter(action="artifact.attached").earliest("seq"))
    with pytest.raises(Refused, match="the database was edited"):
        factories.freeze(mals)


RITAS = {"sha": "a" * 40, "author": "Rita", "email": "rita@example.org", "subject": "All of it"}
EDITS: dict[str, tuple[Callable[[Rollout], None], str]] = {
    "commits": (lambda one: forger.edit(one.release, commits=json.dumps([RITAS])), "its commits are not those"),
    "bytes": (lambda one: forger.edit(one.release.artifacts.get(), sha256="b" * 64), "brought this release_archive"),
    "another's run": (
        lambda one: forger.edit(one.release.artifacts.get(), rollout_id=one.pk, sha256="b" * 64),
        "brought this release_archive",
    ),
    "link": (
        lambda one: forger.edit(one.release.links.get(), url="https://ci.example.org/2"),
        "brought this ci_ubuntu",
    ),
    "tuning": (lambda one: forger.edit(one, tuning=json.dumps({"p95.limit": "2000"})), "are not tuned as"),
}


@pytest.mark.parametrize("what", sorted(EDITS))
def test_what_the_audit_does_not_tell_of_is_not_frozen(mals: Rollout, what: str) -> None:
    edit, why = EDITS[what]
    edit(mals)
    with pytest.raises(Refused, match=why):
        factories.freeze(mals)


def test_a_draft_that_was_edited_goes_back_from_its_validation_and_says_why(
    target: Target, cast: dict, fake: FakeRunner
) -> None:
    rita = cast["rita"]
    draft = factories.make_draft(target, rita)
    run = actions.submit(draft, user=rita, by=actor(rita), now=NOW)
    EDITS["commits"][0](draft)
    drive(run, fake)
    assert fresh(draft).state == R.DRAFT and "does not tell who had a part in this" in fresh(draft).state_why


def test_who_is_barred_takes_the_same_queries_however_much_was_brought(
    target: Target, cast: dict, django_assert_max_num_queries: Any
) -> None:
    draft, tom = factories.make_draft(target, cast["rita"]), cast["tom"]
    for number in range(20):
        drafting.tune(
            fresh(draft), changes={"p95.limit": str(1500 + number)}, accepted=True, user=tom, by=actor(tom), now=NOW
        )
    draft = fresh(draft)
    manifest = freezing.manifest_of(draft)
    with audit.turn(), django_assert_max_num_queries(7):
        assert barring.told(draft, manifest)["tuner"] == {tom.pk}


def test_whoever_brought_a_link_is_barred_when_a_row_brings_it_back(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    for name, number in (("ann", 1), ("tom", 2)):
        url = f"https://ci.example.org/{number}"
        evidence.link(draft.release, kind="ci_ubuntu", url=url, user=cast[name], by=actor(cast[name]), now=NOW)
    forger.edit(draft.release.links.get(), url="https://ci.example.org/1")
    with pytest.raises(Refused, match="no entry tells that anybody brought this ci_ubuntu"):
        factories.freeze(draft)


def test_whoever_brought_a_link_is_barred_when_another_brings_it_back(target: Target, cast: dict) -> None:
    draft = factories.make_draft(target, cast["rita"])
    for name, number in (("tom", 1), ("rita", 2), ("rita", 1)):
        url = f"https://ci.example.org/{number}"
        evidence.link(draft.release, kind="ci_ubuntu", url=url, user=cast[name], by=actor(cast[name]), now=NOW)
    assert barred_in(draft)["tom"] == ["uploader"]
