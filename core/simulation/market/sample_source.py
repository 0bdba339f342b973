"""The shipped market: two weeks of recorded one-minute candles of BTC, ETH and SOL.

The replay begins on the third day by default, so that two days of history exist before it.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model.errors import DataFileError
from core.model.time import NS_PER_DAY
from core.simulation.market.candle_source import TICKS_PER_BAR, CandleSource
from core.simulation.market.universe import SAMPLE_DIR

SAMPLE_COINS = ("BTC", "ETH", "SOL")
SAMPLE_FIRST_NS = 1_746_403_200_000_000_000
"""2025-05-05 00:00 UTC, the first candle."""
SAMPLE_START_NS = SAMPLE_FIRST_NS + 2 * NS_PER_DAY


def check_coins(coins: Sequence[str]) -> None:
    """Raise `DataFileError` if the shipped sample lacks one of the coins."""
    unknown = [coin for coin in coins if coin not in SAMPLE_COINS]
    if unknown:
        raise DataFileError(
            f"the shipped sample holds {', '.join(SAMPLE_COINS)}, was asked for "
            f"{', '.join(unknown)}; name candle files for other coins"
        )


class SampleSource(CandleSource):
    """Play the shipped candles.

    Parameters
    ----------
    coins : sequence of str
        Some of `SAMPLE_COINS`.
    start_ns, end_ns : int or None
        Span to play; from the third day to the end by default.

    Raises
    ------
    DataFileError
        If a coin is not among the shipped ones, or the span lies outside the sample.
    """

    def __init__(
        self,
        coins: Sequence[str] = SAMPLE_COINS,
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        seed: int = 7,
        ticks_per_bar: int = TICKS_PER_BAR,
    ) -> None:
        check_coins(coins)
        super().__init__(
            {coin: SAMPLE_DIR / "candles_1m" / f"{coin}.parquet" for coin in dict.fromkeys(coins)},
            start_ns=SAMPLE_START_NS if start_ns is None else start_ns,
            end_ns=end_ns,
            seed=seed,
            ticks_per_bar=ticks_per_bar,
        )

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What a reader of results must know."""
        return (
            "market data are recorded Binance perpetual candles of 2025-05-05 to 2025-05-18, "
            "rounded to Hyperliquid's price grid; volumes are Binance's, not Hyperliquid's",
            *super().assumptions,
        )
