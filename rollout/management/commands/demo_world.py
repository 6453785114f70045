"""manage.py demo_world: people, component, releases and two open rollouts for the demo; may be run again."""

import io
import json
import secrets
import zipfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from approvals.models import Person
from monitoring import storage
from monitoring.audit import Actor
from rollout import actions, drafting, evidence, loading, tokens
from rollout.models import SCOPES, Component, Release, Rollout, Target

# user name -> (printed name, groups, words for the login table, commit e-mails)
PEOPLE: dict[str, tuple[str, tuple[str, ...], str, tuple[str, ...]]] = {
    "rita": ("Rita Moreno", ("release-owner",), "release owner", ("nora.field@example.org",)),
    "ann": ("Ann Lindqvist", ("approver",), "approver", ()),
    "abe": ("Abe Osei", ("approver", "ops"), "approver, Ops/SRE", ()),
    "olaf": ("Olaf Brandt", ("deploy-operator",), "deploy operator", ()),
    "mia": ("Mia Tanaka", ("media-eng",), "media engineering", ()),
    "tom": ("Tom Reyes", ("triage",), "triage, on call", ()),
    "aud": ("Audrey Klein", ("auditor",), "auditor", ()),
    "ada": ("Ada Novak", ("admin",), "admin", ()),
    "ari": ("Ari Costa", ("admin",), "second admin", ()),
}
RUNS_URL = "https://github.com/example-org/dhash/actions/runs/{}"
CI_LINKS = ("ci_ubuntu", "ci_macos", "ci_windows", "ci_premerge")


class Command(BaseCommand):
    """Set up what a visitor of the demo finds."""

    help = "Set up the demo's people, component, releases and open rollouts; prints them as JSON. Idempotent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where the dhash world stands and where the app answers."""
        parser.add_argument("--dir", type=Path, required=True)
        parser.add_argument("--base-url", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make what is not there yet, and print logins and addresses."""
        folder: Path = options["dir"].resolve()
        logins = make_people(folder)
        rita = User.objects.get(username="rita")
        by = Actor(id=rita.pk, name=rita.username, via="shell")
        loading.load(folder / "component.toml", by=Actor(id=None, name="demo", via="shell"), now=timezone.now())
        component = Component.objects.get(name="dhash")
        releases = {one["version"]: one for one in json.loads((folder / "releases" / "releases.json").read_text())}
        if not component.releases.exists():
            good = make_release(component, releases["1.1.0"], folder / "releases", user=rita, by=by)
            wait_for_visitor(good, user=rita, by=by)
            crashing = make_release(component, releases["1.3.0"], folder / "releases", user=rita, by=by, complete=False)
            make_rollout(crashing, "canary", "Try the new codecs on the canary first.", user=rita, by=by)
        keep_token(component, folder / "token", user=rita, by=by)
        base = options["base_url"]
        addresses = {
            "an approver's day (sign in as ann)": f"{base}/inbox/",
            "an operator's day (sign in as olaf)": f"{base}/",
            "an auditor's day (sign in as aud)": f"{base}/history/",
        }
        self.stdout.write(json.dumps({"logins": logins, "urls": addresses}))


def make_people(folder: Path) -> list[dict[str, str]]:
    """Create the demo's people with random passwords, kept in DIR/logins.json (0600), and return their logins.

    Directly, so only where there is nobody yet: elsewhere it takes two admins (approvals/changes.py).
    """
    file = folder / "logins.json"
    if file.exists():
        return list(json.loads(file.read_text()))
    if User.objects.exists():
        raise CommandError("there are people here already: the demo makes its own, and past the two admins that takes")
    logins = []
    for name, (printed, groups, role, emails) in PEOPLE.items():
        password = f"{name}-{secrets.token_hex(5)}"
        staff = "admin" in groups
        user = User.objects.create_user(name, f"{name}@example.org", password, is_staff=staff)
        user.groups.set(Group.objects.filter(name__in=groups))
        Person.objects.update_or_create(user=user, defaults={"printed_name": printed, "commit_emails": list(emails)})
        logins.append({"username": name, "password": password, "role": role})
    storage.write_atomic(file, json.dumps(logins, indent=1).encode())
    return logins


def keep_token(component: Component, file: Path, *, user: User, by: Actor) -> None:
    """Make the token that the demo's CI job uses, and keep its text in a file (0600) for the tour."""
    if file.exists():
        return
    _, text = tokens.create(
        component, name="dhash CI", scopes=list(SCOPES), days=90, user=user, by=by, now=timezone.now()
    )
    storage.write_atomic(file, text.encode())


def make_release(
    component: Component, facts: dict[str, Any], folder: Path, *, user: User, by: Actor, complete: bool = True
) -> Release:
    """Create a release with its real archive; `complete` adds the CI bundle and the links to CI runs."""
    now = timezone.now()
    release = drafting.create_release(
        component,
        version=facts["version"],
        commit=facts["commit"],
        commits=facts["commits"],
        notes=facts["title"],
        user=user,
        by=by,
        now=now,
    )
    with (folder / facts["file"]).open("rb") as archive:
        chunks = storage.read_chunks(archive)
        sidecar = f"{facts['sha256']}  {facts['file']}"
        evidence.attach(
            release,
            kind="release_archive",
            name=facts["file"],
            chunks=chunks,
            sidecar=sidecar,
            user=user,
            by=by,
            now=now,
        )
    if complete:
        bundle = ci_bundle(folder / facts["file"], facts)
        evidence.attach(
            release,
            kind="premerge_artifacts",
            name="premerge_artifacts.zip",
            chunks=[bundle],
            user=user,
            by=by,
            now=now,
        )
        for number, kind in enumerate(CI_LINKS, start=int(facts["commit"][:6], 16)):
            evidence.link(release, kind=kind, url=RUNS_URL.format(number), user=user, by=by, now=now)
    return release


def ci_bundle(archive: Path, facts: dict[str, Any]) -> bytes:
    """Return what a CI job of dhash would upload: the release's facts and the sha256 of the archive it built."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as bundle, zipfile.ZipFile(archive) as built:
        bundle.writestr("release.json", json.dumps(facts, indent=1))
        bundle.writestr("sha256sums.txt", f"{facts['sha256']}  {archive.name}\n")
        bundle.writestr("members.txt", "".join(f"{info.CRC:08x} {info.filename}\n" for info in built.infolist()))
    return out.getvalue()


def make_rollout(release: Release, environment: str, reason: str, *, user: User, by: Actor) -> Rollout:
    """Create the draft of a rollout."""
    target = Target.objects.get(component=release.component, environment__name=environment)
    return drafting.create_rollout(release, target, reason=reason, user=user, by=by, now=timezone.now())


def wait_for_visitor(release: Release, *, user: User, by: Actor) -> None:
    """Submit a rollout to staging, so that the visitor finds one that waits for his own sign-off."""
    rollout = make_rollout(release, "staging", "Staging before production: size and average colour.", user=user, by=by)
    drafting.tune(rollout, changes={}, accepted=True, user=user, by=by, now=timezone.now())
    rollout.refresh_from_db()
    actions.submit(rollout, user=user, by=by, now=timezone.now())
