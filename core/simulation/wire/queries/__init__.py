"""What each query of ``/info`` answers, one file a topic; `handlers` puts them into one table."""

from __future__ import annotations

from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.queries import (
    accounts,
    builder_dexs,
    family,
    history,
    markets,
    orders,
    spot,
    standing,
)
from core.simulation.wire.queries.base import Desk, Handler


def handlers(exchange: SimulatedExchange, board: MarketBoard) -> dict[str, Handler]:
    """Return the handler of every query type that is answered here."""
    desk = Desk(exchange, board)
    rooms = (markets, builder_dexs, spot, accounts, orders, history, standing, family)
    table: dict[str, Handler] = {}
    for room in rooms:
        table |= room.handlers(desk)
    return table
