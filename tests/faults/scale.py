"""How much of a fault test is run: a share in CI, all of it where somebody asks for it."""

import os
import secrets

FULL = os.environ.get("GR_FAULTS", "") == "full"


def count(ci: int, full: int) -> int:
    """Return how many trials to run: `ci`, or `full` with GR_FAULTS=full, or what GR_FAULT_TRIALS says."""
    wanted = os.environ.get("GR_FAULT_TRIALS", "")
    return int(wanted) if wanted else full if FULL else ci


def seed() -> int:
    """Return the seed of this session's trials: GR_FAULT_SEED, or a new one; it is printed with every failure."""
    return int(os.environ.get("GR_FAULT_SEED", "") or secrets.randbelow(2**31))
