"""All numbers of a session in one report. Brings together; computes little itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from core.analytics import statistics as stats
from core.analytics.pnl_analyzer import attribution_of
from core.analytics.report import (
    ExecutionNumbers,
    PerformanceReport,
    RiskNumbers,
    RoundTrip,
    TradeNumbers,
)
from core.analytics.trades import round_trips
from core.model.account import AttributedFill, EquityPoint
from core.model.codes import Purpose
from core.model.record import SessionRecord


class PerformanceTracker:
    """Measures a session."""

    def track_metrics(self, record: SessionRecord) -> PerformanceReport:
        """Return the report of a finished or running session.

        Parameters
        ----------
        record : SessionRecord
            May be empty: what cannot be known is ``None``.

        Returns
        -------
        PerformanceReport
            Plain data that encodes to JSON (``msgspec.json.encode``).
        """
        trips, loose = round_trips(record)
        equity = record.equity
        first, last = (equity[0].equity_micro, equity[-1].equity_micro) if equity else (0, 0)
        return PerformanceReport(
            session=record.session,
            mode=record.mode,
            start_ns=record.start_ns,
            end_ns=record.end_ns,
            equity_start_micro=first,
            equity_end_micro=last,
            return_ratio=last / first - 1.0 if first > 0 else None,
            attribution=attribution_of(record, trips, loose),
            trades=trade_numbers(trips),
            risk=risk_numbers(equity),
            execution=execution_numbers(record.fills, equity),
            order_counts=dict(record.order_counts),
            refusal_counts=dict(record.refusal_counts),
            state_reason=record.state_reason,
            assumptions=record.assumptions,
        )


def trade_numbers(trips: Sequence[RoundTrip]) -> TradeNumbers:
    """Count wins and losses of the round trips that closed."""
    closed = [trip for trip in trips if trip.close_ns is not None]
    nets = [trip.net_pnl_micro for trip in closed]
    wins = [net for net in nets if net > 0]
    losses = [net for net in nets if net <= 0]
    return TradeNumbers(
        trade_count=len(closed),
        win_count=len(wins),
        open_count=len(trips) - len(closed),
        win_rate=len(wins) / len(closed) if closed else None,
        profit_factor=sum(wins) / -sum(losses) if sum(losses) < 0 else None,
        expectancy_micro=_mean(nets),
        win_mean_micro=_mean(wins),
        loss_mean_micro=_mean(losses),
        hold_mean_ns=_mean([t.close_ns - t.open_ns for t in closed if t.close_ns is not None]),
    )


def risk_numbers(equity: Sequence[EquityPoint]) -> RiskNumbers:
    """Judge an equity curve."""
    sampled = stats.sampled_returns(equity)
    drawdown = stats.deepest_drawdown(equity)
    means = stats.time_mean(equity)
    return RiskNumbers(
        sharpe=stats.sharpe_ratio(sampled[1], sampled[0]) if sampled else None,
        sortino=stats.sortino_ratio(sampled[1], sampled[0]) if sampled else None,
        calmar=stats.calmar_ratio(equity, drawdown),
        sampling_ns=sampled[0] if sampled else None,
        return_count=len(sampled[1]) if sampled else 0,
        drawdown=drawdown,
        exposure_time_ratio=means[1] if means else None,
        exposure_mean_ratio=means[2] if means else None,
    )


def execution_numbers(
    fills: Sequence[AttributedFill], equity: Sequence[EquityPoint]
) -> ExecutionNumbers:
    """Judge how orders were carried out."""
    traded = sum(f.fill.notional_micro for f in fills)
    maker = [f for f in fills if f.fill.is_maker]
    means = stats.time_mean(equity)
    return ExecutionNumbers(
        traded_micro=traded,
        turnover_ratio=traded / means[0] if means else None,
        fill_count=len(fills),
        maker_fill_count=len(maker),
        maker_share=sum(f.fill.notional_micro for f in maker) / traded if traded else None,
        slippage_bps=slippage_bps(fills),
        slippage_taker_bps=slippage_bps(f for f in fills if not f.fill.is_maker),
        slippage_stop_bps=slippage_bps(f for f in fills if f.purpose is Purpose.STOP),
        slippage_fill_count=sum(f.arrival_mid_x2 > 0 for f in fills),
    )


def slippage_bps(fills: Iterable[AttributedFill]) -> float | None:
    """Return the slippage against the mid at the decision, in bps, weighted by notional.

    Stops and targets are measured against their trigger price. Above 0 is worse: bought above or
    sold below. ``None`` without fills that have a reference.
    """
    cost_x2 = weight_x2 = 0
    for attributed in fills:
        fill, mid_x2 = attributed.fill, attributed.arrival_mid_x2
        if mid_x2 <= 0:
            continue
        side = 1 if fill.is_buy else -1
        cost_x2 += side * (2 * fill.px - mid_x2) * fill.lots
        weight_x2 += mid_x2 * fill.lots
    return 10_000 * cost_x2 / weight_x2 if weight_x2 else None


def _mean(values: Sequence[int]) -> int | None:
    """Return the mean rounded to a whole unit; ``None`` of nothing."""
    return round(sum(values) / len(values)) if values else None
