"""The geometry of charts. Pure: numbers in, numbers out; a template draws them as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HEIGHT = 120
_BAR, _GAP = 14, 6
_MOST_BARS = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """Two stacked parts of one group, in the chart's units: y grows downwards from the top."""

    label: str
    x: int
    good: int
    bad: int
    good_y: float
    good_height: float
    bad_y: float
    bad_height: float


@dataclass(frozen=True, slots=True)
class BarChart:
    """Bars from left to right, with a zero baseline at ``height``."""

    width: int
    height: int
    bar_width: int
    most: int
    bars: tuple[Bar, ...]


def bars(rows: Sequence[tuple[str, int, int]]) -> BarChart:
    """Return the chart of rows (label, good, bad), at most the last 120."""
    shown = rows[-_MOST_BARS:]
    most = max((good + bad for _, good, bad in shown), default=0)
    scale = HEIGHT / most if most else 0.0
    return BarChart(
        width=max(1, len(shown)) * (_BAR + _GAP),
        height=HEIGHT,
        bar_width=_BAR,
        most=most,
        bars=tuple(_bar(place, row, scale) for place, row in enumerate(shown)),
    )


def _bar(place: int, row: tuple[str, int, int], scale: float) -> Bar:
    label, good, bad = row
    good_height, bad_height = round(good * scale, 1), round(bad * scale, 1)
    return Bar(
        label=label,
        x=place * (_BAR + _GAP),
        good=good,
        bad=bad,
        good_y=round(HEIGHT - good_height, 1),
        good_height=good_height,
        bad_y=round(HEIGHT - good_height - bad_height, 1),
        bad_height=bad_height,
    )
