"""Trend following: breakout, confirmation, trailing stop. See ``docs/trend_following.md``.

Knows distances and costs; sizes nothing and sends nothing.
"""

from __future__ import annotations

from typing import ClassVar

from core.model.codes import Regime
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import RegimeFit, TrendFollowingParams
from core.strategies import kernels
from core.strategies.costs import EDGE_RATIO_MIN, taker_round_trip
from core.strategies.directional import DirectionalStrategy

BUFFER_ATRS = 0.25
"""A close must leave the channel by this much (times the volatility scale) to be a breakout."""


class TrendFollowing(DirectionalStrategy[TrendFollowingParams]):
    """Enter where the price leaves its channel in the direction of the averages; trail a stop."""

    name = "trend_following"
    settings_type = TrendFollowingParams
    # Twice the slow average: the trailing stop needs to see where the leg began.
    warm_up_count = 2 * TrendFollowingParams().slow_period
    regime_fit: ClassVar[RegimeFit] = {
        Regime.TRENDING: 0.9,
        Regime.VOLATILE: 0.5,
        # Never the best fit there, but a position is left to its own trailing stop.
        Regime.RANGING: 0.3,
        Regime.CALM: 0.3,
    }

    def decide(self, view: MarketView, settings: TrendFollowingParams) -> list[Intent]:
        """Look for a breakout, or keep the stop of the position where the leg has earned it.

        ATRs already breathe with volatility, so stop and target are not scaled a second time; an
        excited market only widens the buffer that tells a breakout from noise.
        """
        if view.position_coins != 0.0 and not view.entry_price > 0.0:
            return []
        verdict = kernels.trend_nb(
            view.closes,
            view.highs,
            view.lows,
            view.price,
            view.position_coins,
            view.entry_price,
            settings.fast_period,
            settings.slow_period,
            settings.channel_period,
            settings.atr_stop_multiplier,
            settings.take_profit_ratio,
            BUFFER_ATRS * view.volatility_scale,
            EDGE_RATIO_MIN * taker_round_trip(view.price, view.bid, view.ask),
        )
        entry_text = f"close left the {settings.channel_period}-candle channel with the averages"
        return self.intents(view, verdict, entry_text)
