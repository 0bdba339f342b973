"""The shapes of a report: plain structs that terminal, JSON and HTML all read.

Money is micro-USDC, times are nanoseconds, ratios are fractions of 1. A number that cannot be
known is ``None``: nothing here is ever infinite or ``nan``, so every report is valid JSON.
Computes nothing beyond sums of its own fields.
"""

from __future__ import annotations

import msgspec

from core.model.codes import Mode, Regime


class RoundTrip(msgspec.Struct, frozen=True, kw_only=True):
    """A position from flat to flat, or still open at the end of the session.

    Parameters
    ----------
    strategy, regime
        Those of the first fill: the decision that opened the position owns the result.
    close_ns : int or None
        ``None`` while open; then ``price_pnl_micro`` is marked at the last known price.
    lots_max : int
        Largest size held, in lots.
    fees_micro : int
        Cost: above 0 was paid, below 0 a rebate received.
    is_adopted : bool
        The position began before the first fill we know of; its cost is the price at that time.
    """

    coin: str
    strategy: str
    regime: Regime
    is_long: bool
    open_ns: int
    close_ns: int | None
    lots_max: int
    coins_max: float
    entry_price: float
    exit_price: float | None
    exit_purpose: str
    traded_micro: int
    price_pnl_micro: int
    fees_micro: int
    funding_micro: int
    fill_count: int
    is_adopted: bool = False

    @property
    def net_pnl_micro(self) -> int:
        """Price, fees and funding together."""
        return self.price_pnl_micro - self.fees_micro + self.funding_micro

    @property
    def is_closed(self) -> bool:
        """Whether the position went back to flat."""
        return self.close_ns is not None


class AttributionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an attribution table; the lines of a table add up to the whole, exactly.

    ``trade_count`` and ``win_count`` count round trips that closed; money includes open ones.
    """

    key: str
    price_pnl_micro: int
    fees_micro: int
    funding_micro: int
    net_pnl_micro: int
    traded_micro: int
    trade_count: int
    win_count: int


class Attribution(msgspec.Struct, frozen=True, kw_only=True):
    """Where the money came from and where it went.

    Exactly: ``net_pnl_micro == price_pnl_micro - fees_micro + funding_micro`` and
    ``equity_change_micro == net_pnl_micro + mark_micro + transfer_micro``.

    Parameters
    ----------
    open_pnl_micro : int
        Price PnL of round trips still open, valued at the last candle; part of
        ``price_pnl_micro``.
    mark_micro : int
        What positions held at the ends of the session are worth at mark rather than at the
        candle; 0 for a session that begins and ends flat.
    transfer_micro : int
        Change of cash that neither fills nor funding explain: deposits, withdrawals, and fills
        that the session did not see.
    """

    equity_change_micro: int
    net_pnl_micro: int
    price_pnl_micro: int
    fees_micro: int
    funding_micro: int
    open_pnl_micro: int
    mark_micro: int
    transfer_micro: int
    total: AttributionRow
    by_strategy: tuple[AttributionRow, ...]
    by_coin: tuple[AttributionRow, ...]
    by_regime: tuple[AttributionRow, ...]
    by_side: tuple[AttributionRow, ...]
    by_hour: tuple[AttributionRow, ...]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A statistic with its uncertainty: about two thirds of repetitions lie within one error."""

    value: float
    standard_error: float


class Drawdown(msgspec.Struct, frozen=True, kw_only=True):
    """The deepest fall from a peak; it lasts until the peak is reached again, or to the end."""

    ratio: float
    amount_micro: int
    peak_ns: int
    trough_ns: int
    recovered_ns: int | None
    duration_ns: int


class TradeNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """Round trips that closed, each with its fees and funding; a trade that nets 0 is no win.

    ``profit_factor`` is the sum of wins over the sum of losses, ``expectancy_micro`` the mean.
    """

    trade_count: int
    win_count: int
    open_count: int
    win_rate: float | None
    profit_factor: float | None
    expectancy_micro: int | None
    win_mean_micro: int | None
    loss_mean_micro: int | None
    hold_mean_ns: int | None


class RiskNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """Return against risk, from equity alone.

    Parameters
    ----------
    sampling_ns : int or None
        Interval at which equity was sampled for ``sharpe`` and ``sortino``; ``None`` where the
        session is too short to judge.
    return_count : int
        Returns those two are made of.
    exposure_time_ratio : float or None
        Share of the time with any position.
    exposure_mean_ratio : float or None
        Gross exposure over equity, averaged over time.
    """

    sharpe: Estimate | None
    sortino: float | None
    calmar: float | None
    sampling_ns: int | None
    return_count: int
    drawdown: Drawdown | None
    exposure_time_ratio: float | None
    exposure_mean_ratio: float | None


class ExecutionNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """How orders were carried out.

    Parameters
    ----------
    maker_share : float or None
        Share of the traded notional that rested first.
    slippage_bps : float or None
        Against the mid at the decision, weighted by notional, over the ``slippage_fill_count``
        fills with a known decision; above 0 is worse. Resting fills have it below 0: they earned
        the spread.
    turnover_ratio : float or None
        Traded notional over average equity, for the whole session.
    """

    traded_micro: int
    turnover_ratio: float | None
    fill_count: int
    maker_fill_count: int
    maker_share: float | None
    slippage_bps: float | None
    slippage_taker_bps: float | None
    slippage_stop_bps: float | None
    slippage_fill_count: int


class PerformanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """All numbers of one session."""

    session: str
    mode: Mode
    start_ns: int
    end_ns: int
    equity_start_micro: int
    equity_end_micro: int
    return_ratio: float | None
    attribution: Attribution
    trades: TradeNumbers
    risk: RiskNumbers
    execution: ExecutionNumbers
    order_counts: dict[str, int]
    refusal_counts: dict[str, int]
    state_reason: str
    assumptions: tuple[str, ...]

    @property
    def net_pnl_micro(self) -> int:
        """Price, fees and funding together."""
        return self.attribution.net_pnl_micro
