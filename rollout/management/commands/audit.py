"""Verify, export and look after the audit: `manage.py audit verify | export | accept | …`."""

import json
import sys
from argparse import ArgumentTypeError
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from approvals import proven
from approvals.models import Decision, SignOff
from monitoring import anchors, audit_export, audit_verify, stamping, time_stamps, verify
from monitoring.rfc3161 import StampError
from rollout import audit_care, reads, shell


class Command(shell.ActingCommand):
    """`verify` exits 0 when the chain holds and 1 when not; `export` writes every entry, oldest first."""

    help = "Verify the audit's hash chain and its checkpoints, export it, look after the key that signs it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        check = verbs.add_parser("verify", help="recompute every hash, link, shown column and signature")
        check.add_argument("--json", action="store_true", help="print the result as JSON")
        told = "a head known from outside, e.g. from a notice's footer; may be given again"
        check.add_argument("--head", action="append", type=_head, default=[], metavar="SEQ:HASH", help=told)
        told = "a key id that is known to be right; may be given again"
        check.add_argument("--key", action="append", default=[], metavar="ID", help=told)
        check.add_argument("--links", action="store_true", help="only hashes and links, the fastest pass")
        verbs.add_parser("stamp", help="have the newest checkpoint stamped by the authority of GR_TSA_URL, now")
        export = verbs.add_parser("export", help="write all entries")
        export.add_argument("--format", choices=("csv", "jsonl"), default="jsonl", help="jsonl can be verified offline")
        export.add_argument("--output", type=Path, help="a file instead of standard output")
        for verb, told in CARE.items():
            care = verbs.add_parser(verb, help=told)
            care.add_argument("--why", required=True, help="the reason, in a sentence; it stands in the audit")
            shell.add_operator(care)
            if verb == "erase_person":
                care.add_argument("--person", required=True, dest="of", help="user name, or the number of an account")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        if options["verb"] == "verify" and options["links"]:
            self._verify_links()
        elif options["verb"] == "verify":
            self._verify(dict(options["head"]), options["key"], as_json=options["json"])
        elif options["verb"] == "stamp":
            self._stamp(timezone.now())
        elif options["verb"] == "export":
            self._export(options["format"], options["output"])
        else:
            self._care(options, timezone.now())

    def _verify(self, known: dict[int, str], keys: list[str], *, as_json: bool) -> None:
        chosen = audit_verify.pieces(audit_verify.jobs())
        result = audit_verify.verify_database(known, keys=keys, chosen=chosen)
        result.add(*islice(proven.all_problems(), verify.PROBLEMS_MAX))
        stamped = time_stamps.verify(chosen, audit_verify.in_processes)
        result.add(*stamped.problems)
        held = [verify.number_of(text) for text, _ in anchors.signed()[0]]
        limits = [*verify.limits(result, outside=[*known, *held], key_known=bool(keys or held)), *stamped.limits]
        if as_json:
            told = {"ok": result.ok, "count": result.count, "head": result.head, "problems": result.problems}
            more = {"checkpoints": result.checkpoints, "signed_to": result.signed_to, "key": result.key}
            more |= {"time_stamps": stamped.count, "stamped_to": stamped.newest.seq if stamped.newest else 0}
            self.stdout.write(json.dumps({**told, **more, "not_established": limits}, indent=2))
        else:
            self.stdout.write(f"{result.count} entries, head #{result.count} {result.head}")
            signed = f"signed to #{result.signed_to} by key {result.key}" if result.checkpoints else "nothing is signed"
            self.stdout.write(f"{result.checkpoints} checkpoints, {signed}")
            if newest := stamped.newest:
                self.stdout.write(f"{stamped.count} time stamps, the newest of #{newest.seq} {newest.stamp}")
            for limit in limits:
                self.stdout.write(f"not established: {limit}")
        if not result.ok:
            raise CommandError("the audit does not hold:\n" + "\n".join(result.problems), returncode=1)
        if not as_json:
            counted = f"{SignOff.objects.count()} sign-offs and {Decision.objects.count()} decisions"
            self.stdout.write(f"{counted} are what the chain tells of them, both ways; their passkeys' signatures hold")
            self.stdout.write("the chain holds")

    def _stamp(self, now: datetime) -> None:
        try:
            self.stdout.write(stamping.ask(now))
        except (StampError, OSError) as error:
            raise CommandError(str(error), returncode=1) from None

    def _verify_links(self) -> None:
        if breaks := audit_verify.verify_links(audit_verify.pieces(audit_verify.jobs())):
            raise CommandError("the audit chain is broken:\n" + "\n".join(breaks), returncode=1)
        self.stdout.write("hashes and links hold; columns and signatures were not looked at")

    def _export(self, kind: str, output: Path | None) -> None:
        reads.export(kind, by=shell.operating_user(), now=timezone.now())
        lines = audit_export.jsonl() if kind == "jsonl" else audit_export.csv_lines()
        if output is None:
            for line in lines:
                self.stdout.write(line, ending="")
            return
        try:
            with output.open("w", encoding="utf-8", newline="") as out:
                out.writelines(lines)
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}", returncode=1) from None
        print(f"written: {output}", file=sys.stderr)

    def _care(self, options: dict[str, Any], now: datetime) -> None:
        who = shell.operator(options, now=now)
        verb = getattr(audit_care, options["verb"])
        more = {"of": options["of"]} if options.get("of") else {}
        self.say(verb(user=who.user, why=options["why"], by=who.actor, now=now, **more))


CARE = {
    "accept": "go on with a database that was set back, or whose chain was broken behind what the anchor file knows",
    "rotate_key": "make a new key; pulse signs it with the old one and puts it in force",
    "erase_person": "empty name, address and session of a person where the time of keeping is over",
    "key_lost": "make a new key in the place of one that is lost; what it signs is trusted on your word",
}


def _head(text: str) -> tuple[int, str]:
    seq, _, digest = text.partition(":")
    if not seq.isdigit() or not 12 <= len(digest) <= 64:
        raise ArgumentTypeError("expected SEQ:HASH, a number and 64 hex digits, or the first 12 of them or more")
    return int(seq), digest.lower()
