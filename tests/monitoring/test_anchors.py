"""The anchor file: what it keeps, and what it finds when the database is another one."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db import connection

from monitoring import acceptance, anchoring, anchors, audit, audit_verify, checkpoints, guards, signing
from monitoring.models import AuditEntry, AuditHead, Checkpoint

from .effects import NOW, RITA, later
from .signed import house, lines, notary, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    house(settings, tmp_path)


@pytest.fixture
def known():
    """Let the file know #5 of six entries."""
    write(5)
    notary().look(NOW)
    return write(1)


def set_back(seq: int) -> None:
    """Cut the chain and its head row, as the restore of an old database file does."""
    for model in (AuditEntry, Checkpoint):
        guards.remove(connection, guards.Guard(model=model))
        model.objects.filter(seq__gt=seq).delete()
    AuditHead.objects.update(seq=seq, hash=AuditEntry.objects.get(seq=seq).hash)


def test_each_checkpoint_is_a_line(known):
    assert lines() == ["checkpoint"] and anchors.last() == anchors.Point(5, AuditEntry.objects.get(seq=5).hash)


def test_a_database_that_agrees_is_not_refused(known):
    assert anchors.refusal() == ""


def test_before_the_first_checkpoint_nothing_is_refused():
    write(1)
    assert anchors.refusal() == ""


def test_a_shorter_database_is_refused_with_what_to_do(known):
    set_back(3)
    said = anchors.refusal()
    assert "ends at #3, but anchors.jsonl knows #5" in said and "manage.py audit accept" in said


def test_another_history_of_the_same_length_is_refused(known):
    set_back(3)
    write(4)
    assert "Entry #5 of the audit is not the one" in anchors.refusal()


def test_nothing_is_written_behind_what_another_database_said(known):
    set_back(3)
    write(7, action="decided.anew")
    notary().look(later(1))
    assert lines() == ["checkpoint"] and anchors.refusal()


def test_a_second_history_gets_no_signature(known, caplog):
    set_back(3)
    write(7, action="decided.anew")
    notary().look(later(1))
    assert not Checkpoint.objects.exists() and "the history was rewritten" in caplog.text


def test_what_an_admin_accepts_is_explained_in_audit_and_file(known):
    set_back(3)
    acceptance.accept(by=RITA, why="an old copy was restored", now=later(1))
    entry = AuditEntry.objects.get(action="audit.set_back_accepted")
    assert '"back_to":3' in entry.body and '"given_up":5' in entry.body and lines()[-1] == "accepted"


def test_after_that_the_file_goes_on(known):
    set_back(3)
    acceptance.accept(by=RITA, why="an old copy was restored", now=later(1))
    notary().look(later(2))
    assert anchors.refusal() == "" and lines() == ["checkpoint", "accepted"]
    write(1)
    notary().look(later(100))
    assert lines() == ["checkpoint", "accepted", "checkpoint"] and audit_verify.verify_database().problems == []


def test_it_goes_back_to_where_the_histories_part(known):
    write(3)
    notary().look(later(100))  # knows #9
    set_back(5)
    write(6)
    assert anchors.given_up()["back_to"] == 5


def test_a_line_that_was_torn_by_a_kill_does_no_harm(known):
    with anchors.path().open("a") as file:
        file.write('{"checkpoint": "{\\"se')
    assert anchors.last().seq == 5
    notary().look(later(100))
    assert anchors.last().seq == 6


def test_a_checkpoint_whose_line_was_lost_in_a_kill_is_written_at_the_next_start(known):
    kept = anchors.path().read_bytes()
    notary().look(later(100))
    anchors.path().write_bytes(kept)
    notary().look(later(101))
    assert anchors.last().seq == 6


def test_a_file_that_is_gone_is_begun_anew_and_that_is_audited(known):
    anchors.path().unlink()
    notary().look(later(1))
    assert lines()[:2] == ["begun", "checkpoint"]
    assert AuditEntry.objects.filter(action="audit.anchors_begun").exists()


def test_verify_holds_the_database_to_the_file(known):
    set_back(3)
    assert "#5: known from outside" in " ".join(audit_verify.verify_database().problems)


def test_the_last_of_very_many_lines_is_found(known):
    anchors.note_accepted(audit.head()[0], why="x" * 400, now=NOW)
    last = anchors.path().read_text().splitlines()[-1]
    with anchors.path().open("a") as file:
        file.write(f"{last}\n" * 300)
    assert anchors.last() == anchors.Point(*audit.head())


def put_there(known, **changes):
    """Put a checkpoint over the sixth entry into the table, by the key of whoever does that."""
    stranger = signing.Signer(Ed25519PrivateKey.generate())
    text = checkpoints.text_of(stranger, known.seq, known.hash, NOW)
    row = {"seq": known.seq, "hash": known.hash, "key": stranger.key, "body": text, "signature": stranger.sign(text)}
    Checkpoint.objects.create(at=NOW, **{**row, **changes})


@pytest.mark.parametrize("changes", [{}, {"signature": "00"}, {"body": "x"}, {"body": "[]"}, {"signature": "zz"}])
def test_a_checkpoint_by_another_key_comes_into_no_file_and_stops_no_pulse(known, changes):
    put_there(known, **changes)
    notary().look(later(5))
    with pytest.raises(signing.SigningError, match="checkpoint at #6 is not by the key in force"):
        anchoring.keep_up()
    assert anchors.last() == anchors.Point(5, AuditEntry.objects.get(seq=5).hash)


@pytest.mark.parametrize(("seq", "digest", "right"), [(6, None, False), (6, "f" * 64, True), (106, None, True)])
def test_one_in_the_name_of_our_key_comes_into_no_file(known, seq, digest, right):
    mine = signing.load(checkpoints.key_file())
    text = checkpoints.text_of(mine, known.seq, digest or known.hash, NOW)
    signature = mine.sign(text if right else "another text")
    put_there(known, seq=seq, hash=digest or known.hash, key=mine.key, body=text, signature=signature)
    notary().look(later(5))
    with pytest.raises(signing.SigningError, match="is not by the key in force over this chain"):
        anchoring.keep_up()
    assert anchors.last().seq == 5


def test_why_nothing_is_signed_is_told(known, caplog):
    put_there(known)
    notary().look(later(5))
    assert "no checkpoint: SigningError" in caplog.text
