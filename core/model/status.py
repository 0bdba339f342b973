"""The read-only picture of a running system that terminals, shells and dashboards show."""

from __future__ import annotations

import msgspec

from core.model.account import AttributedFill, OrderRow
from core.model.codes import Mode, Regime, TradingState


class CoinStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One coin: market, judgement, stake. Prices are floats in USDC, unknown ones ``nan``."""

    coin: str
    price: float
    mark_price: float
    data_age_ns: int
    regime: Regime
    regime_confidence: float
    strategy: str
    strategy_reason: str
    wish: str
    why_not: str
    position_coins: float
    position_notional_micro: int
    entry_price: float
    unrealized_pnl_micro: int
    stop_price: float
    target_price: float
    sz_decimals: int


class SystemStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole system at one event. Money in micro-USDC, times in nanoseconds."""

    mode: Mode
    session: str
    account: str
    seq: int
    ts_ns: int
    trading_state: TradingState
    state_reason: str
    equity_micro: int
    cash_micro: int
    day_pnl_micro: int
    realized_pnl_micro: int
    fees_micro: int
    funding_micro: int
    drawdown: float
    drawdown_limit: float
    exposure_gross_micro: int
    margin_used_micro: int
    requests_used: int
    requests_cap: int
    ip_weight_used: int
    ip_weight_cap: int
    coins: tuple[CoinStatus, ...]
    orders: tuple[OrderRow, ...]
    fills: tuple[AttributedFill, ...]
    strategies: dict[str, str]
    refusals: dict[str, int]
    quarantined_count: int
