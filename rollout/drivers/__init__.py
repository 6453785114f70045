"""The ways to change a target; a new one is one file here and one line in DRIVERS."""

from rollout.drivers.base import Answer, Driver, DriverError
from rollout.drivers.release_dir import ReleaseDir

DRIVERS: dict[str, Driver] = {"release_dir": ReleaseDir()}

__all__ = ["DRIVERS", "Answer", "Driver", "DriverError"]
