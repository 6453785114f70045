"""Time stamps where people meet them: in a bundle, which a stranger checks with openssl, on pages, in doctor."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction
from django.test import override_settings

from monitoring import audit, stamping
from monitoring.models import TimeStamp
from rollout import bundle, checks, doctor, pulse
from tests import base, factories
from tests.approvals import forger
from tests.factories import NOW, later
from tests.monitoring import authority
from tests.monitoring.authority import Authority, serving
from tests.monitoring.effects import RITA, ROLLOUT
from tests.monitoring.signed import notary
from tests.rollout import bundle_world
from tests.rollout.bundle_world import Unpacked, unpacked
from tests.rollout.views_world import browser

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority.found(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def wanted(settings: Any, tmp_path: Path, clock: Authority) -> Iterator[None]:
    """Name the authority, in a house of the test's own."""
    settings.GR_TSA_CA_FILE = str(clock.root)
    settings.GR_ANCHOR_FILE, settings.GR_AUDIT_KEY_FILE = tmp_path / "anchors", tmp_path / "keys" / "a.pem"
    with serving(clock.stamp) as settings.GR_TSA_URL:
        yield


def told(number: int = 1) -> None:
    """Let something happen, and be signed."""
    for _ in range(number):
        with audit.turn():
            audit.append(action="test.done", by=RITA, subject=ROLLOUT, now=NOW)
    notary().look(NOW)


@pytest.fixture(scope="module")
def content(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory, clock: Authority
) -> bytes:
    """Return the bundle of a signed rollout; the checkpoint behind its last entry was stamped."""
    folder = tmp_path_factory.mktemp("house")
    names = {"GR_RUN_DIR": "run", "GR_ARTIFACTS": "artifacts", "GR_BACKUPS": "backups", "GR_ANCHOR_FILE": "anchors"}
    places: dict[str, Any] = {name: folder / place for name, place in names.items()}
    places |= {"GR_AUDIT_KEY_FILE": folder / "keys" / "a.pem", "GR_TSA_CA_FILE": str(clock.root)}
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(**places), factories.that_day():
        rollout = bundle_world.signed_rollout(factories.make_target(folder / "dhash"), base.make_cast(), folder)
        told(3)
        told(3)
        with serving(clock.stamp) as url, override_settings(GR_TSA_URL=url):
            stamping.ask(NOW)
        told(3)
        made = bundle_world.zipped(bundle.of_rollout(rollout))
        transaction.set_rollback(True)
    return made


@pytest.fixture
def taken(content: bytes, tmp_path: Path) -> Unpacked:
    return unpacked(content, tmp_path / "taken")


def stamp_of(taken: Unpacked) -> Path:
    (found,) = (taken.folder / "time-stamps").glob("*.tsr")
    return found


def test_a_bundle_goes_on_to_the_checkpoint_that_was_stamped(taken: Unpacked) -> None:
    assert max(high for _, high in taken.read("bundle.json")["pieces"]) == int(stamp_of(taken).stem)


def test_openssl_finds_that_its_checkpoint_was_there(taken: Unpacked, clock: Authority) -> None:
    answer = stamp_of(taken)
    assert clock.says(answer.with_suffix(".json"), answer)


def test_the_certificates_of_this_installation_go_with_it(taken: Unpacked, clock: Authority) -> None:
    assert (taken.folder / "time-stamps" / "authority.pem").read_bytes() == clock.root.read_bytes()


def test_its_verify_py_says_that_a_time_stamp_waits_to_be_checked(taken: Unpacked) -> None:
    code, said, wrong = taken.as_it_is()
    assert (code, wrong) == (0, "")
    assert "not established: when 1 checkpoints were there: ask their time stamps (README.txt)" in said


def test_a_stamped_text_that_is_no_checkpoint_of_this_chain_is_named(taken: Unpacked) -> None:
    text = stamp_of(taken).with_suffix(".json")
    text.write_text(text.read_text().replace('"seq":', '"seq": '))
    code, _, wrong = taken.problems()
    assert code == 1 and f"time-stamps/{text.name}: it is the text of no checkpoint inside" in wrong


def test_a_stamp_whose_checkpoint_was_changed_is_refused_by_openssl(taken: Unpacked, clock: Authority) -> None:
    answer = stamp_of(taken)
    text = shutil.copy(answer.with_suffix(".json"), taken.folder / "text")
    text.write_text(text.read_text().replace("a", "b"))
    assert not clock.says(text, answer)


@pytest.mark.usefixtures("wanted")
def test_the_history_says_how_far_it_is_stamped_and_by_whom(cast: dict[str, User]) -> None:
    told()
    stamping.ask(NOW)
    page = browser(cast["aud"]).get("/history/").content.decode()
    assert f"Time-stamped up to entry {TimeStamp.objects.get().seq}" in page and "by Test Time" in page


@pytest.mark.usefixtures("wanted")
def test_the_history_says_when_the_newest_stamp_does_not_hold(cast: dict[str, User]) -> None:
    told()
    stamping.ask(NOW)
    forger.edit(TimeStamp.objects.get(), token=b"nonsense")
    page = browser(cast["aud"]).get("/history/").content.decode()
    assert f"The time stamp at entry {TimeStamp.objects.get().seq} does not hold." in page


@pytest.mark.usefixtures("wanted")
def test_doctor_tells_of_a_checkpoint_that_waits_for_its_stamp() -> None:
    told()
    found = [one for one in doctor.examine(now=later(4 * 3600)) if "has waited for its time stamp" in one.what]
    assert [one.level for one in found] == ["warn"] and "audit stamp" in found[0].advice


@pytest.mark.usefixtures("wanted")
def test_pulse_hints_at_a_stamp_once_a_minute_while_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("rollout.nudge._soon", lambda task, *args: sent.append(task))
    at = [0.0]
    one = pulse.Pulse(lambda: at[0])
    told()
    for at[0] in (0.0, 30.0, 61.0):
        one.tick(NOW)
    assert sent.count("rollout.tasks.stamp") == 2


def test_pulse_hints_at_none_where_no_authority_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr("rollout.nudge._soon", lambda task, *args: sent.append(task))
    told()
    pulse.Pulse().tick(NOW)
    assert "rollout.tasks.stamp" not in sent


@pytest.mark.parametrize(
    ("content_of", "why"), [(None, "cannot be read"), ("no certificate", "holds no certificate in PEM")]
)
def test_an_authority_whose_certificates_cannot_be_read_is_reported(
    settings: Any, tmp_path: Path, content_of: str | None, why: str
) -> None:
    settings.GR_TSA_URL, settings.GR_TSA_CA_FILE = "http://127.0.0.1:1/", str(tmp_path / "ca.pem")
    if content_of is not None:
        (tmp_path / "ca.pem").write_text(content_of)
    (found,) = checks.checkpoints_can_be_stamped(None)
    assert found.id == "rollout.E007" and why in found.msg


@pytest.mark.usefixtures("wanted")
def test_an_authority_with_its_certificates_is_not_reported() -> None:
    assert checks.checkpoints_can_be_stamped(None) == []
