"""Checkpoints: when a head is signed, by which key, and what a pulse with a wrong key does."""

import json
import logging
import stat

import pytest
from django.db import DatabaseError, connection, transaction

from monitoring import anchors, audit, audit_told, audit_verify, checkpoints, signing, unsigned
from monitoring.models import AuditEntry, AuditHead, Checkpoint
from monitoring.signing import SigningError
from tests.approvals import forger

from .effects import NOW, later
from .signed import house, notary, signed, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    house(settings, tmp_path)


def test_the_key_is_made_at_the_first_start_for_its_owner_alone():
    notary().look(NOW)
    assert stat.S_IMODE(checkpoints.key_file().stat().st_mode) == 0o400


def test_a_notary_that_starts_signs_what_is_there():
    write(3)
    notary().look(NOW)
    assert signed() == [3]


def test_a_head_to_which_the_chain_does_not_lead_is_not_signed():
    write(2)
    clerk = notary()
    clerk.look(NOW)
    AuditHead.objects.update(seq=9, hash="a" * 64)
    clerk.look(later(60))
    assert signed() == [2] and "is not signed any further" in clerk.said


def test_a_checkpoint_of_an_entry_that_is_not_there_stops_the_signing_and_is_told():
    write(2)
    clerk = notary()
    clerk.look(NOW)
    known = Checkpoint.objects.get()
    Checkpoint.objects.create(seq=9_000_000, hash="a" * 64, at=NOW, key=known.key, body=known.body, signature="AAAA")
    write(1)
    clerk.look(later(60))
    assert signed() == [2, 9_000_000] and "stands beyond the last entry, #3" in clerk.said
    assert "stands beyond the last entry, #3" in unsigned.late(now=later(61))


@pytest.fixture
def edited():
    """Return a notary that signed three entries and refuses the next three, of which one was edited."""
    write(3)
    clerk = notary()
    clerk.look(NOW)
    write(3)
    forger.edit(AuditEntry.objects.get(seq=5), why="it was quiet")
    clerk.look(later(60))
    assert signed() == [3]
    return clerk


def put(key, *, following="", **columns):
    """Put a row into the table of checkpoints, over the head and by a key, with other columns where they are given."""
    seq, digest = audit.head()
    text = checkpoints.text_of(key, seq, digest, NOW, following)
    row = {"seq": seq, "hash": digest, "key": key.key, "body": text, "signature": key.sign(text), "at": NOW}
    Checkpoint.objects.create(**row | columns)


def refused(clerk):
    """Append an entry and return whether the notary leaves it unsigned, because of the one that was edited."""
    entry = write(1)
    clerk.look(later(120))
    return entry.seq not in signed() and "not signed any further: #5: why shows" in clerk.said


def test_a_checkpoint_that_nobody_signed_hides_no_edit_below_it(edited):
    put(signing.load(checkpoints.key_file()), signature="00")
    assert refused(edited)


def test_the_text_of_an_older_checkpoint_hides_no_edit_below_a_newer_row(edited):
    known = Checkpoint.objects.get()
    put(signing.load(checkpoints.key_file()), body=known.body, signature=known.signature)
    assert refused(edited)


def test_a_checkpoint_of_another_key_that_announces_ours_hides_no_edit_below_it(edited):
    stranger = signing.make(checkpoints.key_file().with_name("other.pem"))
    put(stranger, following=signing.load(checkpoints.key_file()).public_key)
    assert refused(edited)


def test_without_an_anchor_file_all_is_looked_at_below_a_checkpoint_that_does_not_hold(edited):
    anchors.path().unlink()
    put(signing.load(checkpoints.key_file()), signature="00")
    assert refused(edited)


def test_no_key_is_announced_over_an_edit(edited):
    signing.make(checkpoints.next_file())
    edited.look(later(120))
    assert signed() == [3] and "not signed any further: #5: why shows" in edited.said


def test_below_the_newest_checkpoint_of_its_own_key_pulse_does_not_look_again(monkeypatch):
    clerk, seen = notary(), []
    for at in (0, 60):
        write(2)
        clerk.look(later(at))
    monkeypatch.setattr(audit_told, "broken_since", lambda seq, digest: seen.append(seq) or [])
    write(1)
    clerk.look(later(120))
    assert (seen, signed()) == ([4], [2, 4, 5])


@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="PostgreSQL keeps numbers alone in a column of numbers")
@pytest.mark.parametrize("text", ["abc", "", "9 lives"])
def test_a_text_in_place_of_a_number_is_told_and_stops_no_signing(text):
    write(2)
    clerk = notary()
    clerk.look(NOW)
    put(signing.load(checkpoints.key_file()), seq=9)
    forger.edit(Checkpoint.objects.get(seq=9), seq=text)
    write(1)
    clerk.look(later(60))
    assert unsigned.late(now=later(61)) == f"a checkpoint is kept with '{text}' for its number: somebody wrote it"
    assert (anchors.last().seq, clerk.said) == (3, "")


def test_the_checkpoint_tells_number_and_hash_of_the_head():
    entry = write(2)
    notary().look(NOW)
    told = json.loads(Checkpoint.objects.get().body)
    assert (told["seq"], told["hash"], told["at"]) == (2, entry.hash, audit.stamp(NOW))


def test_a_few_entries_wait_for_a_minute_at_most():
    clerk = notary()
    write(3)
    clerk.look(NOW)
    write(1)
    clerk.look(later(59))
    assert signed() == [3]
    clerk.look(later(60))
    assert signed() == [3, 4]


def test_a_hundred_entries_are_signed_at_once():
    clerk = notary()
    write(1)
    clerk.look(NOW)
    write(100)
    clerk.look(later(1))
    assert signed() == [1, 101]


def test_a_decision_is_signed_at_once():
    clerk = notary()
    write(1)
    clerk.look(NOW)
    write(1, action="decided.approve")
    clerk.look(later(0.5))
    assert signed() == [1, 2]


def test_while_nothing_happens_one_question_is_asked(django_assert_num_queries):
    clerk = notary()
    write(1)
    clerk.look(NOW)
    with django_assert_num_queries(1):
        clerk.look(later(100))


def test_what_another_pulse_signed_is_not_signed_again():
    clerk, other = notary(), notary()
    write(1)
    clerk.look(NOW)
    write(1, action="decided.approve")
    other.look(NOW)
    clerk.look(NOW)
    assert signed() == [1, 2]


def test_a_checkpoint_cannot_be_changed():
    write(1)
    notary().look(NOW)
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        connection.cursor().execute("UPDATE monitoring_checkpoint SET hash = 'x'")


def test_a_key_that_others_can_read_signs_nothing(caplog):
    write(1)
    clerk = notary()
    clerk.look(NOW)
    checkpoints.key_file().chmod(0o440)
    write(1, action="decided.approve")
    with caplog.at_level(logging.ERROR):
        restarted = notary()
        restarted.look(NOW)
        restarted.look(NOW)
    assert signed() == [1] and caplog.text.count("open to other accounts") == 1


def test_without_its_key_a_new_one_is_not_made_unasked(caplog):
    write(1)
    notary().look(NOW)
    checkpoints.key_file().unlink()
    write(1)
    notary().look(NOW)
    assert signed() == [1] and "there is no key at" in caplog.text


def test_another_key_signs_nothing():
    write(1)
    notary().look(NOW)
    other = signing.make(checkpoints.key_file().with_name("other.pem"))
    write(1)
    with pytest.raises(SigningError, match="are signed by the key"):
        checkpoints.sign(other, now=NOW)


def rotated():
    """Sign, let a key follow, and sign again; return the two keys."""
    write(1)
    notary().look(NOW)
    old = signing.load(checkpoints.key_file())
    new = signing.make(checkpoints.next_file())
    clerk = notary()
    clerk.look(later(1))
    write(1)
    clerk.look(later(100))
    return old, new


def test_a_new_key_is_announced_by_an_entry_and_signed_by_the_old_one():
    old, new = rotated()
    _, over, after = Checkpoint.objects.order_by("seq")
    assert (over.key, json.loads(over.body)["next"], after.key) == (old.key, new.public_key, new.key)


def test_after_a_rotation_the_chain_holds():
    rotated()
    assert audit_verify.verify_database().problems == []


def test_after_a_rotation_the_old_private_key_is_gone():
    _, new = rotated()
    assert signing.load(checkpoints.key_file()).key == new.key and not checkpoints.next_file().exists()


def test_a_rotation_that_was_cut_off_after_its_commit_is_finished():
    write(1)
    notary().look(NOW)
    old, new = signing.load(checkpoints.key_file()), signing.make(checkpoints.next_file())
    checkpoints.rotate(old, new, now=NOW)
    write(1)
    notary().look(later(1))
    assert checkpoints.in_force() == signing.load(checkpoints.key_file()).key == new.key


def test_entries_that_nobody_signs_are_told_after_three_minutes():
    write(1)
    assert unsigned.late(now=later(179)) == ""
    assert unsigned.late(now=later(180)).startswith("#1 has waited")


def test_what_was_just_signed_is_not_told():
    write(1)
    notary().look(NOW)
    assert unsigned.late(now=later(3600)) == ""
