"""Fixtures of the monitoring tests."""

from tests.guardless import guardless_flush

__all__ = ["guardless_flush"]
