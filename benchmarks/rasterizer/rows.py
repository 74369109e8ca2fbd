"""The one shape of every result: a line of the JSON file, and of the tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A measured number, and what was asked of it. ``value`` is ``None`` where nothing could be measured."""

    case: str
    metric: str  # ends with its unit
    value: float | None
    goal: str | None = None
    met: bool | None = None


def at_least(bound: float, case: str, metric: str, value: float | None) -> Row:
    """A row whose value shall not be smaller than ``bound``."""
    return Row(case, metric, value, f">= {bound:,g}", None if value is None else value >= bound)


def at_most(bound: float, case: str, metric: str, value: float | None) -> Row:
    """A row whose value shall not be larger than ``bound``."""
    return Row(case, metric, value, f"<= {bound:,g}", None if value is None else value <= bound)
