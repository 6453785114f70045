"""What one trial is: a scenario, a kind of driver, deliveries at once, and kills; a line of text and back."""

from dataclasses import dataclass, field

# decided: a deploy in which a person decides, truly, whatever became unknown
SCENARIOS = ("deploy", "failing", "breach", "rollback", "abort", "validate", "decided")
DRIVERS = ("resumable", "probeable", "opaque")
# Who dies at a point: who reached it, the newest of each part that is named, every process of the trial.
# "stop" kills nobody: who reached the point is stopped until the others have gone on without it.
VICTIMS = ("self", "worker", "runner", "command", "runner+command", "all", "stop")


@dataclass(frozen=True, kw_only=True)
class Kill:
    """Death at the `count`-th time that `point` is reached, counted after the kill before it.

    A point is "role name:side" ("worker sql:before"), or "time" with a count in milliseconds.
    """

    point: str
    count: int = 1
    victim: str = "self"

    def is_due(self, seconds: float) -> bool:
        """Say whether a kill that waits for a time has waited long enough."""
        return self.point == "time" and seconds * 1000 >= self.count

    def __str__(self) -> str:
        return f"{self.point}#{self.count}!{self.victim}"

    @classmethod
    def read(cls, text: str) -> "Kill":
        """Return the kill that a text names."""
        where, _, victim = text.strip().rpartition("!")
        point, _, count = where.rpartition("#")
        return cls(point=point, count=int(count), victim=victim)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One trial; `calm` is one delivery after the other, so that the same points are reached each time."""

    scenario: str
    driver: str
    seed: int = 0
    workers: int = 3
    kills: tuple[Kill, ...] = field(default=())

    @property
    def calm(self) -> bool:
        """Say whether deliveries come one after the other, and none while a command runs."""
        return self.workers == 1

    def __str__(self) -> str:
        head = f"{self.scenario} {self.driver} seed={self.seed} workers={self.workers}"
        return " ; ".join([head, *map(str, self.kills)])

    @classmethod
    def read(cls, text: str) -> "Spec":
        """Return the trial that a line names."""
        head, *kills = text.split(" ; ")
        scenario, driver, seed, workers = head.split()
        return cls(
            scenario=scenario,
            driver=driver,
            seed=int(seed.partition("=")[2]),
            workers=int(workers.partition("=")[2]),
            kills=tuple(map(Kill.read, kills)),
        )
