"""What the market shows: candles, public trades, and the view of one coin a strategy decides on."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from core.model.codes import Regime

FloatArray = npt.NDArray[np.float64]
Level = tuple[int, int]
"""One price level: price units and lots."""


class Candle(msgspec.Struct, frozen=True, array_like=True):
    """One bar in integer units; ``open_ns`` is its first nanosecond."""

    open_ns: int
    open_px: int
    high_px: int
    low_px: int
    close_px: int
    volume_lots: int


class PublicTrade(msgspec.Struct, frozen=True, array_like=True):
    """One print of the tape; ``is_buy`` is the aggressor's side."""

    px: int
    lots: int
    is_buy: bool
    ts_exch_ns: int
    tid: int


class MarketView(msgspec.Struct, frozen=True, kw_only=True):
    """One coin's market and our stake in it, as floats: all that a strategy may know.

    Arrays hold closed candles, oldest first, all of one length; they are views that the engine
    owns, never to be written or kept. Unknown values are ``nan``, never a neutral number.

    Parameters
    ----------
    price : float
        Mid price in USDC.
    bid, ask : float
        Touch in USDC.
    imbalance_5 : float
        (bid - ask) / (bid + ask) of the sizes of five levels, -1 to 1.
    atr : float
        Average true range of the decision candles, in USDC.
    sigma : float
        Standard deviation of one candle's log return.
    volatility_scale : float
        The coin's volatility relative to its own history (1 is ordinary), by which strategies
        widen or narrow their distances.
    position_coins : float
        Signed position, in coins.
    entry_price : float
        Average entry, ``nan`` when flat.
    position_age_s : float
        Seconds since the position opened, 0 when flat.
    funding_rate_1h : float
        Hourly rate; longs pay when above 0.
    """

    coin: str
    now_ns: int
    price: float
    bid: float
    ask: float
    closes: FloatArray
    highs: FloatArray
    lows: FloatArray
    volumes: FloatArray
    imbalance_5: float = 0.0
    atr: float = float("nan")
    sigma: float = float("nan")
    volatility_scale: float = 1.0
    regime: Regime = Regime.UNKNOWN
    regime_confidence: float = 0.0
    position_coins: float = 0.0
    entry_price: float = float("nan")
    position_age_s: float = 0.0
    funding_rate_1h: float = float("nan")
