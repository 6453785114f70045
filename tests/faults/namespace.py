"""A network of its own for a part of an installation, on one cable to the rest, which a test may pull."""

import os
import shutil
import subprocess
from typing import Self

from tests.conftest import lacks

NETWORK = "10.213.77"  # nobody else's on this machine; both ends are here


class Namespace:
    """A network namespace; leave it with `close`, after which it and its cable are gone."""

    inside, outside = f"{NETWORK}.2", f"{NETWORK}.1"

    def __init__(self, name: str = f"gr-{os.getpid()}") -> None:
        """Make it, with its cable plugged in; skip loudly where that needs root."""
        if os.geteuid() != 0:
            lacks("root", "a network namespace needs root")
        if shutil.which("ip") is None:
            lacks("ip", "no ip: apt install iproute2")
        self.name, self.cable = name, f"v{os.getpid()}"
        try:
            run("ip", "netns", "add", name)
            run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "addr", "add", f"{self.outside}/24", "dev", self.cable)
            run(*self.argv("ip", "addr", "add", f"{self.inside}/24", "dev", "eth0"))
            for device in ("lo", "eth0"):
                run(*self.argv("ip", "link", "set", device, "up"))
            self.plug_in()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def argv(self, *command: str) -> list[str]:
        """Return a command that runs inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def pull_out(self) -> None:
        """Pull the cable: nothing is refused, nothing is answered any more."""
        run("ip", "link", "set", self.cable, "down")

    def plug_in(self) -> None:
        """Put the cable back."""
        run("ip", "link", "set", self.cable, "up")

    def close(self) -> None:
        """Remove the namespace, and with it the cable."""
        subprocess.run(["ip", "link", "del", self.cable], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


def run(*argv: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(argv, check=True, capture_output=True)
