"""What the venue says of a token, and how its own volatility shapes what is done with it.

Knows instruments and closed candles; reads no network (metadata comes as an event) and no orders.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from core.model.instrument import NOTIONAL_MIN_USDC, Instrument
from core.model.market import FloatArray
from core.model.settings import TradingParams
from core.utils.indicators import atr_nb, realized_sigma_nb

SCALE_MIN, SCALE_MAX = 0.5, 3.0
"""Bounds of the volatility scale: beyond them a strategy would be another strategy."""
DISTANCE_KEYS = ("entry_deviation", "exit_deviation", "grid_size")
"""Parameters that are distances as a share of the price; multiples of ATR or deviation scale by
themselves."""


class VolatilityProfile(msgspec.Struct, frozen=True):
    """How much a token moves: ATR in USDC, deviation of one candle's log return, and the scale
    (now against its own history, 1 is ordinary, `SCALE_MIN` to `SCALE_MAX`).
    """

    atr: float = math.nan
    sigma: float = math.nan
    scale: float = 1.0


class TokenMetadata:
    """Details of tokens, by coin.

    Parameters
    ----------
    trading : TradingParams, optional
        Leverage that is wanted; tokens with a lower limit get theirs.
    """

    def __init__(self, trading: TradingParams | None = None) -> None:
        self._trading = trading or TradingParams()
        self.instruments: dict[str, Instrument] = {}

    def list(self, instruments: tuple[Instrument, ...]) -> None:
        """Take over the venue's metadata; tokens that it no longer names stay known."""
        self.instruments.update((i.coin, i) for i in instruments)

    def configure(self, trading: TradingParams) -> None:
        """Take over changed trading parameters."""
        self._trading = trading

    def leverage_of(self, coin: str) -> int:
        """Return the leverage to set for a token: the configured one within the token's limit."""
        instrument = self.instruments[coin]
        return max(1, min(self._trading.default_leverage, instrument.leverage_max))

    def fetch_asset_details(self, coin: str, price: float = math.nan) -> dict[str, Any]:
        """Return what is known of a token, in human units.

        Parameters
        ----------
        price : float, optional
            Price in USDC at which the tick is wanted: it depends on the price, so without one
            ``tick_size`` and ``order_size_min`` are ``nan``.

        Returns
        -------
        dict
            Empty for a token that the venue has not listed.
        """
        instrument = self.instruments.get(coin)
        if instrument is None:
            return {}
        px = round(price * instrument.px_scale) if math.isfinite(price) and price > 0 else 0
        tick = instrument.tick_units_at(px) / instrument.px_scale if px else math.nan
        lot = 1.0 / instrument.lots_scale
        smallest = math.ceil(NOTIONAL_MIN_USDC / (price * lot)) * lot if px else math.nan
        return {
            "coin": coin,
            "asset": instrument.asset,
            "size_decimals": instrument.sz_decimals,
            "lot_size": lot,
            "tick_size": tick,
            "notional_min_usdc": float(NOTIONAL_MIN_USDC),
            "order_size_min": smallest,
            "leverage_max": instrument.leverage_max,
            "leverage": self.leverage_of(coin),
            "is_delisted": instrument.is_delisted,
            "is_isolated_only": instrument.is_isolated_only,
        }

    def auto_reconfigure_params(
        self, params: Mapping[str, Any], profile: VolatilityProfile | Mapping[str, float]
    ) -> dict[str, Any]:
        """Return a strategy's parameters with their distances scaled to the token's volatility.

        Parameters
        ----------
        params : Mapping
            A section of the strategies' configuration; other keys are returned as they are.
        profile : VolatilityProfile or Mapping
            A profile, or ``{"scale": …}``.

        Notes
        -----
        The engine hands the scale to strategies as ``MarketView.volatility_scale`` and they apply
        it themselves; this shows the distances that result. Applying both would scale twice.
        """
        scale = profile.get("scale", 1.0) if isinstance(profile, Mapping) else profile.scale
        scale = min(SCALE_MAX, max(SCALE_MIN, scale)) if math.isfinite(scale) else 1.0
        return {
            key: value * scale if key in DISTANCE_KEYS and value is not None else value
            for key, value in params.items()
        }


def volatility_profile(
    closes: FloatArray, highs: FloatArray, lows: FloatArray, *, atr_period: int, sigma_period: int
) -> VolatilityProfile:
    """Measure a token's volatility from its closed candles, oldest first, in USDC."""
    if closes.size <= max(atr_period, sigma_period):
        return VolatilityProfile()
    atr = float(atr_nb(highs, lows, closes, atr_period)[-1])
    series = realized_sigma_nb(closes, sigma_period)
    sigma, median = float(series[-1]), float(np.median(series[sigma_period:]))
    scale = sigma / median if median > 0.0 and sigma > 0.0 else 1.0
    return VolatilityProfile(atr, sigma, min(SCALE_MAX, max(SCALE_MIN, scale)))
