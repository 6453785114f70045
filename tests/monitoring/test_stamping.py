"""Time stamps of a third party: asked for of a real authority (openssl), kept as they came, and checked for ever."""

import io
import json
import random
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from monitoring import acceptance, anchors, audit, audit_verify, checks, der, guards, rfc3161, stamping, time_stamps
from monitoring.models import AuditEntry, AuditHead, Checkpoint, TimeStamp
from monitoring.rfc3161 import StampError
from rollout import tasks
from tests.approvals import forger

from . import authority
from .authority import Authority, serving
from .effects import NOW, RITA, later
from .signed import house, lines, notary, write

pytestmark = pytest.mark.django_db
AHEAD = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority.found(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority.found(tmp_path_factory.mktemp("stranger"), "Another")


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return an authority whose answers carry a chain in an order that DER does not have."""
    for number in range(20):
        made = authority.found(tmp_path_factory.mktemp(f"chained{number}"), "Chained Time", chain=True)
        answer = made.stamp(rfc3161.query("x").der)
        if der.with_sorted_certificates(answer) != answer:
            return made
    raise AssertionError("openssl sorts the certificates of a chain by now")


@pytest.fixture(autouse=True)
def wanted(settings, tmp_path, clock: Authority) -> Iterator[None]:
    """Let a checkpoint stand, and name the authority."""
    house(settings, tmp_path)
    settings.GR_TSA_CA_FILE = str(clock.root)
    with serving(clock.stamp) as settings.GR_TSA_URL:
        write(2)
        notary().look(NOW)
        yield


def sign(number: int = 1, at: datetime = NOW) -> None:
    write(number)
    notary().look(at)


def verified() -> time_stamps.Verified:
    return time_stamps.verify(audit_verify.WHOLE)


def command(*argv: str) -> str:
    out = io.StringIO()
    call_command("audit", *argv, stdout=out)
    return out.getvalue()


def test_the_newest_checkpoint_is_stamped_and_holds() -> None:
    said = stamping.ask(NOW)
    newest = verified().newest
    assert newest and (newest.seq, newest.stamp.authority) == (2, "Test Time")
    assert said == f"The checkpoint at #2 was stamped {newest.stamp}."


def test_openssl_alone_finds_that_it_is_of_the_text_that_was_signed(clock: Authority, tmp_path: Path) -> None:
    stamping.ask(NOW)
    (tmp_path / "text").write_text(Checkpoint.objects.get().body)
    (tmp_path / "answer").write_bytes(TimeStamp.objects.get().token)
    assert clock.says(tmp_path / "text", tmp_path / "answer")


def test_an_answer_that_carries_a_chain_is_kept_as_it_came_and_holds(
    settings, chained: Authority, tmp_path: Path
) -> None:
    came: list[bytes] = []
    settings.GR_TSA_CA_FILE = str(chained.root)
    with serving(lambda query: came.append(chained.stamp(query)) or came[-1]) as settings.GR_TSA_URL:
        assert "was stamped by Chained Time" in stamping.ask(NOW)
    (tmp_path / "text").write_text(Checkpoint.objects.get().body)
    (tmp_path / "answer").write_bytes(TimeStamp.objects.get().token)
    assert bytes(TimeStamp.objects.get().token) == came[0] and (verified().count, verified().problems) == (1, ())
    assert chained.says(tmp_path / "text", tmp_path / "answer")  # by the root alone: what is between is inside


def test_sorting_moves_certificates_alone_and_once(chained: Authority) -> None:
    answer = chained.stamp(rfc3161.query("x").der)
    right = der.with_sorted_certificates(answer)
    assert sorted(right) == sorted(answer) and der.with_sorted_certificates(right) == right


@pytest.mark.parametrize(
    "junk",
    [b"", b"0", b"\x30\x80\x00\x00", b"\x3f\x01\x00", b"\x30\x84\xff\xff\xff\xff", b"\x30\x02\x30", b"\x30" * 70_000],
)
def test_what_is_no_answer_is_passed_on_as_it_is(junk: bytes) -> None:
    assert der.with_sorted_certificates(junk) == junk


def test_an_answer_that_was_cut_or_changed_raises_nothing_but_that_it_does_not_hold(chained: Authority) -> None:
    answer, chance = chained.stamp(rfc3161.query("x").der), random.Random(3161)
    trusted = rfc3161.certificates(str(chained.root))
    for _ in range(400):
        changed = bytearray(answer[: chance.choice([len(answer), chance.randrange(len(answer))])])
        for _ in range(min(len(changed), chance.randrange(1, 4))):
            changed[chance.randrange(len(changed))] = chance.choice([0, 0x30, 0x80, 0xA0, 0xFF, chance.randrange(256)])
        with suppress(StampError):
            rfc3161.check(bytes(changed), "x", trusted=trusted)


def test_what_is_stamped_is_not_asked_for_again() -> None:
    stamping.ask(NOW)
    assert "has its time stamp already" in stamping.ask(NOW)
    assert TimeStamp.objects.count() == 1


@pytest.mark.parametrize(("seconds", "due"), [(10, False), (3599, False), (3601, True), (-10, False), (-3601, True)])
def test_the_next_is_due_when_something_was_signed_and_the_last_is_old_enough(seconds: float, due: bool) -> None:
    stamping.ask(NOW)
    sign()
    assert stamping.is_due(later(seconds)) is due


def test_none_is_due_while_nothing_new_is_signed() -> None:
    stamping.ask(NOW)
    write()
    assert not stamping.is_due(later(10_000))


def test_none_is_due_where_no_authority_is_named(settings) -> None:
    settings.GR_TSA_URL = ""
    assert not stamping.is_due(NOW)


def refused(settings, answer, status: int = 200) -> str:
    """Return why an answer was not kept."""
    with serving(answer, status) as settings.GR_TSA_URL, pytest.raises(StampError) as error:
        stamping.ask(NOW)
    assert not TimeStamp.objects.exists() and "time_stamp" not in lines()
    return str(error.value)


def test_an_answer_over_something_else_is_not_kept(settings, clock: Authority) -> None:
    other = clock.stamp(rfc3161.query("another text").der)
    assert "it does not hold: Nonce mismatch" in refused(settings, lambda query: other)


def test_an_answer_to_an_older_query_is_not_kept(settings, clock: Authority) -> None:
    older = clock.stamp(rfc3161.query(Checkpoint.objects.get().body).der)
    assert "Nonce mismatch" in refused(settings, lambda query: older)


def test_an_answer_by_a_stranger_is_not_kept(settings, stranger: Authority) -> None:
    assert "it does not hold: Error while verifying certificates" in refused(settings, stranger.stamp)


def test_an_answer_that_grants_nothing_is_told(settings, clock: Authority) -> None:
    assert "the authority granted none" in refused(settings, lambda query: clock.stamp(b"no query"))


@pytest.mark.parametrize("body", [b"", b"<html>", b"\x30\x80" * 50, b"\x30\x03\x02\x01\x00"])
def test_an_answer_that_is_none_is_told(settings, body: bytes) -> None:
    assert "it does not hold" in refused(settings, lambda query: body)


def test_an_answer_of_another_size_is_not_read(settings) -> None:
    assert "more than 16384 bytes" in refused(settings, lambda query: b"x" * 20_000)


def test_an_authority_that_cannot_do_it_is_told_with_its_status(settings) -> None:
    assert refused(settings, lambda query: b"", 503).endswith("answered 503.")


def test_an_authority_that_is_not_there_is_told_without_its_path(settings) -> None:
    settings.GR_TSA_URL = "http://127.0.0.1:1/secret"
    with pytest.raises(StampError, match=r"^No time stamp: http://127.0.0.1:1 refused the connection\.$"):
        stamping.ask(NOW)


def test_no_stamp_is_asked_over_a_checkpoint_that_somebody_wrote() -> None:
    forger.edit(Checkpoint.objects.get(), signature="00" * 64)
    with pytest.raises(StampError, match="is not what was signed"):
        stamping.ask(NOW)


def test_an_answer_whose_bytes_were_changed_is_named() -> None:
    stamping.ask(NOW)
    one = TimeStamp.objects.get()
    forger.edit(one, token=one.token[:-1] + bytes([one.token[-1] ^ 1]))
    assert "time stamp of the checkpoint at #2: it does not hold" in verified().problems[0]


def test_an_answer_under_another_checkpoint_is_named() -> None:
    stamping.ask(NOW)
    sign()
    forger.edit(TimeStamp.objects.get(), seq=3)
    assert any(one.startswith("time stamp of the checkpoint at #3: it does not hold") for one in verified().problems)


def test_an_answer_that_was_taken_out_is_named() -> None:
    stamping.ask(NOW)
    forger.remove(TimeStamp.objects.get())
    assert verified().problems == ("time stamp of the checkpoint at #2: it is gone, or another",)


def test_an_answer_by_a_stranger_that_somebody_put_there_is_named(stranger: Authority) -> None:
    token = stranger.stamp(rfc3161.query(Checkpoint.objects.get().body).der)
    TimeStamp.objects.create(seq=2, token=token, kept_at=NOW)
    assert "Error while verifying certificates" in verified().problems[0]


def test_an_answer_about_no_checkpoint_is_named(clock: Authority) -> None:
    TimeStamp.objects.create(seq=99, token=clock.stamp(rfc3161.query("x").der), kept_at=NOW)
    assert verified().problems == ("time stamp of the checkpoint at #99: there is no such checkpoint",)


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL keeps numbers alone in a column of numbers")
@pytest.mark.parametrize("column", ["seq", "token"])
def test_whatever_stands_in_a_row_is_named_and_crashes_nobody(column: str) -> None:
    stamping.ask(NOW)
    forger.edit(TimeStamp.objects.get(), **{column: "nonsense"})
    assert verified().problems[0].startswith("time stamp of the checkpoint at #")


def test_what_an_accepted_set_back_gave_up_is_not_missed() -> None:
    stamping.ask(NOW)
    forger.remove(TimeStamp.objects.get())
    anchors.note_accepted(1, why="restored", now=NOW)
    assert verified() == time_stamps.Verified()


def as_of_a_backup() -> None:
    """Put the database back to its second entry, as it was before any stamp, while the anchor file goes on."""
    for row in [*AuditEntry.objects.filter(seq__gt=2), *Checkpoint.objects.filter(seq__gt=2), *TimeStamp.objects.all()]:
        forger.remove(row)
    AuditHead.objects.update(seq=2, hash=AuditEntry.objects.get(seq=2).hash)


def stamped_after_a_backup() -> None:
    """Stamp a checkpoint that is inside of a backup already, let more happen, and restore."""
    stamping.ask(NOW)
    sign()
    as_of_a_backup()


def test_a_stamp_that_came_after_the_backup_of_its_checkpoint_is_given_up_by_its_restore() -> None:
    stamped_after_a_backup()
    assert anchors.given_up()["back_to"] == 2
    anchors.note_accepted(2, why="restored", now=NOW)
    assert verified() == time_stamps.Verified()
    sign()
    stamping.ask(NOW)
    assert (verified().count, verified().problems) == (1, ())


def test_so_it_is_when_a_person_accepts_that_database() -> None:
    stamped_after_a_backup()
    acceptance.accept(by=RITA, why="an old copy was restored", now=NOW)
    assert verified() == time_stamps.Verified()


def test_a_stamp_that_the_restored_database_holds_is_still_asked_for() -> None:
    stamping.ask(NOW)
    anchors.note_accepted(2, why="restored", now=NOW)
    forger.remove(TimeStamp.objects.get())
    assert verified().problems == ("time stamp of the checkpoint at #2: it is gone, or another",)


def test_whoever_takes_a_stamp_out_and_breaks_the_chain_has_it_missed_after_the_break_is_accepted() -> None:
    stamping.ask(NOW)
    forger.remove(TimeStamp.objects.get())
    forger.edit(AuditEntry.objects.get(seq=1), why="edited")
    acceptance.accept(by=RITA, why="looked into", now=NOW)
    assert lines()[-1] == "accepted"
    assert verified().problems == ("time stamp of the checkpoint at #2: it is gone, or another",)


def test_a_line_of_an_older_version_gives_up_by_its_number_alone() -> None:
    stamping.ask(NOW)
    forger.remove(TimeStamp.objects.get())
    anchors.append(anchors._line("accepted", back_to=2, seq=2, hash=audit.head()[1], at="x", why="y"))
    assert verified().problems == ("time stamp of the checkpoint at #2: it is gone, or another",)


def test_the_table_refuses_to_change_or_remove_one() -> None:
    stamping.ask(NOW)
    with pytest.raises(DatabaseError, match="append-only"):
        TimeStamp.objects.update(seq=5)


def test_its_guard_triggers_are_asked_for() -> None:
    guards.remove(connection, checks.time_stamp_guard())
    found = checks.guards_stand(None, ["default"])
    assert any("timestamp" in one.msg for one in found)


def test_a_clock_that_was_ahead_is_told_and_breaks_nothing() -> None:
    sign(at=AHEAD)
    stamping.ask(NOW)
    found = verified()
    assert found.problems == () and "the clock here was ahead" in found.limits[0]


def test_what_cannot_be_checked_here_is_told_as_such(settings) -> None:
    stamping.ask(NOW)
    settings.GR_TSA_CA_FILE = ""
    (told,) = verified().limits
    assert told == "what the time stamps say: GR_TSA_CA_FILE names no certificates to check them against"


def test_without_the_library_that_is_told_and_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stamping.ask(NOW)
    sign()
    monkeypatch.setattr(rfc3161, "rfc3161", None)
    assert "pip install --require-hashes -r requirements-tsa.txt" in verified().limits[0]
    with pytest.raises(StampError, match="is not installed"):
        stamping.ask(NOW)


def test_pieces_of_the_chain_find_what_the_whole_does() -> None:
    stamping.ask(NOW)
    sign(3)
    stamping.ask(NOW)
    (first,) = audit_verify.WHOLE
    cut = [(first[0], 3), ((3, ""), None)]
    assert time_stamps.verify(cut) == verified() and verified().count == 2


def test_late_is_told_after_three_times_as_long_as_it_should_take() -> None:
    assert stamping.late(now=later(3 * 3600)) == ""
    assert stamping.late(now=later(3 * 3600 + 1)).startswith("#2 has waited for its time stamp since 2026-11-23 12:00")


def test_audit_stamp_says_what_came_of_it() -> None:
    assert "The checkpoint at #2 was stamped by Test Time" in command("stamp")


def test_audit_stamp_exits_1_and_says_why(settings) -> None:
    settings.GR_TSA_URL = ""
    with pytest.raises(CommandError, match="set GR_TSA_URL and GR_TSA_CA_FILE") as error:
        command("stamp")
    assert error.value.returncode == 1


def test_audit_verify_tells_the_newest() -> None:
    stamping.ask(NOW)
    assert "1 time stamps, the newest of #2 by Test Time at " in command("verify")
    told = json.loads(command("verify", "--json"))
    assert (told["time_stamps"], told["stamped_to"]) == (1, 2)


def test_audit_verify_exits_1_for_one_that_does_not_hold() -> None:
    stamping.ask(NOW)
    forger.remove(TimeStamp.objects.get())
    with pytest.raises(CommandError, match="it is gone, or another"):
        command("verify")


def test_the_task_asks_when_it_is_due_and_not_again() -> None:
    tasks.stamp()
    tasks.stamp()
    assert TimeStamp.objects.count() == 1


def test_a_task_that_fails_says_so_in_the_log(settings, caplog: pytest.LogCaptureFixture) -> None:
    settings.GR_TSA_URL = "http://127.0.0.1:1/"
    tasks.stamp()
    assert "No time stamp: http://127.0.0.1:1 refused the connection" in caplog.text
