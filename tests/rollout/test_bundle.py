"""A bundle verifies on a computer that has nothing of ours, and every kind of tampering with it is named."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import override_settings

from approvals.cose import b64, unb64
from monitoring import verify
from monitoring.signing import Signer
from rollout import bundle
from rollout.component import FROM_RUNS
from rollout.steps import check
from tests import base, factories
from tests.approvals.soft_passkey import SoftPasskey
from tests.monitoring.tampering import MINE
from tests.rollout import bundle_world
from tests.rollout.bundle_world import SIGNERS, Unpacked, digest, entry, relink, unpacked

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def content(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bundle of a signed rollout; made once, because nothing here looks at the database again."""
    folder = tmp_path_factory.mktemp("house")
    names = {"GR_RUN_DIR": "run", "GR_ARTIFACTS": "artifacts", "GR_BACKUPS": "backups", "GR_ANCHOR_FILE": "anchors"}
    places = {name: folder / place for name, place in names.items()} | {"GR_AUDIT_KEY_FILE": folder / "keys" / "a.pem"}
    with django_db_blocker.unblock(), transaction.atomic(), override_settings(**places), factories.that_day():
        target = factories.make_target(folder / "dhash")
        rollout = bundle_world.signed_rollout(target, base.make_cast(), folder)
        made = bundle_world.zipped(bundle.of_rollout(rollout))
        transaction.set_rollback(True)
    return made


@pytest.fixture
def taken(content: bytes, tmp_path: Path) -> Unpacked:
    """Return the unpacked bundle."""
    return unpacked(content, tmp_path / "taken")


def test_it_verifies_by_its_own_verify_py_in_an_empty_environment(taken: Unpacked) -> None:
    code, said, wrong = taken.as_it_is()
    assert (code, wrong) == (0, "")
    assert "the chain holds" in said and ": 1 rollouts, 3 decisions" in said
    assert "established: decisions, passkeys, evidence, states: as the entries inside tell" in said


def test_it_says_what_it_could_not_establish(taken: Unpacked) -> None:
    _, said, _ = taken.as_it_is()
    for limit in ("nothing from outside was given", "whose key", "what SHA256SUMS alone tells"):
        assert limit in said.partition("not established: ")[2], limit


def test_a_head_from_outside_reaches_its_entries(taken: Unpacked) -> None:
    rows = [json.loads(line) for line in (taken.folder / "audit.jsonl").read_text().splitlines()]
    last = [row for row in rows if "body" in row][-1]
    _, said, _ = taken.as_it_is("--head", f"{last['seq']}:{last['hash']}")
    assert "nothing from outside was given" not in said
    assert taken.as_it_is("--head", f"{last['seq']}:{'f' * 64}")[0] == 1


def test_it_has_an_assertion_of_each_kind_of_passkey(taken: Unpacked) -> None:
    kinds = {row["assertion"]["algorithm"] for row in taken.read("decisions.json")}
    assert kinds == {"ES256", "EdDSA", "RS256"}


def wrong(taken: Unpacked, *told: str) -> None:
    """Assert that verify.py ends with 1 and names each of these."""
    code, said, found = taken.problems()
    assert code == 1, said
    for one in told:
        assert one in found, found


# --- files -----------------------------------------------------------------------------------------------------------
def test_a_changed_file_is_named(taken: Unpacked) -> None:
    taken.write("notices.json", b"[]")
    code, _, found = taken.as_it_is()
    assert (code, found) == (1, "notices.json: its sha256 is not the one in SHA256SUMS\n")


def test_a_missing_and_a_foreign_file_are_named(taken: Unpacked) -> None:
    (taken.folder / "incidents.json").rename(taken.folder / "other.json")
    code, _, found = taken.as_it_is()
    assert code == 1 and "incidents.json: missing" in found and "other.json: no file of this bundle" in found


# --- decisions -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "REJECT"),
        ("duty", "media-eng"),
        ("reason", "looked at nothing"),
        ("meaning", "I have looked away."),
        ("digest", "0" * 64),
        ("roles", ["ops"]),
        ("zone", "Mars/Olympus"),
        ("user", 99),
        ("method", "password"),
        ("diff_opened", False),
        ("at", "2026-11-24T12:00:00.000000+00:00"),
        ("authenticated_at", "2026-11-24T12:00:00.000000+00:00"),
        ("seq", 9),
        ("sign_off", 9),
    ],
)
def test_a_changed_part_of_a_decision_is_named(taken: Unpacked, name: str, value: Any) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0][name] = value
    wrong(taken, f"decision {taken.read('decisions.json')[0]['decision']} by Ann: ", "decision_sha256 is ")


def test_another_printed_name_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0]["printed_name"] = "Otto"
    wrong(taken, "by Otto: printed_name is 'Otto', but #", "says 'Ann'", "its passkey signed person")


def test_a_dropped_decision_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        gone = rows.pop(1)
    wrong(taken, f"decision {gone['decision']}: #", "tells of it, but decisions.json does not")


def test_a_decision_that_nobody_made_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows.append({**rows[0], "decision": 4711})
    wrong(taken, "decision 4711 by Ann: no entry tells of it")


def test_a_second_row_of_a_decision_is_named_wherever_it_stands(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows.insert(0, {**rows[0], "printed_name": "Mallory", "kind": "REJECT", "user": 99})
    wrong(taken, "by Mallory: kind is 'REJECT', but #")


def test_a_decision_that_stands_there_twice_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows.append(rows[0])
    wrong(taken, "by Ann: no entry tells of it so often")


# --- passkeys --------------------------------------------------------------------------------------------------------
BROKEN = {
    "signature": "signature of its passkey is wrong",
    "authenticator_data": "signature of its passkey is wrong",
    "client_data_json": "",
}


@pytest.mark.parametrize("part", BROKEN)
@pytest.mark.parametrize("number", range(3), ids=[kind for _, kind in SIGNERS.values()])
def test_a_changed_byte_of_an_assertion_is_named(taken: Unpacked, number: int, part: str) -> None:
    with taken.editing("decisions.json") as rows:
        data = bytearray(unb64(rows[number]["assertion"][part]))
        data[-1] ^= 1
        rows[number]["assertion"][part] = b64(bytes(data))
        who = rows[number]["printed_name"]
    wrong(taken, f"by {who}: ", BROKEN[part])


@pytest.mark.parametrize("byte", [0, 1, 2, 3, 4, 36, 37, 38, 60])
def test_any_byte_of_a_signature_counts(taken: Unpacked, byte: int) -> None:
    with taken.editing("decisions.json") as rows:
        data = bytearray(unb64(rows[0]["assertion"]["signature"]))
        data[byte] ^= 0x41
        rows[0]["assertion"]["signature"] = b64(bytes(data))
    wrong(taken, "by Ann: ")


def test_another_nonce_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        record = json.loads(rows[0]["assertion"]["record"])
        record["nonce"] = "A" * 43
        rows[0]["assertion"]["record"] = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    wrong(taken, "the challenge that its passkey signed is not the sha256 of the record", "assertion_sha256 is ")


def test_a_record_that_is_not_canonical_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0]["assertion"]["record"] = " " + rows[0]["assertion"]["record"]
    wrong(taken, "the challenge that its passkey signed is not the sha256 of the record")


def test_the_assertion_of_another_decision_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0]["assertion"] = rows[1]["assertion"]
    wrong(taken, "by Ann: assertion_sha256 is ", "its passkey signed person", "is a passkey of user")


def test_a_removed_assertion_is_named(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0]["assertion"] = None
    wrong(taken, "by Ann: assertion_sha256 is ")


def forge(taken: Unpacked, key: SoftPasskey, **lies: Any) -> None:
    """Sign the first decision anew with a key, and let the audit tell of that, its links mended."""
    with taken.editing("decisions.json") as rows:
        kept = rows[0]["assertion"]
        challenge = b64(bytes.fromhex(verify.sha256(kept["record"])))
        answer = json.loads(key.answer({"publicKey": {"challenge": challenge}}, **lies))["response"]
        kept |= {"public_key": jwk_of(key), "algorithm": key.algorithm, "credential_id": b64(key.credential_id)}
        kept |= {"signature": answer["signature"], "authenticator_data": answer["authenticatorData"]}
        kept |= {"client_data_json": answer["clientDataJSON"]}
        made = {"assertion_sha256": digest(kept), "credential_id": kept["credential_id"]}

    def tell(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = entry(lines, "sign_off.approved")
        told = json.loads(row["body"])
        told["data"] |= made
        row["body"] = verify.canonical(told)
        return relink(lines)

    taken.lines(tell)


def jwk_of(key: SoftPasskey) -> Any:
    """Return the public key of a passkey as bundles carry it."""
    public = key.key.public_key().public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64(public.x.to_bytes(32, "big")), "y": b64(public.y.to_bytes(32, "big"))}


def test_a_foreign_key_is_named_however_well_it_signs(taken: Unpacked) -> None:
    forge(taken, SoftPasskey())
    _, _, found = taken.problems()
    assert "by Ann: no entry before it tells that this key is a passkey of user" in found
    assert "signature of its passkey is wrong" not in found


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ({"type": "webauthn.create"}, "its passkey answered webauthn.create"),
        ({"origin": "https://evil.example"}, "at https://evil.example, not testserver"),
        ({"origin": "https://nottestserver"}, "at https://nottestserver, not testserver"),
        ({"flags": 1}, "did not verify the person"),
        ({"challenge": "AAAA"}, "is not the sha256 of the record"),
    ],
)
def test_an_answer_that_proves_less_is_named(taken: Unpacked, lie: dict[str, Any], told: str) -> None:
    forge(taken, SoftPasskey(), **lie)
    wrong(taken, told)


# --- manifests and artifacts -----------------------------------------------------------------------------------------
def test_a_changed_manifest_is_named(taken: Unpacked) -> None:
    (path,) = (taken.folder / "manifests").iterdir()
    path.write_text(path.read_text().replace("customers wait", "nobody waits"))
    wrong(taken, f"manifests/{path.name}: the manifest that was signed is missing, or another")


def test_another_sha256_in_the_list_of_artifacts_is_named(taken: Unpacked) -> None:
    with taken.editing("artifacts.json") as rows:
        (archive,) = (one for one in rows if one["kind"] == "release_archive")
        was, archive["sha256"] = archive["sha256"], "0" * 64
    told = f"release_archive dhash-1.1.0.zip: signed with sha256 {was}, which artifacts.json lacks"
    wrong(taken, told, "with sha256 000", "no entry tells of it", "its sha256 is not the one in artifacts.json")


def test_an_artifact_that_is_dropped_from_the_list_is_named(taken: Unpacked) -> None:
    with taken.editing("artifacts.json") as rows:
        rows[:] = [one for one in rows if one["kind"] != "release_archive"]
    wrong(taken, "which artifacts.json lacks")


def test_other_bytes_of_an_artifact_are_named(taken: Unpacked) -> None:
    (name,) = (one["file"] for one in taken.read("artifacts.json") if one["kind"] == "release_archive")
    taken.write(name, b"another release")
    wrong(taken, f"{name}: its sha256 is not the one in artifacts.json")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "premerge_artifacts"),
        ("name", "other.zip"),
        ("size", 31),
        ("created_at", "2020-01-01T00:00:00.000000+00:00"),
        ("via", "api"),
        ("user", 99),
    ],
)
def test_a_changed_part_of_what_somebody_brought_is_named(taken: Unpacked, name: str, value: Any) -> None:
    with taken.editing("artifacts.json") as rows:
        next(one for one in rows if one["via"] != "system")[name] = value
    wrong(taken, "no entry tells of it with this size, time, door and user")


@pytest.mark.parametrize(
    ("name", "value"),
    [("sha256", "f" * 64), ("name", "other.zip"), ("size", 11), ("kind", "snapshot"), ("kind", "golden")],
)
def test_a_changed_part_of_a_backup_is_named(taken: Unpacked, name: str, value: Any) -> None:
    with taken.editing("artifacts.json") as rows:
        next(one for one in rows if one["kind"] == "backup")[name] = value
    wrong(taken, "no entry tells of it with this size, time, door and user")


@pytest.mark.parametrize("user", [None, 4])
def test_what_somebody_brought_is_not_the_products_own(taken: Unpacked, user: int | None) -> None:
    with taken.editing("artifacts.json") as rows:
        next(one for one in rows if one["via"] != "system").update(via="system", user=user)
    wrong(taken, "no entry tells of it with this size, time, door and user")


@pytest.mark.parametrize(
    "lie", [{"kind": "monitor_logs"}, {"kind": "deploy-golden2"}, {"name": "made_up.log"}, {"via": "api"}, {"user": 4}]
)
def test_the_product_keeps_nothing_but_what_its_steps_make(taken: Unpacked, lie: dict[str, Any]) -> None:
    with taken.editing("artifacts.json") as rows:
        rows.append({**rows[-1], "kind": "deploy-golden", "name": "golden.log", "sha256": "e" * 64, **lie})
    wrong(taken, f"with sha256 {'e' * 64}: no entry tells of it with this size, time, door and user")


def test_the_evidence_of_every_step_is_known_to_be_the_products_own() -> None:
    assert {*FROM_RUNS, "restore_log", "restore_proof"} - {"backup"} == verify.MADE.keys()
    assert set(check.EVIDENCE.values()) <= verify.MADE.items()


@pytest.mark.parametrize("kind", ["golden", "deploy-golden", "rollback-golden"])
def test_what_the_product_kept_and_no_entry_tells_of_is_not_established(taken: Unpacked, kind: str) -> None:
    with taken.editing("artifacts.json") as rows:
        rows.append({**rows[-1], "kind": kind, "name": "golden.log", "sha256": "e" * 64})
    code, said, _ = taken.problems()
    told = f"more than SHA256SUMS says of {kind} golden.log with sha256 {'e' * 64}, which the product kept"
    assert code == 0 and f"not established: {told}\n" in said


def test_whom_a_number_names_in_the_list_of_artifacts_is_not_established(taken: Unpacked) -> None:
    assert "what SHA256SUMS alone tells (see README.txt)" in taken.as_it_is()[1]
    assert "artifacts' release, rollout, run, by, replaced_at, file" in (taken.folder / "README.txt").read_text()


@pytest.mark.parametrize("kind", ["anything", "deploy-anything"])
def test_a_file_without_a_name_of_a_kind_that_nobody_makes_is_named(taken: Unpacked, kind: str) -> None:
    with taken.editing("artifacts.json") as rows:
        rows.append({**rows[-1], "kind": kind, "name": None, "sha256": "e" * 64})
    wrong(taken, f"{kind} None with sha256 {'e' * 64}: no entry tells of it")


def test_the_signed_bytes_that_were_taken_out_are_not_established(taken: Unpacked) -> None:
    with taken.editing("artifacts.json") as rows:
        (archive,) = (one for one in rows if one["kind"] == "release_archive")
        (taken.folder / archive["file"]).unlink()
        archive["file"] = ""
    _, said, _ = taken.problems()
    what = f"release_archive dhash-1.1.0.zip with sha256 {archive['sha256']}"
    assert f"not established: the bytes of 1 signed files, such as {what}: not inside\n" in said


def test_signed_bytes_that_are_inside_are_established(taken: Unpacked) -> None:
    assert "signed files" not in taken.as_it_is()[1]


@pytest.mark.parametrize("kind", ["release_archive", "backup"])
def test_a_second_row_of_a_file_is_named(taken: Unpacked, kind: str) -> None:
    with taken.editing("artifacts.json") as rows:
        rows.append({**next(one for one in rows if one["kind"] == kind), "rollout": 99})
    wrong(taken, f"{kind} ", "no entry tells of it so often")


def test_a_second_row_of_what_the_product_kept_is_named(taken: Unpacked) -> None:
    with taken.editing("artifacts.json") as rows:
        rows += 2 * [{**rows[-1], "kind": "golden", "name": "golden.log", "sha256": "e" * 64}]
    wrong(taken, f"golden golden.log with sha256 {'e' * 64}: no entry tells of it so often")


# --- what is printed -------------------------------------------------------------------------------------------------
HIDING = "\x1b[8m\rnothing\n\u202e\x9b8m"


def test_no_terminal_obeys_what_a_bundle_says_of_itself(taken: Unpacked) -> None:
    with taken.editing("bundle.json") as about:
        about["of"] = HIDING
    _, said, _ = taken.problems()
    assert "U+001B[8mU+000DnothingU+000AU+202EU+009B8m: 1 rollouts, 3 decisions\n" in said


def test_no_terminal_obeys_what_is_wrong_or_not_established(taken: Unpacked) -> None:
    with taken.editing("decisions.json") as rows:
        rows[0]["printed_name"] = HIDING
    with taken.editing("artifacts.json") as rows:
        rows.append({**rows[-1], "kind": "golden", "name": "golden.log", "sha256": HIDING})
    _, said, found = taken.problems()
    assert not {"\x1b", "\r", "\u202e", "\x9b"} & {*said, *found}
    assert "by U+001B[8mU+000DnothingU+000A" in found and "golden.log with sha256 U+001B[8mU+000D" in said


def test_no_terminal_obeys_the_name_of_a_foreign_file(taken: Unpacked) -> None:
    taken.write("\x1b[8m.json", b"[]")
    assert taken.as_it_is()[2] == "U+001B[8m.json: no file of this bundle\n"


def test_a_name_with_letters_of_any_script_is_printed_as_it_is(taken: Unpacked) -> None:
    with taken.editing("bundle.json") as about:
        about["of"] = "Ænne Ödegård, 安"
    assert "Ænne Ödegård, 安: 1 rollouts" in taken.problems()[1]


# --- the chain -------------------------------------------------------------------------------------------------------
def test_a_dropped_entry_is_named(taken: Unpacked) -> None:
    taken.lines(lambda rows: [row for row in rows if row is not entry(rows, "rollout.approved")])
    wrong(taken, "entries are missing, doubled or out of order")


def test_the_dropped_entry_of_a_decision_is_named(taken: Unpacked) -> None:
    taken.lines(lambda rows: [row for row in rows if row is not entry(rows, "sign_off.approved")])
    wrong(taken, "by Ann: no entry tells of it")


def test_a_piece_that_is_cut_out_between_checkpoints_takes_a_decision_with_it(taken: Unpacked) -> None:
    cut(taken, -3, -2)
    wrong(taken, "by Olaf: no entry tells of it")


def cut(taken: Unpacked, low: int, high: int) -> str:
    """Cut out what lies between two of the checkpoints, and return its first number and its last."""
    lines = [json.loads(line) for line in (taken.folder / "audit.jsonl").read_text().splitlines()]
    ends = sorted(verify.number_of(row["checkpoint"]) for row in lines if "checkpoint" in row)
    gone = range(ends[low] + 1, ends[high] + 1)
    taken.lines(
        lambda rows: [row for row in rows if row.get("seq", verify.number_of(row.get("checkpoint", ""))) not in gone]
    )
    return f"#{gone[0]} to #{gone[-1]}"


def without(taken: Unpacked, name: str) -> None:
    """Take the decisions of a person out of the list."""
    with taken.editing("decisions.json") as rows:
        rows[:] = [row for row in rows if row["printed_name"] != name]


def test_a_decision_that_is_cut_out_of_the_chain_and_of_the_list_is_missed(taken: Unpacked) -> None:
    without(taken, "Abe")
    wrong(taken, f"{cut(taken, 1, 2)}: left out of what happened")


def test_a_decision_that_is_cut_out_together_with_the_beginning_is_missed(taken: Unpacked) -> None:
    without(taken, "Ann")
    cut(taken, 0, 1)
    wrong(taken, "#5 to #12: left out of what happened")


def test_which_entries_are_not_inside_is_told(taken: Unpacked) -> None:
    (_, before), (after, _) = taken.read("bundle.json")["pieces"]
    _, said, _ = taken.as_it_is()
    assert f"not established: what #1 to #1, #{before + 1} to #{after - 1} tell: these entries are not inside" in said


def test_entries_that_were_chained_anew_do_not_agree_with_the_checkpoints(taken: Unpacked) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = entry(rows, "rollout.approved")
        row["columns"]["why"] = "it was quiet"
        row["body"] = verify.canonical({**json.loads(row["body"]), "why": "it was quiet"})
        return relink(rows)

    taken.lines(change)
    wrong(taken, "known from outside with hash", "but the chain does not hold it")


def swap(key: Signer) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """Return what signs the last checkpoint with another key."""

    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        told = json.loads(rows[-1]["checkpoint"]) | {"key": key.key, "public_key": key.public_key}
        text = verify.canonical(told)
        return [*rows[:-1], {"checkpoint": text, "signature": key.sign(text)}]

    return change


def test_a_checkpoint_of_a_foreign_key_is_named(taken: Unpacked) -> None:
    taken.lines(swap(MINE))
    wrong(taken, f"signed by key {MINE.key}", "did not announce it")


def test_a_checkpoint_over_another_hash_is_named(taken: Unpacked) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        rows[-1]["checkpoint"] = rows[-2]["checkpoint"]
        return rows

    taken.lines(change)
    wrong(taken, "the signature is wrong")


def test_personal_data_that_was_exchanged_is_named(taken: Unpacked) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        columns = entry(rows, "sign_off.approved")["columns"]
        columns["person"] = columns["person"].replace('"printed":"Ann"', '"printed":"Otto"')
        return rows

    taken.lines(change)
    wrong(taken, "the personal data is not what was hashed")


def test_what_is_no_json_any_more_is_told_without_a_traceback(taken: Unpacked) -> None:
    taken.write("decisions.json", b"[{]")
    code, _, found = taken.problems()
    assert code == 1 and "nothing of it is proved" in found and "Traceback" not in found


def test_an_entry_that_is_no_json_any_more_is_named(taken: Unpacked) -> None:
    def change(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        entry(rows, "rollout.created")["body"] = "nonsense"
        return rows

    taken.lines(change)
    wrong(taken, "the body cannot be read", "nothing of it is proved")


def told_of_ann(taken: Unpacked, change: Callable[[dict[str, Any]], None]) -> None:
    """Let the entry that registers Ann's passkey tell something else, its links mended."""

    def tell(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        row = entry(lines, "user.passkey_added")
        told = json.loads(row["body"])
        change(told)
        row["body"], row["columns"]["action"] = verify.canonical(told), told["action"]
        row["columns"]["subject_id"] = told["subject"]["id"]
        return relink(lines)

    taken.lines(tell)


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["subject"].update(id="99"),
        lambda told: told.update(action="user.passkey_removed"),
        lambda told: told.update(action="user.factors_reset"),
        lambda told: told["data"].update(credential_id="other"),
        lambda told: told["data"]["public_key"].update(x=b64(b"x" * 32)),
    ],
    ids=["of another person", "removed", "reset", "another passkey", "another key"],
)
def test_a_passkey_that_was_not_the_persons_then_is_named(
    taken: Unpacked, change: Callable[[dict[str, Any]], None]
) -> None:
    told_of_ann(taken, change)
    wrong(taken, "by Ann: no entry before it tells that this key is a passkey of user")


# --- stories ---------------------------------------------------------------------------------------------------------
def story_of(taken: Unpacked) -> str:
    """Return the file with the story of the bundle's only rollout."""
    return f"rollouts/{taken.read('bundle.json')['rollouts'][0]}/rollout.json"


def test_another_state_of_a_rollout_in_its_story_is_named(taken: Unpacked) -> None:
    with taken.editing(story_of(taken)) as story:
        story["state"] = "SUCCEEDED"
    wrong(taken, f"{story_of(taken)}: rollout {story['id']} is SUCCEEDED, but #", "says ROLLED_BACK")


def test_another_state_of_a_run_in_its_story_is_named(taken: Unpacked) -> None:
    with taken.editing(story_of(taken)) as story:
        story["runs"][0]["state"] = "SUCCEEDED"
    wrong(taken, f"{story_of(taken)}: run {story['runs'][0]['id']} is SUCCEEDED, but #")


def test_another_state_of_a_step_in_its_story_is_named(taken: Unpacked) -> None:
    lines = [json.loads(line) for line in (taken.folder / "audit.jsonl").read_text().splitlines()]
    told = {row["columns"]["subject_id"] for row in lines if row.get("columns", {}).get("subject_kind") == "step"}
    with taken.editing(story_of(taken)) as story:
        steps = [one for run in story["runs"] for one in run["steps"] if str(one["id"]) in told]
        steps[0]["state"] = "PENDING"
    wrong(taken, f"{story_of(taken)}: step {steps[0]['id']} is PENDING, but #")


def test_the_story_of_another_rollout_is_named(taken: Unpacked) -> None:
    with taken.editing(story_of(taken)) as story:
        story["id"] = 4711
    wrong(taken, f"{story_of(taken)}: it is the story of rollout 4711")


def test_a_run_that_is_told_as_of_another_kind_is_named(taken: Unpacked) -> None:
    with taken.editing(story_of(taken)) as story:
        story["runs"][1]["kind"] = "deploy"
    wrong(taken, f"run {story['runs'][1]['id']} is ", "of rollback run ")


def test_a_manifest_that_no_sign_off_was_opened_over_is_named(taken: Unpacked) -> None:
    name = f"manifests/{verify.sha256('{}')}.json"
    taken.write(name, b"{}")
    wrong(taken, f"{name}: the manifest that was signed is missing, or another")


# --- what is too large, or cannot be read ----------------------------------------------------------------------------
@pytest.mark.parametrize(("number", "part"), [(0, "x"), (2, "n"), (2, "e")])
def test_a_key_that_would_take_for_ever_is_named_at_once(taken: Unpacked, number: int, part: str) -> None:
    with taken.editing("decisions.json") as rows:
        rows[number]["assertion"]["public_key"][part] = "_" * 400_000
    wrong(taken, "signature of its passkey is wrong, or its key: too large")


@pytest.mark.parametrize("name", ["SHA256SUMS", "bundle.json", "decisions.json", "artifacts.json", "audit.jsonl"])
@pytest.mark.parametrize("data", [None, b"\xff" * 99, b"[null]"], ids=["missing", "no UTF-8", "null"])
def test_a_file_that_cannot_be_read_is_named(taken: Unpacked, name: str, data: bytes | None) -> None:
    (taken.folder / name).unlink()
    if data is not None:
        taken.write(name, data)
    code, _, found = taken.as_it_is()
    assert (
        code == 1
        and (name in found or data == b"[null]")
        and "Traceback" not in found
        and "xffxff" not in found.replace("\\", "")
    )


def test_a_member_that_is_missing_is_named_with_its_file(taken: Unpacked) -> None:
    with taken.editing("artifacts.json") as rows:
        del rows[0]["name"], rows[0]["kind"]
    wrong(taken, "artifacts.json: this cannot be read, so nothing of it is proved: KeyError 'kind'")


# --- what nobody signed ----------------------------------------------------------------------------------------------
def test_a_bundle_without_checkpoints_is_named(taken: Unpacked) -> None:
    taken.lines(lambda rows: [row for row in rows if "checkpoint" not in row])
    wrong(taken, "nothing is signed: no checkpoint is inside")
