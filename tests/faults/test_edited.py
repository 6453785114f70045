"""What a sign-off rests on is edited after it was given: the run is refused, the part is named, the target untouched.

The engine, the steps and the commands are the real ones; each step is run where it is started, and the dry run is
taken to have gone well: it needs a service that starts twice.
"""

import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User

from approvals.ledger import Refused
from rollout import actions, detached, engine, evidence, loading, runner
from rollout.intent import Outcome
from rollout.models import Artifact, Backup, Rollout, Run
from rollout.states import RolloutState as R
from rollout.steps import frame
from tests import factories
from tests.factories import GATES, NOW, TOML, actor, fresh
from tests.faults.scale import FULL
from tests.faults.stagehand import archive_of
from tests.rollout import views_world

pytestmark = pytest.mark.django_db
PLACES = '{ directories = ["shared/config"], sqlite = ["shared/dhash.sqlite3"] }'
Cast = dict[str, User]


class World:
    """An approved rollout on a target that answers, in folders of its own."""

    def __init__(self, folder: Path, cast: Cast, port: int) -> None:
        self.folder, self.cast = folder, cast
        self.text = TOML.replace(PLACES, '{ directories = ["shared/config"] }').replace("8103", str(port))
        self.root = folder / "env" / "production"
        target = factories.load(self.write()).targets.get(environment__name="production")
        (self.root / "shared" / "config").mkdir(parents=True)
        (self.root / "shared" / "config" / "media.ini").write_text("threads = 2\n")
        release = factories.make_release(target.component, cast["rita"])
        rita = cast["rita"]
        factories.bring_archive(release, rita, archive_of("1.1.0"))
        known = {"kind": "monitor_logs", "name": "monitor.html", "user": rita, "by": actor(rita), "now": NOW}
        evidence.attach(release, chunks=[b"all is well"], **known)
        draft = factories.make_draft(target, rita, release=release)
        validated(draft, folder)
        self.rollout = factories.approve(factories.freeze(draft), cast)
        self.before = self.tree()

    def write(self, *, text: str = "", gates: dict[str, Any] = GATES) -> Path:
        """Write the component, with another text where one is given."""
        return factories.write_component(self.folder, text=text or self.text, gates=gates)

    def load(self, path: Path) -> None:
        """Load a changed configuration as two admins do."""
        made = loading.load(path, by=actor(self.cast["ada"], "shell"), now=NOW)
        if made.state == "pending":
            ari = self.cast["ari"]
            factories.confirm(made.configuration, asker=factories.asker(ari))

    def click(self) -> Run:
        """Start the rollout as the deploy operator."""
        olaf = self.cast["olaf"]
        return actions.start(fresh(self.rollout), user=olaf, by=actor(olaf), now=NOW)

    def tree(self) -> dict[str, str]:
        """Return every file and link of the target, with its content; what was only staged changes nothing."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if name.startswith("releases/") and name.endswith(("-1.1.0", "-1.1.0/VERSION")):
                continue
            found[name] = os.readlink(path) if path.is_symlink() else path.read_text() if path.is_file() else "folder"
        return found


def validated(draft: Rollout, folder: Path) -> None:
    """Leave the verified backup of a validate run."""
    run = Run.objects.create(rollout=draft, target=draft.target, kind="validate", state="SUCCEEDED", created_at=NOW)
    known = {"sha256": "c" * 64, "size": 10, "release_version": "1.0.0", "created_at": NOW, "rehearsed_at": NOW}
    Backup.objects.create(target=draft.target, run=run, path=str(folder / "dhash_production_1.zip"), **known)


def edit_policy(world: World) -> None:
    world.load(world.write(text=world.text.replace('unmatched_author = "show"', 'unmatched_author = "refuse"')))


def edit_gates(world: World) -> None:
    gates = json.loads(json.dumps(GATES))
    gates["profiles"]["production"]["gates"]["p95"]["limit"] = 2900
    world.load(world.write(gates=gates))


def edit_runbook(world: World) -> None:
    path = world.write()
    (world.folder / "runbooks" / "rollback.md").write_text("# Roll back\n\nAnother way.\n")
    world.load(path)


def edit_configuration(world: World) -> None:
    world.load(world.write(text=world.text.replace('reload = ["true"]', 'reload = ["true", "-f"]')))


def edit_evidence_row(world: World) -> None:
    Artifact.objects.filter(kind="monitor_logs").update(sha256="d" * 64)


def edit_evidence_file(world: World) -> None:
    overwrite(evidence.path_of(Artifact.objects.get(kind="monitor_logs")), b"all was well")


def edit_archive(world: World) -> None:
    kept = Artifact.objects.get(kind="release_archive", replaced_at=None)
    overwrite(evidence.path_of(kept), archive_of("6.6.6"))


def edit_backup_row(world: World) -> None:
    Backup.objects.filter(run__kind="validate").update(sha256="d" * 64)


def edit_own_backup(world: World) -> None:
    overwrite(Path(Backup.objects.get(run__kind="deploy").path), b"no zip at all")


def edit_manifest(world: World) -> None:
    text = fresh(world.rollout).manifest.replace("customers wait for it", "nobody waits for it")
    Rollout.objects.filter(pk=world.rollout.pk).update(manifest=text)


def overwrite(path: Path, content: bytes) -> None:
    """Write past the product, as somebody with a shell on the server would."""
    path.chmod(0o600)
    path.write_bytes(content)


Edit = Callable[[World], None]
# what is edited -> how, and the word that the refusal names it by
EDITS: dict[str, tuple[Edit, str]] = {
    "policy": (edit_policy, "policy"),
    "gates": (edit_gates, "gates"),
    "runbook": (edit_runbook, "runbooks"),
    "configuration": (edit_configuration, "configuration, target"),
    "evidence row": (edit_evidence_row, "evidence"),
    "evidence file": (edit_evidence_file, "the evidence monitor.html changed"),
    "archive": (edit_archive, "the release archive's bytes changed"),
    "backup row": (edit_backup_row, "evidence"),
}


@pytest.fixture
def port() -> Iterator[int]:
    """Return the port of a service that is always well."""

    class Well(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Well) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture
def world(tmp_path: Path, cast: Cast, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, port: int) -> World:
    for name in ("GR_RUN_DIR", "GR_ARTIFACTS", "GR_BACKUPS"):
        setattr(settings, name, tmp_path / name.lower())
    views_world.stop_clock(monkeypatch)
    monkeypatch.setattr(runner.TargetLock, "start", run_here)
    return World(tmp_path / "dhash", cast, port)


def run_here(lock: runner.TargetLock, folder: Path, argv: list[str], **how: Any) -> None:
    """Run a step at once, in this process, and leave what its runner would."""
    detached.write(folder / detached.STARTED, {"runner_pid": os.getpid(), **detached.moment()})
    work = importlib.import_module(argv[2]).run
    if argv[2].endswith("dry_run"):
        work = went_well
    given, on_term = sys.argv, signal.getsignal(signal.SIGTERM)
    sys.argv = [argv[2], str(folder)]
    try:
        frame.main(work)
    except SystemExit as end:
        detached.write(folder / detached.EXIT, {"code": end.code, "timed_out": False, "cancelled": False})
    finally:
        sys.argv = given
        signal.signal(signal.SIGTERM, on_term)


def went_well(intent: object, frame: object) -> Outcome:
    return Outcome(result="ok", sentence="taken to have gone well")


def drive(run: Run) -> Rollout:
    """Advance a run until it is watched, or ended."""
    for _ in range(20):
        engine.advance(run.pk)
        run.refresh_from_db()
        if run.state not in ("QUEUED", "RUNNING") or run.steps.filter(kind="watch", state="RUNNING").exists():
            return fresh(run.rollout)
    raise AssertionError(list(run.steps.values_list("kind", "state", "outcome")))


def is_refused(world: World, why: str, part: str) -> None:
    """Check that the part is named, and that nothing was changed."""
    assert part in why
    assert fresh(world.rollout).state in (R.DRAFT, R.FAILED)
    assert world.tree() == world.before


def test_without_an_edit_it_is_deployed(world: World) -> None:
    rollout = drive(world.click())
    assert rollout.state == R.WATCHING, rollout.state_why
    assert world.tree()["current"].endswith("1.1.0")


# in CI every second one at the click, the others in the queue; all of them before the effect
AT_CLICK, IN_QUEUE = (sorted(EDITS),) * 2 if FULL else (sorted(EDITS)[::2], sorted(EDITS)[1::2])


@pytest.mark.parametrize("what", AT_CLICK)
def test_an_edit_between_approval_and_click_is_refused(world: World, what: str) -> None:
    edit, part = EDITS[what]
    edit(world)
    try:
        why = drive(world.click()).state_why
    except Refused as refusal:
        why = str(refusal)
    is_refused(world, why, part)


@pytest.mark.parametrize("what", IN_QUEUE)
def test_an_edit_between_click_and_start_is_refused(world: World, what: str) -> None:
    edit, part = EDITS[what]
    run = world.click()
    edit(world)
    is_refused(world, drive(run).state_why, part)


@pytest.mark.parametrize("what", [*sorted(EDITS), "own backup", "manifest"])
def test_an_edit_between_start_and_effect_is_refused(world: World, what: str) -> None:
    more: dict[str, tuple[Edit, str]] = {
        "own backup": (edit_own_backup, "the backup's bytes changed"),
        "manifest": (edit_manifest, "the manifest is not what was signed"),
    }
    edit, part = {**EDITS, **more}[what]
    run = world.click()
    while not run.steps.filter(kind="stage", state="RUNNING").exists():  # staged, and not recorded yet
        engine.advance(run.pk)
    edit(world)
    is_refused(world, drive(run).state_why, part)
