"""Orders as the venue keeps them: mutable records, price-time queues and their public snapshots.

It knows neither accounts nor money; matching and placement decide, this file remembers.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from enum import IntEnum

import msgspec

from core.model.codes import Tif, TriggerKind
from core.model.instrument import Instrument
from core.simulation.venue.outputs import OrderSnapshot, TriggerRequest, VenueStatus
from core.simulation.venue.records import BuilderFee

LOTS_AHEAD_UNKNOWN = -1
TENTHS_BPS = 100_000
"""Tenths of a basis point in the whole."""


class Stage(IntEnum):
    """Where an order lives inside the venue."""

    NEW = 0
    RESTING = 1
    ARMED = 2
    WAITING = 3
    DEAD = 4


class TpslGroup(msgspec.Struct, eq=False):
    """Orders that belong together: a parent (or none, for position TP/SL) and its children."""

    parent: Order | None
    children: list[Order]


class Order(msgspec.Struct, kw_only=True, eq=False):
    """One order, alive or dead.

    Parameters
    ----------
    tif_text : str
        Time in force as the venue shows it, which may be ``FrontendMarket`` or
        ``LiquidationMarket`` where ``tif`` is IOC.
    trigger : TriggerRequest or None
        Kept after the order woke; ``stage`` tells whether it still waits.
    lots_ahead : int
        Outside lots before this order at its price; `LOTS_AHEAD_UNKNOWN` while its price lies
        beyond the displayed depth.
    level_lots, level_traded : int
        Outside size of the level when last seen, and what traded there since.
    queue_seq : int
        Time priority among local orders, given when the order rests or is armed.
    twap_id : int or None
        The TWAP order this one is a slice of.
    """

    owner: str
    coin: str
    oid: int
    cloid: str | None
    is_buy: bool
    px: int
    lots_orig: int
    lots_left: int
    reduce_only: bool
    tif: Tif
    tif_text: str
    trigger: TriggerRequest | None
    is_position_tpsl: bool
    placed_ns: int
    status: VenueStatus = VenueStatus.OPEN
    status_ns: int = 0
    stage: Stage = Stage.NEW
    is_shown: bool = False
    group: TpslGroup | None = None
    lots_ahead: int = LOTS_AHEAD_UNKNOWN
    level_lots: int = 0
    level_traded: int = 0
    queue_seq: int = 0
    builder: BuilderFee | None = None
    twap_id: int | None = None

    @property
    def lots_filled(self) -> int:
        """Lots executed so far, of an order that was never capped below its size."""
        return self.lots_orig - self.lots_left

    def builder_fee(self, notional: int) -> int:
        """Return the builder's share of a fill, in the notional's unit, truncated."""
        return 0 if self.builder is None else notional * self.builder.tenths_bps // TENTHS_BPS

    @property
    def is_market(self) -> bool:
        """Whether the venue calls it a market order."""
        if self.trigger is not None:
            return self.trigger.is_market
        return self.tif_text in ("FrontendMarket", "LiquidationMarket")

    @property
    def fires_below(self) -> bool:
        """Whether the trigger fires at or below its price (else at or above)."""
        assert self.trigger is not None, f"invariant: order {self.oid} should be a trigger"
        return (self.trigger.kind is TriggerKind.STOP_LOSS) is not self.is_buy

    def is_due(self, mark_px: int) -> bool:
        """Tell whether the trigger condition holds at ``mark_px``."""
        assert self.trigger is not None, f"invariant: order {self.oid} should be a trigger"
        trigger_px = self.trigger.trigger_px
        return mark_px <= trigger_px if self.fires_below else mark_px >= trigger_px


class OrderQueue:
    """Orders sorted by price, then time; the best is first. Insertions cost O(log n) plus a move.

    ``is_descending`` puts the highest price first, as bids and fire-at-or-below triggers want.
    """

    __slots__ = ("_entries", "_sign")

    def __init__(self, *, is_descending: bool) -> None:
        self._entries: list[tuple[int, int, Order]] = []
        self._sign = -1 if is_descending else 1

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Order]:
        return (entry[2] for entry in self._entries)

    @property
    def best(self) -> Order | None:
        """The order whose turn is first."""
        return self._entries[0][2] if self._entries else None

    @property
    def best_px(self) -> int:
        """Price key of the best order; the queue is not empty."""
        return self._entries[0][0] * self._sign

    def add(self, order: Order, px: int) -> None:
        """Insert behind the orders of equal price that came earlier."""
        insort(self._entries, (px * self._sign, order.queue_seq, order))

    def remove(self, order: Order, px: int) -> None:
        """Take out an order that was added under ``px``."""
        i = bisect_left(self._entries, (px * self._sign, order.queue_seq))
        found = i < len(self._entries) and self._entries[i][2] is order
        assert found, f"invariant: order {order.oid} should be queued at {px}"
        del self._entries[i]

    def at_px(self, px: int) -> list[Order]:
        """Return the orders at one price, oldest first."""
        key = px * self._sign
        i = bisect_left(self._entries, (key,))
        found = []
        while i < len(self._entries) and self._entries[i][0] == key:
            found.append(self._entries[i][2])
            i += 1
        return found


def order_type_text(order: Order) -> str:
    """Return the venue's ``orderType`` text."""
    if order.twap_id is not None:
        return "Twap Slice"
    if order.trigger is None:
        return "Market" if order.is_market else "Limit"
    kind = "Stop" if order.trigger.kind is TriggerKind.STOP_LOSS else "Take Profit"
    return f"{kind} {'Market' if order.trigger.is_market else 'Limit'}"


def snapshot(order: Order, instrument: Instrument) -> OrderSnapshot:
    """Freeze an order as the venue lists it, with the children that wait for it."""
    trigger_px, condition = 0, "N/A"
    if order.trigger is not None:
        trigger_px = order.trigger.trigger_px
        side = "below" if order.fires_below else "above"
        condition = f"Price {side} {instrument.px_text(trigger_px)}"
    children: tuple[OrderSnapshot, ...] = ()
    if order.group is not None and order.group.parent is order:
        waiting = (child for child in order.group.children if child.stage is Stage.WAITING)
        children = tuple(snapshot(child, instrument) for child in waiting)
    return OrderSnapshot(
        owner=order.owner,
        coin=order.coin,
        oid=order.oid,
        cloid=order.cloid,
        is_buy=order.is_buy,
        px=order.px,
        lots_orig=order.lots_orig,
        lots_left=order.lots_left,
        reduce_only=order.reduce_only,
        tif=None if order.trigger is not None else order.tif_text,
        order_type=order_type_text(order),
        trigger_px=trigger_px,
        trigger_condition=condition,
        is_trigger=order.trigger is not None,
        is_position_tpsl=order.is_position_tpsl,
        children=children,
        placed_ns=order.placed_ns,
    )
