"""A delisting is heard of while running, and nothing is told twice."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from core.model.errors import VenueError
from core.model.events import Event, InstrumentsListed
from core.model.instrument import Instrument
from core.runtime.wired import MARKETS_EVERY_SECONDS, watch_markets
from core.utils.clock import ManualClock

BTC = Instrument(coin="BTC", asset=0, sz_decimals=5, leverage_max=40)
GONE = msgspec.structs.replace(BTC, is_delisted=True)


class Venue:
    """Answers what it is told to, or not at all."""

    def __init__(self) -> None:
        self.listed: tuple[Instrument, ...] | None = (BTC,)
        self.asked = 0

    async def fetch_instruments(self) -> tuple[tuple[Instrument, ...], list[Any]]:
        self.asked += 1
        if self.listed is None:
            raise VenueError("nobody home")
        return self.listed, []


async def test_only_changes_are_told_and_silence_is_asked_again() -> None:
    clock, told = ManualClock(0), list[Event]()
    venue: Any = Venue()
    watching = asyncio.create_task(watch_markets(venue, clock, (BTC,), told.append))
    await clock.advance(MARKETS_EVERY_SECONDS + 1)
    assert (venue.asked, told) == (1, [])
    venue.listed = None
    await clock.advance(MARKETS_EVERY_SECONDS)
    assert (venue.asked, told) == (2, [])
    venue.listed = (GONE,)
    await clock.advance(MARKETS_EVERY_SECONDS)
    await clock.advance(MARKETS_EVERY_SECONDS)
    assert venue.asked == 4
    assert told == [InstrumentsListed(instruments=(GONE,))]
    watching.cancel()
