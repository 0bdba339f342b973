"""Perpetual markets: metadata, books, candles, prints, funding, limits. Source: reference 10.2."""

from __future__ import annotations

from typing import Any

from core.model.time import NS_PER_HOUR
from core.simulation.market.candles import INTERVALS_NS
from core.simulation.market.universe import recorded_meta
from core.simulation.venue import texts
from core.simulation.wire.queries.base import (
    ROWS_MAX,
    Desk,
    Handler,
    Query,
    dex,
    number,
    span,
    text,
)
from core.simulation.wire.queries.builder_dexs import meta_of
from core.simulation.wire.requests import RequestError
from core.simulation.wire.subscriptions import is_valid_rounding
from core.simulation.wire.text import ms, rate_text

MARKET_ORDER_NOTIONALS = [[25, "30000000.0"], [20, "5000000.0"], [10, "2000000.0"], [1, "500000.0"]]
"""Largest market order by leverage limit (venue documentation, Contract specifications)."""
SINGLE_TIER_ID_MAX = 49


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    room = _Markets(desk)
    return {
        "allMids": lambda query, now_ns: room.mids(query),
        "exchangeStatus": room.status,
        "l2Book": room.l2_book,
        "candleSnapshot": lambda query, now_ns: room.candles(query),
        "recentTrades": lambda query, now_ns: desk.board.recent_trades(text(query, "coin")),
        "fundingHistory": lambda query, now_ns: room.funding(query),
        "predictedFundings": room.predicted_fundings,
        "maxMarketOrderNtls": lambda query, now_ns: MARKET_ORDER_NOTIONALS,
        "marginTable": lambda query, now_ns: room.margin_table(query),
        "outcomeMeta": lambda query, now_ns: {"outcomes": [], "questions": []},
        "settledOutcome": lambda query, now_ns: room.settled_outcome(query),
    }


class _Markets:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def status(self, query: Query, now_ns: int) -> Any:
        """Answer with the venue's clock, and its words while it takes post-only orders alone."""
        exchange = self._desk.exchange
        text = texts.post_only_window(exchange.settings.post_only_spelling)
        is_special = exchange.market_states.is_post_only
        return {"time": ms(now_ns), "specialStatuses": text if is_special else None}

    def settled_outcome(self, query: Query) -> Any:
        """Answer with nothing: there are no outcomes."""
        number(query, "outcome")
        return None

    def mids(self, query: Query) -> Any:
        """Answer with all mids, spot included; other dexes have no market."""
        name = dex(query)
        meta_of(name)
        return {} if name else self._desk.board.mids_row()

    def l2_book(self, query: Query, now_ns: int) -> Any:
        """Answer with a book, ``null`` for an unknown coin."""
        coin = text(query, "coin")
        figures, mantissa = query.get("nSigFigs"), query.get("mantissa")
        if not is_valid_rounding(figures, mantissa):
            raise RequestError("invalid value of `nSigFigs` or `mantissa`")
        board = self._desk.board
        if not board.has_market(coin):
            return None
        row = board.book_row(coin, ts_ns=now_ns, figures=figures, mantissa=mantissa)
        if figures is not None:
            spread = board.spread_text(coin)
            row |= {} if spread is None else {"spread": spread}
        return row

    def candles(self, query: Query) -> Any:
        """Answer with candles, oldest first."""
        request = query.get("req")
        if not isinstance(request, dict):
            raise RequestError("missing field `req`")
        interval = text(request, "interval")
        if interval not in INTERVALS_NS:
            known = ", ".join(f"`{name}`" for name in INTERVALS_NS)
            raise RequestError(f"unknown variant `{interval}`, expected one of {known}")
        start_ns, end_ns = span(request)
        return self._desk.board.candle_rows(text(request, "coin"), interval, start_ns, end_ns)

    def funding(self, query: Query) -> Any:
        """Answer with the hourly rates that were paid."""
        start_ns, end_ns = span(query)
        return self._desk.board.funding_rows(text(query, "coin"), start_ns, end_ns, ROWS_MAX)

    def predicted_fundings(self, query: Query, now_ns: int) -> Any:
        """Answer with the rates of the running hour; other venues' are not known here."""
        board, exchange = self._desk.board, self._desk.exchange
        next_ms = ms((now_ns // NS_PER_HOUR + 1) * NS_PER_HOUR)
        rows = []
        for coin in board.coins:
            if board.instruments[coin].is_spot or not board.has_market(coin):
                continue
            own = {
                "fundingRate": rate_text(exchange.funding_rate_1h(coin)),
                "nextFundingTime": next_ms,
                "fundingIntervalHours": 1,
            }
            rows.append([coin, [["BinPerp", None], ["HlPerp", own], ["BybitPerp", None]]])
        return rows

    def margin_table(self, query: Query) -> Any:
        """Answer with one margin table; ids up to 49 are one tier of that leverage."""
        table_id = number(query, "id")
        for known, table in recorded_meta()["marginTables"]:
            if known == table_id:
                return table
        if not 1 <= table_id <= SINGLE_TIER_ID_MAX:
            raise RequestError(f"unknown margin table `{table_id}`")
        return {
            "description": "",
            "marginTiers": [{"lowerBound": "0.0", "maxLeverage": table_id}],
        }
