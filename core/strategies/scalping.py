"""Scalping: take small reversals of the last minutes' move. See ``docs/scalping.md``.

Knows distances and costs; sizes nothing and sends nothing.
"""

from __future__ import annotations

from typing import ClassVar

from core.model.codes import Regime
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import RegimeFit, ScalpingParams
from core.strategies import kernels
from core.strategies.costs import EDGE_RATIO_MIN, taker_round_trip
from core.strategies.directional import DirectionalStrategy


class Scalping(DirectionalStrategy[ScalpingParams]):
    """Fade a deviation of the price from its 20-candle average that is larger than its costs."""

    name = "scalping"
    settings_type = ScalpingParams
    # Two averages: one to measure by, one more to see the whole excursion.
    warm_up_count = 2 * kernels.SCALPING_PERIOD
    regime_fit: ClassVar[RegimeFit] = {
        Regime.VOLATILE: 0.7,
        Regime.RANGING: 0.6,
        Regime.CALM: 0.55,
        Regime.TRENDING: 0.3,
    }

    def decide(self, view: MarketView, settings: ScalpingParams) -> list[Intent]:
        """Measure the deviation and compare it with the distances, widened by volatility."""
        entry = settings.entry_deviation * view.volatility_scale
        verdict = kernels.scalping_nb(
            view.closes,
            view.price,
            view.position_coins,
            entry,
            settings.exit_deviation * view.volatility_scale,
            settings.stop_loss_ratio * entry,
            settings.take_profit_ratio * entry,
            EDGE_RATIO_MIN * taker_round_trip(view.price, view.bid, view.ask),
        )
        entry_text = (
            f"price is {100 * abs(verdict.measure):.2f} % "
            f"{'below' if verdict.measure < 0 else 'above'} its short average, fading the move"
        )
        return self.intents(view, verdict, entry_text)
