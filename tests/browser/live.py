"""A product with everything: dhash under real gunicorns, worker and pulse, and a rollout that may be started."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.browser.product import Product
from tests.dhash_world import dhash_python, world

VALIDATE_S = 120


@dataclass(kw_only=True)
class Live:
    """The product, the dhash that it carries, and the number of the rollout."""

    product: Product
    world: world.World
    rollout: int

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Post real images to production for as long as the block lasts."""
        variables = self.world.variables("production")
        argv = self.world.command("production", "traffic", "--rate", "5", "--seconds", "3600", "--tolerate", "100")
        process = subprocess.Popen(argv, cwd=variables["GR_RELEASE_DIR"], env=variables, stdout=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=20)


def begin(folder: Path) -> Live:
    """Start all of it, and bring 1.1.0 so far that the deploy operator may start it."""
    ports = {name: world.free_port() for name in world.DEFAULT_PORTS}
    made = world.make(folder / "world", python=dhash_python(), ports=ports, gates={"production": "demo"})
    product = Product(folder=folder)
    live = Live(product=product, world=made, rollout=0)
    try:
        made.start("production")
        product.migrate()
        live.rollout = product.stage("submit", str(made.directory))["rollout"]
        product.serve()
        product.start("worker", "manage.py", "worker")
        product.start("pulse", "manage.py", "pulse")
        deadline = time.monotonic() + VALIDATE_S
        while not product.stage("sign", str(live.rollout))["approved"]:
            assert time.monotonic() < deadline, (folder / "worker.log").read_text()[-4000:]
            time.sleep(1)
    except BaseException:
        end(live)
        raise
    return live


def end(live: Live) -> None:
    """Stop the product first, then what it carried."""
    live.product.stop()
    live.world.stop_all()
