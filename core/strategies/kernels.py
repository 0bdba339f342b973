"""The arithmetic of the strategies, compiled: the same kernel decides live, on paper and in sweeps.

Kernels see arrays of closed candles (oldest first), the price now and our stake, and return codes
and prices. They know no coin, no wish, no parameter struct. Business outcomes are integer codes;
``nan`` anywhere in the candles a kernel looks at gives ``WISH_KEEP``: unknown is not neutral.
Twins: ``tests/reference/strategies.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from core.model.market import FloatArray
from core.utils.indicators import highest_nb, lowest_nb, sma_nb, true_range_nb
from core.utils.numba_cache import njit

WISH_KEEP = 0
WISH_FLAT = 1
WISH_LONG = 2
WISH_SHORT = 3

WHY_DATA = 0
"""Too few candles, or some of them unknown."""
WHY_QUIET = 1
"""Flat, and nothing asks for an entry."""
WHY_COST = 2
"""An entry was asked for, but the move would not cover its costs."""
WHY_FALSIFIED = 3
"""The excursion has gone so far that its first entry would have been stopped: no second try."""
WHY_ROOM = 4
"""Stop or target would lie at or below zero."""
WHY_ENTRY = 5
WHY_HOLD = 6
WHY_REVERTED = 7
"""The move that was hoped for has happened."""
WHY_CROSSED = 8
"""The averages have crossed against the position."""
WHY_STOPPED = 9
"""The price is beyond the stop."""
WHY_TARGET = 10
"""The price is beyond the target."""

SCALPING_PERIOD = 20
ATR_PERIOD = 14


class Verdict(NamedTuple):
    """What a directional kernel says: two codes, stop and target in USDC, its own measure."""

    wish: int
    why: int
    stop: float
    target: float
    measure: float


@njit
def mean_std_nb(x: FloatArray, end: int, n: int) -> tuple[float, float]:
    """Return mean and sample standard deviation of ``x[end - n:end]``; ``nan`` in, ``nan`` out."""
    total = 0.0
    for i in range(end - n, end):
        total += x[i]
    mean = total / n
    squares = 0.0
    for i in range(end - n, end):
        squares += (x[i] - mean) * (x[i] - mean)
    return mean, math.sqrt(squares / (n - 1))


@njit
def deviation_nb(x: FloatArray, end: int, n: int, value: float, in_std: bool) -> float:
    """Return how far ``value`` is from the mean of ``x[end - n:end]``.

    In standard deviations of that window, or as a share of its mean; ``nan`` where a price of the
    window is unknown, or where it has no spread to measure by.
    """
    mean, std = mean_std_nb(x, end, n)
    # One infinite price would make any other price look infinitely low.
    if not 0.0 < mean < math.inf:
        return math.nan
    if not in_std:
        return value / mean - 1.0
    return (value - mean) / std if std > 1e-9 * abs(mean) else math.nan


@njit
def excursion_nb(closes: FloatArray, n: int, sign: float, reset: float, in_std: bool) -> float:
    """Return the greatest deviation of the excursion under way, over closed candles.

    Walks back from the newest close, at most ``n`` candles, each measured against the ``n``
    candles ending with it, until the deviation in the direction of ``sign`` is within ``reset``.

    Returns
    -------
    float
        At least 0.0, which means that no excursion is under way at the last close.
    """
    greatest = 0.0
    count = len(closes)
    for end in range(count, max(n, count - n) - 1, -1):
        deviation = sign * deviation_nb(closes, end, n, closes[end - 1], in_std)
        if not deviation > reset:
            break
        greatest = max(greatest, deviation)
    return greatest


@njit
def scalping_nb(
    closes: FloatArray,
    price: float,
    position: float,
    entry: float,
    exit_: float,
    stop: float,
    target: float,
    move_min: float,
) -> Verdict:
    """Fade a deviation of the price from its short average.

    Parameters
    ----------
    closes : float64[n]
        At least `SCALPING_PERIOD` closed candles.
    position : float
        Signed; only the sign counts.
    entry, exit_, stop, target : float
        Distances as shares of the price, above 0 (``exit_`` may be 0).
    move_min : float
        Smallest move worth its costs, as a share of the price.

    Returns
    -------
    Verdict
        ``measure`` is the deviation, as a share of the average.

    Notes
    -----
    Twin: ``tests/reference/strategies.py:scalping``. Cost: O(period²) at worst.
    """
    if len(closes) < SCALPING_PERIOD:
        return Verdict(WISH_KEEP, WHY_DATA, math.nan, math.nan, math.nan)
    deviation = deviation_nb(closes, len(closes), SCALPING_PERIOD, price, False)
    if not math.isfinite(deviation):
        return Verdict(WISH_KEEP, WHY_DATA, math.nan, math.nan, math.nan)
    if position != 0.0:
        is_back = deviation >= -exit_ if position > 0.0 else deviation <= exit_
        if is_back:
            return Verdict(WISH_FLAT, WHY_REVERTED, math.nan, math.nan, deviation)
        return Verdict(WISH_KEEP, WHY_HOLD, math.nan, math.nan, deviation)
    if abs(deviation) < entry:
        return Verdict(WISH_FLAT, WHY_QUIET, math.nan, math.nan, deviation)
    side = 1.0 if deviation < 0.0 else -1.0
    greatest = max(abs(deviation), excursion_nb(closes, SCALPING_PERIOD, -side, exit_, False))
    if greatest >= entry + stop:
        return Verdict(WISH_FLAT, WHY_FALSIFIED, math.nan, math.nan, deviation)
    if abs(deviation) - exit_ < move_min or target < move_min:
        return Verdict(WISH_FLAT, WHY_COST, math.nan, math.nan, deviation)
    return _entry_nb(side, price * (1.0 - side * stop), price * (1.0 + side * target), deviation)


@njit
def mean_reversion_nb(
    closes: FloatArray,
    price: float,
    position: float,
    lookback: int,
    entry_z: float,
    exit_z: float,
    stop_z: float,
    move_min: float,
) -> Verdict:
    """Fade the z-score of the price against its moving average.

    Parameters
    ----------
    closes : float64[n]
        At least ``lookback`` closed candles; the last two ``lookback`` are looked at.
    entry_z, exit_z : float
        z-scores that enter and leave.
    stop_z : float
        Stop distance past the entry, in standard deviations.
    move_min : float
        Smallest move worth its costs, as a share of the price.

    Returns
    -------
    Verdict
        ``measure`` is the z-score.

    Notes
    -----
    Twin: ``tests/reference/strategies.py:mean_reversion``. Cost: O(lookback²) at worst.
    """
    if len(closes) < lookback:
        return Verdict(WISH_KEEP, WHY_DATA, math.nan, math.nan, math.nan)
    mean, std = mean_std_nb(closes, len(closes), lookback)
    z = deviation_nb(closes, len(closes), lookback, price, True)
    if not math.isfinite(z):
        return Verdict(WISH_KEEP, WHY_DATA, math.nan, math.nan, math.nan)
    if position != 0.0:
        is_back = z >= -exit_z if position > 0.0 else z <= exit_z
        if is_back:
            return Verdict(WISH_FLAT, WHY_REVERTED, math.nan, math.nan, z)
        return Verdict(WISH_KEEP, WHY_HOLD, math.nan, math.nan, z)
    if abs(z) < entry_z:
        return Verdict(WISH_FLAT, WHY_QUIET, math.nan, math.nan, z)
    side = 1.0 if z < 0.0 else -1.0
    greatest = max(abs(z), excursion_nb(closes, lookback, -side, exit_z, True))
    if greatest >= entry_z + stop_z:
        return Verdict(WISH_FLAT, WHY_FALSIFIED, math.nan, math.nan, z)
    if (abs(z) - exit_z) * std < move_min * price:
        return Verdict(WISH_FLAT, WHY_COST, math.nan, math.nan, z)
    return _entry_nb(side, price - side * stop_z * std, mean - side * exit_z * std, z)


@njit
def trend_nb(
    closes: FloatArray,
    highs: FloatArray,
    lows: FloatArray,
    price: float,
    position: float,
    entry_price: float,
    fast: int,
    slow: int,
    channel: int,
    stop_atrs: float,
    target_ratio: float,
    buffer_atrs: float,
    move_min: float,
) -> Verdict:
    """Follow a breakout from a price channel that the moving averages confirm.

    Parameters
    ----------
    closes, highs, lows : float64[n]
        Closed candles, more than every period.
    entry_price : float
        Average entry, ``nan`` when flat.
    fast, slow, channel : int
        Candles of the averages and of the channel.
    stop_atrs, target_ratio : float
        Room of the trailing stop in ATRs; target in stop distances at the breakout.
    buffer_atrs : float
        How far beyond the channel a close must be to count, in ATRs.
    move_min : float
        Smallest stop distance worth its costs, as a share of the price.

    Returns
    -------
    Verdict
        ``measure`` is the trailing stop.

    Notes
    -----
    Twin: ``tests/reference/strategies.py:trend``. Cost: O(n × slow).
    """
    begin = _known_from_nb(closes, highs, lows)
    closed, high, low = closes[begin:], highs[begin:], lows[begin:]
    if len(closed) <= max(max(fast, slow), max(channel, ATR_PERIOD)):
        return Verdict(WISH_KEEP, WHY_DATA, math.nan, math.nan, math.nan)
    gap = sma_nb(closed, fast) - sma_nb(closed, slow)
    side = np.sign(gap[-1])
    if side == 0.0 or position * side < 0.0:
        why = WHY_CROSSED if position != 0.0 else WHY_QUIET
        return Verdict(WISH_FLAT, why, math.nan, math.nan, math.nan)
    atr = sma_nb(true_range_nb(high, low, closed), ATR_PERIOD)
    edge = highest_nb(high, channel) if side > 0.0 else lowest_nb(low, channel)
    trail, atr_breakout = _leg_nb(closed, gap, atr, edge, side, channel, stop_atrs)
    reach = side * target_ratio * stop_atrs * atr_breakout
    if position != 0.0:
        return _trend_held_nb(side, price, trail, entry_price + reach)
    # A close cannot break the channel that its own candle has widened: the edge before it counts.
    level = edge[-2] + side * buffer_atrs * atr[-1]
    if side * (closed[-1] - level) <= 0.0 or side * (price - level) <= 0.0:
        return Verdict(WISH_FLAT, WHY_QUIET, math.nan, math.nan, trail)
    if min(side * (price - trail), side * reach) < move_min * price:
        return Verdict(WISH_FLAT, WHY_COST, math.nan, math.nan, trail)
    return _entry_nb(side, trail, price + reach, trail)


@njit
def _trend_held_nb(side: float, price: float, trail: float, target: float) -> Verdict:
    """Leave beyond stop or target; otherwise state the wish again with the stop as it is now."""
    if side * (price - trail) <= 0.0:
        return Verdict(WISH_FLAT, WHY_STOPPED, math.nan, math.nan, trail)
    if side * (target - price) <= 0.0:
        return Verdict(WISH_FLAT, WHY_TARGET, math.nan, math.nan, trail)
    wish = WISH_LONG if side > 0.0 else WISH_SHORT
    return Verdict(wish, WHY_HOLD, trail, target if target > 0.0 else math.nan, trail)


@njit
def _known_from_nb(closes: FloatArray, highs: FloatArray, lows: FloatArray) -> int:
    """Return the index after the last candle that has an unknown price."""
    for i in range(len(closes) - 1, -1, -1):
        if not math.isfinite(closes[i] + highs[i] + lows[i]):
            return i + 1
    return 0


@njit
def _leg_nb(
    closes: FloatArray,
    gap: FloatArray,
    atr: FloatArray,
    edge: FloatArray,
    side: float,
    channel: int,
    stop_atrs: float,
) -> tuple[float, float]:
    """Walk back over the candles since the averages crossed.

    The trailing stop is the best ``close ∓ stop_atrs × ATR`` of the leg: a function of the candles
    alone, which cannot loosen before the averages cross again, and that is the exit. The ATR is
    a plain mean: Wilder's smoothing would depend on where the arrays begin.

    Returns
    -------
    trail : float
        The tightest stop the leg has earned, in USDC.
    atr_breakout : float
        ATR at the first close of the leg outside the channel; without one, the ATR now.
    """
    trail, atr_breakout = -side * math.inf, atr[-1]
    for i in range(len(closes) - 1, -1, -1):
        if not side * gap[i] > 0.0 or not math.isfinite(atr[i]):
            break
        candidate = closes[i] - side * stop_atrs * atr[i]
        trail = max(trail, candidate) if side > 0.0 else min(trail, candidate)
        if i >= channel and side * (closes[i] - edge[i - 1]) > 0.0:
            atr_breakout = atr[i]
    return trail, atr_breakout


@njit
def _entry_nb(side: float, stop: float, target: float, measure: float) -> Verdict:
    """Wish to enter, unless a price of the plan is impossible."""
    if not (stop > 0.0 and target > 0.0):
        return Verdict(WISH_FLAT, WHY_ROOM, math.nan, math.nan, measure)
    return Verdict(WISH_LONG if side > 0.0 else WISH_SHORT, WHY_ENTRY, stop, target, measure)


@njit
def grid_flat_nb(
    price: float,
    bid: float,
    ask: float,
    step: float,
    level_count: int,
    lower: float,
    upper: float,
    buys: FloatArray,
    sells: FloatArray,
) -> tuple[int, int]:
    """Lay the levels of a grid that holds nothing.

    Level ``k`` is the price ``exp(k × log(1 + step))``, with ``k`` counting from one half where
    ``level_count`` is even. The centre moves in jumps of half the grid, so a tick moves nothing.

    Parameters
    ----------
    bid, ask : float
        Touch; a level between ``bid`` and ``ask`` is left out. ``nan`` counts as ``price``.
    step : float
        Distance of neighbouring levels, as a share of the price.
    lower, upper : float
        Bounds of all levels; ``nan`` for none.
    buys, sells : float64[level_count]
        Receive the levels, nearest to the price first.

    Returns
    -------
    buy_count, sell_count : int
        How many levels were written; together at most ``level_count``.

    Notes
    -----
    Twin: ``tests/reference/strategies.py:grid_flat``. Cost: O(level_count).
    """
    log_step, half = math.log1p(step), max(1, level_count // 2)
    centre = half * math.floor(math.log(price) / log_step / half + 0.5)
    top, bottom = centre + 0.5 * (level_count - 1), centre - 0.5 * (level_count - 1)
    touch_bid = min(price, bid) if bid > 0.0 else price
    # A price exactly on a level is a buy there, never a buy and a sell.
    above = np.nextafter(price, math.inf)
    touch_ask = max(above, ask) if ask > 0.0 else above
    floor_px = lower if lower > 0.0 else 0.0
    ceil_px = upper if upper > 0.0 else math.inf
    return (
        _ladder_nb(buys, top, bottom, -1.0, log_step, touch_bid, floor_px, ceil_px),
        _ladder_nb(sells, bottom, top, 1.0, log_step, touch_ask, floor_px, ceil_px),
    )


@njit
def grid_held_nb(
    price: float,
    bid: float,
    ask: float,
    side: float,
    entry_price: float,
    step: float,
    level_count: int,
    lower: float,
    upper: float,
    gain_min: float,
    adds: FloatArray,
    takes: FloatArray,
) -> tuple[int, int, float]:
    """Lay the levels of a grid that holds a position.

    Nothing is added nearer than one level from the average entry, and at most half the levels
    beyond it; profit is taken from the first level that earns at least half a step.

    Parameters
    ----------
    side : float
        1 for a long position, -1 for a short one.
    gain_min : float
        Least distance of a profit-taking level from the entry, as a share of the price.
    adds, takes : float64[level_count]
        Receive the levels that add to the position, and those that reduce it, nearest first.

    Returns
    -------
    add_count, take_count : int
        How many levels were written.
    stop : float
        One step beyond the outermost level, or beyond the bound that cuts the grid off.

    Notes
    -----
    Twin: ``tests/reference/strategies.py:grid_held``. Cost: O(level_count).
    """
    log_step, half = math.log1p(step), max(1, level_count // 2)
    entry = math.log(entry_price) / log_step
    # Fills are rounded to the venue's tick, so a tenth of a step past a level is still that level.
    base = _level_beyond_nb(entry - 0.1 * side, side, level_count)
    outermost = base - side * half
    stop = math.exp((outermost - side) * log_step)
    floor_px = lower if lower > 0.0 else 0.0
    ceil_px = upper if upper > 0.0 else math.inf
    stop = max(stop, floor_px / (1.0 + step)) if side > 0.0 else min(stop, ceil_px * (1.0 + step))
    touch_bid = min(price, bid) if bid > 0.0 else price
    touch_ask = max(price, ask) if ask > 0.0 else price
    touch_add, touch_take = (touch_bid, touch_ask) if side > 0.0 else (touch_ask, touch_bid)
    gain = max(0.5, math.log1p(gain_min) / log_step)
    near = math.log(touch_take) / log_step
    first = _level_beyond_nb(side * max(side * entry + gain, side * near), side, level_count)
    add_count = _ladder_nb(
        adds, base - side, outermost, -side, log_step, touch_add, floor_px, ceil_px
    )
    last = first + side * (half - 1)
    take_count = _ladder_nb(takes, first, last, side, log_step, touch_take, 0.0, math.inf)
    return add_count, take_count, stop


@njit
def _level_beyond_nb(position: float, side: float, level_count: int) -> float:
    """Return the first level at or beyond ``position`` in the direction of ``side``."""
    offset = 0.0 if level_count % 2 else 0.5
    if side > 0.0:
        return math.ceil(position - offset) + offset
    return math.floor(position - offset) + offset


@njit
def _ladder_nb(
    out: FloatArray,
    first: float,
    last: float,
    way: float,
    log_step: float,
    touch: float,
    floor_px: float,
    ceil_px: float,
) -> int:
    """Write the levels from ``first`` to ``last`` that rest at or behind the touch.

    ``way`` is -1 for bids (downwards) and 1 for offers (upwards); levels on the wrong side of
    the touch or out of bounds are left out. Returns how many were written.
    """
    count = 0
    for i in range(round(way * (last - first)) + 1):
        level = math.exp((first + way * i) * log_step)
        if way * (level - touch) >= 0.0 and floor_px <= level <= ceil_px and count < len(out):
            out[count] = level
            count += 1
    return count


def warm_up() -> None:
    """Compile every kernel, or load it from the cache, for the types of live calls."""
    candles, out, more = np.linspace(100.0, 101.0, 200), np.empty(4), np.empty(4)
    # Arrays of the engine are read-only views, which Numba compiles as a type of their own.
    frozen = candles.copy()
    frozen.flags.writeable = False
    nan = math.nan
    for x in (candles, frozen):
        scalping_nb(x, 100.0, 0.0, 0.002, 0.0005, 0.002, 0.003, 0.001)
        mean_reversion_nb(x, 100.0, 0.0, 60, 2.0, 0.5, 2.0, 0.001)
        trend_nb(x, x, x, 101.0, 0.0, nan, 5, 20, 10, 3.0, 3.0, 0.25, 0.001)
    grid_flat_nb(100.0, 99.9, 100.1, 0.003, 4, nan, nan, out, more)
    grid_held_nb(100.0, 99.9, 100.1, 1.0, 100.0, 0.003, 4, nan, nan, 0.0005, out, more)
