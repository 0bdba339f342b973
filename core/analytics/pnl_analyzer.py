"""Exact attribution: every micro-USDC of the result has a line, and the lines add up.

A round trip belongs, whole, to the strategy, regime, side and hour that opened it. Knows no
statistics and rounds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from core.analytics.report import Attribution, AttributionRow, RoundTrip
from core.analytics.trades import round_trips
from core.model.record import FundingRow, SessionRecord
from core.model.time import NS_PER_DAY, NS_PER_HOUR

LOOSE_KEY = "no position known"


class PnLAnalyzer:
    """Splits the result of a session by cause."""

    def analyze_pnl(self, record: SessionRecord) -> Attribution:
        """Return where the money came from and where it went.

        Parameters
        ----------
        record : SessionRecord
            Of a finished or a running session; its equity begins with the start.

        Returns
        -------
        Attribution
            Its two equations hold exactly (see `Attribution`), and so does the sum of each table.
        """
        return attribution_of(record, *round_trips(record))


def attribution_of(
    record: SessionRecord, trips: tuple[RoundTrip, ...], loose: tuple[FundingRow, ...]
) -> Attribution:
    """Build the tables from round trips and loose funding that are already known."""
    total = _row("total", trips, loose)
    change, transfer = _equity_change(record, total)
    return Attribution(
        equity_change_micro=change,
        net_pnl_micro=total.net_pnl_micro,
        price_pnl_micro=total.price_pnl_micro,
        fees_micro=total.fees_micro,
        funding_micro=total.funding_micro,
        open_pnl_micro=sum(t.price_pnl_micro for t in trips if not t.is_closed),
        mark_micro=change - total.net_pnl_micro - transfer,
        transfer_micro=transfer,
        total=total,
        by_strategy=_table(trips, loose, lambda t: t.strategy),
        by_coin=_table(trips, loose, lambda t: t.coin, lambda f: f.coin),
        by_regime=_table(trips, loose, lambda t: t.regime.value),
        by_side=_table(trips, loose, lambda t: "long" if t.is_long else "short"),
        by_hour=_table(
            trips, loose, lambda t: _hour_text(t.open_ns), lambda f: _hour_text(f.ts_ns)
        ),
    )


def _equity_change(record: SessionRecord, total: AttributionRow) -> tuple[int, int]:
    """Return the change of equity and, of cash, what trading does not explain.

    Cash is the sum of all cash flows, the notional of fills included.
    """
    if not record.equity:
        return total.net_pnl_micro, 0
    first, last = record.equity[0], record.equity[-1]
    bought = sum(f.fill.signed_lots * f.fill.px for f in record.fills)
    explained = total.funding_micro - total.fees_micro - bought
    return last.equity_micro - first.equity_micro, last.cash_micro - first.cash_micro - explained


def _table(
    trips: Iterable[RoundTrip],
    loose: Iterable[FundingRow],
    key_of_trip: Callable[[RoundTrip], str],
    key_of_loose: Callable[[FundingRow], str] = lambda _: LOOSE_KEY,
) -> tuple[AttributionRow, ...]:
    """Group by key, in the order of the keys."""
    groups: dict[str, tuple[list[RoundTrip], list[FundingRow]]] = {}
    for trip in trips:
        groups.setdefault(key_of_trip(trip), ([], []))[0].append(trip)
    for row in loose:
        groups.setdefault(key_of_loose(row), ([], []))[1].append(row)
    return tuple(_row(key, *groups[key]) for key in sorted(groups))


def _row(key: str, trips: Iterable[RoundTrip], loose: Iterable[FundingRow]) -> AttributionRow:
    trips = tuple(trips)
    price = sum(t.price_pnl_micro for t in trips)
    fees = sum(t.fees_micro for t in trips)
    funding = sum(t.funding_micro for t in trips) + sum(f.funding_micro for f in loose)
    closed = [t for t in trips if t.is_closed]
    return AttributionRow(
        key=key,
        price_pnl_micro=price,
        fees_micro=fees,
        funding_micro=funding,
        net_pnl_micro=price - fees + funding,
        traded_micro=sum(t.traded_micro for t in trips),
        trade_count=len(closed),
        win_count=sum(t.net_pnl_micro > 0 for t in closed),
    )


def _hour_text(ns: int) -> str:
    return f"{ns % NS_PER_DAY // NS_PER_HOUR:02d}:00"
