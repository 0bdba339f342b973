"""Judge a coin's market: trending, ranging, volatile or calm, with a confidence.

Three witnesses: Wilder's ADX (is there a direction), the Bollinger band width and the realised
volatility, the last two ranked against the coin's own history before the window they are measured
on, because what is wild for one coin is ordinary for another, and a wild hour must not become
ordinary by being compared with itself. A change must last before it counts. Knows no orders and
no strategies.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from core.model.codes import Regime
from core.model.market import FloatArray, MarketView
from core.model.settings import RegimeParams
from core.utils.indicators import adx_nb, bollinger_width_nb, rank_of_last_nb, realized_sigma_nb

BOLLINGER_DEVIATIONS = 2.0
VOLATILE_RATIO_MIN = 1.3
CALM_RATIO_MAX = 0.75
"""Volatility against its own median that must go with the rank. Rank alone calls a tenth of any
steady market volatile; thirty returns estimate a deviation to about 13 %, and these lie outside."""
WIDTH_RANK_TREND_MIN = 0.5
"""A trend widens the bands; a high ADX inside narrow bands is noise that happens to line up."""
RANKED_COUNT_MIN = 30
_RATIO_SURE = 2.0
_CONFIDENCE_MIN = 0.5


class RegimeJudgement(msgspec.Struct, frozen=True):
    """What the market is, how sure that is (0 to 1), and what the witnesses said.

    ``adx`` is 0 to 100; ranks are 0 to 1 among the own history; ``volatility_ratio`` is realised
    volatility over its own median. ``nan`` where there was too little data.
    """

    regime: Regime
    confidence: float
    adx: float
    width_rank: float
    volatility_rank: float
    volatility_ratio: float


UNKNOWN = RegimeJudgement(Regime.UNKNOWN, 0.0, math.nan, math.nan, math.nan, math.nan)


class RegimeState(msgspec.Struct):
    """The regime that counts, and the candidate that must last to replace it."""

    regime: Regime = Regime.UNKNOWN
    confidence: float = 0.0
    candidate: Regime = Regime.UNKNOWN
    candidate_count: int = 0


class MarketRegime:
    """Classify markets by ADX, band width and realised volatility.

    Parameters
    ----------
    params : RegimeParams, optional
        Periods and limits; the defaults suit one-minute candles.

    Examples
    --------
    >>> MarketRegime().analyze_regime({"prices": [100.0] * 5}).regime
    <Regime.UNKNOWN: 'unknown'>
    """

    def __init__(self, params: RegimeParams | None = None) -> None:
        self._params = params or RegimeParams()

    @property
    def candle_count_min(self) -> int:
        """Closed candles below which the answer is `Regime.UNKNOWN`."""
        p = self._params
        longest = max(p.volatility_period + 1, p.bollinger_period)
        return max(2 * p.adx_period, 2 * longest + RANKED_COUNT_MIN)

    def analyze_regime(self, data: MarketView | Mapping[str, Any]) -> RegimeJudgement:
        """Judge the newest candle of ``data`` on its own, without hysteresis.

        Parameters
        ----------
        data : MarketView or Mapping
            A view, or ``{"closes": …, "highs": …, "lows": …}``, or ``{"prices": …}``; oldest
            first. Without highs and lows the closes stand in for them.

        Returns
        -------
        RegimeJudgement
            `Regime.UNKNOWN` with confidence 0 for missing, short or impossible data.
        """
        arrays = _arrays_of(data)
        return UNKNOWN if arrays is None else self.judge(*arrays)

    def judge(self, closes: FloatArray, highs: FloatArray, lows: FloatArray) -> RegimeJudgement:
        """Judge arrays that are known to be prices of one length; see `analyze_regime`."""
        if closes.size < self.candle_count_min:
            return UNKNOWN
        p = self._params
        count = p.history_period + p.volatility_period + p.bollinger_period
        closes, highs, lows = closes[-count:], highs[-count:], lows[-count:]
        adx = float(adx_nb(highs, lows, closes, p.adx_period)[-1])
        width = bollinger_width_nb(closes, p.bollinger_period, BOLLINGER_DEVIATIONS)
        sigma = realized_sigma_nb(closes, p.volatility_period)
        past = _before(sigma, p.volatility_period, p.history_period)
        median = float(np.median(past[:-1]))
        return self._judge(
            adx=adx,
            width_rank=rank_of_last_nb(
                _before(width, p.bollinger_period, p.history_period), p.history_period
            ),
            volatility_rank=rank_of_last_nb(past, p.history_period),
            volatility_ratio=float(sigma[-1]) / median if median > 0.0 else 1.0,
        )

    def _judge(
        self, *, adx: float, width_rank: float, volatility_rank: float, volatility_ratio: float
    ) -> RegimeJudgement:
        p = self._params
        if volatility_rank >= p.volatile_quantile and volatility_ratio >= VOLATILE_RATIO_MIN:
            regime = Regime.VOLATILE
            margin = (volatility_ratio - 1.0) / (_RATIO_SURE - 1.0)
        elif adx >= p.adx_trending and width_rank >= WIDTH_RANK_TREND_MIN:
            regime = Regime.TRENDING
            margin = (adx - p.adx_trending) / p.adx_trending
        elif volatility_rank <= p.calm_quantile and volatility_ratio <= CALM_RATIO_MAX:
            regime = Regime.CALM
            margin = (1.0 - volatility_ratio) / (1.0 - 1.0 / _RATIO_SURE)
        else:
            regime = Regime.RANGING
            margin = 1.0 - adx / p.adx_trending
        confidence = _CONFIDENCE_MIN + (1.0 - _CONFIDENCE_MIN) * min(1.0, max(0.0, margin))
        return RegimeJudgement(
            regime, confidence, adx, width_rank, volatility_rank, volatility_ratio
        )

    def settle(self, state: RegimeState, judgement: RegimeJudgement) -> bool:
        """Let one candle's judgement count towards the regime; change ``state`` in place.

        A known regime gives way only after ``confirm_count`` candles that agree on another one;
        the confidence fades while they disagree. The first judgement counts at once.

        Returns
        -------
        bool
            Whether the regime that counts has changed.
        """
        found = judgement.regime
        if found is state.regime:
            state.confidence, state.candidate, state.candidate_count = (
                judgement.confidence,
                found,
                0,
            )
            return False
        state.candidate_count = state.candidate_count + 1 if found is state.candidate else 1
        state.candidate = found
        is_settled = state.candidate_count >= self._params.confirm_count
        if is_settled or state.regime is Regime.UNKNOWN or found is Regime.UNKNOWN:
            state.regime, state.confidence, state.candidate_count = found, judgement.confidence, 0
            return True
        state.confidence *= 1.0 - 0.5 / self._params.confirm_count
        return False


def _before(series: FloatArray, window: int, count: int) -> FloatArray:
    """Return the newest value behind the history that shares no candle with it.

    Values whose windows overlap the newest one's are left out; so are those not yet known.
    """
    known = series[~np.isnan(series)]
    return np.append(known[:-window][-count:], known[-1])


def _arrays_of(
    data: MarketView | Mapping[str, Any],
) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Read closes, highs and lows; ``None`` where they are no usable prices of one length."""
    if isinstance(data, MarketView):
        return data.closes, data.highs, data.lows
    closes = _prices(data.get("closes", data.get("prices")))
    highs = _prices(data["highs"]) if "highs" in data else closes
    lows = _prices(data["lows"]) if "lows" in data else closes
    if closes is None or highs is None or lows is None:
        return None
    return (closes, highs, lows) if closes.size == highs.size == lows.size else None


def _prices(values: Sequence[float] | FloatArray | None) -> FloatArray | None:
    if values is None:
        return None
    try:
        array = np.ascontiguousarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    is_usable = array.ndim == 1 and bool(np.all(np.isfinite(array)) and np.all(array > 0.0))
    return array if is_usable else None
