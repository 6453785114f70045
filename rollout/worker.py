"""The qcluster, crash-only: when one of its processes dies, all leave at once, and the supervisor starts them again.

django-q 1.11 loses its queue lock with a worker that is killed while idle: the cluster then goes on taking messages and
runs none (LIBRARIES.md section 2, rows 3, 4 and 6). A process that died is therefore never replaced from inside.
"""

import ctypes
import gc
import os
import signal
import sys
import threading
import time
from importlib import import_module
from multiprocessing.process import BaseProcess

from django_q.cluster import Cluster, Sentinel
from django_q.conf import Conf

from monitoring import watcher
from rollout import hosts, nudge

PR_SET_PDEATHSIG = 1
# Exit code that asks the supervisor for a new cluster.
LEFT = 3
RECYCLED = -2
TASKS = "rollout.tasks"
LOOK_S = 0.1
# What the cluster gets on top of the longest task (seconds) to end; systemd waits longer.
STOP_GRACE_S = 20

_start = Sentinel.start
_replace = Sentinel.reincarnate
_parent = 0


def run() -> int:
    """Run the cluster until TERM or INT; return LEFT when one of its processes died."""
    if sys.platform.startswith("linux"):
        os.register_at_fork(before=_remember_parent, after_in_child=_die_with_parent)
    Sentinel.start = _start_and_watch
    Sentinel.reincarnate = _leave_or_replace
    nudge.adopt()
    watcher.release(leave=hosts.watches_elsewhere())
    nudge.sign()
    import_module(TASKS)  # before the fork, so that the workers share it
    gc.freeze()
    cluster = Cluster()
    asked = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: asked.set())
    try:
        cluster.start()
    except RuntimeError:  # its sentinel died before it stood: of itself, or because the whole group was told to stop
        return 0 if asked.is_set() else LEFT
    return _follow(cluster, asked)


def _follow(cluster: Cluster, asked: threading.Event) -> int:
    """Wait for the cluster's end; give it time for its running tasks once it was asked to end."""
    deadline: float | None = None
    while cluster.sentinel.is_alive():
        if asked.is_set() and deadline is None:
            deadline = time.monotonic() + Conf.TIMEOUT + STOP_GRACE_S
            # from a thread: when a whole group was signalled, the sentinel may have died with this event's lock
            threading.Thread(target=cluster.stop_event.set, daemon=True).start()
        if deadline is not None and time.monotonic() > deadline:
            cluster.sentinel.kill()  # its children die with it
        cluster.sentinel.join(LOOK_S)
    return 0 if asked.is_set() or cluster.sentinel.exitcode == 0 else LEFT


def _remember_parent() -> None:
    global _parent
    _parent = os.getpid()


def _die_with_parent() -> None:
    """Let the kernel kill a forked child with its parent: an orphan would go on taking messages."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:
        os._exit(LEFT)  # it died before it was asked for


def _start_and_watch(sentinel: Sentinel) -> None:
    """Start the cluster's processes; leave at the moment when one of them is killed.

    django-q asks them in turn, with the lock of each: it would ask for ever for the lock that one was killed with.
    """
    own = os.getpid()

    def look(*_: object) -> None:
        if os.getpid() == own and any(map(_was_killed, (*sentinel.pool, sentinel.monitor, sentinel.pusher))):
            os._exit(LEFT)

    signal.signal(signal.SIGCHLD, look)
    _start(sentinel)


def _was_killed(process: BaseProcess | None) -> bool:
    return process is not None and process.exitcode not in (None, 0)


def _leave_or_replace(sentinel: Sentinel, process: BaseProcess) -> None:
    """Replace a worker that was recycled; leave with everybody when a process died, or ran out of time.

    One that timed out may still be writing its result: to end it there would block the queue of results for all.
    """
    timer = getattr(process, "timer", None)
    if timer is None or int(timer.value) != RECYCLED:
        os._exit(LEFT)  # the children die with us, and start() returns in the main process
    _replace(sentinel, process)
