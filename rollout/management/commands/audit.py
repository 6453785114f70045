"""Verify or export the audit: `manage.py audit verify`, `manage.py audit export`."""

import json
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from monitoring import audit_export


class Command(BaseCommand):
    """`verify` exits 0 when the chain holds and 1 when not; `export` writes every entry, oldest first."""

    help = "Verify the audit's hash chain, or export it."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare both verbs."""
        verbs = parser.add_subparsers(dest="verb", required=True)
        verify = verbs.add_parser("verify", help="recompute every hash, link and shown column")
        verify.add_argument("--json", action="store_true", help="print the result as JSON")
        told = "a head known from outside, e.g. from a notice's footer; may be given again"
        verify.add_argument("--head", action="append", type=_head, default=[], metavar="SEQ:HASH", help=told)
        export = verbs.add_parser("export", help="write all entries")
        export.add_argument("--format", choices=("csv", "jsonl"), default="jsonl", help="jsonl can be verified offline")
        export.add_argument("--output", type=Path, help="a file instead of standard output")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the verb."""
        if options["verb"] == "verify":
            self._verify(dict(options["head"]), as_json=options["json"])
        else:
            self._export(options["format"], options["output"])

    def _verify(self, anchors: dict[int, str], *, as_json: bool) -> None:
        result = audit_export.verify_database(anchors)
        if as_json:
            told = {"ok": result.ok, "count": result.count, "head": result.head, "problems": result.problems}
            self.stdout.write(json.dumps(told, indent=2))
        else:
            self.stdout.write(f"{result.count} entries, head #{result.count} {result.head}")
        if not result.ok:
            raise CommandError("the audit chain is broken:\n" + "\n".join(result.problems), returncode=1)
        if not as_json:
            self.stdout.write("the chain holds")

    def _export(self, kind: str, output: Path | None) -> None:
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


def _head(text: str) -> tuple[int, str]:
    seq, _, digest = text.partition(":")
    if not seq.isdigit() or len(digest) != 64:
        raise ArgumentTypeError("expected SEQ:HASH, a number and 64 hex digits")
    return int(seq), digest.lower()
