"""The component.toml of the small targets, and what stands on their disks.

`reload` is the one command with an effect: it writes a line when it begins and one when it ends, so that a test can
count what was done; while a file `hold` stands in the target's root, it does not end.
"""

import json
from pathlib import Path
from typing import Any

RELOAD = """
echo "begin $GR_RELEASE $$" >>"$GR_ROOT/effects.log"
sleep 0.2
while [ -e "$GR_ROOT/hold" ]; do sleep 0.1; done
echo "end $GR_RELEASE $$" >>"$GR_ROOT/effects.log"
"""
GATES = {
    "title": "Quick",
    "window_s": 1,
    "fast_interval_s": 1,
    "fast_for_s": 1,
    "interval_s": 1,
    "near_share": 0.8,
    "observed_share": 0.1,
    "max_gap_intervals": 60,
    "sources": {"health": {"title": "Health", "kind": "http", "path": "/health", "timeout_s": 5}},
    "gates": {
        "health": {
            "title": "Health",
            "source": "health",
            "kind": "consecutive_failures",
            "limit": 3,
            "severity": "rollback",
        }
    },
}
HEAD = """
[component]
name = "small"
[vars]
effect = "./reload.sh"
[commands]
start = ["true"]
stop = ["true"]
reload = ["sh", "{effect}"]
smoke = ["true"]
logging = ["true"]
[policy]
unmatched_author = "show"
[evidence]
required = ["release_archive"]
[[notifications.routes]]
channel = "file"
"""
ENVIRONMENT = """
[environments.{name}]
driver = "release_dir"
root = "./env/{name}"
port = {port}
gates = "quick"
{more}
health = {{ path = "/health", timeout_s = 10 }}
backup = {{ directories = ["shared"] }}
"""


def write(folder: Path, targets: dict[str, str], ports: list[int], gates: dict[str, Any]) -> Path:
    """Write a component whose targets are name -> more lines of its table; 1.0.0 is live on each. Return its file."""
    (folder / "runbooks").mkdir(parents=True)
    (folder / "reload.sh").write_text(RELOAD)
    (folder / "quality-gates-config.json").write_text(json.dumps({"profiles": {"quick": gates}}))
    text = HEAD
    for (name, more), port in zip(targets.items(), ports, strict=True):
        text += ENVIRONMENT.format(name=name, port=port, more=more)
        live = folder / "env" / name / "releases" / "0001-1.0.0"
        live.mkdir(parents=True)
        (live / "VERSION").write_text("1.0.0")
        (folder / "env" / name / "shared").mkdir()
        (folder / "env" / name / "current").symlink_to("releases/0001-1.0.0")
    (folder / "component.toml").write_text(text)
    return folder / "component.toml"


def wrong(effects: list[list[str]]) -> list[list[str]]:
    """Return the lines of an effects.log that show an effect done twice, or two of them at the same time."""
    pairs = zip(effects[::2], effects[1::2], strict=False)
    mixed = [one for one, other in pairs if (one[0], other[0]) != ("begin", "end") or one[1:] != other[1:]]
    begun = [line[1] for line in effects if line[0] == "begin"]
    return mixed + [["twice", version] for version in set(begun) if begun.count(version) > 1]
