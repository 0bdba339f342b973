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
    mark_px : int or None
        Price units, above 0, free of the price grid; ``None`` lets the venue compute the mark by
        its documented rule.
    oracle_px : int
        Price units, above 0, free of the price grid.
    funding_rate_1h : float or None
        Hourly rate that holds from now on, as a share of notional; ``None`` keeps the former. A
        coin that was never given one is paid by the venue's own premium samples.
    external_px : int or None
        Median mid of other venues' perpetuals in price units, where a source knows it; it takes
        part in the venue's own mark.
    """

    ts_ns: int
    coin: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    trades: tuple[MarketTrade, ...]
    mark_px: int | None
    oracle_px: int
    funding_rate_1h: float | None = None
    external_px: int | None = None

    @property
    def shown_px(self) -> int:
        """One price of this picture alone: its mark, else the middle of its touch, else oracle."""
        if self.mark_px is not None:
            return self.mark_px
        if self.bids and self.asks:
            return (self.bids[0][0] + self.asks[0][0]) // 2
        return self.oracle_px
