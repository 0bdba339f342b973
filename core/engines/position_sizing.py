"""How much: the sizing formula, the limits that bound it, and which of them binds.

Works in floats (USDC and coins) and becomes lots at one place, rounded down. Knows no orders.
"""

from __future__ import annotations

import math

import msgspec

from core.model.instrument import NOTIONAL_MIN_USDC, Instrument
from core.model.settings import TradingParams

TAKER_FEE_RATE = 0.00045
"""Fee of the venue's lowest tier; a position pays it on the way in and at its stop."""


HEADROOM = 0.95
"""Share of a limit that sizing uses; the rest keeps a drifting price from being refused."""


class SizingFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What sizing looks at.

    Parameters
    ----------
    equity_usdc, margin_free_usdc, exposure_free_usdc : float
        Equity, the part of it that may still be bound as margin, and the notional that the limit
        over all coins leaves for this one.
    leverage : int
        Leverage set at the venue for this coin.
    price, atr : float
        Entry price and average true range of a candle, in USDC.
    stop_price : float or None
        Where the idea is over, in USDC.
    strategy_share : float or None
        The strategy's ``max_position_size``: share of equity times leverage, 0 to 1.
    strength : float
        Share of the result that is wished for, 0 to 1.
    """

    equity_usdc: float
    margin_free_usdc: float
    exposure_free_usdc: float
    leverage: int
    price: float
    atr: float
    stop_price: float | None = None
    strategy_share: float | None = None
    strength: float = 1.0


class Size(msgspec.Struct, frozen=True):
    """Lots to hold (0: none), and in plain words what bounds them."""

    lots: int
    bound_by: str


class PositionSizing:
    """Size positions by volatility, bounded by risk, limits and margin.

    Parameters
    ----------
    params : TradingParams, optional
        ``max_risk_per_trade``, ``atr_multiplier``, ``max_position_ratio``, ``slippage_tolerance``.
    """

    def __init__(self, params: TradingParams | None = None) -> None:
        self._params = params or TradingParams()

    def size(self, instrument: Instrument, facts: SizingFacts) -> Size:
        """Return the size of a new position.

        The formula gives coins: (balance × leverage × risk_percent) / (volatility ×
        ATR_multiplier), with balance the equity in USDC, risk_percent ``max_risk_per_trade`` as a
        fraction, and volatility the ATR in USDC per coin. The smallest of it and of the limits
        counts, times the strength wished for, rounded down to lots.
        """
        limits = self._limits(instrument, facts)
        bound_by, coins = min(limits.items(), key=lambda item: item[1])
        if not math.isfinite(coins) or coins <= 0.0:
            return Size(0, bound_by)
        return Size(instrument.lots_floor(coins * facts.strength), bound_by)

    def _limits(self, instrument: Instrument, facts: SizingFacts) -> dict[str, float]:
        p, price = self._params, facts.price
        if not (price > 0.0 and facts.equity_usdc > 0.0 and facts.atr > 0.0):
            return {"equity, price or volatility unknown": 0.0}
        coins = facts.equity_usdc / price
        limits = {
            "volatility": facts.equity_usdc
            * facts.leverage
            * p.max_risk_per_trade
            / (facts.atr * p.atr_multiplier),
            "position limit": HEADROOM * coins * p.max_position_ratio,
            "exposure limit": HEADROOM * max(0.0, facts.exposure_free_usdc) / price,
            "free margin": HEADROOM * max(0.0, facts.margin_free_usdc) * facts.leverage / price,
            "leverage limit": coins * min(facts.leverage, instrument.leverage_max),
        }
        if facts.strategy_share is not None:
            limits["strategy limit"] = coins * facts.leverage * facts.strategy_share
        if facts.stop_price is not None:
            loss = stop_loss_usdc(price, facts.stop_price, p.slippage_tolerance)
            limits["risk at the stop"] = facts.equity_usdc * p.max_risk_per_trade / loss
        return limits


def stop_loss_usdc(price: float, stop_price: float, slippage: float) -> float:
    """Return what one coin loses if its stop is hit: distance, both taker fees and slippage."""
    return abs(price - stop_price) + price * (2.0 * TAKER_FEE_RATE + slippage)


def is_tradable(instrument: Instrument, *, lots: int, px: int) -> bool:
    """Tell whether an order reaches the venue's minimum notional of 10 USDC."""
    return instrument.notional_micro(px, lots) >= NOTIONAL_MIN_USDC * 1_000_000
