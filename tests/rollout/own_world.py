"""Fills an installation with everything that its own backup must bring back, and tells what stands in it.

Run inside of a copy of the product: `python -m tests.rollout.own_world fill|tell FOLDER`.
"""

import json
import os
import sys
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "rollout.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

from monitoring import audit_verify, incidents, storage  # noqa: E402
from monitoring.audit import SYSTEM  # noqa: E402
from monitoring.models import Attachment, AuditEntry, Incident  # noqa: E402
from rollout import evidence, opening, transitions  # noqa: E402
from rollout.drivers import fence  # noqa: E402
from rollout.models import Artifact, Backup, Rollout, Run, Target  # noqa: E402
from rollout.states import RolloutState as R  # noqa: E402
from rollout.states import RunState as N  # noqa: E402
from rollout.states import StepState as S  # noqa: E402
from tests import base, factories  # noqa: E402
from tests.factories import NOW  # noqa: E402


def fill(folder: Path) -> None:
    """Make people, a component with two targets, an approved rollout, a running one, and files of each kind."""
    cast = base.make_cast()
    production = factories.make_target(folder)
    staging = Target.objects.get(environment__name="staging")
    factories.make_approved(production, cast)
    running = factories.make_draft(staging, cast["rita"], "1.2.0")
    run = opening.deploy_run(running, user=cast["olaf"], via="browser", now=NOW)
    factories.put_in(factories.begun(running), R.RUNNING, started_at=NOW)
    Run.objects.filter(pk=run.pk).update(state=N.RUNNING, epoch=5)
    first, second = run.steps.all()[:2]
    run.steps.filter(pk=first.pk).update(state=S.SUCCEEDED, attempt=1)
    run.steps.filter(pk=second.pk).update(state=S.RUNNING, attempt=1)
    Target.objects.filter(pk=staging.pk).update(epoch=5)
    fence.enter(staging.spec.root_path, epoch=7000, run="a later one", token="a later one")  # after the backup
    output = Path(settings.GR_RUN_DIR) / "steps" / f"run{run.pk}-step1-try1" / "output.log"
    output.parent.mkdir(parents=True)
    output.write_text("what it printed\n")
    incident = opening.open_incident(running, "P2", title="slow", why="", runbook="rollback", now=NOW)
    incidents.attach(incident, name="a.log", data=b"attached", by=SYSTEM, now=NOW)
    keep_backup(production)
    (Path(settings.GR_VAR) / "notices.log").write_text("{}\n")
    SessionStore().create()


def keep_backup(target: Target) -> None:
    path = Path(settings.GR_BACKUPS) / "dhash_production_20261123_120000.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"0123456789")
    row = {"sha256": storage.sha256_of(path), "size": 10, "release_version": "1.0.0"}
    Backup.objects.create(target=target, path=str(path), created_at=NOW, verified_at=NOW, **row)


def tell() -> dict[str, object]:
    """Return what stands in the installation, by what a person would ask."""
    kept = {**{one.sha256: evidence.path_of(one) for one in Artifact.objects.all()}}
    root = incidents.attachment_root()
    kept |= {one.sha256: storage.path_of(root, one.sha256) for one in Attachment.objects.all()}
    outputs = sorted((Path(settings.GR_RUN_DIR) / "steps").glob("*/output.log"))
    result = audit_verify.verify_database()
    return {
        "users": sorted(User.objects.values_list("username", flat=True)),
        "files": {name: storage.sha256_of(path) if path.exists() else "" for name, path in sorted(kept.items())},
        "notices": (Path(settings.GR_VAR) / "notices.log").read_text(),
        "outputs": {path.parent.name: path.read_text() for path in outputs},
        "backups": sorted(path.name for path in Path(settings.GR_BACKUPS).glob("*.zip")),
        "audit": {"ok": result.ok, "count": result.count, "problems": result.problems},
        "hashes": list(AuditEntry.objects.order_by("seq").values_list("hash", flat=True)),
        "rollouts": {one.release.version: one.state for one in Rollout.objects.select_related("release")},
        "runs": {f"{one.kind} {one.pk}": one.state for one in Run.objects.all()},
        "targets": {str(one): [one.epoch, one.locked] for one in Target.objects.all()},
        "incidents": list(Incident.objects.order_by("pk").values_list("title", flat=True)),
        "subjects": sorted({transitions.subject_of(one).label for one in Target.objects.all()}),
    }


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(Path(sys.argv[2]))
    print(json.dumps(tell()))
