"""Slow twins of ``core/strategies/kernels.py``: plain Python, written from the definitions.

Verdicts are tuples (wish, why, stop, target, measure) with the kernels' codes.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

KEEP, FLAT, LONG, SHORT = 0, 1, 2, 3
DATA, QUIET, COST, FALSIFIED, ROOM, ENTRY, HOLD, REVERTED, CROSSED, STOPPED, TARGET = range(11)
NAN = math.nan
Verdict = tuple[int, int, float, float, float]


def _deviation(window: Sequence[float], value: float, in_std: bool) -> float:
    if any(not math.isfinite(x) for x in window) or not math.isfinite(value):
        return NAN
    mean = statistics.fmean(window)
    if mean <= 0:
        return NAN
    if not in_std:
        return value / mean - 1.0
    std = statistics.stdev(window)
    return (value - mean) / std if std > 1e-9 * abs(mean) else NAN


def _excursion(closes: Sequence[float], n: int, sign: float, reset: float, in_std: bool) -> float:
    """Deviations of the closes since the last one inside ``reset``, newest first; their maximum."""
    found = [0.0]
    for back in range(n + 1):
        end = len(closes) - back
        if end < n:
            break
        deviation = sign * _deviation(closes[end - n : end], closes[end - 1], in_std)
        if math.isnan(deviation) or deviation <= reset:
            break
        found.append(deviation)
    return max(found)


def _entry(is_long: bool, stop: float, target: float, measure: float) -> Verdict:
    if stop <= 0 or target <= 0:
        return FLAT, ROOM, NAN, NAN, measure
    return LONG if is_long else SHORT, ENTRY, stop, target, measure


def _fade(
    measure: float,
    position: float,
    *,
    entry: float,
    exit_: float,
    broken_from: float,
    excursion: float,
) -> Verdict | None:
    """Everything the two fading strategies share; ``None`` where an entry is in order."""
    if position > 0:
        is_back = measure >= -exit_
    elif position < 0:
        is_back = measure <= exit_
    elif abs(measure) < entry:
        return FLAT, QUIET, NAN, NAN, measure
    elif max(abs(measure), excursion) >= broken_from:
        return FLAT, FALSIFIED, NAN, NAN, measure
    else:
        return None
    return (FLAT, REVERTED, NAN, NAN, measure) if is_back else (KEEP, HOLD, NAN, NAN, measure)


def scalping(
    closes: Sequence[float],
    price: float,
    position: float,
    entry: float,
    exit_: float,
    stop: float,
    target: float,
    move_min: float,
    period: int = 20,
) -> Verdict:
    measure = _deviation(closes[-period:], price, False) if len(closes) >= period else NAN
    if math.isnan(measure):
        return KEEP, DATA, NAN, NAN, NAN
    sign = math.copysign(1.0, measure)
    excursion = _excursion(closes, period, sign, exit_, False)
    verdict = _fade(
        measure,
        position,
        entry=entry,
        exit_=exit_,
        broken_from=entry + stop,
        excursion=excursion,
    )
    if verdict:
        return verdict
    if abs(measure) - exit_ < move_min or target < move_min:
        return FLAT, COST, NAN, NAN, measure
    if measure < 0:
        return _entry(True, price * (1 - stop), price * (1 + target), measure)
    return _entry(False, price * (1 + stop), price * (1 - target), measure)


def mean_reversion(
    closes: Sequence[float],
    price: float,
    position: float,
    lookback: int,
    entry_z: float,
    exit_z: float,
    stop_z: float,
    move_min: float,
) -> Verdict:
    window = closes[-lookback:]
    measure = _deviation(window, price, True) if len(closes) >= lookback else NAN
    if math.isnan(measure):
        return KEEP, DATA, NAN, NAN, NAN
    sign = math.copysign(1.0, measure)
    excursion = _excursion(closes, lookback, sign, exit_z, True)
    verdict = _fade(
        measure,
        position,
        entry=entry_z,
        exit_=exit_z,
        broken_from=entry_z + stop_z,
        excursion=excursion,
    )
    if verdict:
        return verdict
    mean, std = statistics.fmean(window), statistics.stdev(window)
    if (abs(measure) - exit_z) * std < move_min * price:
        return FLAT, COST, NAN, NAN, measure
    if measure < 0:
        return _entry(True, price - stop_z * std, mean - exit_z * std, measure)
    return _entry(False, price + stop_z * std, mean + exit_z * std, measure)


def _true_range(bars: Sequence[tuple[float, float, float]], i: int) -> float:
    _, high, low = bars[i]
    if i == 0:
        return high - low
    close_before = bars[i - 1][0]
    return max(high, close_before) - min(low, close_before)


def _atr(bars: Sequence[tuple[float, float, float]], i: int, n: int) -> float:
    """Mean true range of the ``n`` bars (close, high, low) that end with bar ``i``."""
    if i + 1 < n:
        return NAN
    total = 0.0
    for j in range(i + 1 - n, i + 1):
        _, high, low = bars[j]
        before = bars[j - 1][0] if j else low
        total += (high - low) if j == 0 else max(high, before) - min(low, before)
    return total / n


def trend(
    closes: Sequence[float],
    highs: Sequence[float],
    lows: Sequence[float],
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
    atr_period: int = 14,
) -> Verdict:
    bars = list(zip(closes, highs, lows, strict=True))
    unknown = [i for i, bar in enumerate(bars) if not all(map(math.isfinite, bar))]
    bars = bars[unknown[-1] + 1 :] if unknown else bars
    if len(bars) <= max(fast, slow, channel, atr_period):
        return KEEP, DATA, NAN, NAN, NAN
    c = [bar[0] for bar in bars]

    def gap(i: int) -> float:
        if i + 1 < max(fast, slow):
            return NAN
        return statistics.fmean(c[i + 1 - fast : i + 1]) - statistics.fmean(c[i + 1 - slow : i + 1])

    def atr(i: int) -> float:
        if i + 1 < atr_period:
            return NAN
        return statistics.fmean(_true_range(bars, j) for j in range(i + 1 - atr_period, i + 1))

    last = len(bars) - 1
    side = (gap(last) > 0) - (gap(last) < 0)
    if side == 0 or position * side < 0:
        return FLAT, CROSSED if position else QUIET, NAN, NAN, NAN

    def is_outside(i: int) -> bool:
        before = bars[i - channel : i]
        if side > 0:
            return c[i] > max(high for _, high, _ in before)
        return c[i] < min(low for _, _, low in before)

    leg = []
    for i in range(last, -1, -1):
        if not gap(i) * side > 0 or math.isnan(atr(i)):
            break
        leg.append(i)
    stops = [c[i] - side * stop_atrs * atr(i) for i in leg]
    trail = max(stops) if side > 0 else min(stops)
    breakouts = [i for i in leg if i >= channel and is_outside(i)]
    reach = side * target_ratio * stop_atrs * atr(breakouts[-1] if breakouts else last)
    if position:
        target = entry_price + reach
        if side * (price - trail) <= 0:
            return FLAT, STOPPED, NAN, NAN, trail
        if side * (target - price) <= 0:
            return FLAT, TARGET, NAN, NAN, trail
        return LONG if side > 0 else SHORT, HOLD, trail, target if target > 0 else NAN, trail
    before = bars[last - channel : last]
    edge = max(b[1] for b in before) if side > 0 else min(b[2] for b in before)
    level = edge + side * buffer_atrs * atr(last)
    if side * (c[last] - level) <= 0 or side * (price - level) <= 0:
        return FLAT, QUIET, NAN, NAN, trail
    if min(side * (price - trail), side * reach) < move_min * price:
        return FLAT, COST, NAN, NAN, trail
    return _entry(side > 0, trail, price + reach, trail)


def _lattice(step: float, level_count: int) -> list[tuple[float, float]]:
    """All levels (position, price) in reach of any test, lowest first."""
    offset = 0.0 if level_count % 2 else 0.5
    log_step = math.log1p(step)
    reach = round(20.0 / log_step)
    return [(k + offset, math.exp((k + offset) * log_step)) for k in range(-reach, reach + 1)]


def _is_within(px: float, lower: float, upper: float) -> bool:
    return not px < lower and not px > upper  # nan bounds nothing


def grid_flat(
    price: float,
    bid: float,
    ask: float,
    step: float,
    level_count: int,
    lower: float,
    upper: float,
) -> tuple[list[float], list[float]]:
    half = max(1, level_count // 2)
    here = math.log(price) / math.log1p(step)
    centre = half * math.floor(here / half + 0.5)
    levels = [
        px
        for position, px in _lattice(step, level_count)
        if abs(position - centre) <= 0.5 * (level_count - 1) and _is_within(px, lower, upper)
    ]
    buys = [px for px in levels if px <= price and not px > bid]
    sells = [px for px in levels if px > price and not px < ask]
    return buys[::-1], sells


def grid_held(
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
) -> tuple[list[float], list[float], float]:
    if side < 0:
        # A short position is a long one in the mirror of 1 / price.
        adds, takes, stop = grid_held(
            1 / price, 1 / ask, 1 / bid, 1.0, 1 / entry_price, step, level_count,
            1 / upper, 1 / lower, gain_min,
        )  # fmt: skip
        return [1 / px for px in adds], [1 / px for px in takes], 1 / stop
    half, log_step = max(1, level_count // 2), math.log1p(step)
    entry = math.log(entry_price) / log_step
    lattice = _lattice(step, level_count)
    base = next(position for position, _ in lattice if position >= entry - 0.1)
    adds = [
        px
        for position, px in lattice
        if base - half <= position < base
        and px <= price
        and not px > bid
        and _is_within(px, lower, upper)
    ]
    stop = math.exp((base - half - 1) * log_step)
    if lower > 0:
        stop = max(stop, lower / (1 + step))
    gain = max(0.5, math.log1p(gain_min) / log_step)
    takes = [
        px for position, px in lattice if position >= entry + gain and px >= price and not px < ask
    ]
    return adds[::-1], takes[:half], stop
