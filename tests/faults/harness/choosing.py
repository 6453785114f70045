"""Chooses trials: by chance from a seed, at every point, at every pair of points."""

import functools
import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tests.faults.harness import points, settings, trial
from tests.faults.harness.spec import DRIVERS, SCENARIOS, Kill, Spec

# Kills at a statement need a count; everything else has a name.
STATEMENTS = ("worker sql:before", "worker sql:after", "worker commit:before", "worker commit:after")
# The runner and its command die while the command runs: from here on everything is recovery.
LOSS = Kill(point="command tests.faults.harness.target.act:before", victim="runner+command")
LOSSES = (LOSS, Kill(point="command tests.faults.harness.target.act:after", victim="runner+command"))
# A breach is the longest trial, and tells the least that `failing` does not.
OFTEN = (3, 2, 1, 3, 2, 2, 2)
# An abort comes at another moment each time: what one of them reaches only sometimes is looked for so often.
MOMENTS = 40
# Scenarios that between them make nearly every kind of statement.
FEW = ("deploy", "failing", "rollback", "validate")
# What recovers there, of each kind of driver.
LOST = (("deploy", "resumable"), ("deploy", "probeable"), ("decided", "opaque"))


def reached(scenario: str, driver: str = "resumable", *, losses: tuple[Kill, ...] = (), seed: int = 0) -> Counter[str]:
    """Return how often each point is reached in a calm trial, undisturbed or after a loss; always of the same trial."""
    return _recorded(scenario, driver, losses, seed)


@functools.cache
def _recorded(scenario: str, driver: str, losses: tuple[Kill, ...], seed: int) -> Counter[str]:
    spec = Spec(scenario=scenario, driver=driver, workers=1, seed=seed, kills=losses)
    result = trial.run(spec, recording=True)
    if result.problems:
        raise RuntimeError(f"{spec}: {result.problems}")
    return Counter((settings.FOLDER / "board" / "reached").read_text().splitlines())


def discover() -> None:
    """Find out which points there are, in every scenario."""
    for scenario in SCENARIOS:
        reached(scenario)


def names(scenario: str, driver: str = "resumable") -> list[str]:
    """Return the named points of a calm trial, in order of the alphabet."""
    return sorted(set(reached(scenario, driver)) - set(STATEMENTS))


def recovery(scenario: str, driver: str) -> list[str]:
    """Return the named points of calm trials that lose their command before, or after, it changed the target."""
    ways = itertools.product(LOSSES, (0, 1))
    found = {name for loss, seed in ways for name in reached(scenario, driver, losses=(loss,), seed=seed)}
    return sorted(found - set(STATEMENTS))


def unreached() -> list[str]:
    """Return the functions of the table that no trial calls: renamed, or dead."""
    calm = {name for scenario in SCENARIOS for name in names(scenario)}
    calm |= {name for scenario, driver in LOST for name in recovery(scenario, driver)}
    left = [f"{place}.{function}" for place, function in points.TABLE]
    for seed in range(MOMENTS):
        left = [one for one in left if not any(name.partition(" ")[2].startswith(one) for name in calm)]
        if not left:
            break
        calm = set(reached("abort", seed=seed))
    return left


def by_chance(seed: int) -> Spec:
    """Return the trial of a seed: three deliveries at once and up to three kills, of whatever may die."""
    rng = random.Random(seed)
    scenario, driver = rng.choices(SCENARIOS, OFTEN)[0], rng.choice(DRIVERS)
    kills = tuple(_kill(rng, scenario) for _ in range(rng.choice((1, 1, 2, 2, 3))))
    if scenario == "decided":
        driver, kills = "opaque", (rng.choice(LOSSES), *kills[:2])
    return Spec(scenario=scenario, driver=driver, seed=seed, kills=kills)


def _kill(rng: random.Random, scenario: str) -> Kill:
    points = reached(scenario)
    kind = rng.random()
    if kind < 0.2:
        victim = rng.choice(("self", "all", "runner", "command", "runner+command"))
        return Kill(point="time", count=rng.randrange(5, 250), victim=victim)
    if kind < 0.5:
        point = rng.choice(STATEMENTS[:2])
    else:
        role = rng.choice(("worker", "runner", "runner", "command", "command"))
        point = rng.choice([name for name in names(scenario) if name.startswith(role)])
    victim = rng.choice(("self", "self", "self", "all", "runner+command", "runner", "stop"))
    return Kill(point=point, count=rng.randint(1, points[point]), victim=victim)


def at_statements(seed: int, *, stride: int) -> Iterator[Spec]:
    """Yield one trial before and after every statement and commit of every scenario; or before each `stride`-th of few.

    And before each statement of the recovery from a lost command.
    """
    wanted = [
        Spec(scenario=scenario, driver="", kills=(Kill(point=point, count=count),))
        for scenario in (SCENARIOS[:-1] if stride == 1 else FEW)
        for point in (STATEMENTS if stride == 1 else STATEMENTS[::2])
        for count in range(1, reached(scenario)[point] + 1)
    ]
    for number in range(seed % stride, len(wanted), stride):
        yield replace(wanted[number], driver=DRIVERS[(number + seed) % 3], seed=number, workers=1)
    recoveries = [
        _at(scenario, driver, loss, Kill(point=point, count=count))
        for scenario, driver in LOST
        for loss in LOSSES
        for point in STATEMENTS[::2]
        for count in range(1, reached(scenario, driver, losses=(loss,))[point] + 1)
    ]
    yield from recoveries[seed % stride :: 5 * stride if stride > 1 else 1]


def at_names(seed: int, *, every: bool) -> Iterator[Spec]:
    """Yield one trial for each named point; or `every` time that it is reached, in each scenario and driver."""
    rng = random.Random(seed)
    if every:
        for scenario, driver in itertools.product(SCENARIOS[:-1], DRIVERS):
            for name in names(scenario):
                for count in range(1, reached(scenario)[name] + 1):
                    yield _at(scenario, driver, Kill(point=name, count=count))
        return
    where: dict[str, list[str]] = {}
    for scenario in SCENARIOS[:-1]:
        for name in names(scenario):
            where.setdefault(name, []).append(scenario)
    for name, scenarios in where.items():
        scenario = rng.choice(scenarios)
        count = rng.randint(1, reached(scenario)[name])
        yield _at(scenario, rng.choice(DRIVERS), Kill(point=name, count=count))


def pairs(seed: int, *, sample: int = 0) -> Iterator[Spec]:
    """Yield one trial for each pair of named points, the second among what is reached after the first; or a sample."""
    rng = random.Random(seed)
    found: list[tuple[str, str, str]] = []
    for scenario in ("failing", "validate"):
        seconds = {name for driver in DRIVERS for name in recovery(scenario, driver)}
        found += [(scenario, first, second) for first in names(scenario) for second in {*seconds, *names(scenario)}]
    lost = [("decided", LOSS.point, name) for name in recovery("decided", "opaque")]
    found = sorted({*found, *lost})
    for number, (scenario, first, second) in enumerate(rng.sample(found, sample) if sample else found):
        driver = "opaque" if scenario == "decided" else DRIVERS[(number + seed) % 3]
        yield _at(scenario, driver, LOSS if first == LOSS.point else Kill(point=first), Kill(point=second))


def _at(scenario: str, driver: str, *kills: Kill) -> Spec:
    return Spec(scenario=scenario, driver=driver, seed=len(kills), workers=1, kills=kills)
