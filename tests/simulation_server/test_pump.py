"""Venue time: who comes first, how long the ways are, and what a late process must not change."""

from __future__ import annotations

import asyncio
from typing import ClassVar

import pytest

from core.simulation.exchange import SimulatedExchange
from core.simulation.server import VenueServer
from core.simulation.wire.ip_budget import action_weight, info_weight, rows_weight
from core.simulation.wire.latency import NO_LATENCY, LatencySettings
from core.simulation.wire.time_mode import TimeMode
from core.utils.clock import ManualClock
from tests.simulation_server.venue import (
    MASTER,
    SECOND_NS,
    START_NS,
    STRANGER,
    ScriptedSource,
    Venue,
    btc_tick,
    open_venue,
    order,
    place,
    quiet_market,
    statuses,
)

FLOORS = LatencySettings()


async def test_order_meets_the_market_that_stands_when_it_arrives() -> None:
    """The book at sending offers 100,001; a tick during the way moves it to 100,501."""
    ticks = [btc_tick(0, 100_000, 100_001), btc_tick(1.1, 100_500, 100_501)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        ioc = place(order(px="100001", sz="0.001", tif="Ioc"))
        raw = venue.signed(ioc)
        assert venue.clock.now_ns() == START_NS + SECOND_NS
        (status,) = statuses(await venue.act(ioc))
        assert "could not immediately match" in status["error"]
        assert raw


async def test_order_never_executes_before_the_entry_latency() -> None:
    async with open_venue() as venue:
        sent_ns = venue.clock.now_ns()
        answer = await venue.act(place(order(px="99000")))
        row = (await venue.ask("openOrders", user=MASTER.address))[0]
        assert statuses(answer)[0]["resting"]["oid"] == row["oid"]
        way_ms = row["timestamp"] - sent_ns // 1_000_000
        assert way_ms >= FLOORS.entry_floor_ms


async def test_resting_order_meets_the_new_market_before_its_cancel() -> None:
    """A sell print through the bid comes while the cancel is on its way: the fill stands."""
    ticks = [btc_tick(0, 100_000, 100_001)]
    async with open_venue(ScriptedSource([*ticks, btc_tick(60, 1, 2)])) as venue:
        oid = statuses(await venue.act(place(order(px="99990"))))[0]["resting"]["oid"]
        now_s = (venue.clock.now_ns() - START_NS) / SECOND_NS
        through = btc_tick(now_s + 0.01, 99_979, 99_980, trades=((99_980, 10**9, False),))
        venue.server.pump._tick = through
        answer = await venue.act({"type": "cancel", "cancels": [{"a": 0, "o": oid}]})
        assert "never placed, already canceled, or filled" in statuses(answer)[0]["error"]
        state = await venue.ask("orderStatus", user=MASTER.address, oid=oid)
        assert state["order"]["status"] == "filled"


async def test_actions_keep_their_order_of_arrival() -> None:
    async with open_venue() as venue:
        bodies = [venue.signed(place(order(px=str(99_000 + i)))) for i in range(20)]
        futures = [venue.server.exchange(body) for body in bodies]
        await venue.settle(asyncio.gather(*futures))
        rows = await venue.ask("openOrders", user=MASTER.address)
        by_oid = sorted(rows, key=lambda row: row["oid"])
        assert [row["limitPx"] for row in by_oid] == [f"{99_000 + i}.0" for i in range(20)]


async def test_news_arrive_after_the_feed_latency() -> None:
    async with open_venue(quiet_market(seconds=100)) as venue:
        session, frames = venue.connect()
        session.handle('{"method":"subscribe","subscription":{"type":"trades","coin":"BTC"}}')
        await venue.clock.advance(2.0)
        tick = btc_tick(5, 100_000, 100_001, trades=((100_001, 1, True),))
        venue.server.pump._tick = tick
        await venue.clock.advance((tick.ts_ns - venue.clock.now_ns()) / SECOND_NS)
        assert venue.exchange.now_ns == tick.ts_ns
        assert not frames.of("trades")
        await venue.clock.advance(FLOORS.feed_floor_ms / 1000 - 0.001)
        assert not frames.of("trades")
        await venue.clock.advance(1.0)
        assert frames.of("trades")[0][0]["px"] == "100001.0"


async def test_a_late_process_coalesces_and_keeps_the_order() -> None:
    """A stall of ten minutes: every tick is applied, news are joined, no candle is lost."""
    ticks = [
        btc_tick(s, 100_000 + s, 100_001 + s, trades=((100_001 + s, 1, True),))
        for s in range(0, 640, 5)
    ]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        for wish in (
            '{"type":"trades","coin":"BTC"}',
            '{"type":"bbo","coin":"BTC"}',
            '{"type":"candle","coin":"BTC","interval":"1m"}',
        ):
            session.handle(f'{{"method":"subscribe","subscription":{wish}}}')
        await venue.clock.advance(2.0)
        frames.raw.clear()
        venue.clock.jump(620.0)
        await venue.clock.advance(10.0)
        assert venue.server.pump.tick_count >= 126
        times = [row["time"] for batch in frames.of("trades") for row in batch]
        assert times == sorted(times)
        assert len(times) == venue.server.pump.tick_count - 1
        opens = [row["t"] for row in frames.of("candle")]
        assert opens == sorted(opens)
        minutes = {START_NS // 1_000_000 + s // 60 * 60_000 for s in range(5, 625, 5)}
        assert set(opens) == minutes
        assert len(frames.of("bbo")) < 10
        closed = [r for r in frames.of("candle") if r["t"] == min(minutes) + 60_000][-1]
        assert (closed["o"], closed["c"], closed["n"]) == ("100061.0", "100116.0", 12)


async def test_queue_of_actions_is_bounded() -> None:
    from core.simulation.wire import pump

    async with open_venue() as venue:
        venue.server.pump._actions = [(1 << 62, i, lambda now: None) for i in range(10_000)]
        answer = await venue.server.exchange(venue.signed(place(order())))
        assert answer.status == 429
        assert pump.PENDING_MAX == 10_000
        venue.server.pump._actions = []


async def test_a_broken_invariant_surfaces() -> None:
    """Ticks that go back in time stop the venue."""
    backwards = [btc_tick(0, 100, 101), btc_tick(10, 100, 101), btc_tick(5, 100, 101)]
    async with open_venue(ScriptedSource(backwards)) as venue:
        venue.clock.jump(11.0)
        with pytest.raises(AssertionError, match="ticks ordered by time"):
            venue.server.pump.step()


async def test_the_market_hears_what_local_accounts_trade_with_it() -> None:
    class Reactive(ScriptedSource):
        heard: ClassVar[list[tuple[str, int, int, int]]] = []

        def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
            self.heard.append((coin, lots_signed, px, ts_ns))

    source = Reactive([btc_tick(s, 100_000, 100_001) for s in range(0, 60, 5)])
    async with open_venue(source) as venue:
        bought = place(order(px="100001", sz="0.002", tif="Ioc"))
        sold = place(order(is_buy=False, px="100000", sz="0.001", tif="Ioc"))
        for action in (bought, sold):
            assert "filled" in statuses(await venue.act(action))[0]
        assert [(coin, lots, px) for coin, lots, px, _ in source.heard] == [
            ("BTC", 200, 1_000_010),
            ("BTC", -100, 1_000_000),
        ]
        assert all(START_NS < ts_ns <= venue.clock.now_ns() for *_, ts_ns in source.heard)


async def test_two_local_accounts_among_themselves_do_not_move_the_market() -> None:
    class Reactive(ScriptedSource):
        heard: ClassVar[list[int]] = []

        def react(self, coin: str, *, lots_signed: int, px: int, ts_ns: int) -> None:
            self.heard.append(lots_signed)

    source = Reactive([btc_tick(s, 100_000, 100_010) for s in range(0, 600, 5)])
    async with open_venue(source) as venue:
        venue.server.faucet(STRANGER.address, 10_000)
        assert "resting" in statuses(await venue.act(place(order(px="100005", sz="0.001"))))[0]
        hit = place(order(is_buy=False, px="100005", sz="0.001", tif="Ioc"))
        assert "filled" in statuses(await venue.act(hit, STRANGER))[0]
        assert source.heard == []


async def test_without_latency_an_action_is_answered_at_once() -> None:
    source = quiet_market()
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    clock = ManualClock(source.start_ns)
    server = VenueServer(exchange, source, clock, latency=NO_LATENCY, time_mode=TimeMode.MANUAL)
    venue = Venue(server, exchange, clock)
    server.faucet(MASTER.address, 1_000)
    answer = await server.exchange(venue.signed(place(order(px="99000"))))
    assert b"resting" in answer.body
    assert clock.now_ns() == START_NS
    assert exchange.open_orders(MASTER.address)[0].placed_ns == START_NS


def test_weights_of_requests_follow_the_documentation() -> None:
    assert [info_weight(kind) for kind in ("l2Book", "meta", "userRole", "txDetails")] == [
        2,
        20,
        60,
        40,
    ]
    assert [rows_weight(kind, 119) for kind in ("twapHistory", "candleSnapshot", "meta")] == [
        5,
        1,
        0,
    ]
    assert [action_weight(count) for count in (1, 39, 40, 80)] == [1, 1, 2, 3]
