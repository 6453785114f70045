"""gunicorn's configuration file: makes its binary upgrade (USR2) start the launch that `dhash.ctl reload` prepared."""

import json
import os
import sys
from pathlib import Path


def pre_exec(server):
    """Replace what the new master is started with; runs in the forked child, just before its exec.

    The child inherits the listening socket, so no connection is refused while releases change. It must never
    return by an exception: it would go on as a second copy of the old master.
    """
    try:
        launch = json.loads((Path(os.environ["GR_SHARED"]) / "run" / "launch.json").read_text(encoding="utf-8"))
        server.START_CTX = {0: launch["argv"][0], "args": launch["argv"], "cwd": launch["cwd"]}
        server.cfg.env_orig = launch["env"]
        os.chdir(launch["cwd"])
    except BaseException as error:
        print(f"reload: no usable run/launch.json ({error!r}); this master goes on", file=sys.stderr, flush=True)
        os._exit(1)
