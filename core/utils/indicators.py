"""Indicator kernels over candles, shared by the regime judge, sizing and the strategies.

All take float64 arrays, oldest first, and know nothing of coins, orders or time. Series come back
as new arrays of the same length with ``nan`` where there is not enough history; numbers come back
as ``nan``. Each kernel has a slow twin of the same name (without ``_nb``) in
``tests/reference/indicators.py``, written from the definition instead of incrementally.
"""

from __future__ import annotations

import math

import numpy as np

from core.model.market import FloatArray
from core.utils.numba_cache import njit

_WARM_UP_COUNT = 64


@njit
def sma_nb(x: FloatArray, n: int) -> FloatArray:
    """Return the simple moving average of the last ``n`` values.

    Parameters
    ----------
    x : float64[count]
        Finite values, oldest first.
    n : int
        Window, at least 1; a window longer than the series gives only ``nan``.

    Notes
    -----
    Each window is summed afresh, so that no rounding error is carried from one to the next and a
    value depends on its own window alone. Cost: O(count × n).
    """
    out = np.full(x.size, np.nan)
    for i in range(n - 1, x.size):
        total = 0.0
        for j in range(i - n + 1, i + 1):
            total += x[j]
        out[i] = total / n
    return out


@njit
def ema_nb(x: FloatArray, n: int) -> FloatArray:
    """Return the exponential moving average with weight ``2 / (n + 1)`` of the newest value.

    The first value, at index ``n - 1``, is the simple average of the first ``n``.
    """
    out = np.full(x.size, np.nan)
    if x.size < n:
        return out
    total = 0.0
    for i in range(n):
        total += x[i]
    value = total / n
    out[n - 1] = value
    weight = 2.0 / (n + 1.0)
    for i in range(n, x.size):
        value += weight * (x[i] - value)
        out[i] = value
    return out


@njit
def rolling_std_nb(x: FloatArray, n: int) -> FloatArray:
    """Return the population standard deviation (divisor ``n``) of the last ``n`` values."""
    out = np.full(x.size, np.nan)
    for i in range(n - 1, x.size):
        mean = 0.0
        for j in range(i - n + 1, i + 1):
            mean += x[j]
        mean /= n
        squares = 0.0
        for j in range(i - n + 1, i + 1):
            squares += (x[j] - mean) ** 2
        out[i] = math.sqrt(squares / n)
    return out


@njit
def true_range_nb(h: FloatArray, low: FloatArray, c: FloatArray) -> FloatArray:
    """Return the true range; the first candle has no close before it and gives high minus low.

    Source: J. Welles Wilder, New Concepts in Technical Trading Systems, 1978.
    """
    out = np.full(c.size, np.nan)
    for i in range(c.size):
        reach = h[i] - low[i]
        if i > 0:
            reach = max(reach, abs(h[i] - c[i - 1]), abs(low[i] - c[i - 1]))
        out[i] = reach
    return out


@njit
def atr_nb(h: FloatArray, low: FloatArray, c: FloatArray, n: int) -> FloatArray:
    """Return Wilder's average true range, in the unit of the prices.

    The first value, at index ``n - 1``, is the simple average of the first ``n`` true ranges; then
    ``atr += (true_range - atr) / n``. Source: Wilder 1978.
    """
    out = np.full(c.size, np.nan)
    if c.size < n:
        return out
    reach = true_range_nb(h, low, c)
    value = 0.0
    for i in range(n):
        value += reach[i]
    value /= n
    out[n - 1] = value
    for i in range(n, c.size):
        value += (reach[i] - value) / n
        out[i] = value
    return out


@njit
def adx_nb(h: FloatArray, low: FloatArray, c: FloatArray, n: int) -> FloatArray:
    """Return Wilder's average directional index, 0 to 100; defined from index ``2 n - 1``.

    Directional movement and true range are smoothed by Wilder's sums over candles 1 to ``n``; the
    ADX starts as the average of the first ``n`` DX. A market that never moved has a DX of 0.
    Source: Wilder 1978.
    """
    out = np.full(c.size, np.nan)
    if c.size < 2 * n:
        return out
    reach = true_range_nb(h, low, c)
    plus, minus, total = 0.0, 0.0, 0.0
    adx, dx_count = 0.0, 0
    for i in range(1, c.size):
        up, down = h[i] - h[i - 1], low[i - 1] - low[i]
        plus_move = up if up > down and up > 0.0 else 0.0
        minus_move = down if down > up and down > 0.0 else 0.0
        if i <= n:
            plus, minus, total = plus + plus_move, minus + minus_move, total + reach[i]
        else:
            plus += plus_move - plus / n
            minus += minus_move - minus / n
            total += reach[i] - total / n
        if i < n:
            continue
        # The sums share one divisor (the true range), which cancels in DX.
        moved = plus + minus
        dx = 100.0 * abs(plus - minus) / moved if moved > 0.0 and total > 0.0 else 0.0
        dx_count += 1
        if dx_count <= n:
            adx += dx / n
        else:
            adx += (dx - adx) / n
        if dx_count >= n:
            out[i] = adx
    return out


@njit
def bollinger_width_nb(c: FloatArray, n: int, k: float) -> FloatArray:
    """Return the width of the Bollinger bands as a share of their middle: ``2 k std / mean``.

    Source: John Bollinger, Bollinger on Bollinger Bands, 2001 (BandWidth).
    """
    middle = sma_nb(c, n)
    spread = rolling_std_nb(c, n)
    out = np.full(c.size, np.nan)
    for i in range(n - 1, c.size):
        if middle[i] > 0.0:
            out[i] = 2.0 * k * spread[i] / middle[i]
    return out


@njit
def realized_sigma_nb(c: FloatArray, n: int) -> FloatArray:
    """Return the population standard deviation of the last ``n`` log returns, per candle.

    Parameters
    ----------
    c : float64[count]
        Closes above 0. The first result is at index ``n``, as ``n`` returns need ``n + 1`` closes.
    """
    out = np.full(c.size, np.nan)
    if c.size < n + 1:
        return out
    moves = np.empty(c.size - 1)
    for i in range(1, c.size):
        moves[i - 1] = math.log(c[i] / c[i - 1])
    spread = rolling_std_nb(moves, n)
    for i in range(n, c.size):
        out[i] = spread[i - 1]
    return out


@njit
def rank_of_last_nb(x: FloatArray, n: int) -> float:
    """Return the quantile rank of the last value among the last ``n`` (fewer if not there yet).

    Below counts 1, equal counts one half: 0 is the lowest, 1 the highest, 0.5 the middle or
    all equal. ``nan`` values before the last are passed over.

    Returns
    -------
    float
        0 to 1; ``nan`` if the last value is ``nan`` or there is nothing to compare it with.
    """
    if x.size == 0 or math.isnan(x[-1]):
        return np.nan
    last = x[-1]
    score, count = 0.0, 0
    for i in range(max(0, x.size - n), x.size - 1):
        value = x[i]
        if math.isnan(value):
            continue
        count += 1
        if value < last:
            score += 1.0
        elif value == last:
            score += 0.5
    return score / count if count > 0 else np.nan


@njit
def highest_nb(x: FloatArray, n: int) -> FloatArray:
    """Return the highest of the last ``n`` values, the newest included."""
    out = np.full(x.size, np.nan)
    for i in range(n - 1, x.size):
        best = x[i]
        for j in range(i - n + 1, i):
            best = max(best, x[j])
        out[i] = best
    return out


@njit
def lowest_nb(x: FloatArray, n: int) -> FloatArray:
    """Return the lowest of the last ``n`` values, the newest included."""
    out = np.full(x.size, np.nan)
    for i in range(n - 1, x.size):
        best = x[i]
        for j in range(i - n + 1, i):
            best = min(best, x[j])
        out[i] = best
    return out


def warm_up() -> None:
    """Compile every kernel for the types that the system calls it with."""
    c = np.linspace(100.0, 101.0, _WARM_UP_COUNT)
    h, low = c + 0.5, c - 0.5
    # Arrays of the engine are read-only views, which Numba compiles as a type of their own.
    frozen = [c.copy(), h.copy(), low.copy()]
    for array in frozen:
        array.flags.writeable = False
    for close, high, bottom in ((c, h, low), frozen):
        for kernel in (sma_nb, ema_nb, rolling_std_nb, realized_sigma_nb, highest_nb, lowest_nb):
            kernel(close, 5)
        true_range_nb(high, bottom, close)
        atr_nb(high, bottom, close, 5)
        adx_nb(high, bottom, close, 5)
        bollinger_width_nb(close, 5, 2.0)
        rank_of_last_nb(close, 5)
