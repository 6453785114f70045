"""Finds a spare port on this machine for a rehearsal."""

import socket


def spare_port(host: str) -> int:
    """Return a port of `host` that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
