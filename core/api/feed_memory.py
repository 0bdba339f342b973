"""What a feed has already said about the account's past.

A subscription to fills, funding or the ledger begins with a snapshot of history. The first snapshot
lies before the session, whose account report includes it, so none of it is news; a later one, after
a reconnect, is news where it holds what was missed. Fills are also told apart by the engine.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from core.api.wire import FillsFrame, Frame, FundingsFrame, LedgerFrame
from core.model.events import Event, FundingPaid, LedgerMoved, OrderFilled

KEYS_MAX = 20_000
"""More than the venue's longest snapshots of three channels together."""


class FeedMemory:
    """Let through what is new of the account's history, each row once."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, None] = OrderedDict()
        self._has_snapshot: set[type] = set()

    def news(self, frame: Frame, events: list[Event]) -> list[Event]:
        """Return the events of a frame that were not known before, in their order."""
        if not isinstance(frame, FillsFrame | FundingsFrame | LedgerFrame):
            return events
        is_past = frame.data.is_snapshot and type(frame) not in self._has_snapshot
        self._has_snapshot.add(type(frame))
        fresh = [event for event in events if self._is_new(event)]
        return [event for event in fresh if _key(event) is None] if is_past else fresh

    def _is_new(self, event: Event) -> bool:
        """Tell whether an event was never seen, and remember it."""
        key = _key(event)
        if key is None:
            return True
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > KEYS_MAX:
            self._seen.popitem(last=False)
        return True


def _key(event: Event) -> Hashable | None:
    """Return what makes a row of history unique, ``None`` for anything else."""
    if isinstance(event, OrderFilled):
        return ("fill", event.fill.coin, event.fill.tid, event.ts_exch_ns)
    if isinstance(event, FundingPaid):
        return ("funding", event.coin, event.ts_exch_ns)
    if isinstance(event, LedgerMoved):
        return ("ledger", event.hash, event.kind, event.ts_exch_ns, event.amount_micro)
    return None
