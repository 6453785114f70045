"""The stand-alone verifier and signatures: its own Ed25519, keys that follow each other, what it cannot establish."""

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from monitoring import anchors, audit, audit_export, checkpoints, signing, verify
from monitoring.models import Checkpoint

from .effects import NOW, later
from .signed import house, notary, write

# RFC 8032, section 7.1: public key, message, signature
RFC = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe"
        "24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302a"
        "eeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed2"
        "8dc027beceea1ec40a",
    ),
]


@pytest.mark.parametrize("key, message, signature", RFC)
def test_the_examples_of_the_rfc_are_right(key, message, signature):
    assert verify.ed25519(bytes.fromhex(key), bytes.fromhex(signature), bytes.fromhex(message))


@pytest.mark.parametrize("bit", [0, 100, 255, 256, 300, 500, 511])
def test_a_flipped_bit_of_a_signature_is_wrong(bit):
    private = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
    wrong = bytearray(private.sign(b"message"))
    wrong[bit // 8] ^= 1 << bit % 8
    public = private.public_key().public_bytes_raw()
    assert not verify.ed25519(public, bytes(wrong), b"message") and not signing.check(public, bytes(wrong), b"message")


def test_bytes_that_are_no_point_are_refused():
    with pytest.raises(ValueError, match="no point of the curve"):
        verify.ed25519(b"\x02" + bytes(31), bytes(64), b"")


@pytest.fixture
def export(db, settings, tmp_path):
    """Return the lines of an export of three entries and two checkpoints, of two keys."""
    house(settings, tmp_path)
    write(2)
    notary().look(NOW)
    signing.make(checkpoints.next_file())
    clerk = notary()
    clerk.look(later(1))
    write(1)
    clerk.look(later(99))
    return list(audit_export.jsonl())


def run(lines, tmp_path, *argv):
    path = tmp_path / "audit.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    return subprocess.run([sys.executable, "-I", verify.__file__, path, *argv], capture_output=True, text=True)


def test_the_file_alone_verifies_signatures_through_a_rotation(export, tmp_path):
    done = run(export, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 checkpoints, signed to #4" in done.stdout and "nothing from outside was given" in done.stdout


def test_with_an_anchor_file_it_says_how_far_the_outside_reaches(export, tmp_path):
    write(5)
    done = run(audit_export.jsonl(), tmp_path, "--checkpoints", str(anchors.path()))
    assert done.returncode == 0 and "#5 to #9 (5 entries) are newer than what came from outside" in done.stdout


def found(lines, **known):
    signed = list(verify.read_signed(lines))
    result = verify.verify_entries(verify.read_jsonl(lines), named=[verify.number_of(text) for text, _ in signed])
    verify.verify_checkpoints(signed, result, check=signing.check, **known)
    return " ".join(result.problems)


def test_the_key_that_is_known_from_outside_is_asked_for(export):
    assert "not the one known from outside" in found(export, trusted=["ab" * 32])
    assert found(export, trusted=[Checkpoint.objects.earliest("seq").key]) == ""


def test_a_key_that_nobody_announced_is_found(export):
    over = [number for number, line in enumerate(export) if '\\"next\\":\\"\\"' not in line and "checkpoint" in line]
    del export[over[0]]
    assert "did not announce it" in found(export)


def test_a_checkpoint_that_is_there_twice_with_other_words_is_found(export):
    forged = json.loads(export[-1])
    text = forged["checkpoint"].replace('"at":"2026', '"at":"2027')
    key = signing.load(checkpoints.key_file())
    lines = [*export, json.dumps({"checkpoint": text, "signature": key.sign(text)})]
    assert "there are two of it" in found(lines)


def test_a_checkpoint_of_another_format_is_told(export):
    assert "cannot be read" in found([*export, '{"checkpoint": "[]", "signature": ""}'])


def test_a_head_may_be_given_by_its_first_twelve_digits(export, tmp_path):
    digest = json.loads(export[1])["hash"]
    assert run(export, tmp_path, "--head", f"2:{digest[:12]}").returncode == 0
    assert run(export, tmp_path, "--head", f"2:{digest[:11]}").returncode == 1


def test_a_lost_key_is_trusted_only_on_somebodys_word(export, db):
    lost = signing.make(checkpoints.key_file().with_name("new.pem"))
    write(1)
    text = checkpoints.text_of(lost, 5, Checkpoint.objects.latest("seq").hash, later(200))
    line = json.dumps({"checkpoint": text, "signature": lost.sign(text)})
    assert "did not announce it" in found([*export, line])


def test_a_key_that_a_checkpoint_announces_and_no_entry_tells_of_is_found(export):
    signed = list(verify.read_signed(export))
    result = verify.verify_entries(verify.read_jsonl(export), named=[verify.number_of(text) for text, _ in signed])
    result.keys.clear()
    verify.verify_checkpoints(signed, result, check=signing.check)
    assert "announces a key that no entry tells of" in " ".join(result.problems)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ({"kind": "something/else"}, "it is of another kind"),
        ({"version": 2}, "it is of another kind"),
        ({"hash": "ab"}, "it is of another kind"),
        ({"key": "ab" * 32}, "the key id is not that of its public key"),
        ({"hash": "ab" * 32}, "but the chain does not hold it"),
    ],
)
def test_a_checkpoint_that_tells_something_else_is_found_though_the_right_key_signed_it(export, lie, told):
    key = signing.load(checkpoints.key_file())
    text = verify.canonical(json.loads(json.loads(export[-1])["checkpoint"]) | lie)
    assert told in found([*export[:-1], json.dumps({"checkpoint": text, "signature": key.sign(text)})])


def test_what_a_restore_gave_up_explains_a_head_that_is_gone(db):
    about = audit.Subject(kind="audit", id="1", label="audit")
    with audit.turn():
        data = {"back_to": 1, "given_up": 3}
        audit.append(action="audit.set_back_accepted", by=audit.SYSTEM, subject=about, data=data, now=NOW)
    result = verify.verify_entries(audit_export.rows(), anchors={3: "f" * 64})
    assert result.problems[0].endswith("does not hold it; #1 gave up all after #1")
