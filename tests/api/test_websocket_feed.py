"""The feed against a venue on loopback: it comes back, subscribes again, and owns up to holes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from core.api.codec import Codec
from core.api.limits import WS_PING_SECONDS
from core.api.pace import at_least_wall
from core.api.websocket_feed import (
    COIN_SILENCE_SECONDS,
    WebSocketFeed,
    subscriptions_for,
)
from core.model.errors import VenueError
from core.model.events import (
    BboChanged,
    CandlesLoaded,
    DataGap,
    DataQuarantined,
    Event,
    LinkChanged,
    OrderFilled,
)
from core.model.time import NS_PER_MS, NS_PER_S
from core.utils.clock import ManualClock, ScaledClock
from tests.api.fake_venue import FakeVenue
from tests.api.instruments import ADDRESS, BTC, ETH

START_NS = 1_700_000_000 * NS_PER_S
SUBSCRIPTIONS = 14


class Bench:
    """A feed on a clock that a test moves, and the events it emitted."""

    def __init__(self, venue: FakeVenue, **options: Any) -> None:
        self.clock = ManualClock(START_NS)
        self.events: list[Event] = []
        self.caught_up = 0
        self.catch_up_error: VenueError | None = None
        self.changed = asyncio.Condition()
        self.feed = WebSocketFeed(
            venue.ws_url,
            Codec([BTC, ETH], account=ADDRESS),
            self.clock,
            self._emit,
            account=ADDRESS,
            coins=("BTC", "ETH"),
            on_reconnected=self._catch_up,
            jitter=lambda: 1.0,
            **options,
        )

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        asyncio.ensure_future(self._notify())  # noqa: RUF006

    async def _catch_up(self) -> None:
        self.caught_up += 1
        self._emit(CandlesLoaded(coin="BTC", interval_ns=1, candles=()))
        if self.catch_up_error is not None:
            error, self.catch_up_error = self.catch_up_error, None
            raise error

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            async with self.changed:
                await self.changed.wait_for(condition)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def links(self) -> list[tuple[str, bool]]:
        return [(e.channel, e.is_up) for e in self.of(LinkChanged)]

    async def until_sleeping(self) -> None:
        """Wait until the feed pauses before a new connection: nothing else sleeps then."""
        async with asyncio.timeout(5):
            while self.clock.sleeper_count != 1 or self.feed.is_connected:
                await asyncio.sleep(0)


def bbo(coin: str = "BTC", px: str = "60000.0", time_ms: int = 1) -> dict[str, Any]:
    level = {"px": px, "sz": "1.0", "n": 1}
    return {"channel": "bbo", "data": {"coin": coin, "time": time_ms, "bbo": [level, None]}}


def test_the_subscriptions() -> None:
    wanted = subscriptions_for(("BTC",), "5m", ADDRESS)
    assert wanted == [
        {"type": "bbo", "coin": "BTC"},
        {"type": "l2Book", "coin": "BTC"},
        {"type": "trades", "coin": "BTC"},
        {"type": "activeAssetCtx", "coin": "BTC"},
        {"type": "candle", "coin": "BTC", "interval": "5m"},
        {"type": "orderUpdates", "user": ADDRESS},
        {"type": "userFills", "user": ADDRESS},
        {"type": "userFundings", "user": ADDRESS},
        {"type": "userNonFundingLedgerUpdates", "user": ADDRESS},
    ]
    assert len(subscriptions_for(("BTC",), "1m", None)) == 5


async def test_connect_subscribe_receive_disconnect(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    await bench.feed.connect()  # harmless
    assert len(venue.sockets) == 1
    assert bench.feed.is_connected
    assert bench.links() == [("market", True), ("user", True)]
    assert venue.subscriptions == [subscriptions_for(("BTC", "ETH"), "1m", ADDRESS)]
    await venue.send(bbo())
    await bench.until(lambda: bool(bench.of(BboChanged)))
    (event,) = bench.of(BboChanged)
    assert (event.bid_px, event.ts_exch_ns, event.seq) == (600_000, NS_PER_MS, 0)
    assert bench.caught_up == 0
    await bench.feed.disconnect()
    await bench.feed.disconnect()
    assert bench.links()[2:] == [("market", False), ("user", False)]


async def test_a_market_feed_has_no_user_link(venue: FakeVenue) -> None:
    events: list[Event] = []
    feed = WebSocketFeed(
        venue.ws_url, Codec([BTC]), ManualClock(START_NS), events.append, coins=("BTC",)
    )
    await feed.connect()
    await feed.disconnect()
    assert [(e.channel, e.is_up) for e in events if isinstance(e, LinkChanged)] == [
        ("market", True),
        ("market", False),
    ]


async def test_a_dropped_link_comes_back_with_everything(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    await bench.clock.advance(5)
    await venue.send(bbo("BTC"))
    await bench.until(lambda: bool(bench.of(BboChanged)))
    await bench.clock.advance(3)
    await venue.drop()
    await bench.until(lambda: ("market", False) in bench.links())
    await bench.until_sleeping()
    await bench.clock.advance(2.0)  # the first pause
    await bench.until(lambda: bench.caught_up == 1)
    assert venue.subscriptions[1] == venue.subscriptions[0]
    assert bench.links() == [(c, up) for up in (True, False, True) for c in ("market", "user")]
    gaps = {g.coin: (g.from_ns - START_NS, g.to_ns - START_NS) for g in bench.of(DataGap)}
    assert gaps == {
        "BTC": (5 * NS_PER_S, 10 * NS_PER_S),
        "ETH": (0, 10 * NS_PER_S),
    }
    # The hole is told before the link is up, and history comes after.
    kinds = [type(e).__name__ for e in bench.events]
    last_gap = max(i for i, kind in enumerate(kinds) if kind == "DataGap")
    assert kinds[last_gap + 1 :] == ["LinkChanged", "LinkChanged", "CandlesLoaded"]
    assert bench.feed.reconnect_count == 1
    await bench.feed.disconnect()


async def test_pauses_grow_while_the_venue_is_away(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    venue.refuse_sockets = 3
    await venue.drop()
    for left, pause in ((2, 2.0), (1, 5.0), (0, 10.0)):
        await bench.until_sleeping()
        await bench.clock.advance(pause - 0.1)
        assert venue.refuse_sockets == left + 1
        await bench.clock.advance(0.1)
        await venue.until(lambda left=left: venue.refuse_sockets == left)
    await bench.until_sleeping()
    await bench.clock.advance(20)
    await bench.until(lambda: bench.caught_up == 1)
    await bench.feed.disconnect()


async def test_the_first_connection_fails_loudly(venue: FakeVenue) -> None:
    venue.refuse_sockets = 1
    bench = Bench(venue)
    with pytest.raises(VenueError, match=r"feed should connect to .*503"):
        await bench.feed.connect()
    assert bench.links() == []
    # The object can be used again.
    await bench.feed.connect()
    await bench.feed.disconnect()


async def test_a_venue_that_does_not_acknowledge_is_no_link(venue: FakeVenue) -> None:
    venue.is_acking = False
    bench = Bench(venue)
    connecting = asyncio.create_task(bench.feed.connect())
    await venue.until(lambda: bool(venue.subscriptions) and len(venue.subscriptions[0]) == 14)
    await bench.clock.advance(10)
    with pytest.raises(VenueError, match="no acknowledgement of"):
        await connecting


async def test_pings_keep_a_quiet_link_alive(venue: FakeVenue) -> None:
    feed_events: list[Event] = []
    clock = ManualClock(START_NS)
    feed = WebSocketFeed(venue.ws_url, Codec(), clock, feed_events.append, account=ADDRESS)
    await feed.connect()
    for count in range(1, 8):
        heard_before = feed._heard_ns
        await clock.advance(WS_PING_SECONDS)
        await venue.until(lambda count=count: venue.pings == count)
        async with asyncio.timeout(5):
            while feed._heard_ns == heard_before:
                await asyncio.sleep(0)
    assert feed.is_connected
    assert len(venue.sockets) == 1
    await feed.disconnect()


async def test_a_link_without_pongs_is_dead(venue: FakeVenue) -> None:
    venue.is_ponging = False
    bench = Bench(venue)
    await bench.feed.connect()
    await bench.clock.advance(65)
    await bench.until(lambda: ("market", False) in bench.links())
    assert "silent for 60 s" in bench.of(LinkChanged)[2].detail
    await bench.feed.disconnect()


async def test_one_silent_coin_is_enough(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    count = 0
    while bench.feed.is_connected and count < 40:
        count += 1
        await venue.send(bbo("BTC", time_ms=count))
        await bench.until(lambda count=count: len(bench.of(BboChanged)) == count)
        await bench.clock.advance(5)
    assert 12 <= count <= 14
    assert f"ETH silent for {COIN_SILENCE_SECONDS:.0f} s" in bench.of(LinkChanged)[2].detail
    await bench.feed.disconnect()


async def test_a_failed_catch_up_is_a_failed_link(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    bench.catch_up_error = VenueError("no history")
    await venue.drop()
    await bench.until_sleeping()
    await bench.clock.advance(2)
    await bench.until(lambda: bench.links().count(("market", False)) == 2)
    await bench.until_sleeping()
    await bench.clock.advance(5)
    await bench.until(lambda: bench.caught_up == 2)
    assert bench.feed.is_connected
    await bench.feed.disconnect()


def fills(is_snapshot: bool, *tids: int) -> dict[str, Any]:
    rows = [
        {
            "coin": "BTC",
            "px": "60000.0",
            "sz": "0.01",
            "side": "B",
            "time": tid,
            "startPosition": "0.0",
            "closedPnl": "0.0",
            "oid": 1,
            "crossed": True,
            "fee": "0.1",
            "tid": tid,
            "feeToken": "USDC",
        }
        for tid in tids
    ]
    data = {"user": ADDRESS, "fills": rows, "isSnapshot": is_snapshot}
    return {"channel": "userFills", "data": data}


async def test_history_is_not_news_but_what_was_missed_is(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    await venue.send(fills(True, 1, 2))
    await venue.send(fills(False, 3))
    await bench.until(lambda: len(bench.of(OrderFilled)) == 1)
    await venue.drop()
    await bench.until_sleeping()
    await bench.clock.advance(2)
    await bench.until(lambda: bench.caught_up == 1)
    await venue.send(fills(True, 1, 2, 3, 4))
    await bench.until(lambda: len(bench.of(OrderFilled)) == 2)
    assert [e.fill.tid for e in bench.of(OrderFilled)] == [3, 4]
    await bench.feed.disconnect()


async def test_errors_and_oddities(venue: FakeVenue) -> None:
    bench = Bench(venue)
    await bench.feed.connect()
    await venue.send({"channel": "error", "data": "Already subscribed: {}"})
    await venue.send({"channel": "error", "data": "Invalid subscription {}"})
    await venue.send({"channel": "newThing", "data": 1})
    await venue.send(bbo())
    await bench.until(lambda: bool(bench.of(BboChanged)))
    assert [
        "ws_error" in e.detail or "newThing" in e.detail for e in bench.of(DataQuarantined)
    ] == [
        True,
        True,
    ]
    await bench.feed.disconnect()


async def test_messages_can_be_fed_by_hand() -> None:
    feed = WebSocketFeed(codec=Codec([BTC]))
    feed.on_message(b'{"channel":"bbo","data":{"coin":"BTC","time":1,"bbo":[null,null]}}')
    assert [type(e) for e in feed.events] == [BboChanged]
    assert not feed.is_connected


def test_too_many_coins_for_one_connection() -> None:
    with pytest.raises(VenueError, match="1000 subscriptions, 1005 are wanted"):
        WebSocketFeed(coins=[f"C{i}" for i in range(201)])


def test_a_fast_clock_gets_time_outs_that_last() -> None:
    fast = ScaledClock(0, 1440.0, 0, monotonic_ns=lambda: 0)
    assert at_least_wall(fast, 60.0, 5.0) == 7200.0
    assert at_least_wall(fast, 600.0, 0.1) == 600.0
    assert at_least_wall(ManualClock(), 60.0, 5.0) == 60.0


async def test_who_waits_for_the_feed_hears_of_the_defect_that_ended_it(venue: FakeVenue) -> None:
    def break_on_bbo(event: Event) -> None:
        assert not isinstance(event, BboChanged), "invariant: planted"

    feed = WebSocketFeed(
        venue.ws_url, Codec([BTC]), ManualClock(START_NS), break_on_bbo, coins=("BTC",)
    )
    await feed.connect()
    waiting = asyncio.create_task(feed.wait())
    await venue.send(bbo())
    with pytest.raises(AssertionError, match="planted"):
        async with asyncio.timeout(5):
            await waiting
    await feed.disconnect()
