"""Channels of TWAP orders: fills of their slices, how they began and ended, where they stand.

Source: reference section 11.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.simulation.market.builder_dexes import FIRST_DEX
from core.simulation.venue.outputs import FillOutput, VenueOutput
from core.simulation.venue.records import TwapOutput
from core.simulation.wire.channels.base import (
    ChannelContext,
    UserDexChannel,
    UserRowsChannel,
)
from core.simulation.wire.rows import Row
from core.simulation.wire.subscriptions import Key
from core.simulation.wire.twap_rows import twap_history_row, twap_slice_row, twap_state_row


class UserTwapSliceFills(UserRowsChannel):
    """Fills of TWAP slices with the id of their TWAP."""

    kind = "userTwapSliceFills"
    rows_key = "twapSliceFills"

    def past_rows(self) -> list[Row]:
        """Return the slice fills that are remembered."""
        outputs = self.context.exchange.fills(self.owner)
        return [self._row(output) for output in outputs if output.twap_id is not None]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the slice fill."""
        if not isinstance(output, FillOutput) or output.twap_id is None:
            return ()
        return (self._row(output),)

    def _row(self, output: FillOutput) -> Row:
        return twap_slice_row(output, self.context.instruments)


class UserTwapHistory(UserRowsChannel):
    """How the account's TWAP orders began and ended."""

    kind = "userTwapHistory"
    rows_key = "history"

    def past_rows(self) -> list[Row]:
        """Return what is remembered."""
        outputs = self.context.exchange.twaps.history(self.owner)
        return [self._row(output) for output in reversed(outputs)]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Return the beginning or end."""
        return (self._row(output),) if isinstance(output, TwapOutput) else ()

    def _row(self, output: TwapOutput) -> Row:
        return twap_history_row(output, self.context.instruments)


class TwapStates(UserDexChannel):
    """The running TWAP orders of a dex, whenever one of them moved."""

    kind = "twapStates"

    def __init__(self, context: ChannelContext, key: Key) -> None:
        super().__init__(context, key)
        self._has_changed = False

    def snapshot(self, now_ns: int) -> list[Any]:
        """Return the running TWAP orders."""
        return [self._row()]

    def on_output(self, output: VenueOutput) -> Sequence[Row]:
        """Note that a TWAP order moved."""
        if isinstance(output, TwapOutput) or (
            isinstance(output, FillOutput) and output.twap_id is not None
        ):
            self._has_changed = True
        return ()

    def on_change(self, ts_ns: int) -> Row | None:
        """Return the running TWAP orders if one moved."""
        if not self._has_changed:
            return None
        self._has_changed = False
        return self._row()

    def _row(self) -> Row:
        states = twap_state_rows(self.context, self.owner) if self.dex == FIRST_DEX else []
        return {"dex": self.dex, "user": self.owner, "states": states}


def twap_state_rows(context: ChannelContext, owner: str) -> list[list[Any]]:
    """Return an account's running TWAP orders as pairs of id and state."""
    return [
        [state.twap_id, twap_state_row(state, context.instruments[state.request.coin])]
        for state in context.exchange.twaps.running(owner)
    ]
