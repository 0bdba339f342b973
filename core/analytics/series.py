"""What a picture shows, reduced to what an eye can see; shared by the PNG and the HTML page.

Decides which points, markers and bars are drawn and in which colours; draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from core.analytics.pnl_analyzer import attribution_of
from core.analytics.report import AttributionRow, PerformanceReport, RoundTrip
from core.analytics.summary import UNKNOWN, money_text, percent_text
from core.analytics.trades import round_trips
from core.model.instrument import MICRO_PER_USDC, usdc
from core.model.market import FloatArray
from core.model.record import SessionRecord
from core.model.time import duration_text, utc_text

TimeArray = npt.NDArray[np.datetime64]

LONG_COLOUR = "#0072B2"
SHORT_COLOUR = "#D55E00"
PRICE_COLOUR = "#5B6670"
EQUITY_COLOUR = "#1B2733"
DRAWDOWN_COLOUR = "#CC79A7"
BAR_COLOURS = {"Price": "#56B4E9", "Fees": "#E69F00", "Funding": "#009E73"}
"""Okabe and Ito, "Color Universal Design", 2008: told apart with any colour vision."""

COINS_MAX = 6
TRIPS_PER_COIN_MAX = 1_500


class Line(msgspec.Struct, frozen=True):
    """A series to draw: times (UTC, to the second) and values."""

    times: TimeArray
    values: FloatArray


class CoinPicture(msgspec.Struct, frozen=True):
    """One coin's price and the round trips drawn into it; ``trips_left_out`` are not."""

    coin: str
    price: Line
    trips: tuple[RoundTrip, ...]
    trips_left_out: int


class Bar(msgspec.Struct, frozen=True):
    """One line of the attribution picture, in USDC, each part signed as a result."""

    label: str
    parts: dict[str, float]
    net: float


class Picture(msgspec.Struct, frozen=True):
    """All that is drawn of a session."""

    title: str
    subtitle: str
    equity: Line
    drawdown: Line
    equity_start: float
    coins: tuple[CoinPicture, ...]
    coins_left_out: tuple[str, ...]
    bars_strategy: tuple[Bar, ...]
    bars_coin: tuple[Bar, ...]


def picture_of(record: SessionRecord, report: PerformanceReport, *, points_max: int) -> Picture:
    """Choose what to draw.

    Parameters
    ----------
    points_max : int
        Points per line, at least 4; longer series keep the extremes of each stretch of time.
    """
    trips, loose = round_trips(record)
    split = attribution_of(record, trips, loose)
    equity = np.array([point.equity_micro for point in record.equity], dtype=np.float64)
    peaks = np.maximum.accumulate(equity) if len(equity) else equity
    falls = np.divide(equity - peaks, peaks, out=np.zeros_like(equity), where=peaks > 0.0)
    ts = np.array([point.ts_ns for point in record.equity], dtype=np.int64)
    chosen, left_out = _chosen_coins(record, trips)
    return Picture(
        title=title_of(record),
        subtitle=headline(report),
        equity=thinned(ts, equity / MICRO_PER_USDC, points_max),
        drawdown=thinned(ts, 100.0 * falls, points_max),
        equity_start=usdc(report.equity_start_micro),
        coins=tuple(_coin_picture(record, coin, trips, points_max) for coin in chosen),
        coins_left_out=left_out,
        bars_strategy=_bars(split.total, split.by_strategy),
        bars_coin=_bars(split.total, split.by_coin),
    )


def thinned(ts: npt.NDArray[np.int64], values: FloatArray, count_max: int) -> Line:
    """Thin a series to about ``count_max`` points; ends and extremes of each stretch stay."""
    count = len(values)
    if count > count_max:
        edges = np.linspace(0, count, max(1, count_max // 2) + 1).astype(np.int64)
        kept = {0, count - 1}
        for begin, end in pairwise(edges):
            kept.add(int(begin + np.argmin(values[begin:end])))
            kept.add(int(begin + np.argmax(values[begin:end])))
        index = np.array(sorted(kept))
        ts, values = ts[index], values[index]
    return Line(ts.astype("datetime64[ns]").astype("datetime64[s]"), values)


def title_of(record: SessionRecord) -> str:
    """Name kind, time span and length of a session."""
    begin, end = utc_text(record.start_ns)[:16], utc_text(record.end_ns)[:16]
    length = duration_text(max(0, record.end_ns - record.start_ns))
    return f"{record.mode.value.capitalize()}   {begin} → {end} UTC   ({length})"


def headline(report: PerformanceReport) -> str:
    """Say the result in one line."""
    trades, risk = report.trades, report.risk
    sharpe = UNKNOWN
    if risk.sharpe is not None:
        sharpe = f"{risk.sharpe.value:.1f} ± {risk.sharpe.standard_error:.1f}"
    drawdown = percent_text(risk.drawdown.ratio if risk.drawdown else None)
    return "     ".join(
        (
            f"Net {money_text(report.net_pnl_micro)} USDC "
            f"({percent_text(report.return_ratio, is_signed=True)} %)",
            f"Max drawdown {drawdown} %",
            f"Sharpe {sharpe}",
            f"{trades.trade_count:,} trades, {percent_text(trades.win_rate, digits=0)} % won",
            f"Maker {percent_text(report.execution.maker_share, digits=0)} %",
        )
    )


def _chosen_coins(
    record: SessionRecord, trips: Sequence[RoundTrip]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Choose the coins that traded most, in the order of their notional."""
    traded = dict.fromkeys((c for c, points in record.prices.items() if points), 0)
    for trip in trips:
        if trip.coin in traded:
            traded[trip.coin] += trip.traded_micro
    ranked = sorted(traded, key=lambda coin: (-traded[coin], coin))
    return tuple(ranked[:COINS_MAX]), tuple(ranked[COINS_MAX:])


def _coin_picture(
    record: SessionRecord, coin: str, trips: Sequence[RoundTrip], points_max: int
) -> CoinPicture:
    points = record.prices[coin]
    ts = np.array([point.ts_ns for point in points], dtype=np.int64)
    values = np.array([point.price for point in points], dtype=np.float64)
    own = [trip for trip in trips if trip.coin == coin]
    # Too many to tell apart: the largest results are the ones a person looks for.
    largest = sorted(own, key=lambda t: -abs(t.net_pnl_micro))[:TRIPS_PER_COIN_MAX]
    shown = sorted(largest, key=lambda t: t.open_ns)
    return CoinPicture(coin, thinned(ts, values, points_max), tuple(shown), len(own) - len(shown))


def _bars(total: AttributionRow, rows: Sequence[AttributionRow]) -> tuple[Bar, ...]:
    return tuple(_bar(row) for row in (total, *sorted(rows, key=lambda r: -r.net_pnl_micro)))


def _bar(row: AttributionRow) -> Bar:
    parts = {
        "Price": usdc(row.price_pnl_micro),
        "Fees": usdc(-row.fees_micro),
        "Funding": usdc(row.funding_micro),
    }
    return Bar(row.key.replace("_", " "), parts, usdc(row.net_pnl_micro))
