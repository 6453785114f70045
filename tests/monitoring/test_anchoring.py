"""Which checkpoints come into the anchor file, also after a key, the file, or the database was lost."""

import hashlib
import json

import pytest
from django.db import connection

from monitoring import acceptance, anchoring, anchors, audit, audit_verify, canonical, checkpoints, guards, signing
from monitoring.models import AuditEntry, AuditHead, Checkpoint

from .effects import NOW, RITA, later
from .signed import house, lines, notary, signed, write

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_files(settings, tmp_path):
    house(settings, tmp_path)


def lose_key(now):
    """Do what `manage.py audit key_lost` does."""
    lost = checkpoints.in_force()
    checkpoints.key_file().unlink()
    made = signing.make(checkpoints.key_file())
    with audit.turn():
        data = {"key": made.key, "public_key": made.public_key, "lost": lost}
        audit.append(action="audit.key_lost", by=RITA, subject=checkpoints.KEY, why="lost", data=data, now=now)
    anchors.note_key(made.key, why="lost", now=now)


def set_back(seq):
    """Let the database be an older one."""
    for model in (AuditEntry, Checkpoint):
        guards.remove(connection, guards.Guard(model=model))
        model.objects.filter(seq__gt=seq).delete()
    AuditHead.objects.update(seq=seq, hash=AuditEntry.objects.get(seq=seq).hash)


def go_on(*times):
    """Let entries come and pulse look at these times."""
    for at in times:
        write(1)
        notary().look(later(at))


def assert_kept_up():
    assert anchors.last().seq == signed()[-1] == audit.head()[0]
    assert audit_verify.verify_database().problems == []


def test_the_file_is_begun_anew_after_a_key_was_lost_before():
    go_on(0)
    lose_key(later(10))
    go_on(100)
    anchors.path().unlink()
    go_on(300, 500)
    assert_kept_up()


def test_a_checkpoint_that_a_crash_kept_from_the_file_comes_before_those_of_the_key_that_followed():
    go_on(0)
    kept = anchors.path().read_bytes()
    go_on(100)
    anchors.path().write_bytes(kept)
    lose_key(later(110))
    go_on(300, 500)
    assert_kept_up()


def test_a_key_is_lost_while_the_file_is_gone():
    go_on(0)
    anchors.path().unlink()
    lose_key(later(10))
    go_on(100, 300)
    assert_kept_up()


def test_the_note_of_a_new_key_is_not_needed_where_the_chain_tells_of_it():
    go_on(0)
    lose_key(later(10))
    text = anchors.path().read_text()
    anchors.path().write_text("".join(f"{one}\n" for one in text.splitlines() if '"key":{' not in one.replace(" ", "")))
    assert "key" not in lines()
    go_on(100)
    assert anchors.last().seq == audit.head()[0]


@pytest.mark.parametrize("how", ["rotated", "lost"])
def test_the_old_key_comes_back_with_an_old_database(how):
    write(3)
    notary().look(NOW)
    old = checkpoints.key_file().read_bytes()
    if how == "rotated":
        signing.make(checkpoints.next_file())
        notary().look(later(10))
    else:
        lose_key(later(10))
    go_on(100)
    set_back(3)
    checkpoints.key_file().chmod(0o600)
    checkpoints.key_file().write_bytes(old)
    acceptance.accept(by=RITA, why="restored", now=later(200))
    go_on(300, 500)
    assert_kept_up()


def test_a_loss_that_somebody_wrote_into_the_database_puts_no_key_in_force():
    go_on(0)
    stranger, last, entry = signing.make(checkpoints.key_file().with_name("other.pem")), write(1), write(1)
    for model in (AuditEntry, Checkpoint):
        guards.remove(connection, guards.Guard(model=model))
    told = json.loads(last.body) | {"action": "audit.key_lost", "data": {"key": stranger.key}}
    body = canonical.dumps(told)
    digest = hashlib.sha256(body.encode()).hexdigest()
    AuditEntry.objects.filter(pk=last.pk).update(action="audit.key_lost", body=body, hash=digest)
    AuditEntry.objects.filter(pk=entry.pk).update(prev=digest)  # its neighbour goes on from it, as a look around sees
    text = checkpoints.text_of(stranger, entry.seq, entry.hash, NOW)
    row = {"seq": entry.seq, "hash": entry.hash, "key": stranger.key, "body": text, "signature": stranger.sign(text)}
    Checkpoint.objects.create(at=NOW, **row)
    with pytest.raises(signing.SigningError, match="somebody put it there"):
        anchoring.keep_up()


def test_a_file_that_lacks_a_checkpoint_is_told():
    go_on(0)
    kept = anchors.path().read_bytes()
    go_on(100)
    assert anchoring.behind(before=later(200)) == ""
    anchors.path().write_bytes(kept)
    assert "lacks the checkpoint at #2" in anchoring.behind(before=later(200))
    assert anchoring.behind(before=later(100)) == ""


JUNK = ["5", "null", "[1]", '"x"', '{"checkpoint": 5}', '{"key": 5}', '{"accepted": []}', "[" * 20000]


@pytest.mark.parametrize("junk", JUNK)
def test_a_line_that_is_none_of_ours_is_left_out(junk):
    go_on(0)
    known = anchors.last()
    with anchors.path().open("a") as file:
        file.write(f"{junk}\n")
    assert (anchors.last(), anchors.refusal(), anchoring.in_force().key) == (known, "", checkpoints.in_force())
