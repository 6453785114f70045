"""The component's golden check, run as its command."""

from monitoring.gates import Source

from . import command
from .measurement import Fetch, Measurement


def read(source: Source, base_url: str, fetch: Fetch) -> Measurement:
    """Run the golden check once; exit 0 is well. `gates.bind` has put its argv into the source."""
    return command.read(source, base_url, fetch)
