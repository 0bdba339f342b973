"""The displayed book around a path: spread, levels and sizes, from closed bars and a seed.

Candles hold no book, so this one is made up by stated rules: the touch holds a share of what a
minute traded lately, deeper levels hold more, and the spread widens with the range of recent
bars. Only bars that had closed count, so no size hints at the volume to come.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from core.simulation.market.price_grid import Int64Array, ceil_on_grid, floor_on_grid, tick_units

LEVELS = 10
TOUCH_VOLUME_SHARE = 0.02
"""Size at the touch, as a share of the mean volume of recent minutes."""
LEVEL_GROWTH = 0.35
"""Each deeper level holds this share of the touch more."""
SIZE_SIGMA = 0.5
"""Standard deviation of the log of a level's size."""
SPREAD_ONE_TICK = 0.75
"""Probability that a quiet market's spread is the smallest possible."""
SPREAD_TICKS_MAX = 20
SPREAD_RANGE_SHARE = 0.02
"""The spread widens by this share of the recent bars' mean range."""

Float64Array = npt.NDArray[np.float64]


class Books(msgspec.Struct, frozen=True):
    """Depth at each tick, best first: prices and lots of shape (ticks, `LEVELS`).

    A price of 0 marks a level that does not exist (a bid below the smallest price).
    """

    bid_px: Int64Array
    bid_lots: Int64Array
    ask_px: Int64Array
    ask_lots: Int64Array


def draw_books(
    px: Int64Array,
    is_at_ask: npt.NDArray[np.bool_],
    touch_lots: Float64Array,
    range_units: Float64Array,
    *,
    px_scale: int,
    rng: np.random.Generator,
) -> Books:
    """Draw one book per tick.

    Parameters
    ----------
    px : int64[n]
        Last price, which is the ask where ``is_at_ask`` and the bid elsewhere.
    touch_lots : float64[n]
        Ordinary size at the touch, above 0.
    range_units : float64[n]
        Mean high minus low of recent closed bars.
    """
    count = px.size
    steps = tick_units(px, px_scale)
    quiet = np.minimum(rng.geometric(SPREAD_ONE_TICK, count), SPREAD_TICKS_MAX)
    wide = np.floor(range_units * SPREAD_RANGE_SHARE / steps).astype(np.int64)
    spread = np.minimum(quiet + wide, SPREAD_TICKS_MAX) * steps
    best_bid = np.where(is_at_ask, floor_on_grid(np.maximum(1, px - spread), px_scale), px)
    best_bid = np.where(px - spread < 1, np.where(is_at_ask, 0, px), best_bid)
    best_ask = np.where(is_at_ask, px, ceil_on_grid(px + spread, px_scale))
    return Books(
        bid_px=_bid_ladder(best_bid, px_scale),
        bid_lots=_sizes(touch_lots, rng),
        ask_px=_ask_ladder(best_ask, px_scale),
        ask_lots=_sizes(touch_lots, rng),
    )


def _bid_ladder(best: Int64Array, px_scale: int) -> Int64Array:
    """Step down from the best bid; a coarse step stays on the finer grid below a power of ten."""
    steps = tick_units(np.maximum(1, best), px_scale)
    ladder = best[:, None] - np.arange(LEVELS, dtype=np.int64)[None, :] * steps[:, None]
    rungs: Int64Array = np.maximum(0, ladder)
    return rungs


def _ask_ladder(best: Int64Array, px_scale: int) -> Int64Array:
    """Step up with the step that holds at the far end, so that every level is on the grid."""
    far = best + LEVELS * tick_units(best, px_scale)
    steps = tick_units(far, px_scale)
    base = best - best % steps
    ladder = base[:, None] + np.arange(LEVELS, dtype=np.int64)[None, :] * steps[:, None]
    ladder[:, 0] = best
    rungs: Int64Array = ladder
    return rungs


def _sizes(touch_lots: Float64Array, rng: np.random.Generator) -> Int64Array:
    shape = 1.0 + LEVEL_GROWTH * np.arange(LEVELS)
    noise = np.exp(rng.normal(0.0, SIZE_SIGMA, (touch_lots.size, LEVELS)))
    lots = np.rint(touch_lots[:, None] * shape[None, :] * noise)
    return np.asarray(np.maximum(1.0, lots), dtype=np.int64)
