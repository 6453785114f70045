"""A task that dies at the worst moment: its worker is killed with the lock that django-q's sentinel asks for next."""

import os
import signal
import sys


def die_with_the_lock() -> None:
    """Take the lock of the worker that runs this, and die."""
    frame = sys._getframe()
    while frame is not None and "timer" not in frame.f_locals:
        frame = frame.f_back
    assert frame is not None
    frame.f_locals["timer"].get_lock().acquire()
    os.kill(os.getpid(), signal.SIGKILL)
