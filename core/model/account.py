"""Fills and reports about our account, in integer units."""

from __future__ import annotations

import msgspec

from core.model.codes import OrderStatus, Purpose, Regime


class Fill(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One match of one of our orders.

    ``fee_micro`` is a cost (a rebate is negative) and comes on top of the gross
    ``closed_pnl_micro``. ``start_position_lots`` is the signed position before the fill. ``tid``
    is unique within (time, coin).
    """

    coin: str
    oid: int
    cloid: str | None
    tid: int
    is_buy: bool
    px: int
    lots: int
    fee_micro: int
    is_maker: bool
    closed_pnl_micro: int
    start_position_lots: int
    ts_exch_ns: int
    is_liquidation: bool = False

    @property
    def signed_lots(self) -> int:
        """Change of the position, in lots."""
        return self.lots if self.is_buy else -self.lots

    @property
    def notional_micro(self) -> int:
        """Traded value in micro-USDC (perpetuals)."""
        return self.px * self.lots


class AttributedFill(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """A fill with what the engine knew about the order behind it.

    ``arrival_mid_x2`` is bid + ask at the decision, for a woken trigger twice its trigger price, 0
    for a foreign order.
    """

    fill: Fill
    strategy: str
    purpose: Purpose | None
    regime: Regime
    arrival_mid_x2: int


class PositionReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One open position as the venue reports it; ``entry_price`` is for display only."""

    coin: str
    position_lots: int
    entry_price: float
    leverage: int
    is_cross: bool
    margin_used_micro: int
    liquidation_price: float | None = None


class OrderReport(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One open order as the venue reports it; ``trigger_px`` is 0 for an ordinary order."""

    coin: str
    oid: int
    cloid: str | None
    is_buy: bool
    px: int
    lots_orig: int
    lots_left: int
    reduce_only: bool
    trigger_px: int
    ts_exch_ns: int


class OrderRow(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One of our orders as the engine knows it; a step lists those that changed."""

    cloid: str
    oid: int
    coin: str
    strategy: str
    purpose: Purpose
    is_buy: bool
    px: int
    lots: int
    lots_left: int
    reduce_only: bool
    trigger_px: int
    status: OrderStatus
    sent_ns: int
    changed_ns: int
    detail: str = ""


class EquityPoint(msgspec.Struct, frozen=True, array_like=True):
    """The account at one moment; equity is cash plus open PnL at mark."""

    ts_ns: int
    equity_micro: int
    cash_micro: int
    exposure_gross_micro: int
    drawdown: float
