"""What happened to an account: fills, funding, ledger, TWAPs. Source: reference section 10.4."""

from __future__ import annotations

from typing import Any

from core.simulation.wire.aggregation import aggregated
from core.simulation.wire.ledger_rows import ledger_rows
from core.simulation.wire.queries.base import (
    ROWS_MANY_MAX,
    ROWS_MAX,
    Desk,
    Handler,
    Query,
    address,
    flag,
    span,
)
from core.simulation.wire.rows import fill_row, funding_row
from core.simulation.wire.twap_rows import twap_history_row, twap_slice_row


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    exchange, instruments = desk.exchange, desk.board.instruments

    def fills(query: Query, start_ns: int | None, end_ns: int | None) -> list[Any]:
        user = address(query)
        outputs = desk.fills(user) if start_ns is None else desk.fills(user, start_ns, end_ns or 0)
        if flag(query, "aggregateByTime"):
            outputs = aggregated(outputs)
        return [fill_row(o, instruments[o.fill.coin]) for o in outputs]

    def user_fills(query: Query, now_ns: int) -> Any:
        return fills(query, None, None)[: -ROWS_MANY_MAX - 1 : -1]

    def user_fills_by_time(query: Query, now_ns: int) -> Any:
        rows = fills(query, *span(query))
        if flag(query, "reversed"):
            rows.reverse()
        return rows[:ROWS_MANY_MAX]

    def slices(query: Query, now_ns: int) -> Any:
        found = [o for o in desk.fills(address(query)) if o.twap_id is not None]
        return [twap_slice_row(o, instruments) for o in found[: -ROWS_MANY_MAX - 1 : -1]]

    def slices_by_time(query: Query, now_ns: int) -> Any:
        outputs = desk.fills(address(query), *span(query))
        found = [o for o in outputs if o.twap_id is not None]
        return [twap_slice_row(o, instruments) for o in found[:ROWS_MANY_MAX]]

    def twaps(query: Query, now_ns: int) -> Any:
        outputs = exchange.twaps.history(address(query))[:ROWS_MANY_MAX]
        return [twap_history_row(o, instruments) for o in outputs]

    def funding(query: Query, now_ns: int) -> Any:
        start_ns, end_ns = span(query, needs_start=False)
        outputs = exchange.funding_history(address(query), start_ns, end_ns)
        return [funding_row(o, instruments[o.coin]) for o in outputs[:ROWS_MAX]]

    def ledger(query: Query, now_ns: int) -> Any:
        start_ns, end_ns = span(query, needs_start=False)
        rows = ledger_rows(exchange, instruments, address(query), start_ns, end_ns)
        return rows[:ROWS_MAX]

    return {
        "userFills": user_fills,
        "userFillsByTime": user_fills_by_time,
        "userTwapSliceFills": slices,
        "userTwapSliceFillsByTime": slices_by_time,
        "twapHistory": twaps,
        "userFunding": funding,
        "userNonFundingLedgerUpdates": ledger,
    }
