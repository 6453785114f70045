"""Take the pictures of this directory from a demo that runs (`python3 up.py demo`), after its tour.

    .venv/bin/python docs/screenshots/take.py --base-url http://localhost:8000 --logins var/demo/logins.json

It signs in and reads; it decides nothing. Chromium is taken from GR_CHROMIUM or the PATH.
`--only rollout` takes one page again, `--rollout 4` another rollout than the newest to production; `--only unknown`
wants one that is UNKNOWN.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).resolve().parent
ARGUMENTS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
# page -> who looks at it, where
PAGES = {
    "dashboard": ("olaf", "/"),
    "inbox": ("ann", "/inbox/"),
    "rollout": ("olaf", "/rollouts/{rollout}/"),
    "incident": ("tom", "/incidents/{incident}/"),
    "history": ("aud", "/history/?component=dhash&environment=production"),
    "component": ("olaf", "/components/dhash/"),
    "unknown": ("olaf", "/rollouts/{unknown}/"),
}
ON_REQUEST = {"unknown"}  # the tour of the demo leaves nothing unknown: kill a worker and its runner first
LOOKS = {
    "light": ({"width": 1280, "height": 900}, "light"),
    "dark": ({"width": 1280, "height": 900}, "dark"),
    "phone": ({"width": 390, "height": 844}, "light"),
}
HEIGHT_MAX = {"light": 1400, "dark": 1400, "phone": 1700}
TALLER = {"rollout": 410}  # so that the charts are in the picture
# the demo's own Python has Pillow; 256 colours are enough for flat surfaces
PILLOW = HERE.parents[1] / "var" / "dhash-venv" / "bin" / "python"
SHRINK = """import sys; from PIL import Image; image = Image.open(sys.argv[1]).convert("RGB")
image.quantize(256, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE).save(sys.argv[1], optimize=True)"""
SETTLE_MS = 1500  # charts are drawn when their numbers have come


SESSIONS: dict[str, Any] = {}  # each person signs in once: the history is no list of sign-ins


@contextmanager
def signed_in(browser: Browser, base_url: str, name: str, password: str, look: str = "light") -> Iterator[Page]:
    """Yield a page of somebody who signed in, in one of the looks."""
    size, scheme = LOOKS[look]
    known = {"viewport": size, "color_scheme": scheme, "reduced_motion": "reduce"}
    context = browser.new_context(storage_state=SESSIONS.get(name), **known)
    page = context.new_page()
    if name not in SESSIONS:
        page.goto(f"{base_url}/login/")
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url(f"{base_url}/")
        SESSIONS[name] = context.storage_state()
    yield page
    context.close()


def newest(page: Page, base_url: str, where: str, pattern: str) -> str:
    """Return the number in the first link of a page that looks like the pattern."""
    page.goto(base_url + where)
    found = re.search(pattern, page.content())
    if found is None:
        raise SystemExit(f"{where} names no {pattern}: let the tour of the demo end first")
    return found[1]


def find(page: Page, base_url: str, paths: list[str], rollout: str | None) -> dict[str, str]:
    """Return the numbers that the addresses of some pages ask for."""
    found, link = {}, r'href="/rollouts/(\d+)/"'
    if any("{unknown}" in path for path in paths):
        found["unknown"] = newest(page, base_url, "/rollouts/?state=UNKNOWN", link)
    if any("{rollout}" in path or "{incident}" in path for path in paths):
        found["rollout"] = rollout or newest(page, base_url, "/rollouts/?environment=production", link)
        found["incident"] = newest(page, base_url, f"/rollouts/{found['rollout']}/", r'href="/incidents/(\d+)/"')
    return found


def shoot(page: Page, file: Path, look: str, more: int = 0) -> None:
    """Write the top of the page as it stands; the window is made as high as the picture, so that bars stay in place."""
    page.wait_for_timeout(SETTLE_MS)
    height = min(page.evaluate("document.documentElement.scrollHeight"), HEIGHT_MAX[look] + more)
    page.set_viewport_size({"width": LOOKS[look][0]["width"], "height": max(height, LOOKS[look][0]["height"])})
    page.wait_for_timeout(SETTLE_MS)
    page.screenshot(path=file, scale="css")
    if PILLOW.exists():
        subprocess.run([PILLOW, "-c", SHRINK, str(file)], check=True)
    print(f"{file.name}: {file.stat().st_size // 1024} KiB", flush=True)


def main() -> int:
    """Take every picture that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base-url", default="http://localhost:8000")
    parser.add_argument("--logins", type=Path, required=True)
    parser.add_argument("--only", choices=PAGES, action="append")
    parser.add_argument("--rollout", help="number of the rollout that is shown")
    parser.add_argument("--out", type=Path, default=HERE)
    given = parser.parse_args()
    base = given.base_url.rstrip("/")
    wanted = given.only or [name for name in PAGES if name not in ON_REQUEST]
    passwords = {one["username"]: one["password"] for one in json.loads(given.logins.read_text())}
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = os.environ.get("GR_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS.split())
        with signed_in(browser, base, "aud", passwords["aud"]) as page:
            numbers = find(page, base, [PAGES[name][1] for name in wanted], given.rollout)
        for name in wanted:
            who, path = PAGES[name]
            for look in LOOKS:
                with signed_in(browser, base, who, passwords[who], look) as page:
                    page.goto(base + path.format(**numbers))
                    shoot(page, given.out / f"{name}-{look}.png", look, TALLER.get(name, 0))
        browser.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
