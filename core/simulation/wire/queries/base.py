"""What all queries share: how fields are read, and where answers come from.

A field that is missing or malformed ends in `RequestError`, which the venue answers with 422.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from core.model.ids import is_address
from core.model.instrument import Instrument
from core.model.time import NS_PER_MS
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue.outputs import FillOutput
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.requests import RequestError

ROWS_MAX = 500
ROWS_MANY_MAX = 2_000
"""Rows of an answer: funding and ledger, and orders, fills and TWAP slices (reference 10.1)."""
TIME_NS_MAX = 1 << 62

Query = dict[str, Any]
Handler = Callable[[Query, int], Any]
T = TypeVar("T")


class Desk(msgspec.Struct, frozen=True):
    """Where answers come from."""

    exchange: SimulatedExchange
    board: MarketBoard

    def instrument(self, coin: str) -> Instrument:
        """Return a listed market."""
        return self.board.instruments[coin]

    def perp(self, query: Query) -> str:
        """Read ``coin`` as a perpetual that has a market.

        Raises
        ------
        RequestError
            If there is no such market.
        """
        coin = text(query, "coin")
        if not self.board.has_market(coin) or self.instrument(coin).is_spot:
            raise RequestError(f"unknown coin `{coin}`")
        return coin

    def fills(self, user: str, start_ns: int = 0, end_ns: int = TIME_NS_MAX) -> list[FillOutput]:
        """Return an account's fills but for TWAP slices' own query, oldest first."""
        return list(self.exchange.fills(user, start_ns, end_ns))


def text(query: Query, name: str) -> str:
    """Read a text field."""
    value = query.get(name)
    if not isinstance(value, str):
        raise RequestError(f"missing field `{name}`")
    return value


def address(query: Query, name: str = "user") -> str:
    """Read an address, lowercase."""
    value = text(query, name).lower()
    if not is_address(value):
        raise RequestError(f"field `{name}` should be an address")
    return value


def flag(query: Query, name: str) -> bool:
    """Read a flag that may be left out; null means the same."""
    value = query.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise RequestError(f"field `{name}` should be a boolean")
    return value


def number(query: Query, name: str) -> int:
    """Read a whole number of at least 0."""
    value = query.get(name)
    if type(value) is not int or value < 0:
        raise RequestError(f"missing field `{name}`")
    return value


def span(query: Query, *, needs_start: bool = True) -> tuple[int, int]:
    """Read an inclusive span of milliseconds; without an end it is open."""
    start_ms = query.get("startTime")
    if start_ms is None and not needs_start:
        start_ms = 0
    if type(start_ms) is not int or start_ms < 0:
        raise RequestError("missing field `startTime`")
    end_ms = query.get("endTime")
    if end_ms is None:
        return start_ms * NS_PER_MS, TIME_NS_MAX
    if type(end_ms) is not int or end_ms < 0:
        raise RequestError("field `endTime` should be milliseconds")
    return start_ms * NS_PER_MS, end_ms * NS_PER_MS + NS_PER_MS - 1


def dex(query: Query) -> str:
    """Read the perp dex, the first by default."""
    value = query.get("dex")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError("field `dex` should be a string")
    return value
