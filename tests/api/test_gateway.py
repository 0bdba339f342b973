"""The outbox over the wire: order kept, cancels never behind reads, nothing unspoken of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from core.api import gateway as gateway_module
from core.api.gateway import Gateway
from core.api.hyperliquid_api import HyperliquidAPI
from core.api.signing import Signer
from core.model.codes import RejectionCode, Tif
from core.model.commands import CancelOrder, LookUpOrder
from core.model.events import (
    CancelRejected,
    Event,
    OrderMissing,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
    VenueUnavailable,
)
from core.model.time import NS_PER_MS, NS_PER_S
from core.utils.clock import ManualClock
from tests.api.fake_venue import FakeVenue, statuses
from tests.api.instruments import ADDRESS, BTC, KEY, place

NOW_MS = 1_700_000_000_000
CANCEL = CancelOrder(place(9).cloid, 5, "BTC", 0)


class Bench:
    """A gateway at a fake venue, and the events it emitted."""

    def __init__(self, venue: FakeVenue, *, signer: Signer | None) -> None:
        self.clock = ManualClock(NOW_MS * NS_PER_MS)
        self.api = HyperliquidAPI(venue.url, signer=signer, account=ADDRESS, clock=self.clock)
        self.api.codec.learn((BTC,))
        self.events: list[Event] = []
        self.changed = asyncio.Condition()
        self.gateway = Gateway(self.api, self._emit, ttl_ns=30 * NS_PER_S)

    def _emit(self, event: Event) -> None:
        self.events.append(event)
        asyncio.ensure_future(self._notify())  # noqa: RUF006

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            async with self.changed:
                await self.changed.wait_for(condition)

    async def close(self) -> None:
        await self.gateway.close()
        await self.api.close()


@pytest.fixture
async def bench(venue: FakeVenue) -> AsyncIterator[Bench]:
    made = Bench(venue, signer=Signer(KEY))
    await made.gateway.start()
    yield made
    await made.close()


class Gate:
    """Holds the venue's answers to actions back until it is opened."""

    def __init__(self, venue: FakeVenue) -> None:
        self.opened = asyncio.Event()
        venue.on_exchange = self.wait

    async def wait(self) -> None:
        await self.opened.wait()


async def test_answers_come_back_as_events(venue: FakeVenue, bench: Bench) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 7}})
    assert bench.gateway.is_idle
    bench.gateway.send([place()])
    assert not bench.gateway.is_idle
    await bench.until(lambda: len(bench.events) == 1)
    (event,) = bench.events
    assert isinstance(event, OrderUpdated)
    assert (event.oid, event.seq, event.ts_recv_ns) == (7, 0, 0)
    await bench.until(lambda: bench.gateway.is_idle)


async def test_what_waits_together_leaves_together(venue: FakeVenue, bench: Bench) -> None:
    gate = Gate(venue)
    venue.exchange_answers.append(statuses({"resting": {"oid": 1}}))
    venue.exchange_answers.append(statuses({"resting": {"oid": 2}}, {"resting": {"oid": 3}}))
    bench.gateway.send([place(0)])
    await venue.until(lambda: len(venue.actions) == 1)
    bench.gateway.send([place(1)])
    bench.gateway.send([place(2)])
    gate.opened.set()
    await bench.until(lambda: len(bench.events) == 3)
    assert [len(body["action"]["orders"]) for body in venue.actions] == [1, 2]
    cloids = [e.cloid for e in bench.events if isinstance(e, OrderUpdated)]
    assert cloids == [place(i).cloid for i in range(3)]


async def test_a_hanging_answer_does_not_hold_up_a_cancel(venue: FakeVenue, bench: Bench) -> None:
    gate = Gate(venue)
    bench.gateway.send([place(0)])
    await venue.until(lambda: len(venue.actions) == 1)
    bench.gateway.send([CANCEL])
    await bench.clock.advance(gateway_module.PATIENCE_SECONDS)
    await venue.until(lambda: len(venue.actions) == 2)
    assert venue.actions[1]["action"]["type"] == "cancel"
    gate.opened.set()


async def test_an_order_that_waited_out_its_life_does_not_leave(
    venue: FakeVenue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "IN_FLIGHT_MAX", 1)
    gate = Gate(venue)
    bench.gateway.send([place(0)])
    await venue.until(lambda: len(venue.actions) == 1)
    bench.gateway.send([place(1), CANCEL])
    await bench.clock.advance(20)
    bench.gateway.send([place(2, tif=Tif.IOC)])
    await bench.clock.advance(10)
    gate.opened.set()
    venue.exchange_default = statuses({"error": "x"})
    await venue.until(lambda: len(venue.actions) == 3)
    assert [body["action"]["type"] for body in venue.actions] == ["order", "cancel", "order"]
    assert venue.actions[1].get("expiresAfter") is None
    # Twenty of its thirty seconds are left to the last one.
    assert venue.actions[2]["expiresAfter"] == NOW_MS + 50_000
    codes = {e.cloid: e.code for e in bench.events if isinstance(e, OrderRejected)}
    assert codes[place(1).cloid] is RejectionCode.ACTION_EXPIRED


async def test_reads_and_actions_do_not_wait_for_each_other(venue: FakeVenue, bench: Bench) -> None:
    gate = Gate(venue)
    venue.answer("orderStatus", (200, {"status": "unknownOid"}))
    bench.gateway.send([place(0), LookUpOrder(place(1).cloid, "BTC")])
    await bench.until(lambda: len(bench.events) == 1)
    assert bench.events == [OrderMissing(coin="BTC", cloid=place(1).cloid)]
    gate.opened.set()


async def test_a_full_queue_says_no(
    venue: FakeVenue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "QUEUE_MAX", 1)
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    bench.gateway.send([place(0), place(1), CANCEL, *[LookUpOrder(place(2).cloid, "BTC")] * 2])
    assert [type(e) for e in bench.events] == [OrderRejected, CancelRejected, VenueUnavailable]
    assert "not sent" in str(bench.events[0])
    await bench.until(lambda: len(bench.events) >= 4)


async def test_closing_leaves_no_order_unspoken_of(
    venue: FakeVenue, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_module, "CLOSE_WALL_SECONDS", 0.01)
    gate = Gate(venue)
    bench.gateway.send([place(0)])
    await venue.until(lambda: len(venue.actions) == 1)
    bench.gateway.send([place(1)])
    await bench.gateway.close()
    gate.opened.set()
    by_cloid = {getattr(e, "cloid", ""): type(e) for e in bench.events}
    # One had left, its outcome is unknown; the other had not.
    assert by_cloid == {place(0).cloid: OrderUnanswered, place(1).cloid: OrderRejected}
    bench.gateway.send([place(2)])
    assert isinstance(bench.events[-1], OrderRejected)
    assert len(venue.actions) == 1
    assert bench.gateway.is_idle


async def test_without_a_key_every_order_is_answered(venue: FakeVenue) -> None:
    bench = Bench(venue, signer=None)
    await bench.gateway.start()
    bench.gateway.send([place(0)])
    await bench.until(lambda: len(bench.events) == 1)
    assert isinstance(bench.events[0], OrderUnanswered)
    assert "should be signed by a key" in bench.events[0].reason
    await bench.close()


async def test_a_defect_is_reported_and_the_order_stays_unknown(
    venue: FakeVenue, bench: Bench
) -> None:
    reports: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reports.append(context))
    bench.gateway.send([place(0, px="not a number")])
    await bench.until(lambda: len(bench.events) == 1 and bool(reports))
    assert isinstance(bench.events[0], OrderUnanswered)
    assert isinstance(reports[0]["exception"], TypeError)
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    bench.gateway.send([place(1)])
    await bench.until(lambda: len(bench.events) == 2)
    assert isinstance(bench.events[1], OrderUpdated)
