"""A market moved in time by whole days, so that recorded prices happen as if today.

Clients whose clock is the world's (official SDK, other tools) sign nonces and expiries near the
present. A venue whose clock stands in the past refuses them; moving the market is honest where
moving the rules would not be. It changes no price and no order of events.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from core.model.instrument import Instrument
from core.model.market import Candle
from core.model.time import NS_PER_DAY
from core.simulation.market.source import MarketSource, ReactiveSource
from core.simulation.market.ticks import MarketTick


def days_between(past_ns: int, now_ns: int) -> int:
    """Return the whole days, in nanoseconds, from a moment's day to today.

    A moment moved by it falls on today's date at its own time of day.
    """
    return (now_ns // NS_PER_DAY - past_ns // NS_PER_DAY) * NS_PER_DAY


class ShiftedSource:
    """Play another source later by ``offset_ns``, a whole number of days.

    Whole days keep minutes, hours of funding and UTC days where they were.
    """

    def __init__(self, source: MarketSource, offset_ns: int) -> None:
        assert offset_ns % NS_PER_DAY == 0, f"invariant: whole days, was {offset_ns} ns"
        self._source, self._offset_ns = source, offset_ns

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """The source's universe."""
        return self._source.instruments

    @property
    def coins(self) -> tuple[str, ...]:
        """The source's coins."""
        return self._source.coins

    @property
    def start_ns(self) -> int:
        """First moment played, moved."""
        return self._source.start_ns + self._offset_ns

    @property
    def end_ns(self) -> int:
        """Moment after the last tick, moved."""
        return self._source.end_ns + self._offset_ns

    @property
    def assumptions(self) -> tuple[str, ...]:
        """The source's, and how far it was moved."""
        days = self._offset_ns // NS_PER_DAY
        return (*self._source.assumptions, f"the market is played {days} days later than recorded")

    def ticks(self) -> Iterator[MarketTick]:
        """Play the source with moved stamps."""
        for tick in self._source.ticks():
            yield msgspec.structs.replace(tick, ts_ns=tick.ts_ns + self._offset_ns)

    def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
        """Let the source hear of local trades at its own time, if it reacts."""
        if isinstance(self._source, ReactiveSource):
            moved_ns = ts_ns - self._offset_ns
            self._source.react(coin, lots_signed=lots_signed, px=px, ts_ns=moved_ns)

    def candles_before(
        self, coin: str, interval_ns: int, end_ns: int, count: int
    ) -> tuple[Candle, ...]:
        """Return the source's history with moved stamps.

        Bars of intervals that do not divide a day (3d, 1w) keep the source's own boundaries.
        """
        candles = self._source.candles_before(coin, interval_ns, end_ns - self._offset_ns, count)
        return tuple(
            msgspec.structs.replace(candle, open_ns=candle.open_ns + self._offset_ns)
            for candle in candles
        )
