"""manage.py attach: keep a file as evidence of a release."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from monitoring import storage
from rollout import drafting, evidence, shell
from rollout.component import UPLOADS
from rollout.models import Release


class Command(shell.ActingCommand):
    """Attach a file."""

    help = "Keep a file as evidence of a release; with --sha256 it is checked against its .sha256 file first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the release, the kind of evidence and the file."""
        parser.add_argument("file", type=Path)
        parser.add_argument("--release", required=True, metavar="ID|COMPONENT/VERSION")
        parser.add_argument("--kind", required=True, choices=UPLOADS)
        parser.add_argument("--sha256", type=Path, metavar="FILE", help="the .sha256 file that belongs to it")
        shell.add_operator(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Attach it and print its sha256 as sha256sum would."""
        now = timezone.now()
        release = release_of(options["release"])
        person = shell.operator(options, now=now)
        drafting.require_owner(person.user, release.component)
        try:
            sidecar = options["sha256"].read_text() if options["sha256"] else ""
            with options["file"].open("rb") as source:
                artifact = evidence.attach(
                    release,
                    kind=options["kind"],
                    name=options["file"].name,
                    chunks=storage.read_chunks(source),
                    sidecar=sidecar,
                    user=person.user,
                    by=person.actor,
                    now=now,
                )
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"cannot be read: {error}")
        drafting.recheck_release(release, now=now)
        self.say(f"{artifact.sha256}  {artifact.name}")


def release_of(text: str) -> Release:
    """Return the release that a number or COMPONENT/VERSION names; raise CommandError when there is none."""
    releases = Release.objects.select_related("component")
    component, slash, version = text.partition("/")
    if not slash and not text.isdecimal():
        raise shell.usage_error(f"--release takes a number or COMPONENT/VERSION, not {text!r}")
    wanted = {"component__name": component, "version": version} if slash else {"pk": int(text)}
    release = releases.filter(**wanted).first()
    if release is None:
        raise CommandError(f"there is no release {text}")
    return release
