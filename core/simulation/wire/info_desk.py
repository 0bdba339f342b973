"""``POST /info``: every query of the simulated venue, answered from its state at one moment.

Queries are a table from type to function. What is not in the table does not exist here and is
answered as the venue answers an unknown type (422). Nothing here changes anything.

Source of shapes: reference section 10, recorded answers.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

from core.model.ids import is_address, is_cloid
from core.model.time import NS_PER_MS
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candles import INTERVALS_NS
from core.simulation.market.universe import recorded_meta
from core.simulation.venue.settings import FEE_TIERS, FeeTier
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.requests import RequestError
from core.simulation.wire.rows import (
    Row,
    account_row,
    active_asset_row,
    agent_row,
    fees_row,
    fill_row,
    frontend_row,
    funding_row,
    ledger_row,
    open_order_row,
    order_state_row,
)
from core.simulation.wire.subscriptions import is_valid_rounding
from core.simulation.wire.text import ms, rate_e8_text, usd_text

FILLS_MAX = 2_000
ROWS_MAX = 500
ORDERS_MAX = 2_000
TIME_NS_MAX = 1 << 62
USDC_TOKEN = {
    "name": "USDC",
    "szDecimals": 8,
    "weiDecimals": 8,
    "index": 0,
    "tokenId": "0x6d1e7cde53ba9467b783cb7c530ce054",
    "isCanonical": True,
    "evmContract": None,
    "fullName": None,
    "deployerTradingFeeShare": "0.0",
}
SPOT_META = {"universe": [], "tokens": [USDC_TOKEN]}
"""Spot markets are not simulated; the list is empty, as a client must be able to handle."""

Query = dict[str, Any]


class InfoDesk:
    """Answers queries.

    Parameters
    ----------
    exchange : SimulatedExchange
        Accounts and orders.
    board : MarketBoard
        Markets.
    """

    def __init__(self, exchange: SimulatedExchange, board: MarketBoard) -> None:
        self._exchange = exchange
        self._board = board
        self._handlers: dict[str, Callable[[Query, int], Any]] = {
            "meta": self._meta,
            "metaAndAssetCtxs": self._meta_and_contexts,
            "spotMeta": lambda query, now_ns: SPOT_META,
            "spotMetaAndAssetCtxs": lambda query, now_ns: [SPOT_META, []],
            "perpDexs": lambda query, now_ns: [None],
            "allMids": lambda query, now_ns: self._board.mids_row(),
            "exchangeStatus": lambda query, now_ns: {"time": ms(now_ns), "specialStatuses": None},
            "l2Book": self._l2_book,
            "candleSnapshot": self._candle_snapshot,
            "recentTrades": self._recent_trades,
            "fundingHistory": self._funding_history,
            "clearinghouseState": self._clearinghouse_state,
            "spotClearinghouseState": self._spot_state,
            "openOrders": self._open_orders,
            "frontendOpenOrders": self._frontend_open_orders,
            "orderStatus": self._order_status,
            "historicalOrders": self._historical_orders,
            "userFills": self._user_fills,
            "userFillsByTime": self._user_fills_by_time,
            "userFunding": self._user_funding,
            "userNonFundingLedgerUpdates": self._user_ledger,
            "userRateLimit": self._user_rate_limit,
            "userRole": self._user_role,
            "userFees": self._user_fees,
            "userAbstraction": self._user_abstraction,
            "extraAgents": self._extra_agents,
            "subAccounts": self._sub_accounts,
            "maxBuilderFee": self._max_builder_fee,
            "activeAssetData": self._active_asset_data,
        }

    @property
    def types(self) -> frozenset[str]:
        """The query types that are answered."""
        return frozenset(self._handlers)

    def answer(self, query: Query, now_ns: int) -> Any:
        """Answer one query.

        Raises
        ------
        RequestError
            If the type is unknown or a field is missing or malformed.
        """
        handler = self._handlers.get(query["type"])
        if handler is None:
            raise RequestError(f"unknown variant `{query['type']}`")
        return handler(query, now_ns)

    # --- markets -------------------------------------------------------------------------------

    def _meta(self, query: Query, now_ns: int) -> Any:
        _require_first_dex(query)
        return recorded_meta()

    def _meta_and_contexts(self, query: Query, now_ns: int) -> Any:
        _require_first_dex(query)
        return [recorded_meta(), self._board.contexts()]

    def _l2_book(self, query: Query, now_ns: int) -> Any:
        coin = _text(query, "coin")
        figures, mantissa = query.get("nSigFigs"), query.get("mantissa")
        if not is_valid_rounding(figures, mantissa):
            raise RequestError("invalid value of `nSigFigs` or `mantissa`")
        if not self._board.has_market(coin):
            return None
        return self._board.book_row(coin, ts_ns=now_ns, figures=figures, mantissa=mantissa)

    def _candle_snapshot(self, query: Query, now_ns: int) -> Any:
        request = query.get("req")
        if not isinstance(request, dict):
            raise RequestError("missing field `req`")
        interval = _text(request, "interval")
        if interval not in INTERVALS_NS:
            known = ", ".join(f"`{name}`" for name in INTERVALS_NS)
            raise RequestError(f"unknown variant `{interval}`, expected one of {known}")
        start_ns, end_ns = _span(request)
        return self._board.candle_rows(_text(request, "coin"), interval, start_ns, end_ns)

    def _recent_trades(self, query: Query, now_ns: int) -> Any:
        return self._board.recent_trades(_text(query, "coin"))

    def _funding_history(self, query: Query, now_ns: int) -> Any:
        start_ns, end_ns = _span(query)
        return self._board.funding_rows(_text(query, "coin"), start_ns, end_ns, ROWS_MAX)

    # --- accounts ------------------------------------------------------------------------------

    def _clearinghouse_state(self, query: Query, now_ns: int) -> Any:
        _require_first_dex(query)
        summary = self._exchange.account_summary(_user(query))
        return account_row(summary, self._board.instruments, now_ns)

    def _spot_state(self, query: Query, now_ns: int) -> Any:
        _user(query)
        return {"balances": []}

    def _open_orders(self, query: Query, now_ns: int) -> Any:
        return [
            open_order_row(order, self._board.instruments[order.coin])
            for order in self._exchange.open_orders(_user(query))
        ]

    def _frontend_open_orders(self, query: Query, now_ns: int) -> Any:
        return [
            frontend_row(order, self._board.instruments[order.coin])
            for order in self._exchange.open_orders(_user(query))
        ]

    def _order_status(self, query: Query, now_ns: int) -> Any:
        oid = query.get("oid")
        if isinstance(oid, str) and is_cloid(oid.lower()):
            oid = oid.lower()
        elif type(oid) is not int:
            raise RequestError("field `oid` should be a number or a cloid")
        state = self._exchange.order_status(_user(query), oid)
        if state is None:
            return {"status": "unknownOid"}
        row = order_state_row(state, self._board.instruments[state.order.coin])
        return {"status": "order", "order": row}

    def _historical_orders(self, query: Query, now_ns: int) -> Any:
        states = self._exchange.historical_orders(_user(query))
        newest = sorted(states, key=lambda s: (s.status_ns, s.order.oid), reverse=True)
        return [
            order_state_row(state, self._board.instruments[state.order.coin])
            for state in newest[:ORDERS_MAX]
        ]

    def _user_fills(self, query: Query, now_ns: int) -> Any:
        rows = self._fill_rows(_user(query), 0, TIME_NS_MAX)
        return rows[: -FILLS_MAX - 1 : -1]

    def _user_fills_by_time(self, query: Query, now_ns: int) -> Any:
        start_ns, end_ns = _span(query)
        return self._fill_rows(_user(query), start_ns, end_ns)[:FILLS_MAX]

    def _fill_rows(self, user: str, start_ns: int, end_ns: int) -> list[Row]:
        outputs = self._exchange.fills(user, start_ns, end_ns)
        return [fill_row(o, self._board.instruments[o.fill.coin]) for o in outputs]

    def _user_funding(self, query: Query, now_ns: int) -> Any:
        start_ns, end_ns = _span(query)
        outputs = self._exchange.funding_history(_user(query), start_ns, end_ns)
        return [funding_row(o, self._board.instruments[o.coin]) for o in outputs[:ROWS_MAX]]

    def _user_ledger(self, query: Query, now_ns: int) -> Any:
        start_ns, end_ns = _span(query)
        outputs = self._exchange.ledger(_user(query), start_ns, end_ns)
        return [ledger_row(output) for output in outputs[:ROWS_MAX]]

    def _user_rate_limit(self, query: Query, now_ns: int) -> Any:
        budget = self._exchange.rate_budget(_user(query))
        return {
            "cumVlm": usd_text(budget.volume_micro),
            "nRequestsUsed": budget.requests_used,
            "nRequestsCap": budget.requests_cap,
            "nRequestsSurplus": 0,
        }

    def _user_role(self, query: Query, now_ns: int) -> Any:
        role = self._exchange.user_role(_user(query))
        return (
            {"role": role.role, "data": {"user": role.master}}
            if role.master
            else ({"role": role.role})
        )

    def _user_fees(self, query: Query, now_ns: int) -> Any:
        rates = self._exchange.fee_rates(_user(query))
        days = {
            day: (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()
            for day, _, _ in rates.daily_volume_micro
        }
        return fees_row(rates, [_tier_row(tier) for tier in FEE_TIERS], days)

    def _user_abstraction(self, query: Query, now_ns: int) -> Any:
        _user(query)
        return "disabled"

    def _extra_agents(self, query: Query, now_ns: int) -> Any:
        return [agent_row(agent) for agent in self._exchange.agents(_user(query))]

    def _sub_accounts(self, query: Query, now_ns: int) -> Any:
        _user(query)
        return None

    def _max_builder_fee(self, query: Query, now_ns: int) -> Any:
        _user(query)
        return 0

    def _active_asset_data(self, query: Query, now_ns: int) -> Any:
        coin, user = _text(query, "coin"), _user(query)
        if not self._board.has_market(coin):
            raise RequestError(f"unknown coin `{coin}`")
        active = self._exchange.active_asset(user, coin)
        return active_asset_row(active, user=user, instrument=self._board.instruments[coin])


def _tier_row(tier: FeeTier) -> Row:
    return {
        "ntlCutoff": usd_text(tier.volume_micro_min),
        "cross": rate_e8_text(tier.taker_rate_e8),
        "add": rate_e8_text(tier.maker_rate_e8),
        "spotCross": "0.0007",
        "spotAdd": "0.0004",
    }


def _require_first_dex(query: Query) -> None:
    if query.get("dex"):
        raise RequestError(f"unknown perp dex `{query['dex']}`")


def _text(query: Query, name: str) -> str:
    value = query.get(name)
    if not isinstance(value, str):
        raise RequestError(f"missing field `{name}`")
    return value


def _user(query: Query) -> str:
    address = _text(query, "user").lower()
    if not is_address(address):
        raise RequestError("field `user` should be an address")
    return address


def _span(query: Query) -> tuple[int, int]:
    """Read an inclusive span of milliseconds; without an end it is open."""
    start_ms, end_ms = query.get("startTime"), query.get("endTime")
    if type(start_ms) is not int or start_ms < 0:
        raise RequestError("missing field `startTime`")
    if end_ms is None:
        return start_ms * NS_PER_MS, TIME_NS_MAX
    if type(end_ms) is not int or end_ms < 0:
        raise RequestError("field `endTime` should be milliseconds")
    return start_ms * NS_PER_MS, end_ms * NS_PER_MS + NS_PER_MS - 1
