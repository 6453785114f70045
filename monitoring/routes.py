"""Which channel is told what; a value type, so that configuration can be parsed without a database."""

from dataclasses import dataclass

SEVERITIES = ("info", "warning", "critical")


@dataclass(frozen=True, kw_only=True)
class Route:
    """One channel, from which severity on, for which events ("*" is all of them)."""

    channel: str
    min_severity: str = "info"
    events: tuple[str, ...] = ("*",)

    def wants(self, event: str, severity: str) -> bool:
        """Say whether an event of that severity goes to this channel."""
        loud_enough = SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
        return loud_enough and ("*" in self.events or event in self.events)
