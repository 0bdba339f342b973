"""The paper account: what travels keeps its order, the touch replaces what it passed."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from core.model.events import BboChanged, Event, InstrumentsListed, LinkChanged, TradesPrinted
from core.model.instrument import Instrument
from core.model.market import PublicTrade
from core.runtime.paper_link import Conveyor, PaperLink, _with_touch
from core.simulation.wire.latency import LatencyModel
from core.utils.clock import ManualClock

BTC = Instrument(coin="BTC", asset=0, sz_decimals=5, leverage_max=40)
ACCOUNT = "0x" + "a1" * 20


async def test_nothing_overtakes_even_if_it_would_travel_faster() -> None:
    clock = ManualClock(0)
    delays = itertools.cycle([900_000_000, 1, 400_000_000])
    got: list[int] = []
    conveyor: Conveyor[int] = Conveyor(clock, lambda: next(delays), got.append)
    carrying = asyncio.create_task(conveyor.run())
    for item in range(9):
        conveyor.put(item)
    await clock.advance(0.5)
    assert got == [], "the first takes 0.9 s and the others wait behind it"
    await clock.advance(1.0)
    assert got == list(range(9))
    assert conveyor.is_empty
    carrying.cancel()


def _touch(bid: int, ask: int) -> BboChanged:
    return BboChanged(coin="BTC", bid_px=bid, bid_lots=7, ask_px=ask, ask_lots=8)


@pytest.mark.parametrize(
    ("touch", "bids", "asks"),
    [
        (_touch(100, 101), ((100, 7), (99, 2)), ((101, 8), (102, 2))),
        (_touch(99, 103), ((99, 7),), ((103, 8),)),
        (_touch(0, 101), (), ((101, 8), (102, 2))),
        (_touch(100, 0), ((100, 7), (99, 2)), ()),
    ],
)
def test_the_touch_replaces_what_it_passed(touch: BboChanged, bids: object, asks: object) -> None:
    known = (((100, 1), (99, 2)), ((101, 1), (102, 2)))
    assert _with_touch(known, touch) == (bids, asks)


async def test_a_venue_that_breaks_down_takes_the_user_link_down() -> None:
    seen: list[Event] = []
    clock = ManualClock(0)
    link = PaperLink(
        seen.append, account=ACCOUNT, equity_micro=10**10, clock=clock, latency=LatencyModel(1)
    )
    link.observe(InstrumentsListed(instruments=(BTC,)))
    await link.start()
    assert seen == [LinkChanged(channel="user", is_up=True, detail="paper account")]

    def break_down(_: object) -> None:
        raise AssertionError("invariant: planted")

    link._commands._hand_over = break_down
    link._commands.put(object())  # type: ignore[arg-type]
    await clock.advance(5.0)
    assert seen[-1] == LinkChanged(channel="user", is_up=False, detail="invariant: planted")
    with pytest.raises(AssertionError, match="planted"):
        await link.close()


def test_prints_of_the_past_fill_nothing_and_no_print_counts_twice() -> None:
    clock = ManualClock(1_000)
    link = PaperLink(
        lambda event: None, account=ACCOUNT, equity_micro=1, clock=clock, latency=LatencyModel(1)
    )

    def prints(*rows: tuple[int, int]) -> tuple[object, ...]:
        trades = tuple(PublicTrade(100 + tid, 1, True, ts_ns, tid) for ts_ns, tid in rows)
        return link._new_trades(TradesPrinted(coin="BTC", trades=trades))

    assert prints((900, 1), (999, 2)) == (), "older than the link"
    assert prints((1_500, 3), (1_500, 4)) == ((103, 1, True), (104, 1, True))
    assert prints((900, 1), (1_500, 3), (1_500, 5)) == ((105, 1, True),), "a new subscription"
    assert prints((1_600, 6), (1_500, 4)) == ((106, 1, True),)
