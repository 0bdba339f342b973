"""What happens inside a candle: a stated, seeded path through its four prices.

**The rule.** A bar is walked open, nearer extreme, farther extreme, close. If both extremes are
equally near, the one against the bar's direction comes first, so that a position in the direction
of the bar suffers before it gains. Between these points the path is a straight line plus seeded
noise that stays inside the bar. The first print of a bar is its open, the last its close, both
extremes print, and the prints add up to the bar's volume exactly: candles built from the ticks
equal the file's.

The path inside a bar is an invention. A strategy that lives on it measures this module.
"""

from __future__ import annotations

import msgspec
import numpy as np

from core.simulation.market.price_grid import Int64Array, nearest_on_grid

TICKS_PER_BAR_MIN = 4
NOISE_SHARE = 0.15
"""Amplitude of the noise between two waypoints, as a share of the bar's range."""
SLOT_MARGIN = 0.1
"""Ticks keep this share of their slot away from its ends, so bars never touch."""


class Bars(msgspec.Struct, frozen=True):
    """A run of candles on the instrument's grid: price units and lots, oldest first."""

    open_ns: Int64Array
    open: Int64Array
    high: Int64Array
    low: Int64Array
    close: Int64Array
    lots: Int64Array


class BarPaths(msgspec.Struct, frozen=True):
    """Ticks of each bar, shape (bars, ticks): time, last price, and lots that print with it."""

    ts_ns: Int64Array
    px: Int64Array
    lots: Int64Array


def walk_bars(
    bars: Bars, *, interval_ns: int, px_scale: int, ticks: int, rng: np.random.Generator
) -> BarPaths:
    """Lay the path through a run of bars.

    Parameters
    ----------
    interval_ns : int
        Length of each bar.
    ticks : int
        Ticks per bar, at least `TICKS_PER_BAR_MIN`.
    rng : numpy.random.Generator
        Source of all randomness; the draws depend on the number of bars and ticks only.
    """
    assert ticks >= TICKS_PER_BAR_MIN, f"invariant: ticks per bar at least 4, was {ticks}"
    corners = waypoint_indices(ticks)
    return BarPaths(
        ts_ns=_times(bars.open_ns, interval_ns, ticks, rng),
        px=_prices(bars, corners, ticks, px_scale, rng),
        lots=_split(bars.lots, corners, ticks, rng),
    )


def waypoint_indices(ticks: int) -> tuple[int, int, int, int]:
    """Return which ticks of a bar stand at open, first extreme, second extreme and close."""
    last = ticks - 1
    return 0, max(1, round(last * 0.25)), min(last - 1, round(last * 0.75)), last


def _times(
    open_ns: Int64Array, interval_ns: int, ticks: int, rng: np.random.Generator
) -> Int64Array:
    slot_ns = interval_ns // ticks
    jitter = rng.uniform(SLOT_MARGIN, 1.0 - SLOT_MARGIN, (open_ns.size, ticks))
    # Whole milliseconds: the wire knows no finer time.
    offsets_ms = (jitter * slot_ns / 1e6).astype(np.int64)
    slots_ns = np.arange(ticks, dtype=np.int64) * slot_ns
    return open_ns[:, None] + slots_ns[None, :] + offsets_ms * 1_000_000


def _prices(
    bars: Bars,
    corners: tuple[int, int, int, int],
    ticks: int,
    px_scale: int,
    rng: np.random.Generator,
) -> Int64Array:
    up, down = bars.high - bars.open, bars.open - bars.low
    is_high_first = np.where(up == down, bars.close < bars.open, up < down)
    first = np.where(is_high_first, bars.high, bars.low)
    second = np.where(is_high_first, bars.low, bars.high)
    anchors = np.stack([bars.open, first, second, bars.close], axis=1).astype(np.float64)
    where = np.arange(ticks)
    legs = np.clip(np.searchsorted(corners, where, side="right") - 1, 0, 2)
    begin, end = np.take(corners, legs), np.take(corners, legs + 1)
    share = (where - begin) / (end - begin)
    line = anchors[:, legs] * (1.0 - share) + anchors[:, legs + 1] * share
    reach = (bars.high - bars.low).astype(np.float64)[:, None] * NOISE_SHARE
    noisy = line + rng.uniform(-1.0, 1.0, line.shape) * reach
    path = nearest_on_grid(noisy / px_scale, px_scale)
    path = np.clip(path, bars.low[:, None], bars.high[:, None])
    path[:, list(corners)] = anchors.astype(np.int64)
    return path


def _split(
    lots: Int64Array, corners: tuple[int, int, int, int], ticks: int, rng: np.random.Generator
) -> Int64Array:
    """Share a bar's volume among its ticks exactly; the four corners are served first."""
    weights = 0.5 + rng.random((lots.size, ticks))
    rest = np.maximum(0, lots - ticks)
    edges = np.cumsum(weights, axis=1) / weights.sum(axis=1, keepdims=True)
    marks = np.floor(edges * rest[:, None]).astype(np.int64)
    marks[:, -1] = rest
    parts = np.diff(marks, axis=1, prepend=0)
    order = [*corners, *(k for k in range(ticks) if k not in corners)]
    rank = np.empty(ticks, dtype=np.int64)
    rank[order] = np.arange(ticks)
    shares: Int64Array = parts + (lots[:, None] > rank[None, :])
    return shares
