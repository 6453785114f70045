"""A rollout that three people signed, each with a passkey of another kind, its bundle, and who tampers with that."""

import hashlib
import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from approvals import factors, signatures
from monitoring import canonical, verify
from rollout import bundle
from rollout.models import Rollout, Target
from tests import factories
from tests.approvals.soft_passkey import SITE, SoftPasskey
from tests.factories import NOW, actor, fresh
from tests.monitoring.signed import notary
from tests.rollout import views_world

# who signs with what, in which duty
SIGNERS = {
    "ann": ("approver", "ES256"),
    "abe": ("approver", "EdDSA"),
    "olaf": ("deploy-operator", "RS256"),
}


def signed_rollout(target: Target, cast: dict[str, User], folder: Path) -> Rollout:
    """Return a rollout whose every approval is signed by a passkey, rolled back later; the audit has checkpoints."""
    keys = {name: registered(cast[name], algorithm) for name, (_, algorithm) in SIGNERS.items()}
    notary().look(NOW)
    rollout = factories.make_waiting(target, cast["rita"])
    for name, (duty, _) in SIGNERS.items():
        sign(rollout, cast[name], duty, keys[name])
        notary().look(NOW)
    views_world.rolled_back(fresh(rollout), cast["olaf"], folder)
    notary().look(NOW)
    return fresh(rollout)


def registered(user: User, algorithm: str = "ES256") -> SoftPasskey:
    """Return a new passkey of a user, whose registration is an entry of the audit."""
    key = SoftPasskey(algorithm=algorithm)
    factors.add_passkey(user, "Laptop", key.created("AA"), by=actor(user), now=NOW)
    return key


def sign(rollout: Rollout, user: User, duty: str, key: SoftPasskey, *, on_behalf_of: int | None = None) -> None:
    """Approve, and sign that with a passkey."""
    sign_off = fresh(rollout).sign_off
    assert sign_off is not None
    asked = {"user": user, "site": SITE, "now": NOW}
    told = {"kind": "APPROVE", "duty": duty, "reason": "seen in staging", "on_behalf_of": on_behalf_of}
    options = signatures.ask(sign_off, **told, **asked)  # type: ignore[arg-type]
    signed = signatures.verify(key.answer(options), **asked)  # type: ignore[arg-type]
    factories.decide(rollout, user, duty, signed=signed, on_behalf_of=on_behalf_of)


def zipped(scope: bundle.Scope) -> bytes:
    """Return the bytes of a bundle."""
    out = io.BytesIO()
    bundle.write(scope, out, now=NOW)
    return out.getvalue()


def unpacked(content: bytes, folder: Path) -> "Unpacked":
    """Return a bundle in a folder."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)
    return Unpacked(folder)


class Unpacked:
    """An unpacked bundle, in the hands of somebody who can compute SHA256SUMS anew."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, name: str) -> Any:
        """Return what a file of JSON holds."""
        return json.loads((self.folder / name).read_text())

    def write(self, name: str, content: Any) -> None:
        """Write a file of JSON, or bytes."""
        data = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        (self.folder / name).write_bytes(data)

    @contextmanager
    def editing(self, name: str) -> Iterator[Any]:
        """Give a file of JSON to edit."""
        content = self.read(name)
        yield content
        self.write(name, content)

    def seal(self) -> None:
        """Write SHA256SUMS anew."""
        files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
        lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(self.folder)}" for path in files]
        self.write("SHA256SUMS", ("\n".join(lines) + "\n").encode())

    def lines(self, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
        """Change the lines of the audit."""
        found = [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]
        text = "".join(f"{json.dumps(row, ensure_ascii=False, sort_keys=True)}\n" for row in change(found))
        self.write("audit.jsonl", text.encode())

    def problems(self, *argv: str) -> tuple[int, str, str]:
        """Return exit code, what is printed and what is wrong, as its own verify.py says on any computer."""
        self.seal()
        return self.as_it_is(*argv)

    def as_it_is(self, *argv: str) -> tuple[int, str, str]:
        """Return the same without a new SHA256SUMS."""
        command = [sys.executable, "-I", "verify.py", *argv]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, env={})
        return done.returncode, done.stdout, done.stderr


def digest(document: object) -> str:
    """Return the digest that an entry would tell of a document."""
    return canonical.digest(document)


def entry(rows: list[dict[str, Any]], action: str) -> dict[str, Any]:
    """Return the first line of an action."""
    return next(row for row in rows if row.get("columns", {}).get("action") == action)


def relink(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Chain the entries anew, as somebody does who owns the database but no key."""
    prev: dict[int, str] = {}
    for row in (one for one in rows if "body" in one):
        told = json.loads(row["body"])
        told["prev"] = row["prev"] = prev.get(row["seq"] - 1, row["prev"])
        row["body"] = canonical.dumps(told)
        row["hash"] = prev[row["seq"]] = verify.sha256(row["body"])
    return rows
