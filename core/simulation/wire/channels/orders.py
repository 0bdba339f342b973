"""Channels of orders: status changes, the list of open ones, the history, and words about fills.

Source: reference sections 9 and 11.4, recorded frames. An order that fills at once shows as
``open`` and then ``filled`` in one message, because both come out of one action.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.simulation.market.builder_dexes import FIRST_DEX
from core.simulation.venue.outputs import (
    FillOutput,
    OrderOutput,
    OrderSnapshot,
    OrderState,
    VenueOutput,
    VenueStatus,
)
from core.simulation.wire.channels.base import (
    ChannelContext,
    UserChannel,
    UserDexChannel,
    UserRowsChannel,
)
from core.simulation.wire.rows import Row, frontend_row, order_row, order_state_row
from core.simulation.wire.subscriptions import Key
from core.simulation.wire.text import ms


class OrderUpdates(UserChannel):
    """Every status an order takes; it names no user and has no snapshot, as on the venue.

    What arrives together is one message. A partial fill changes no status; the venue is taken to
    repeat ``open`` with the size that is left, once per order and action.
    """

    kind = "orderUpdates"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._filled: dict[int, int] = {}

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the status change."""
        if isinstance(output, FillOutput):
            self._filled[output.fill.oid] = output.fill.ts_exch_ns
        if not isinstance(output, OrderOutput):
            return ()
        self._filled.pop(output.order.oid, None)
        return (self._row(output.order, output.status, output.status_ns),)

    def on_change(self, ts_ns: int) -> list[Row] | None:
        """Return the orders that were filled in part and stay open."""
        filled, self._filled = self._filled, {}
        if not filled or not self.context.settings.tells_partial_fills:
            return None
        states = [
            (self.context.exchange.order_status(self.owner, oid), filled[oid]) for oid in filled
        ]
        return [
            self._row(state.order, state.status, filled_ns)
            for state, filled_ns in states
            if state is not None and state.status is VenueStatus.OPEN
        ] or None

    def data(self, rows: list[Any]) -> list[Any]:
        """Join the changes into one message, in order."""
        joined: list[Row] = []
        for row in rows:
            joined += row if isinstance(row, list) else [row]
        return [joined]

    def _row(self, order: OrderSnapshot, status: VenueStatus, status_ns: int) -> Row:
        return {
            "order": order_row(order, self.context.instruments[order.coin]),
            "status": status.value,
            "statusTimestamp": ms(status_ns),
        }


class OpenOrders(UserDexChannel):
    """The whole list of open orders of a dex, whenever an order changed."""

    kind = "openOrders"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._has_changed = False

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the list as it stands."""
        return [self._row()]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Note that an order changed."""
        if isinstance(output, OrderOutput | FillOutput):
            self._has_changed = True
        return ()

    def on_change(self, ts_ns: int) -> Row | None:
        """Return the list if an order changed."""
        if not self._has_changed:
            return None
        self._has_changed = False
        return self._row()

    def _row(self) -> Row:
        orders = open_order_rows(self.context, self.owner) if self.dex == FIRST_DEX else []
        return {"dex": self.dex, "user": self.owner, "orders": orders}


class UserHistoricalOrders(UserRowsChannel):
    """Every status every order had, first those of the past."""

    kind = "userHistoricalOrders"
    rows_key = "orderHistory"

    def past_rows(self) -> list[Row]:
        """Return the status changes that are remembered."""
        states = self.context.exchange.historical_orders(self.owner)
        return [self._row(state) for state in reversed(states)]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the status change."""
        if not isinstance(output, OrderOutput):
            return ()
        state = OrderState(order=output.order, status=output.status, status_ns=output.status_ns)
        return (self._row(state),)

    def _row(self, state: OrderState) -> Row:
        return order_state_row(state, self.context.instruments[state.order.coin])


class Notification(UserChannel):
    """A sentence for each fill of a resting order, as the venue's page shows it; each is told."""

    kind = "notification"

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the sentence."""
        if not isinstance(output, FillOutput) or not output.fill.is_maker:
            return ()
        fill, instrument = output.fill, self.context.instruments[output.fill.coin]
        verb = "Bought" if fill.is_buy else "Sold"
        size, px = instrument.lots_text(fill.lots), instrument.px_text(fill.px)
        text = f"Resting order filled: {verb} {size} {fill.coin} at ${px}"
        return ({"notification": text},)

    def data(self, rows: list[Any]) -> list[Any]:
        """Send each sentence on its own."""
        return rows


def open_order_rows(context: ChannelContext, owner: str) -> list[Row]:
    """Return an account's open orders in their long form, newest first, as recorded of queries."""
    orders = context.exchange.open_orders(owner)[::-1]
    return [frontend_row(order, context.instruments[order.coin]) for order in orders]
