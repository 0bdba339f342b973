"""A report as plain rows of text, the same for terminal, JSON and HTML.

Knows how a number reads to a person; computes none.
"""

from __future__ import annotations

import msgspec

from core.analytics.report import AttributionRow, PerformanceReport
from core.model.instrument import usdc
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, duration_text

UNKNOWN = "–"


class SummaryRow(msgspec.Struct, frozen=True):
    """One line: ``value`` is ready to be shown, ``unit`` may be empty.

    ``sign`` is 1, 0 or -1 where the value is a gain, neutral or a loss, for colour.
    """

    group: str
    label: str
    value: str
    unit: str
    sign: int = 0


class TableRow(msgspec.Struct, frozen=True):
    """One line of an attribution table, ready to be shown; money in USDC."""

    key: str
    net: str
    price: str
    fees: str
    funding: str
    traded: str
    trades: str
    win_rate: str
    sign: int


TABLE_HEAD = TableRow("", "Net", "Price", "Fees", "Funding", "Traded", "Trades", "Wins", 0)


def summary_rows(report: PerformanceReport) -> tuple[SummaryRow, ...]:
    """Return the report's headline numbers, grouped ``Result``, ``Trades``, ``Risk``, ``Orders``.

    What is not known reads as a dash.
    """
    return (
        *_result_rows(report),
        *_trade_rows(report),
        *_risk_rows(report),
        *_order_rows(report),
    )


def attribution_tables(report: PerformanceReport) -> dict[str, tuple[TableRow, ...]]:
    """Return the attribution tables by title; each ends with the total."""
    split = report.attribution
    tables = {
        "Strategy": split.by_strategy,
        "Coin": split.by_coin,
        "Regime": split.by_regime,
        "Side": split.by_side,
        "Hour (UTC)": split.by_hour,
    }
    return {
        title: tuple(_table_row(row) for row in (*rows, split.total))
        for title, rows in tables.items()
    }


def money_text(micro: int, *, is_signed: bool = True) -> str:
    """Write micro-USDC for people: two decimals, thousands apart, sign in front."""
    text = f"{usdc(micro):+,.2f}" if is_signed else f"{usdc(micro):,.2f}"
    return text.lstrip("+-") if float(text.replace(",", "")) == 0.0 else text


def percent_text(ratio: float | None, *, is_signed: bool = False, digits: int = 2) -> str:
    """Write a ratio as a percentage without its sign ``%``; a dash where unknown."""
    if ratio is None:
        return UNKNOWN
    return f"{100 * ratio:+.{digits}f}" if is_signed else f"{100 * ratio:.{digits}f}"


def _result_rows(report: PerformanceReport) -> list[SummaryRow]:
    split = report.attribution

    def row(label: str, micro: int) -> SummaryRow:
        return SummaryRow("Result", label, money_text(micro), "USDC", _sign(micro))

    rows = [
        SummaryRow(
            "Result", "Duration", duration_text(max(0, report.end_ns - report.start_ns)), ""
        ),
        SummaryRow(
            "Result",
            "Equity at start",
            money_text(report.equity_start_micro, is_signed=False),
            "USDC",
        ),
        SummaryRow(
            "Result", "Equity at end", money_text(report.equity_end_micro, is_signed=False), "USDC"
        ),
        SummaryRow(
            "Result",
            "Return",
            percent_text(report.return_ratio, is_signed=True),
            "%",
            _sign(split.equity_change_micro),
        ),
        row("Net PnL", split.net_pnl_micro),
        row("  Price", split.price_pnl_micro),
        row("  Fees", -split.fees_micro),
        row("  Funding", split.funding_micro),
    ]
    if split.open_pnl_micro:
        rows.append(row("  of which still open", split.open_pnl_micro))
    if split.mark_micro:
        rows.append(row("Mark against last candle", split.mark_micro))
    if split.transfer_micro:
        rows.append(row("Transfers and unseen", split.transfer_micro))
    return rows


def _trade_rows(report: PerformanceReport) -> list[SummaryRow]:
    trades = report.trades
    hold = trades.hold_mean_ns
    return [
        SummaryRow("Trades", "Round trips", _count_text(trades.trade_count), ""),
        SummaryRow("Trades", "Still open", _count_text(trades.open_count), ""),
        SummaryRow("Trades", "Win rate", percent_text(trades.win_rate, digits=1), "%"),
        SummaryRow("Trades", "Profit factor", _number_text(trades.profit_factor), ""),
        _mean_row("Mean per trade", trades.expectancy_micro),
        _mean_row("Mean win", trades.win_mean_micro),
        _mean_row("Mean loss", trades.loss_mean_micro),
        SummaryRow(
            "Trades", "Mean holding time", UNKNOWN if hold is None else duration_text(hold), ""
        ),
    ]


def _risk_rows(report: PerformanceReport) -> list[SummaryRow]:
    risk, drawdown = report.risk, report.risk.drawdown
    sharpe = UNKNOWN
    if risk.sharpe is not None:
        sharpe = f"{risk.sharpe.value:.1f} ± {risk.sharpe.standard_error:.1f}"
    sampling = "session too short"
    if risk.sampling_ns is not None:
        sampling = f"{risk.return_count} returns of {_interval_text(risk.sampling_ns)}, annualised"
    return [
        SummaryRow("Risk", "Max drawdown", percent_text(drawdown.ratio if drawdown else None), "%"),
        SummaryRow(
            "Risk",
            "Drawdown lasted",
            duration_text(drawdown.duration_ns) if drawdown else UNKNOWN,
            "not recovered" if drawdown and _is_unrecovered(report) else "",
        ),
        SummaryRow("Risk", "Sharpe", sharpe, sampling),
        SummaryRow("Risk", "Sortino", _number_text(risk.sortino), "annualised"),
        SummaryRow("Risk", "Calmar", _number_text(risk.calmar), "annualised"),
        SummaryRow(
            "Risk", "Time in the market", percent_text(risk.exposure_time_ratio, digits=1), "%"
        ),
        SummaryRow(
            "Risk",
            "Mean exposure",
            percent_text(risk.exposure_mean_ratio, digits=1),
            "% of equity",
        ),
    ]


def _order_rows(report: PerformanceReport) -> list[SummaryRow]:
    execution = report.execution
    return [
        SummaryRow("Orders", "Traded", money_text(execution.traded_micro, is_signed=False), "USDC"),
        SummaryRow(
            "Orders", "Turnover", _number_text(execution.turnover_ratio), "times mean equity"
        ),
        SummaryRow("Orders", "Fills", _count_text(execution.fill_count), ""),
        SummaryRow("Orders", "Maker share", percent_text(execution.maker_share, digits=1), "%"),
        SummaryRow("Orders", "Slippage", _number_text(execution.slippage_bps), "bps"),
        SummaryRow(
            "Orders", "Slippage of takers", _number_text(execution.slippage_taker_bps), "bps"
        ),
        SummaryRow("Orders", "Slippage of stops", _number_text(execution.slippage_stop_bps), "bps"),
        SummaryRow(
            "Orders", "Refused by risk", _count_text(sum(report.refusal_counts.values())), ""
        ),
        SummaryRow(
            "Orders",
            "Rejected by the venue",
            _count_text(report.order_counts.get("rejected", 0)),
            "",
        ),
    ]


def _table_row(row: AttributionRow) -> TableRow:
    wins = row.win_count / row.trade_count if row.trade_count else None
    return TableRow(
        key=row.key,
        net=money_text(row.net_pnl_micro),
        price=money_text(row.price_pnl_micro),
        fees=money_text(-row.fees_micro),
        funding=money_text(row.funding_micro),
        traded=money_text(row.traded_micro, is_signed=False),
        trades=_count_text(row.trade_count),
        win_rate=UNKNOWN if wins is None else f"{percent_text(wins, digits=0)} %",
        sign=_sign(row.net_pnl_micro),
    )


def _mean_row(label: str, micro: int | None) -> SummaryRow:
    if micro is None:
        return SummaryRow("Trades", label, UNKNOWN, "USDC")
    return SummaryRow("Trades", label, money_text(micro), "USDC", _sign(micro))


def _is_unrecovered(report: PerformanceReport) -> bool:
    drawdown = report.risk.drawdown
    return drawdown is not None and drawdown.amount_micro > 0 and drawdown.recovered_ns is None


def _interval_text(ns: int) -> str:
    """Write a sampling interval, which is a whole number of days, hours or minutes."""
    for unit_ns, name in ((NS_PER_DAY, "d"), (NS_PER_HOUR, "h")):
        if ns % unit_ns == 0:
            return f"{ns // unit_ns} {name}"
    return f"{ns // NS_PER_MIN} min"


def _number_text(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,.2f}"


def _count_text(count: int) -> str:
    return f"{count:,}"


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
