"""``POST /info``: every query of the simulated venue, answered from its state at one moment.

Queries are a table from type to function, whose parts are in `queries`. What is not in the table
does not exist here and is answered as the venue answers an unknown type (422). Nothing here
changes anything. Source of shapes: reference section 10, recorded answers.
"""

from __future__ import annotations

from typing import Any

from core.simulation.exchange import SimulatedExchange
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.queries import handlers
from core.simulation.wire.queries.base import Query
from core.simulation.wire.requests import RequestError


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
        self._handlers = handlers(exchange, board)

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
