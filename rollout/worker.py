"""The qcluster, crash-only: when one of its processes dies, all leave at once, and the supervisor starts them again.

django-q 1.11 loses its queue lock with a worker that is killed while idle: the cluster then goes on taking messages and
runs none (LIBRARIES.md section 2, rows 3, 4 and 6). A process that died is therefore never replaced from inside.
"""

import ctypes
import os
import signal
import sys
from multiprocessing.process import BaseProcess

from django_q.cluster import Cluster, Sentinel

PR_SET_PDEATHSIG = 1
# Exit code that asks the supervisor for a new cluster.
LEFT = 3
RECYCLED = -2

_replace = Sentinel.reincarnate


def run() -> int:
    """Run the cluster until TERM comes (to this process only); return LEFT when one of its processes died."""
    if sys.platform.startswith("linux"):
        os.register_at_fork(after_in_child=_die_with_parent)
    Sentinel.reincarnate = _leave_or_replace
    cluster = Cluster()
    cluster.start()
    cluster.sentinel.join()
    return 0 if cluster.sentinel.exitcode == 0 else LEFT


def _die_with_parent() -> None:
    """Let the kernel kill a forked child with its parent: an orphan would go on taking messages."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _leave_or_replace(sentinel: Sentinel, process: BaseProcess) -> None:
    """Replace a worker that was recycled or timed out; leave with everybody when a process died."""
    timer = getattr(process, "timer", None)
    expected = timer is not None and (int(timer.value) == RECYCLED or (timer.value == 0 and process.is_alive()))
    if not expected:
        os._exit(LEFT)  # the children die with us, and start() returns in the main process
    _replace(sentinel, process)
