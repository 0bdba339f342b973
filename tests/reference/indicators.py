"""Slow twins of `core.utils.indicators`: plain Python, from the definitions, no shared code."""

from __future__ import annotations

import itertools
import math
import statistics

NAN = math.nan


def sma(x, n):
    return [math.fsum(x[i - n + 1 : i + 1]) / n if i >= n - 1 else NAN for i in range(len(x))]


def ema(x, n):
    """By the closed form: weights (1 - a)^k on the values, the rest on the first average."""
    a = 2.0 / (n + 1.0)
    out = []
    for i in range(len(x)):
        if i < n - 1:
            out.append(NAN)
            continue
        steps = i - (n - 1)
        recent = math.fsum(a * (1 - a) ** k * x[i - k] for k in range(steps))
        out.append(recent + (1 - a) ** steps * math.fsum(x[:n]) / n)
    return out


def rolling_std(x, n):
    return [statistics.pstdev(x[i - n + 1 : i + 1]) if i >= n - 1 else NAN for i in range(len(x))]


def true_range(h, low, c):
    out = []
    for i in range(len(c)):
        before = c[i - 1] if i else None
        top = h[i] if before is None else max(h[i], before)
        bottom = low[i] if before is None else min(low[i], before)
        out.append(top - bottom)
    return out


def wilder_average(x, n):
    """Wilder's average: mean of the first n, then (n - 1) parts old and one part new."""
    out = [NAN] * len(x)
    if len(x) >= n:
        out[n - 1] = math.fsum(x[:n]) / n
        for i in range(n, len(x)):
            out[i] = (out[i - 1] * (n - 1) + x[i]) / n
    return out


def atr(h, low, c, n):
    return wilder_average(true_range(h, low, c), n)


def wilder_sum(x, n):
    out = [NAN] * len(x)
    if len(x) >= n:
        out[n - 1] = math.fsum(x[:n])
        for i in range(n, len(x)):
            out[i] = out[i - 1] - out[i - 1] / n + x[i]
    return out


def adx(h, low, c, n):
    """By the textbook: +DI and -DI as percentages of the smoothed true range, then their DX."""
    count = len(c)
    out = [NAN] * count
    if count < 2 * n:
        return out
    plus, minus = [], []
    for i in range(1, count):
        up, down = h[i] - h[i - 1], low[i - 1] - low[i]
        plus.append(up if up > down and up > 0 else 0.0)
        minus.append(down if down > up and down > 0 else 0.0)
    reach = true_range(h, low, c)[1:]
    smoothed = [wilder_sum(series, n) for series in (plus, minus, reach)]
    dx = []
    for p, m, r in zip(*smoothed, strict=True):
        if math.isnan(p):
            continue
        plus_di = 100 * p / r if r > 0 else 0.0
        minus_di = 100 * m / r if r > 0 else 0.0
        total = plus_di + minus_di
        dx.append(100 * abs(plus_di - minus_di) / total if total > 0 else 0.0)
    for i, value in enumerate(wilder_average(dx, n)):
        out[n + i] = value
    return out


def bollinger_width(c, n, k):
    out = []
    for middle, spread in zip(sma(c, n), rolling_std(c, n), strict=True):
        upper, lower = middle + k * spread, middle - k * spread
        out.append((upper - lower) / middle if middle > 0 else NAN)
    return out


def realized_sigma(c, n):
    moves = [math.log(after) - math.log(before) for before, after in itertools.pairwise(c)]
    return ([NAN, *rolling_std(moves, n)])[: len(c)] if c else []


def rank_of_last(x, n):
    if not x or math.isnan(x[-1]):
        return NAN
    others = [v for v in x[-n:][:-1] if not math.isnan(v)]
    if not others:
        return NAN
    below = sum(v < x[-1] for v in others)
    equal = sum(v == x[-1] for v in others)
    return (below + equal / 2) / len(others)


def highest(x, n):
    return [max(x[i - n + 1 : i + 1]) if i >= n - 1 else NAN for i in range(len(x))]


def lowest(x, n):
    return [min(x[i - n + 1 : i + 1]) if i >= n - 1 else NAN for i in range(len(x))]
