"""A finished (or running) session as numbers: what analytics reads, whatever the session was."""

from __future__ import annotations

import msgspec

from core.model.account import AttributedFill, EquityPoint
from core.model.codes import Mode
from core.model.instrument import Instrument


class FundingRow(msgspec.Struct, frozen=True, array_like=True):
    """One funding payment, signed from our wallet."""

    ts_ns: int
    coin: str
    funding_micro: int


class PricePoint(msgspec.Struct, frozen=True, array_like=True):
    """Close of a coin's candle as a float price, for pictures."""

    ts_ns: int
    price: float


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report needs. Rows are in time order; ``equity`` begins with the start.

    ``order_counts`` counts orders by final status, ``refusal_counts`` refusals by code,
    ``assumptions`` lists in plain words what a simulation assumed.
    """

    session: str
    mode: Mode
    start_ns: int
    end_ns: int
    instruments: dict[str, Instrument]
    equity: tuple[EquityPoint, ...]
    fills: tuple[AttributedFill, ...]
    funding: tuple[FundingRow, ...]
    prices: dict[str, tuple[PricePoint, ...]]
    order_counts: dict[str, int]
    refusal_counts: dict[str, int]
    state_reason: str = ""
    assumptions: tuple[str, ...] = ()
