"""The tour: drives the running product as its users do, over HTTP, and owns the verdict.

python examples/dhash/tour.py --base-url URL --world DIR

Traffic comes from demo_traffic.py. Exit 0 only when all of it was observed from outside.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
import world
from tour_browser import Browser, Client, TourFailed
from tour_proof import new_image, newest_backup, sha256_in, tree_digest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIGNERS = (("ann", "approver"), ("abe", "approver"), ("olaf", "deploy-operator"), ("mia", "media-eng"))
DATABASE = "shared/dhash.sqlite3"
LIMIT_S = 480


class Tour:
    """What the tour knows while it goes on."""

    def __init__(self, base_url: str, folder: Path) -> None:
        self.base_url, self.folder = base_url, folder
        self.world = world.load(folder)
        self.logins = {one["username"]: one["password"] for one in json.loads((folder / "logins.json").read_text())}
        self.api = Client(base_url, (folder / "token").read_text().strip())
        self.dhash = requests.Session()
        self.dhash.trust_env = False
        self.begun = time.monotonic()
        self.phases: list[tuple[str, float]] = []

    def browser(self, name: str) -> Browser:
        """Return a fresh signed-in session of a person of the demo."""
        return Browser(self.base_url, name, self.logins[name]).sign_in()

    @contextmanager
    def phase(self, title: str) -> Iterator[None]:
        """Print a phase and how long it took."""
        begun = time.monotonic()
        print(f"\n  {title}", flush=True)
        yield
        self.phases.append((title, time.monotonic() - begun))
        print(f"      done in {self.phases[-1][1]:.1f} s", flush=True)

    def see(self, fact: bool, words: str) -> None:
        """Say that something was seen, or stop the tour."""
        if not fact:
            raise TourFailed(f"NOT SEEN: {words}")
        print(f"      seen: {words}", flush=True)

    def live_version(self, environment: str) -> str:
        """Ask an environment of dhash which version answers."""
        return self.dhash.get(f"{self.world.base_url(environment)}/health", timeout=10).json()["version"]

    def post_image(self) -> dict:
        """Post an image that production has never seen, and return what it says of it afterwards."""
        base = self.world.base_url("production")
        made = self.dhash.post(f"{base}/images", data=new_image(), timeout=30)
        made.raise_for_status()
        return self.dhash.get(f"{base}/images/{made.json()['id']}", timeout=30).json()


def run(tour: Tour) -> None:
    """Take the four stations of the tour; raise TourFailed at the first thing that is not as it should be."""
    with tour.phase("1. dhash 1.0.0 is live in three environments"):
        for environment in ("canary", "staging", "production"):
            version = tour.live_version(environment)
            tour.see(version == "1.0.0", f"{environment} answers with {version}")
    good = deploy(tour, "1.1.0", "Size and average colour of each image, for the moderation team.", number="2")
    with tour.phase("2d. 1.1.0 is watched for 90 seconds"):
        tour.api.wait_for(good, "SUCCEEDED", seconds=200, on_the_way=frozenset({"WATCHING"}))
        image = tour.post_image()
        tour.see(image.get("average_colour") is not None, f"production answers with the new column: {image}")
    bad(tour)
    with tour.phase("4. proof"):
        backups_verify(tour)
        audit_verifies(tour)
        journeys(tour, good)


def deploy(tour: Tour, version: str, reason: str, *, number: str) -> int:
    """Carry a release through evidence, sign-offs and deploy, until it is watched; return the rollout's number."""
    with tour.phase(f"{number}a. {version}: Rita asks for production, and the validate run proves it"):
        rollout = submit(tour, version, reason)
        tour.api.wait_for(rollout, "WAITING", seconds=120, on_the_way=frozenset({"DRAFT", "VALIDATING"}))
    path = f"/rollouts/{rollout}/"
    with tour.phase(f"{number}b. {version}: four people sign off, each in a session of their own"):
        rita = tour.browser("rita")
        refused = rita.session.get(f"{tour.base_url}{path}", timeout=30).text
        tour.see('value="APPROVE"' not in refused, "Rita, who asked for it, is offered no approval")
        for name, duty in SIGNERS:
            tour.browser(name).approve(path, duty)
            print(f"      {name} signed as {duty}", flush=True)
        tour.see(tour.api.rollout(rollout)["state"] == "APPROVED", "the sign-off is complete")
    with tour.phase(f"{number}c. {version}: Olaf clicks deploy"):
        olaf = tour.browser("olaf")
        olaf.post(f"{path}start/", page=path, password=tour.logins["olaf"])
        tour.api.wait_for(rollout, "WATCHING", seconds=120, on_the_way=frozenset({"APPROVED", "QUEUED", "RUNNING"}))
        tour.see(tour.live_version("production") == version, f"production answers with {version}")
    return rollout


def submit(tour: Tour, version: str, reason: str) -> int:
    """Create the rollout in Rita's browser, accept the monitoring defaults, and submit."""
    release = tour.api.release(version) or bring(tour, version)
    rita = tour.browser("rita")
    target = next(value for value, text in options(rita.get("/rollouts/new/").text, "target") if "production" in text)
    made = rita.post("/rollouts/new/", release=str(release), target=target, reason=reason)
    rollout = int(made.url.rstrip("/").rsplit("/", 1)[-1])
    print(f"      watch it: {tour.base_url}/rollouts/{rollout}/", flush=True)
    rita.post(f"/rollouts/{rollout}/tune/", page=f"/rollouts/{rollout}/", accepted="on")
    rita.post(f"/rollouts/{rollout}/submit/", page=f"/rollouts/{rollout}/")
    return rollout


def bring(tour: Tour, version: str) -> int:
    """Do what a CI job does: create the release, attach archive and CI bundle, link the runs; return its number."""
    facts = next(
        one for one in json.loads((tour.world.releases / "releases.json").read_text()) if one["version"] == version
    )
    made = tour.api.post(
        "/components/dhash/releases",
        json={key: facts[key] for key in ("version", "commit", "commits")} | {"notes": facts["title"]},
    )
    archive = tour.world.releases / facts["file"]
    tour.api.put(f"/releases/{made['id']}/artifacts/release_archive", archive.name, archive.read_bytes())
    bundle = io.BytesIO()
    with zipfile.ZipFile(bundle, "w") as out:
        out.writestr("release.json", json.dumps(facts, indent=1))
    tour.api.put(f"/releases/{made['id']}/artifacts/premerge_artifacts", "premerge_artifacts.zip", bundle.getvalue())
    for run, kind in enumerate(
        ("ci_ubuntu", "ci_macos", "ci_windows", "ci_premerge"), start=int(facts["commit"][:6], 16)
    ):
        url = f"https://github.com/example-org/dhash/actions/runs/{run}"
        tour.api.post(f"/releases/{made['id']}/links", json={"kind": kind, "url": url})
    print(f"      CI brought dhash {version} through the API", flush=True)
    return int(made["id"])


def options(page: str, select: str) -> list[tuple[str, str]]:
    """Return value and text of each option of a select on a page."""
    body = re.search(rf'<select[^>]*name="{select}".*?</select>', page, re.DOTALL)
    return re.findall(r'<option value="([^"]*)"[^>]*>\s*(.*?)\s*</option>', body[0], re.DOTALL) if body else []


def bad(tour: Tour) -> None:
    """Deploy 1.2.0, which goes bad under traffic, and see it rolled back to the byte."""
    root = tour.world.root("production")
    before_link = os.readlink(root / "current")
    before = tree_digest(root / before_link)
    rollout = deploy(tour, "1.2.0", "Thumbnails are kept in memory, so that matches answer faster.", number="3")
    with tour.phase("3d. 1.2.0 goes bad under traffic; the gates catch it, and it is rolled back"):
        facts = tour.api.wait_for(
            rollout, "ROLLED_BACK", seconds=200, on_the_way=frozenset({"WATCHING", "ROLLING_BACK"})
        )
        print(f"      because: {facts['why']}", flush=True)
    with tour.phase("3e. what is there now is what was there before"):
        tour.see(os.readlink(root / "current") == before_link, f"current points at {before_link} again")
        tour.see(
            tree_digest(root / before_link) == before, f"the release directory is equal by sha256 ({before[:12]}…)"
        )
        database_was_equal(tour, rollout)
        tour.see(tour.live_version("production") == "1.1.0", "production answers with 1.1.0")
        tour.see(tour.post_image().get("width") == 32, "traffic is served since the rollback")
        page = tour.browser("tom").get(f"/rollouts/{rollout}/").text
        tour.see("/incidents/" in page, "an incident is open")
        component = tour.browser("tom").get("/components/dhash/").text
        tour.see("rolled back from 1.2.0" in component, "the target is locked, with the reason")


def database_was_equal(tour: Tour, rollout: int) -> None:
    """Compare the proof that was taken before the start with the backup, whose bytes are hashed here."""
    expected = sha256_in(newest_backup("dhash_production"), DATABASE)
    proof = next(one for one in tour.api.rollout(rollout)["artifacts"] if one["kind"] == "rollback-restore_proof")
    text = tour.browser("aud").get(f"/artifacts/{proof['id']}/").text
    line = next((one for one in text.splitlines() if f" {DATABASE} " in one), "")
    tour.see(
        line.endswith(expected) and " equal " in f" {line} ",
        f"the database was restored equal by sha256 ({expected[:12]}…)",
    )


def backups_verify(tour: Tour) -> None:
    """Let sha256sum check every backup of production, as MISSION.md's command does."""
    latest = newest_backup("dhash_production")
    sidecar = f"{latest.parent.name}/{latest.name}.sha256"
    print(f"      $ sha256sum -c {sidecar}", flush=True)
    done = subprocess.run(
        ["sha256sum", "-c", sidecar], cwd=latest.parent.parent, capture_output=True, text=True, check=False
    )
    tour.see(done.returncode == 0, done.stdout.strip() or done.stderr.strip())


def audit_verifies(tour: Tour) -> None:
    """Let the product verify its hash chain."""
    print("      $ manage.py audit verify", flush=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "audit", "verify"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    tour.see(done.returncode == 0, (done.stdout.strip() or done.stderr.strip()).splitlines()[-1])


def journeys(tour: Tour, rollout: int) -> None:
    """Print where each of the three readers begins."""
    for who, name, path in (
        ("an approver", "ann", "/inbox/"),
        ("an operator", "olaf", f"/rollouts/{rollout}/"),
        ("an auditor", "aud", "/history/"),
    ):
        tour.browser(name).get(path)
        print(f"      {who} ({name}): {tour.base_url}{path}", flush=True)


def main() -> int:
    """Run the tour and print the verdict with the time of each phase."""
    parser = argparse.ArgumentParser(prog="tour.py", description=__doc__)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--world", type=Path, required=True)
    given = parser.parse_args()
    tour = Tour(given.base_url.rstrip("/"), given.world.resolve())
    try:
        run(tour)
    except (TourFailed, requests.RequestException, OSError, KeyError, StopIteration) as error:
        print(
            f"\n  THE TOUR FAILED after {time.monotonic() - tour.begun:.0f} s: {type(error).__name__}: {error}",
            flush=True,
        )
        return 1
    total = time.monotonic() - tour.begun
    print("\n  phases:", flush=True)
    for title, seconds in tour.phases:
        print(f"    {seconds:6.1f} s  {title}")
    print(f"  the whole tour took {total:.0f} s; it may take {LIMIT_S} s", flush=True)
    return 0 if total <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
