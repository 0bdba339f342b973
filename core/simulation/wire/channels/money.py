"""Channels of what an account got and paid: fills, funding, ledger, and the mixed user events.

Source: reference section 11.4, recorded frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    FundingOutput,
    LedgerOutput,
    LiquidationOutput,
    OrderOutput,
    VenueOutput,
    VenueStatus,
)
from core.simulation.venue.records import TwapOutput
from core.simulation.wire.aggregation import aggregated
from core.simulation.wire.channels.base import ChannelContext, UserChannel, UserRowsChannel
from core.simulation.wire.ledger_rows import SEIZED, ledger_row, ledger_rows
from core.simulation.wire.rows import (
    Row,
    fill_row,
    funding_stream_row,
    liquidation_event,
    liquidation_ledger_row,
)
from core.simulation.wire.subscriptions import Key, Subscription, Wish, flag_of, user_of
from core.simulation.wire.twap_rows import twap_history_row, twap_slice_row

_EXPECTED = frozenset(
    {VenueStatus.OPEN, VenueStatus.TRIGGERED, VenueStatus.FILLED, VenueStatus.CANCELED}
)
"""Statuses that an order takes by its owner's wish."""


class UserFills(UserRowsChannel):
    """The account's fills; with ``aggregateByTime`` those of one crossing order are one row."""

    kind = "userFills"
    rows_key = "fills"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._is_aggregated: bool = key[2]

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Read ``user`` and ``aggregateByTime``."""
        user, is_aggregated = user_of(wish), flag_of(wish, "aggregateByTime")
        if user is None or is_aggregated is None:
            return None
        echo = {"type": cls.kind, "user": user, "aggregateByTime": is_aggregated}
        return Subscription((cls.kind, user, is_aggregated), echo, user)

    def past_rows(self) -> list[Row]:
        """Return the fills that are remembered."""
        return self._rows(self.context.exchange.fills(self.owner))

    def on_output(self, output: VenueOutput) -> Sequence[FillOutput]:
        """Return the fill."""
        return (output,) if isinstance(output, FillOutput) else ()

    def data(self, rows: list[Any]) -> list[Any]:
        """Join the fills into one message, partial ones as one row where asked for."""
        return super().data(self._rows(rows))

    def _rows(self, outputs: Sequence[FillOutput]) -> list[Row]:
        instruments = self.context.instruments
        fills = aggregated(outputs) if self._is_aggregated else outputs
        return [fill_row(output, instruments[output.fill.coin]) for output in fills]


class UserFundings(UserRowsChannel):
    """Hourly funding of the account's positions."""

    kind = "userFundings"
    rows_key = "fundings"

    def past_rows(self) -> list[Row]:
        """Return the payments that are remembered."""
        return [self._row(output) for output in self.context.exchange.funding_history(self.owner)]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the payment."""
        return (self._row(output),) if isinstance(output, FundingOutput) else ()

    def _row(self, output: FundingOutput) -> Row:
        return funding_stream_row(output, self.context.instruments[output.coin])


class UserLedger(UserRowsChannel):
    """Money that moved without a trade."""

    kind = "userNonFundingLedgerUpdates"
    rows_key = "nonFundingLedgerUpdates"

    def past_rows(self) -> list[Row]:
        """Return the movements that are remembered."""
        return ledger_rows(self.context.exchange, self.context.instruments, self.owner)

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the movement, or the liquidation."""
        if isinstance(output, LiquidationOutput):
            return (liquidation_ledger_row(output, self.context.instruments),)
        if not isinstance(output, LedgerOutput) or output.kind == SEIZED:
            return ()
        return (ledger_row(output),)


class UserEvents(UserChannel):
    """All that happens to an account, one kind per message; the wire calls the channel ``user``.

    It names no user and has no snapshot. Events of one kind that follow each other directly share
    a message where the kind holds a list.
    """

    kind = "userEvents"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self.wire_name = "user"

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the events that one output is."""
        instruments = self.context.instruments
        if isinstance(output, FillOutput):
            row = fill_row(output, instruments[output.fill.coin])
            if output.twap_id is None:
                return ({"fills": [row]},)
            return {"fills": [row]}, {"twapSliceFills": [twap_slice_row(output, instruments)]}
        if isinstance(output, FundingOutput):
            return ({"funding": funding_stream_row(output, instruments[output.coin])},)
        if isinstance(output, LiquidationOutput):
            return (liquidation_event(output, LIQUIDATOR, _liquidation_id(output)),)
        if isinstance(output, TwapOutput):
            return ({"twapHistory": [twap_history_row(output, instruments)]},)
        if isinstance(output, OrderOutput) and _is_cancelled_by_venue(output.status):
            return ({"nonUserCancel": [{"coin": output.order.coin, "oid": output.order.oid}]},)
        return ()

    def data(self, rows: list[Any]) -> list[Any]:
        """Join neighbours of one kind."""
        joined: list[Row] = []
        for row in rows:
            ((kind, value),) = row.items()
            if joined and kind in joined[-1] and isinstance(value, list):
                joined[-1] = {kind: joined[-1][kind] + value}
            else:
                joined.append(row)
        return joined


def _is_cancelled_by_venue(status: VenueStatus) -> bool:
    """Tell whether an order that had lived ended without its owner's wish."""
    return status not in _EXPECTED and not status.is_rejected


def _liquidation_id(output: LiquidationOutput) -> int:
    """Return an id of a liquidation that all listeners see alike: the head of its hash."""
    return int(output.hash[2:14], 16)
