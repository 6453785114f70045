"""Ports of this machine: a spare one for a rehearsal, and whether one is taken."""

import socket

LISTEN_S = 2.0


def spare_port(host: str) -> int:
    """Return a port of `host` that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def listens(host: str, port: int) -> bool:
    """Say whether the port takes connections; one that hangs has a process behind it that does not get to them."""
    try:
        with socket.create_connection((host, port), timeout=LISTEN_S):
            return True
    except TimeoutError:
        return True
    except OSError:
        return False
