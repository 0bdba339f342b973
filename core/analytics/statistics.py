"""Judgement from an equity curve: risk-adjusted return with its error, drawdown, exposure.

Works on equity points alone. Where the data does not suffice the answer is ``None``, never a
number that only looks like one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from core.analytics.report import Drawdown, Estimate
from core.model.account import EquityPoint
from core.model.market import FloatArray
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN

NS_PER_YEAR = 365 * NS_PER_DAY
"""Perpetuals trade every day of the year."""

SAMPLING_LADDER_NS = (
    NS_PER_DAY,
    4 * NS_PER_HOUR,
    NS_PER_HOUR,
    15 * NS_PER_MIN,
    5 * NS_PER_MIN,
    NS_PER_MIN,
)
RETURN_COUNT_WANTED = 100
RETURN_COUNT_MIN = 30
CALMAR_SPAN_NS_MIN = 7 * NS_PER_DAY
_LOG_GROWTH_MAX = 50.0


def sampled_returns(equity: Sequence[EquityPoint]) -> tuple[int, FloatArray] | None:
    """Sample equity at a fixed interval and return simple returns.

    The interval is the longest of `SAMPLING_LADDER_NS` that gives `RETURN_COUNT_WANTED` returns,
    else one minute. Between points the last known equity holds.

    Returns
    -------
    (sampling_ns, returns) or None
        ``None`` with fewer than `RETURN_COUNT_MIN` returns or where equity was not above 0.
    """
    if len(equity) < 2:
        return None
    ts = np.array([point.ts_ns for point in equity], dtype=np.int64)
    values = np.array([point.equity_micro for point in equity], dtype=np.float64)
    span = int(ts[-1] - ts[0])
    sampling = next(
        (step for step in SAMPLING_LADDER_NS if span // step >= RETURN_COUNT_WANTED),
        SAMPLING_LADDER_NS[-1],
    )
    if span // sampling < RETURN_COUNT_MIN or bool(np.any(values <= 0.0)):
        return None
    grid = ts[0] + sampling * np.arange(span // sampling + 1, dtype=np.int64)
    samples = values[np.searchsorted(ts, grid, side="right") - 1]
    return sampling, samples[1:] / samples[:-1] - 1.0


def sharpe_ratio(returns: FloatArray, sampling_ns: int) -> Estimate | None:
    """Return the annualised Sharpe ratio over a risk-free rate of 0, with its standard error.

    The error allows for skew and fat tails, and assumes that returns do not depend on one
    another. Sources: Sharpe, "The Sharpe Ratio", J. Portfolio Management 1994; Lo, "The
    Statistics of Sharpe Ratios", Financial Analysts Journal 2002; Mertens, "Comments on
    variance of the IID estimator in Lo", 2002.

    Returns
    -------
    Estimate or None
        ``None`` where equity never moved.
    """
    count = len(returns)
    if count < 2:
        return None
    mean, std = float(np.mean(returns)), float(np.std(returns, ddof=1))
    if not std > 1e-15:
        return None
    ratio = mean / std
    scores = (returns - mean) / float(np.std(returns))
    skew, kurtosis = float(np.mean(scores**3)), float(np.mean(scores**4))
    variance = (1.0 + 0.5 * ratio**2 - skew * ratio + 0.25 * (kurtosis - 3.0) * ratio**2) / count
    year = math.sqrt(NS_PER_YEAR / sampling_ns)
    return Estimate(value=ratio * year, standard_error=math.sqrt(max(variance, 0.0)) * year)


def sortino_ratio(returns: FloatArray, sampling_ns: int) -> float | None:
    """Return the annualised mean return over downside deviation from 0.

    Source: Sortino and Price, "Performance Measurement in a Downside Risk Framework", 1994.
    ``None`` where no return was below 0.
    """
    downside = math.sqrt(float(np.mean(np.minimum(returns, 0.0) ** 2))) if len(returns) else 0.0
    if not downside > 1e-15:
        return None
    return float(np.mean(returns)) / downside * math.sqrt(NS_PER_YEAR / sampling_ns)


def deepest_drawdown(equity: Sequence[EquityPoint]) -> Drawdown | None:
    """Return the fall from a running peak that is largest as a share of the peak.

    ``None`` without points or where the peak is not above 0; a curve that never falls has a
    drawdown of 0 that lasts no time.
    """
    if not equity or equity[0].equity_micro <= 0:
        return None
    peak = worst_peak = worst_trough = equity[0]
    for point in equity:
        if point.equity_micro >= peak.equity_micro:
            peak = point
        # Cross-multiplied integers: two falls compare exactly.
        fall = (peak.equity_micro - point.equity_micro) * worst_peak.equity_micro
        if fall > (worst_peak.equity_micro - worst_trough.equity_micro) * peak.equity_micro:
            worst_peak, worst_trough = peak, point
    amount = worst_peak.equity_micro - worst_trough.equity_micro
    recovered = None
    if amount:
        recovered = next(
            (
                point.ts_ns
                for point in equity
                if point.ts_ns > worst_trough.ts_ns
                and point.equity_micro >= worst_peak.equity_micro
            ),
            None,
        )
    end = recovered if recovered is not None else equity[-1].ts_ns
    return Drawdown(
        ratio=amount / worst_peak.equity_micro,
        amount_micro=amount,
        peak_ns=worst_peak.ts_ns,
        trough_ns=worst_trough.ts_ns,
        recovered_ns=recovered,
        duration_ns=end - worst_peak.ts_ns if amount else 0,
    )


def calmar_ratio(equity: Sequence[EquityPoint], drawdown: Drawdown | None) -> float | None:
    """Return compound annual return over the deepest drawdown.

    Source: Young, "Calmar Ratio: A Smoother Tool", Futures 1991. ``None`` for less than a week,
    without a drawdown, or where the annual return would be beyond any meaning.
    """
    if drawdown is None or not drawdown.amount_micro or len(equity) < 2:
        return None
    span = equity[-1].ts_ns - equity[0].ts_ns
    first, last = equity[0].equity_micro, equity[-1].equity_micro
    if span < CALMAR_SPAN_NS_MIN or last <= 0:
        return None
    log_growth = math.log(last / first) * NS_PER_YEAR / span
    if log_growth > _LOG_GROWTH_MAX:
        return None
    return math.expm1(log_growth) / drawdown.ratio


def time_mean(equity: Sequence[EquityPoint]) -> tuple[float, float, float] | None:
    """Average over time, each point holding until the next.

    Returns
    -------
    (equity_mean_micro, exposure_time_ratio, exposure_mean_ratio) or None
        ``None`` where no time passed or equity was not above 0 all along.
    """
    if len(equity) < 2 or equity[-1].ts_ns <= equity[0].ts_ns:
        return None
    if any(point.equity_micro <= 0 for point in equity):
        return None
    span = equity[-1].ts_ns - equity[0].ts_ns
    equity_sum = time_sum = exposure_sum = 0.0
    for point, following in pairwise(equity):
        share = (following.ts_ns - point.ts_ns) / span
        equity_sum += share * point.equity_micro
        time_sum += share if point.exposure_gross_micro else 0.0
        exposure_sum += share * point.exposure_gross_micro / point.equity_micro
    return equity_sum, min(1.0, time_sum), exposure_sum
