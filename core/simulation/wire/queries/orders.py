"""Orders, open and past. Source: reference section 10.4."""

from __future__ import annotations

from typing import Any

from core.model.ids import is_cloid
from core.simulation.wire.queries.base import ROWS_MANY_MAX, Desk, Handler, Query, address, dex
from core.simulation.wire.queries.builder_dexs import meta_of
from core.simulation.wire.requests import RequestError
from core.simulation.wire.rows import frontend_row, open_order_row, order_state_row


def handlers(desk: Desk) -> dict[str, Handler]:
    """Return the handlers of this topic."""
    exchange = desk.exchange

    def open_orders(query: Query, now_ns: int) -> Any:
        return [open_order_row(o, desk.instrument(o.coin)) for o in _open(desk, query)]

    def frontend(query: Query, now_ns: int) -> Any:
        return [frontend_row(o, desk.instrument(o.coin)) for o in _open(desk, query)]

    def status(query: Query, now_ns: int) -> Any:
        oid = query.get("oid")
        if isinstance(oid, str) and is_cloid(oid.lower()):
            oid = oid.lower()
        elif type(oid) is not int:
            raise RequestError("field `oid` should be a number or a cloid")
        state = exchange.order_status(address(query), oid)
        if state is None:
            return {"status": "unknownOid"}
        row = order_state_row(state, desk.instrument(state.order.coin))
        return {"status": "order", "order": row}

    def historical(query: Query, now_ns: int) -> Any:
        states = exchange.historical_orders(address(query))
        newest = sorted(states, key=lambda s: (s.status_ns, s.order.oid), reverse=True)
        return [
            order_state_row(state, desk.instrument(state.order.coin))
            for state in newest[:ROWS_MANY_MAX]
        ]

    return {
        "openOrders": open_orders,
        "frontendOpenOrders": frontend,
        "orderStatus": status,
        "historicalOrders": historical,
    }


def _open(desk: Desk, query: Query) -> Any:
    """Return the open orders of an account on a dex, newest first; builders' dexes have none."""
    user, name = address(query), dex(query)
    meta_of(name)
    return () if name else desk.exchange.open_orders(user)[::-1]
