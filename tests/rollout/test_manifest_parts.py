"""Every single part of a real manifest, edited after sign-off: void, the start refused, and the part named."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from approvals.ledger import Refused
from monitoring import canonical
from rollout import actions, beginning, drafting, evidence, freezing, plan
from rollout.models import Rollout, Run, Target
from rollout.states import RolloutState as R
from tests import factories
from tests.factories import NOW, actor, fresh
from tests.rollout import views_world

pytestmark = pytest.mark.django_db
Path = tuple[Any, ...]


@pytest.fixture
def signed(target: Target, cast: dict[str, User]) -> Rollout:
    """Return an approved rollout in whose manifest nothing is empty: commits, link, evidence, tuning."""
    rita = cast["rita"]
    commit = {"sha": "c" * 40, "author": "Zed", "email": "zed@example.org", "subject": "faster"}
    release = factories.make_release(target.component, rita, commits=[commit])
    known = {"user": rita, "by": actor(rita), "now": NOW}
    evidence.link(release, kind="ci_ubuntu", url="https://ci.example.org/1", **known)
    evidence.attach(release, kind="monitor_logs", name="monitor.html", chunks=[b"well"], **known)
    draft = factories.make_draft(target, rita, release=release)
    drafting.tune(draft, changes={"p95.limit": "1500"}, accepted=True, **known)
    return factories.approve(factories.freeze(draft), cast)


def leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every leaf; an empty list or table is one as well."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not inner or not value:
        yield path
    for key, one in inner:
        yield from leaves(one, (*path, key))


def other(value: Any) -> Any:
    """Return a value of the same kind that differs as little as can be."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return f"{value}x"
    return ["x"] if isinstance(value, list) else {"x": "x"} if isinstance(value, dict) else 1


def edited(document: dict[str, Any], path: Path, *, remove: bool = False) -> dict[str, Any]:
    """Return a copy in which one leaf is another, or gone."""
    made = copy.deepcopy(document)
    inner: Any = made
    for key in path[:-1]:
        inner = inner[key]
    if remove:
        del inner[path[-1]]
    else:
        inner[path[-1]] = other(inner[path[-1]])
    return made


def every_edit(rollout: Rollout) -> list[tuple[Path, dict[str, Any]]]:
    document = freezing.signed(rollout)
    return [(path, edited(document, path, remove=gone)) for path in leaves(document) for gone in (False, True)]


def test_a_real_manifest_has_parts_of_every_kind(signed: Rollout) -> None:
    paths = list(leaves(freezing.signed(signed)))
    assert len(paths) > 200
    full = {"release", "evidence", "links", "plan", "target", "gates", "tuning", "policy", "runbooks"}
    assert full <= {path[0] for path in paths if len(path) > 1}


def test_every_edit_makes_another_digest_and_names_its_part(signed: Rollout) -> None:
    document = freezing.signed(signed)
    for path, made in every_edit(signed):
        assert plan.digest(made) != signed.digest, path
        assert plan.changed_parts(document, made) == (path[0],), path


def test_every_edit_of_the_kept_text_is_seen(signed: Rollout) -> None:
    for path, made in every_edit(signed):
        signed.manifest = canonical.dumps(made)
        assert freezing.not_as_signed(signed) == "the manifest is not what was signed", path


def test_every_edit_of_what_it_rests_on_refuses_the_start_by_name(
    signed: Rollout, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parts are edited where they are gathered: each leaf in turn, the first of each part up to the database."""
    asked: set[str] = set()
    for path, made in every_edit(signed):
        monkeypatch.setattr(freezing, "manifest_of", lambda rollout, made=made: made)
        assert freezing.changed(signed) == (path[0],), path
        if path[0] in asked:
            continue
        asked.add(path[0])
        with transaction.atomic():
            with pytest.raises(Refused, match=f"void: changed since they were given: {path[0]}"):
                actions.start(fresh(signed), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
            after = fresh(signed)
            assert (after.state, after.sign_off.state) == (R.DRAFT, "SUPERSEDED")  # type: ignore[union-attr]
            assert after.state_why == f"changed after the sign-off was opened: {path[0]}"
            transaction.set_rollback(True)
    assert asked == set(json.loads(signed.manifest))


def test_every_part_is_asked_again_in_the_transaction_that_begins_the_run(
    signed: Rollout, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = actions.start(fresh(signed), user=cast["olaf"], by=actor(cast["olaf"]), now=NOW)
    for part, (_, made) in {path[0]: (path, made) for path, made in every_edit(signed)}.items():
        monkeypatch.setattr(freezing, "manifest_of", lambda rollout, made=made: made)
        with transaction.atomic():
            assert not beginning.begin(Run.objects.get(pk=run.pk), NOW), part
            assert fresh(signed).state_why == f"changed since it was signed: {part}"
            transaction.set_rollback(True)


def test_the_page_names_the_part(signed: Rollout, cast: dict[str, User], monkeypatch: pytest.MonkeyPatch) -> None:
    views_world.stop_clock(monkeypatch)
    document = freezing.signed(signed)
    monkeypatch.setattr(freezing, "manifest_of", lambda rollout: edited(document, ("gates", "window_s")))
    browser = views_world.browser(cast["olaf"])
    page = browser.get(signed.get_absolute_url()).content.decode()
    assert "the gates changed since" in page.casefold().replace("</strong>", "")
    freezing.recheck(fresh(signed), now=NOW)
    page = browser.get(signed.get_absolute_url()).content.decode()
    assert "changed after the sign-off was opened: gates" in page
