"""Verify an unpacked bundle, or an exported audit chain, with nothing but the standard library (Python 3.11)."""

import argparse
import base64
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

GENESIS, PROBLEMS_MAX, KIND = "0" * 64, 100, "guarded-rollout/audit-checkpoint"
SHOWN: dict[str, tuple[str, str]] = {name: ("", name) for name in ("at", "action", "why", "old", "new")}  # in the body
SHOWN |= {"actor_id": ("actor", "id"), "via": ("actor", "via"), "subject_kind": ("subject", "kind")}
SHOWN |= {it: ("subject", it.split("_")[-1]) for it in ("subject_id", "subject_label", "component", "environment")}
UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
COLUMNS = {*SHOWN, "actor_name", "person"}
NOTED = ("audit.", "installation.restored")  # entries that tell of keys, of names that were erased, of a restore
KINDS = {"approved": "APPROVE", "rejected": "REJECT", "revoked": "REVOKE", "started": "START", "bypassed": "BYPASS"}
DECIDED = {f"sign_off.{what}": kind for what, kind in KINDS.items()}
PASSKEYS = ("user.passkey_added", "user.passkey_removed", "user.factors_reset")
NEEDED = (*DECIDED, *PASSKEYS, "sign_off.opened", "rollout.created", "artifact.attached", "backup.taken")
BACKUPS, FILE = ("backup", "undo"), ("kind", "name", "sha256", "size", "created_at", "via", "user")
LOGS = "golden test_logging secret-scan deploy-dryrun migrate-dryrun postdeploy-smoketests restore-proof"  # by a step
MADE = {name.replace("-", "_"): f"{name}.log" for name in LOGS.split()} | {"restore_log": "restore.log"}
reader = json.JSONDecoder(parse_float=int, parse_constant=int)  # a body has no floats: int refuses them, and NaN
canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
Json = dict[str, Any]
Row = tuple[int, str, str, str, Mapping[str, Any]]  # seq, body, prev, hash, columns
Heads = Mapping[int, str]  # known from outside: seq -> hash, or its beginning
Head = tuple[int, str]
FIRST, NONE = (0, GENESIS), dict[int, str]()
Signed = tuple[str, str]  # the text of a checkpoint, and its signature in hex


@dataclass(kw_only=True)
class Result:
    """What was found in a chain, and what `limits` tells of it."""

    count: int = 0
    head: str = GENESIS  # hash of the last entry, whose number is `last`
    last: int = 0
    problems: list[str] = field(default_factory=list)  # in words, the first 100
    erased: list[tuple[int, str, str]] = field(default_factory=list)  # entry, whose, and when
    erasures: list[tuple[str, str]] = field(default_factory=list)  # whose, and before when, as entries tell it
    found: dict[int, str] = field(default_factory=dict)  # hashes of the entries that a checkpoint or anchor names
    keys: dict[str, int] = field(default_factory=dict)  # the public keys that entries tell
    restores: str = ""  # what restores gave up, in words
    missing: dict[int, str] = field(default_factory=dict)  # spans that were left out, by their first numbers
    checkpoints: int = 0
    signed_to: int = 0
    key: str = ""

    @property
    def ok(self) -> bool:
        """Tell whether the chain holds."""
        return not self.problems

    def add(self, *problems: str) -> None:
        """Keep problems, up to the maximum."""
        self.problems += problems[: PROBLEMS_MAX - len(self.problems)]


def verify_entries(
    rows: Iterable[Row], *, anchors: Heads = NONE, after: Head = FIRST, named: Iterable[int] = (), gaps: bool = False
) -> Result:
    """Check entries, oldest first; `gaps`: some may be left out after those that are `named` by checkpoints."""
    result, expected, prev = Result(head=after[1], last=after[0]), after[0] + 1, after[1]
    wanted = {*named, *anchors}
    for row in rows:
        seq, body, row_prev, row_hash, columns = row
        if gaps and seq > expected and (expected == 1 or expected - 1 in wanted):
            result.missing[expected] = f"#{expected} to #{seq - 1}"
            expected, prev = seq, row_prev
        problems = [f"#{seq}: {problem}" for problem in problems_of(expected, prev, row)]
        result.add(*problems)
        result.found |= {seq: row_hash} if seq in wanted else {}
        if not problems and (not columns["person"] or columns["action"].startswith(NOTED)):
            told = json.loads(body)
            data = told["data"] if told["action"].startswith(NOTED) else {}
            result.keys |= {data["public_key"]: seq} if "public_key" in data else {}
            result.restores += f"; #{seq} gave up all after #{data.get('back_to')}" * ("given_up" in data)
            result.erasures += [(told["subject"]["id"], data["before"])] if "before" in data else []
            result.erased += [] if columns["person"] else [(seq, str(told["actor"]["id"]), told["at"])]
        result.count, result.head, result.last, expected, prev = result.count + 1, row_hash, seq, seq + 1, row_hash
    verify_anchors(anchors, result)
    return result


def verify_anchors(anchors: Mapping[int, str], result: Result) -> None:
    """Compare heads known from outside with the entries in `result`, which has to name them; add what is wrong."""
    for seq, known in sorted(anchors.items()):
        if (len(known) < 12 or not result.found.get(seq, "").startswith(known)) and (seq, known) != (0, GENESIS):
            result.add(f"#{seq}: known from outside with hash {known}, but the chain does not hold it{result.restores}")


def verify_checkpoints(
    signed: Iterable[Signed], result: Result, *, trusted: Iterable[str] = (), check: Callable[..., bool] | None = None
) -> None:
    """Add what is wrong with checkpoints and with erasures to a result; `trusted` are ids of keys known outside."""
    known, force, last = set(trusted), "", 0
    for text, signature in sorted(signed, key=lambda one: number_of(one[0])):
        seq, at, result.checkpoints = number_of(text), f"checkpoint at #{number_of(text)}", result.checkpoints + 1
        try:
            told: Json = json.loads(text)
            if (told["kind"], told["version"], len(told["hash"])) != (KIND, 1, 64) or len(told["next"]) not in (0, 64):
                raise ValueError("it cannot be read: it is of another kind")
            if hashlib.sha256(bytes.fromhex(told["public_key"])).hexdigest() != told["key"]:
                raise ValueError("the key id is not that of its public key")
            if not (check or ed25519)(bytes.fromhex(told["public_key"]), bytes.fromhex(signature), text.encode()):
                raise ValueError("the signature is wrong")
        except UNREADABLE as error:
            result.add(f"{at}: {error if type(error) is ValueError else f'it cannot be read: {error!r}'}")
            continue
        why = f"but {force} was in force and did not announce it" if force else "not the one known from outside"
        result.add(*[f"{at}: announces a key that no entry tells of"] * (told["next"] not in ("", *result.keys)))
        result.add(*[f"{at}: there are two of it"] * (seq == last))
        if (force or known) and told["key"] not in (force, *known):
            result.add(f"{at}: signed by key {told['key']}, {why}")
        verify_anchors({seq: told["hash"]}, result)
        result.key, result.signed_to, last = told["key"], seq, seq
        force = hashlib.sha256(bytes.fromhex(told["next"])).hexdigest() if told["next"] else result.key
    until = dict(sorted(result.erasures))  # the latest of each person
    gone = [seq for seq, person, at in result.erased if at >= until.get(person, "")]
    result.add(*(f"#{seq}: its personal data is gone, but no entry audit.person_erased tells of it" for seq in gone))


def limits(result: Result, *, outside: Iterable[int] = (), key_known: bool = False) -> list[str]:
    """Say in words what could not be established; `outside` are the numbers of heads that came from elsewhere."""
    newest, unsigned = max(outside, default=0), result.last - result.signed_to
    newer = f"#{newest + 1} to #{result.last} ({result.last - newest} entries) are newer than what came from outside"
    told = [
        (not newest, "nothing from outside was given: a tail cut off, or a chain made anew, could not be seen"),
        (0 < newest < result.last, f"{newer}: that they are unchanged and all rests on the chain and its signatures"),
        (unsigned > 0, f"the last {unsigned} entries are signed by no checkpoint"),
        (result.checkpoints and not key_known, f"whose key {result.key} is: only checkpoints told it (see --key)"),
        (result.erased, f"who did {len(result.erased)} entries: the personal data was erased"),
        (result.missing, f"what {', '.join(result.missing.values())} tell: these entries are not inside"),
    ]
    return [words for so, words in told if so]


def read_jsonl(lines: Iterable[str]) -> Iterator[Row]:
    """Yield the entries of `manage.py audit export --format jsonl`; its checkpoints are left to `read_signed`."""
    for row in (row for row in map(json.loads, lines) if "checkpoint" not in row):
        yield int(row["seq"]), row["body"], row["prev"], row["hash"], row["columns"]


def read_signed(lines: Iterable[str]) -> Iterator[Signed]:
    """Yield the checkpoints that stand in an export or in an anchor file, and leave the other lines."""
    for row in (json.loads(line) for line in lines if line.startswith('{"checkpoint"')):
        yield row["checkpoint"], row["signature"]


def main(argv: list[str] | None = None) -> int:
    """Verify a bundle or a file, print what was established and what not; return 0 when all holds, 1 when not."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="Formats: docs/audit-format.md, docs/sign-off.md.")
    parser.add_argument("path", type=Path, nargs="?", default=Path(), help="a bundle's folder (this one) or a file")
    for name, kind, shape in (("--head", str, "SEQ:HASH"), ("--checkpoints", Path, "FILE"), ("--key", str, "ID")):
        parser.add_argument(name, action="append", default=[], type=kind, metavar=shape, help="known from outside")
    options = parser.parse_args(argv)
    result, bundle, inside = Result(), Bundle(options.path), options.path.is_dir()
    file: Path = options.path / "audit.jsonl" if inside else options.path
    try:
        heads = {int(seq): digest for seq, _, digest in (head.partition(":") for head in options.head)}
        outside = [one for path in options.checkpoints for one in read_signed(bundle._lines(path))]
        bundle.signed = signed = {*read_signed(bundle._lines(file)), *outside}
        rows, named = read_jsonl(bundle._lines(file)), map(number_of, dict(signed))
        result = verify_entries(rows, anchors=heads, named=named, gaps=inside)
        verify_checkpoints(signed, result, trusted=options.key)
        holds = "established: the chain holds" if result.ok else "THE CHAIN IS BROKEN"
        by = f"{result.checkpoints} checkpoints, signed to #{result.signed_to} by key {result.key or '(none)'}"
        bundle.said.append(f"{holds}: {result.count} entries, head {result.head}, {by}")
        seen, known = [*heads, *map(number_of, dict(outside))], bool(options.key or outside)
        bundle.unknown += limits(result, outside=seen, key_known=known)
        if inside:
            bundle.check(result)
    except UNREADABLE as error:
        result.add(f"{bundle.at}: this cannot be read, so nothing of it is proved: {type(error).__name__} {error}")
    bundle.said += map("not established: {}".format, bundle.unknown)
    for out, line in [*((sys.stdout, one) for one in bundle.said), *((sys.stderr, one) for one in result.problems)]:
        print("".join(one if one.isprintable() else f"U+{ord(one):04X}" for one in line), file=out)
    return 0 if result.ok else 1


def sha256(text: str) -> str:
    """Return the sha256 of a text in UTF-8; of one that has no UTF-8, one that nothing else has."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def number_of(text: str) -> int:
    """Return the sequence number that the text of a checkpoint names; 0 when it names none."""
    try:
        return int(json.loads(text)["seq"])
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return 0


def problems_of(expected: int, prev: str, row: Row) -> Iterator[str]:
    """Yield what is wrong with an entry that has to have that number and that hash before it."""
    seq, body, row_prev, row_hash, columns = row
    if seq != expected:
        yield f"expected #{expected}: entries are missing, doubled or out of order"
    if row_prev != prev:
        yield "prev is not the hash of the entry before"
    try:
        if sha256(body) != row_hash:
            yield "the sha256 of the body is not the hash"
        told = reader.decode(body)
        if (told["seq"], told["prev"]) != (seq, row_prev):
            yield f"the body says #{told['seq']} after {told['prev']}"
        yield from map("{}: missing, or no column".format, sorted(COLUMNS ^ columns.keys()))
        for column, (room, name) in SHOWN.items():
            if columns.get(column) != (hashed := told[room][name] if room else told[name]):
                yield f"{column} shows {columns.get(column)!r}, the hashed body says {hashed!r}"
        person, shown = columns.get("person", ""), columns.get("actor_name", "")
        if person != "" and sha256(person) != told["actor"]["person"]:
            yield "the personal data is not what was hashed"
        elif shown != (name := reader.decode(person)["name"] if person else ""):
            yield f"actor_name shows {shown!r}, the hashed personal data says {name or 'nothing: it was erased'!r}"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        yield f"the body cannot be read: {error!r}"


def decision_problems(row: Json, told: Json, kept: list[Json]) -> Iterator[str]:
    """Yield how a decision is not what its entry or its passkey says; `kept` are the entries that tell of passkeys."""
    bound = {name: value for name, value in row.items() if name not in ("assertion", "printed_name", "on_behalf_name")}
    bound["meaning"] = row["meaning"].replace(row["on_behalf_name"], "")
    made = {"decision_sha256": sha256(canonical(bound)), "assertion_sha256": sha256(canonical(row["assertion"]))}
    says = {**told["data"], "user": told["actor"]["id"], "at": told["at"], "reason": told["why"]}
    says["kind"] = DECIDED[told["action"]]
    says |= {f"{key}_name": name for key, name in told["person"].items() if key in ("printed", "on_behalf")}
    for name, value in {**row, **made}.items():
        if says.get(name, value) != value:
            yield f"{name} is {value!r}, but #{told['seq']} says {says[name]!r}"
    yield from _passkey(row, row["assertion"], told["seq"], kept) if row["assertion"] else ()


def _passkey(row: Json, one: Json, seq: int, kept: list[Json]) -> Iterator[str]:
    record, client, auth = one["record"], _bytes(one["client_data_json"]), _bytes(one["authenticator_data"])
    said, answer, check = json.loads(record), json.loads(client), ALGORITHMS[one["algorithm"]]
    bound = {**row, "decision": row["kind"], "person": {"id": row["user"], "name": row["printed_name"]}}
    bound["on_behalf_of"] = row["on_behalf_of"] and {"id": row["on_behalf_of"], "name": row["on_behalf_name"]}
    for name in ("sign_off", "digest", "decision", "duty", "meaning", "reason", "person", "on_behalf_of"):
        if said.get(name) != (bound[name].replace("\r\n", "\n") if name == "reason" else bound[name]):
            yield f"its passkey signed {name} {said.get(name)!r}, not {bound[name]!r}"
    if _bytes(answer["challenge"]).hex() != sha256(record) or canonical(said) != record:
        yield "the challenge that its passkey signed is not the sha256 of the record"
    site = f".{urlsplit(answer['origin']).hostname}".endswith(f".{one['rp_id']}")
    if not site or answer["type"] != "webauthn.get" or answer.get("crossOrigin"):
        yield f"its passkey answered {answer['type']} at {answer['origin']}, not {one['rp_id']}"
    if auth[:32].hex() != sha256(one["rp_id"]) or auth[32] & 5 != 5:
        yield "its passkey was for another site, or did not verify the person"
    small = len(one["signature"]) <= 1400 and len(canonical(one["public_key"])) <= 1500  # as for RSA of 8192 bits
    if not small or not check(one["public_key"], _bytes(one["signature"]), auth + hashlib.sha256(client).digest()):
        yield f"the {one['algorithm']} signature of its passkey is wrong{'' if small else ', or its key: too large'}"
    mine = [it for it in kept if it["action"] in PASSKEYS and it["subject"]["id"] == str(row["user"])]
    mine = [it for it in mine if it["seq"] < seq and it["data"].get("credential_id") in (None, one["credential_id"])]
    if not mine or mine[-1]["action"] != PASSKEYS[0] or mine[-1]["data"]["public_key"] != one["public_key"]:
        yield f"no entry before it tells that this key is a passkey of user {row['user']}"


class Bundle:
    """An unpacked bundle: its files, and what people signed against the chain and against their passkeys."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.at, self.states = folder, str(folder), dict[tuple[str, str], tuple[int, str, str]]()
        self.said, self.unknown, self.kept, self.signed = list[str](), list[str](), list[Json](), set[Signed]()

    def check(self, result: Result) -> None:
        """Add what is wrong with all but the chain to its result; keep what is established, and what is not."""
        sums, about = "".join(self._lines(self.folder / "SHA256SUMS")), self._read("bundle.json")
        self.sums, self.numbers = {line[66:]: line[:64] for line in sums.splitlines()}, set(map(str, about["rollouts"]))
        asked = about["all_of"] or {"since": "~", "until": "~", "place": {}}
        period, first, last = about["period"] or asked, 0, 0
        for seq, body, _, _, columns in read_jsonl(self._lines(self.folder / "audit.jsonl")):
            told = {**json.loads(body), "person": json.loads(columns.get("person") or "{}")}  # never the other columns
            subject, action, at = told["subject"], told["action"], told["at"]
            mine = subject["kind"] == "rollout" and subject["id"] in self.numbers
            self.kept += [told] if action in NEEDED and (mine or subject["kind"] != "rollout") else []
            if told["new"] and action.startswith(f"{subject['kind']}."):
                self.states[subject["kind"], subject["id"]] = seq, told["new"], subject["label"]
            if period["since"] <= at < period["until"] or (mine and told["new"]):
                first, last = first or seq, seq
            new = action == "rollout.created" and not mine
            if new and asked["since"] <= at < asked["until"] and {**subject, **asked["place"]} == subject:
                result.add(f"rollout {subject['id']}: it was requested in this period, but is not in the bundle")
        first = first if [one["action"] for one in self.kept].count("rollout.created") == len(self.numbers) else 0
        result.add(*(f"{it}: left out of what happened" for low, it in result.missing.items() if first < low < last))
        result.add(*["nothing is signed: no checkpoint is inside"] * bool(result.count and not result.checkpoints))
        self.unknown.append(f"what SHA256SUMS alone tells (see README.txt), whose sha256 is told later: {sha256(sums)}")
        for problem in (it for part in (self._files, self._decisions, self._stories, self._evidence) for it in part()):
            result.add(problem)
        self.said.insert(0, f"{about['of']}: {len(self.numbers)} rollouts, {len(self.decisions)} decisions")
        self.said += ["established: decisions, passkeys, evidence, states: as the entries inside tell"] * result.ok

    def _lines(self, path: Path) -> Iterator[str]:
        self.at = str(path)
        with path.open(encoding="utf-8") as lines:
            yield from lines

    def _read(self, name: str) -> Any:
        return json.loads("".join(self._lines(self.folder / name)))

    def _files(self) -> Iterator[str]:
        paths = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        for name in sorted(paths.keys() ^ self.sums.keys() ^ {"SHA256SUMS"}):
            yield f"{name}: {'missing' if name in self.sums else 'no file of this bundle'}"
        for name in sorted(paths.keys() & self.sums.keys()):
            with paths[name].open("rb") as source:
                if hashlib.file_digest(source, "sha256").hexdigest() != self.sums[name]:
                    yield f"{name}: its sha256 is not the one in SHA256SUMS"
        here, told = [it for it in self.sums if Path(it).match("time-stamps/*.json")], {*map(sha256, dict(self.signed))}
        yield from (f"{it}: it is the text of no checkpoint inside" for it in here if self.sums[it] not in told)
        self.unknown += [f"when {len(here)} checkpoints were there: ask their time stamps (README.txt)"] * bool(here)

    def _decisions(self) -> Iterator[str]:
        told = {one["data"]["decision"]: one for one in self.kept if one["action"] in DECIDED}
        self.decisions = self._read("decisions.json")
        for row in self.decisions:
            one, self.at = told.pop(row["decision"], None), f"decision {row['decision']} by {row['printed_name']}"
            found = decision_problems(row, one, self.kept) if one else ["no entry tells of it so often"]
            yield from (f"{self.at}: {problem}" for problem in found)
        if plain := sum(not row["assertion"] for row in self.decisions):
            self.unknown.append(f"more than the audit's word for {plain} decisions, which no passkey signed")
        yield from (f"decision {n}: #{it['seq']} tells of it, but decisions.json does not" for n, it in told.items())

    def _stories(self) -> Iterator[str]:
        for number in sorted(self.numbers):
            story = self._read(f"rollouts/{number}/rollout.json")
            rows = [("rollout", story, ""), *(("run", it, f"{it['kind']} run {it['id']} of ") for it in story["runs"])]
            rows += [("step", step, of) for _, run, of in rows[1:] for step in run["steps"]]
            yield from [f"{self.at}: it is the story of rollout {story['id']}"] if str(story["id"]) != number else []
            for kind, row, of in rows:
                seq, state, label = self.states.get((kind, str(row["id"])), (0, row["state"], of))
                if row["state"] != state or of not in label:
                    yield f"{self.at}: {kind} {row['id']} is {row['state']}, but #{seq} says {state} of {label}"

    def _evidence(self) -> Iterator[str]:
        told, signed, seen = set[Any](), set[Any](), set[Any]()
        for data, at, by in ((one["data"], one["at"], one["actor"]) for one in self.kept if "size" in one["data"]):
            facts = data.get("name", data.get("path")), data["sha256"], data["size"], at, by["via"], by["id"]
            told |= {(kind, *facts) for kind in ([data["kind"]] if "kind" in data else BACKUPS)}
        opened = {f"manifests/{it['data']['digest']}.json" for it in self.kept if it["action"] == "sign_off.opened"}
        for name in sorted(opened | {name for name in self.sums if name.startswith("manifests/")}):
            if name not in opened or self.sums.get(name) != name[10:-5]:
                yield f"{name}: the manifest that was signed is missing, or another"
            else:
                signed |= {tuple(map(one.get, FILE[:4])) for one in self._read(name)["evidence"]}
        artifacts, absent = self._read("artifacts.json"), list[str]()
        for kind, name, digest, _ in sorted(signed - {tuple(map(one.get, FILE[:4])) for one in artifacts}):
            yield f"{kind} {name}: signed with sha256 {digest}, which artifacts.json lacks"
        for one in artifacts:
            row, what = tuple(map(one.get, FILE)), f"{one['kind']} {one['name']} with sha256 {one['sha256']}"
            if one["file"] and self.sums.get(one["file"]) != one["sha256"]:
                yield f"{one['file']}: its sha256 is not the one in artifacts.json"
            made = (one["kind"].removeprefix("deploy-").removeprefix("rollback-"), one["name"]) in MADE.items()
            if row in seen or (row not in told and not (made and row[5:] == ("system", None))):
                yield f"{what}: no entry tells of it{' so often' * (row in seen)} with this size, time, door and user"
            elif row not in told and row[:4] not in signed:
                self.unknown.append(f"more than SHA256SUMS says of {what}, which the product kept")
            absent += [what] * (row[:4] in signed and not one["file"])
            seen.add(row)
        self.unknown += [f"the bytes of {len(absent)} signed files, such as {absent[0]}: not inside"] if absent else []


# --- signatures: Ed25519 on -x² + y² = 1 + D·x²·y² modulo P, ECDSA on P-256, y² = x³ - 3·x + b modulo Q ---------------
P, ORDER = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Q, N = 2**256 - 2**224 + 2**192 + 2**96 - 1, 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
GX = 0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296
GY = 0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5


def ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether a signature is right (RFC 8032, 5.1.7); raise ValueError for a key that is none."""
    claimed, factor = signature[:32], int.from_bytes(signature[32:], "little")
    step = int.from_bytes(hashlib.sha512(claimed + public_key + message).digest(), "little") % ORDER
    x, y, *_ = _point(public_key)
    x, y, z, _ = _multiply(_sum, (0, 1, 1, 0), factor % ORDER, BASE, step, (P - x, y, 1, (P - x) * y % P))
    shown = y * pow(z, -1, P) % P | (x * pow(z, -1, P) % P & 1) << 255
    return len(signature) == 64 and factor < ORDER and shown.to_bytes(32, "little") == claimed


def es256(key: Mapping[str, str], signature: bytes, message: bytes) -> bool:
    """Say whether a signature, in DER as WebAuthn has it, is right (FIPS 186-5, 6.4.2); `key` is a JWK."""
    x, y = (int.from_bytes(_bytes(key[name]), "big") for name in "xy")
    size = signature[3]  # 30 length, 02 length r, 02 length s
    r, s = (int.from_bytes(part, "big", signed=True) for part in (signature[4 : 4 + size], signature[6 + size :]))
    framed = bytes((48, len(signature) - 2, 2, size)), bytes((2, len(signature) - size - 6))
    curve = (y * y - x**3 + 3 * x - (GY * GY - GX**3 + 3 * GX)) % Q  # the base point is on it
    if (signature[:4], signature[4 + size : 6 + size]) != framed or curve or not (0 < r < N and 0 < s < N):
        return False
    number, inverse = int(hashlib.sha256(message).hexdigest(), 16), pow(s, -1, N)
    found = _multiply(_add, None, number * inverse % N, (GX, GY), r * inverse % N, (x, y))
    return found is not None and found[0] % N == r


def rs256(key: Mapping[str, str], signature: bytes, message: bytes) -> bool:
    """Say whether a signature is right (RFC 8017, 8.2.2); `key` is a JWK."""
    n, e = (int.from_bytes(_bytes(key[name]), "big") for name in "ne")
    size, told = (n.bit_length() + 7) // 8, bytes.fromhex("3031300d060960864801650304020105000420")
    wanted = b"\0\1" + b"\xff" * (size - 54) + b"\0" + told + hashlib.sha256(message).digest()
    return len(signature) == size >= 128 and pow(int.from_bytes(signature, "big"), e, n).to_bytes(size, "big") == wanted


def _multiply(add: Callable[[Any, Any], Any], zero: Any, one: int, p: Any, other: int, q: Any) -> Any:
    found, table = zero, (zero, p, q, add(p, q))
    for bit in range(255, -1, -1):  # one·p + other·q, both at once
        found = add(add(found, found), table[(one >> bit & 1) + 2 * (other >> bit & 1)])
    return found


def _sum(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % P, (one[1] + one[0]) * (other[1] + other[0]) % P
    c, d = 2 * one[3] * other[3] * D % P, 2 * one[2] * other[2] % P
    return (b - a) * (d - c) % P, (d + c) * (b + a) % P, (d - c) * (d + c) % P, (b - a) * (b + a) % P


def _point(encoded: bytes) -> tuple[int, int, int, int]:  # RFC 8032, 5.1.3; extended coordinates
    sign, y = divmod(int.from_bytes(encoded, "little"), 1 << 255)
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x * pow(2, (P - 1) // 4, P) % P if (x * x - square) % P else x
    if len(encoded) != 32 or y >= P or (x * x - square) % P or (x == 0 and sign):
        raise ValueError("these bytes are no point of the curve")
    return (x := P - x if x & 1 != sign else x), y, 1, x * y % P


def _add(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    if one is None or other is None:
        return one or other
    (x, y), (u, v) = one, other
    if x == u and y != v:
        return None
    slope = (3 * x * x - 3) * pow(2 * y, -1, Q) if one == other else (v - y) * pow(u - x, -1, Q)
    return (w := (slope * slope - x - u) % Q), (slope * (x - w) - y) % Q


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


BASE = _point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
ALGORITHMS = {"ES256": es256, "EdDSA": lambda key, *rest: ed25519(_bytes(key["x"]), *rest), "RS256": rs256}
if __name__ == "__main__":
    raise SystemExit(main())
