"""The compiled meeting of orders and tape against the venue, on random and recorded ticks."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.instrument import Instrument
from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.kernels import UNKNOWN, Fills, Orders, Tape, meet_tape_nb
from core.simulation.market.tape import tape_of
from core.simulation.market.tick_source import TickSource
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.outputs import FillOutput, OrderRequest
from core.simulation.venue.settings import VenueSettings

OWNER = "0x" + "1" * 40
COIN = Instrument("AAA", 0, 2, leverage_max=40)
MID, TICK = 100_000, 10
SETTINGS = VenueSettings(notional_min_micro=1)

Wanted = tuple[int, int, bool]


def drawn(seed: int, count: int) -> tuple[list[MarketTick], list[Wanted]]:
    """Draw ticks that keep meeting the orders, and the orders."""
    chance = random.Random(seed)
    # In a quiet market orders live to see their queues shrink; in a loud one quotes reach them.
    swing = chance.choice((0, 1, 4))
    ticks = []
    for n in range(count):
        mid = MID + (0 if n == 0 else chance.randint(-swing, swing) * TICK)
        depth = chance.randint(1, 6)
        sizes = (20, 60, 200)
        bids = tuple((mid - i * TICK, chance.choice(sizes)) for i in range(1, depth + 1))
        asks = tuple((mid + i * TICK, chance.choice(sizes)) for i in range(1, depth + 1))
        prints = tuple(
            (
                mid + chance.randint(-3, 3) * TICK,
                chance.choice((5, 15, 50, 300)),
                chance.random() < 0.5,
            )
            for _ in range(chance.randint(0, 3) if n else 0)
        )
        ticks.append(MarketTick(n * NS_PER_S, "AAA", bids, asks, prints, MID, MID, None))
    orders = []
    for _ in range(chance.randint(1, 8)):
        is_buy = chance.random() < 0.5
        away = chance.randint(1, 5) * TICK
        orders.append(
            (MID - away if is_buy else MID + away, chance.choice((7, 30, 150, 900)), is_buy)
        )
    return ticks, orders


def venue_fills(
    ticks: Sequence[MarketTick], orders: Sequence[Wanted], coin: Instrument, share: float
) -> tuple[list[tuple[int, int, int]], Orders]:
    """Play the venue tick by tick; return fills (order, price, lots) and the first queue places."""
    settings_ = VenueSettings(notional_min_micro=1, queue_share=share)
    venue = SimulatedExchange((coin,), settings_, ticks[0].ts_ns)
    venue.fund(OWNER, 10**16)
    venue.apply_market(ticks[0])
    oids = []
    for px, lots, is_buy in orders:
        request = OrderRequest(coin=coin.coin, is_buy=is_buy, px=px, lots=lots, tif=Tif.ALO)
        (answer,) = venue.place(OWNER, (request,))
        assert answer.kind == "resting", answer
        oids.append(answer.oid)
    ahead = [venue.lots_ahead(oid) for oid in oids]
    places = np.array([UNKNOWN if a is None else a for a in ahead], dtype=np.int64)
    arrays = Orders(
        np.array([o[0] for o in orders], dtype=np.int64),
        np.array([o[1] for o in orders], dtype=np.int64),
        np.array([o[2] for o in orders], dtype=np.bool_),
        places,
        np.maximum(places, 0),
        np.zeros(len(orders), dtype=np.int64),
    )
    venue.drain()
    found = []
    for tick in ticks[1:]:
        venue.apply_market(tick)
        for output in venue.drain():
            if isinstance(output, FillOutput):
                fill = output.fill
                found.append((oids.index(fill.oid), fill.px, fill.lots))
    return found, arrays


def kernel_fills(
    tape: Tape, orders: Orders, share: float, room: int = 10_000
) -> list[tuple[int, int, int]]:
    fills = Fills(*(np.zeros(room, dtype=np.int64) for _ in range(4)), np.zeros(room, dtype=bool))
    found: list[tuple[int, int, int]] = []
    first, end = 1, tape.print_begin.size - 1
    while True:
        count = meet_tape_nb(tape, orders, fills, first, end, round(share * 1_000_000))
        is_full = count < 0
        if is_full:
            first = -1 - count
            count = int(np.argmax(fills.lots == 0)) if (fills.lots == 0).any() else room
        found += zip(
            *(column[:count].tolist() for column in (fills.order, fills.px, fills.lots)),
            strict=True,
        )
        if not is_full:
            return found
        fills.lots[:] = 0


@given(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.5, 1.0]))
@settings(max_examples=200, deadline=None)
def test_random_tapes_fill_the_same_orders_at_the_same_prices(seed: int, share: float) -> None:
    ticks, orders = drawn(seed, 40)
    wanted, arrays = venue_fills(ticks, orders, COIN, share)
    assert kernel_fills(tape_of(ticks), arrays, share) == wanted


def test_a_recorded_tape_fills_the_same() -> None:
    source = TickSource()
    ticks = list(itertools.islice(source.ticks(), 6_000))
    bid, ask = ticks[0].bids[0][0], ticks[0].asks[0][0]
    orders = [(bid - n * 10, 50_000, True) for n in range(4)]
    orders += [(ask + n * 10, 50_000, False) for n in range(4)]
    coin = next(i for i in source.instruments if i.coin == "BTC")
    wanted, arrays = venue_fills(ticks, orders, coin, 0.0)
    assert len(wanted) > 4
    assert kernel_fills(tape_of(ticks), arrays, 0.0) == wanted


def test_too_little_room_stops_before_anything_is_lost() -> None:
    ticks, orders = drawn(3, 200)
    wanted, arrays = venue_fills(ticks, orders, COIN, 0.0)
    assert len(wanted) > 3
    assert kernel_fills(tape_of(ticks), arrays, 0.0, room=5 * len(orders)) == wanted


@pytest.mark.parametrize("count", [0, 1])
def test_without_orders_the_tape_is_not_played(count: int) -> None:
    ticks, _ = drawn(1, 5)
    empty = np.zeros(count, dtype=np.int64)
    orders = Orders(empty, empty, np.zeros(count, dtype=bool), empty, empty, empty)
    assert kernel_fills(tape_of(ticks), orders, 0.0) == []
