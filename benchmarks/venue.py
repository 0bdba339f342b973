"""The venue in process, as backtests use it: order actions, ticks, and the compiled tape."""

from __future__ import annotations

import itertools
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from benchmarks.timing import Timing
from core.model.codes import Tif
from core.simulation.exchange import SimulatedExchange
from core.simulation.kernels import UNKNOWN, Fills, Orders, meet_tape_nb
from core.simulation.market.sample_source import SampleSource
from core.simulation.market.synthetic_source import SyntheticSource
from core.simulation.market.tape import tape_of
from core.simulation.market.tick_source import TickSource
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import OrderRequest

OWNER = "0x" + "1" * 40
ROUNDS = 5
ACTIONS = 4_000
TICKS = 20_000
REPEATS = 200


def run() -> list[Timing]:
    """Measure each way of using the venue."""
    return [
        _actions(),
        _takers(),
        _ticks(resting=0),
        _ticks(resting=20),
        _tape(orders=2),
        _tape(orders=20),
        _generated(),
    ]


def _timing(name: str, count: int, work: Callable[[], None]) -> Timing:
    spent = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        work()
        spent.append((time.perf_counter() - start) / count)
    return Timing(name, statistics.median(spent), min(spent), max(spent), count * ROUNDS)


def _order(px: int, tif: Tif, *, is_buy: bool = True) -> OrderRequest:
    return OrderRequest(coin="BTC", is_buy=is_buy, px=px, lots=1_000, tif=tif)


def _opened(ticks: Sequence[MarketTick]) -> SimulatedExchange:
    venue = SimulatedExchange(SampleSource().instruments, start_ns=ticks[0].ts_ns)
    venue.fund(OWNER, 10**15)
    for tick in ticks:
        venue.apply_market(tick)
    return venue


def _actions() -> Timing:
    """Place a resting order and cancel it, over and over."""
    venue = _opened(list(itertools.islice(SampleSource(["BTC"]).ticks(), 10)))
    request = _order(venue.mark_px("BTC") * 95 // 100 // 10 * 10, Tif.GTC)

    def work() -> None:
        for _ in range(ACTIONS // 2):
            (answer,) = venue.place(OWNER, (request,))
            venue.cancel(OWNER, "BTC", answer.oid)
        venue.drain()

    return _timing("order action (place, cancel) with every check", ACTIONS, work)


def _takers() -> Timing:
    """Buy and sell the same at once; the tick after them restores the depth."""
    ticks = list(itertools.islice(SampleSource(["BTC"]).ticks(), 10))
    venue = _opened(ticks)
    mark = venue.mark_px("BTC")
    buy = _order(mark * 105 // 100 // 10 * 10, Tif.IOC)
    sell = _order(mark * 95 // 100 // 10 * 10, Tif.IOC, is_buy=False)

    def work() -> None:
        for _ in range(ACTIONS // 2):
            for request in (buy, sell):
                (answer,) = venue.place(OWNER, (request,))
                assert answer.kind == "filled", f"invariant: depth for all, was {answer.kind}"
            venue.apply_market(msgspec.structs.replace(ticks[9], ts_ns=venue.now_ns))
        venue.drain()

    return _timing("immediate order, filled, and half a tick", ACTIONS, work)


def _ticks(*, resting: int) -> Timing:
    """Play ticks of three coins through a venue, with one account's orders or nobody in it."""
    ticks = list(itertools.islice(SampleSource().ticks(), TICKS))

    def work() -> None:
        venue = _opened(ticks[:3])
        base = venue.mark_px("BTC") * 80 // 100 // 10 * 10
        for n in range(resting):
            venue.place(OWNER, (_order(base - 10 * n, Tif.ALO),))
        for tick in ticks[3:]:
            venue.apply_market(tick)

    name = f"tick applied, ten levels a side, {resting} resting orders"
    return _timing(name, TICKS, work)


def _generated() -> Timing:
    """Draw ticks of four coins."""

    def work() -> None:
        deque(itertools.islice(SyntheticSource().ticks(), 5 * TICKS), maxlen=0)

    return _timing("tick of the synthetic market drawn", 5 * TICKS, work)


def _tape(*, orders: int) -> Timing:
    """Play the recorded BTC minutes into resting orders, compiled; an event is a tick or print."""
    ticks = list(TickSource().ticks())
    tape = tape_of(ticks)
    half = orders // 2
    bid, ask = ticks[0].bids[0][0], ticks[0].asks[0][0]
    px = [bid - 5_000 - 10 * n for n in range(half)] + [ask + 5_000 + 10 * n for n in range(half)]
    zeros = np.zeros(orders, dtype=np.int64)
    resting = Orders(
        np.array(px, dtype=np.int64),
        np.full(orders, 1_000, dtype=np.int64),
        np.array([n < half for n in range(orders)]),
        np.full(orders, UNKNOWN, dtype=np.int64),
        zeros.copy(),
        zeros.copy(),
    )
    rows = [np.zeros(10_000, dtype=np.int64) for _ in range(4)]
    fills = Fills(rows[0], rows[1], rows[2], rows[3], np.zeros(10_000, dtype=np.bool_))
    count = (len(ticks) + tape.print_px.size) * REPEATS

    def work() -> None:
        for _ in range(REPEATS):
            meet_tape_nb(tape, resting, fills, 1, len(ticks), 0)

    return _timing(f"market event of a tape against {orders} resting orders, compiled", count, work)
