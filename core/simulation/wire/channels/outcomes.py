"""The channel of outcome markets. None are simulated, so after its acknowledgement it is silent."""

from __future__ import annotations

from core.simulation.wire.channels.base import Channel, ChannelContext
from core.simulation.wire.subscriptions import Subscription, Wish


class OutcomeMetaUpdates(Channel):
    """New, changed and settled outcome markets; here there are none."""

    kind = "outcomeMetaUpdates"

    @classmethod
    def read(cls, wish: Wish, context: ChannelContext) -> Subscription | None:
        """Take no parameters."""
        return Subscription((cls.kind,), {"type": cls.kind})
