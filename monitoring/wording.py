"""How figures and durations are written in sentences; pure."""

from decimal import Decimal


def figure(value: float | Decimal, unit: str = "") -> str:
    """Return a number with its unit: at most two decimals, none from 100 up."""
    exact = float(value)
    written = f"{exact:.0f}" if abs(exact) >= 100 else f"{exact:.2f}".rstrip("0").rstrip(".")
    return f"{written} {unit}".strip()


def duration(seconds: float | Decimal) -> str:
    """Return a duration: "45 s", "22.5 s", "10 min", "12 min 30 s", "1 h 30 min"."""
    exact = float(seconds)
    if exact < 60:
        return figure(exact, "s")
    minutes, rest = divmod(round(exact), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
