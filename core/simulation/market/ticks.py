"""One step of the outside market, as every market source hands it to the venue.

It knows neither files nor wire formats: a recorded book, a candle path and a generated market all
become ticks, and the venue cannot tell them apart.
"""

from __future__ import annotations

import msgspec

from core.model.market import Level

MarketTrade = tuple[int, int, bool]
"""One outside print: price units, lots, and whether the aggressor bought."""


class MarketTick(msgspec.Struct, frozen=True, gc=False):
    """What the outside market shows of one coin at one moment.

    Parameters
    ----------
    ts_ns : int
        Time of the picture; the venue's clock moves here.
    bids, asks : tuple of Level
        Displayed depth after ``trades``, best first, no price twice, lots above 0; the two sides
        do not cross. It replaces the former picture completely.
    trades : tuple of MarketTrade
        Prints since the former tick of this coin, oldest first.
    mark_px, oracle_px : int
        Price units, above 0, free of the price grid.
    funding_rate_1h : float or None
        Hourly rate that holds from now on, as a share of notional; ``None`` keeps the former.
    """

    ts_ns: int
    coin: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    trades: tuple[MarketTrade, ...]
    mark_px: int
    oracle_px: int
    funding_rate_1h: float | None = None
