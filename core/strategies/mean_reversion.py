"""Mean reversion: fade the z-score of the price. See ``docs/mean_reversion.md``.

Knows distances and costs; sizes nothing and sends nothing.
"""

from __future__ import annotations

from typing import ClassVar

from core.model.codes import Regime
from core.model.intents import Intent
from core.model.market import MarketView
from core.model.settings import MeanReversionParams, RegimeFit
from core.strategies import kernels
from core.strategies.costs import EDGE_RATIO_MIN, taker_round_trip
from core.strategies.directional import DirectionalStrategy


class MeanReversion(DirectionalStrategy[MeanReversionParams]):
    """Fade a price that is many standard deviations from its moving average."""

    name = "mean_reversion"
    settings_type = MeanReversionParams
    # Two windows: one to measure by, one more to see the whole excursion.
    warm_up_count = 2 * MeanReversionParams().lookback_period
    regime_fit: ClassVar[RegimeFit] = {
        Regime.RANGING: 0.85,
        Regime.CALM: 0.5,
        Regime.VOLATILE: 0.4,
        Regime.TRENDING: 0.1,
    }

    def decide(self, view: MarketView, settings: MeanReversionParams) -> list[Intent]:
        """Measure the z-score and compare it with the thresholds.

        The standard deviation already breathes with volatility, so distances are not scaled a
        second time; an excited market only raises the entry threshold.
        """
        entry_z = settings.entry_z_score * max(1.0, view.volatility_scale)
        verdict = kernels.mean_reversion_nb(
            view.closes,
            view.price,
            view.position_coins,
            settings.lookback_period,
            entry_z,
            settings.exit_z_score,
            settings.std_dev_multiplier,
            EDGE_RATIO_MIN * taker_round_trip(view.price, view.bid, view.ask),
        )
        entry_text = (
            f"z-score {verdict.measure:+.1f} against {settings.lookback_period} candles, "
            "fading the move"
        )
        return self.intents(view, verdict, entry_text)
