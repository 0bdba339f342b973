"""Touch, candles and their holes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.market_state import GAP_HEALED_COUNT, CandleRing, MarketState, imbalance
from core.model.events import BboChanged, BookChanged, CandleChanged, CandlesLoaded, ContextChanged
from core.model.market import Candle
from core.model.time import NS_PER_MIN
from tests.engines.fakes import BTC, T0


def candle(minute: int, px: int = 100, volume: int = 5) -> Candle:
    return Candle(T0 + minute * NS_PER_MIN, px, px + 2, px - 2, px + 1, volume)


def stream(minute: int, px: int = 100) -> CandleChanged:
    return CandleChanged(coin="BTC", interval_ns=NS_PER_MIN, candle=candle(minute, px))


def history(*minutes: int, px: int = 100) -> CandlesLoaded:
    rows = tuple(candle(m, px) for m in minutes)
    return CandlesLoaded(coin="BTC", interval_ns=NS_PER_MIN, candles=rows)


def minutes_of(state: MarketState) -> list[int]:
    return [(c.open_ns - T0) // NS_PER_MIN for c in state.coins["BTC"].ring.candles()]


@pytest.fixture
def state() -> MarketState:
    return MarketState(["BTC"], candle_ns=NS_PER_MIN)


@given(st.integers(1, 7), st.integers(0, 40))
def test_the_ring_holds_the_last_candles_whatever_its_position(capacity, count):
    ring = CandleRing(capacity)
    rows = [candle(i, 100 + i) for i in range(count)]
    for row in rows:
        ring.append(row)
    kept = rows[-capacity:]
    assert ring.candles() == kept
    assert ring.column(3).tolist() == [c.close_px for c in kept]
    assert ring.last_open_ns == (kept[-1].open_ns if kept else 0)
    twin = CandleRing(capacity)
    twin.unpack(ring.pack())
    assert twin.candles() == kept and twin.pack() == ring.pack()


def test_a_later_candle_closes_the_one_before(state):
    assert state.apply_candle(stream(0)) is None
    assert state.apply_candle(stream(0, px=105)) is None
    assert state.apply_candle(stream(1)) is not None
    (closed,) = state.coins["BTC"].ring.candles()
    assert closed == candle(0, 105)


def test_late_and_foreign_candles_are_passed_over(state):
    state.apply_candle(stream(1))
    assert state.apply_candle(stream(0)) is None
    five = CandleChanged(coin="BTC", interval_ns=5 * NS_PER_MIN, candle=candle(9))
    assert state.apply_candle(five) is None
    other = CandleChanged(coin="DOGE", interval_ns=NS_PER_MIN, candle=candle(9))
    assert state.apply_candle(other) is None
    assert minutes_of(state) == []


def test_minutes_without_a_trade_keep_the_last_price_and_no_volume(state):
    state.apply_candle(stream(0))
    state.apply_candle(stream(3))
    assert minutes_of(state) == [0, 1, 2]
    quiet = state.coins["BTC"].ring.candles()[1]
    assert (quiet.open_px, quiet.close_px, quiet.volume_lots) == (101, 101, 0)
    assert not state.coins["BTC"].has_gap


def test_a_long_hole_forgets_what_was_before_it(state):
    for minute in (0, 1, 2, 40, 41):
        state.apply_candle(stream(minute))
    assert minutes_of(state) == [40]
    assert state.coins["BTC"].has_gap


def test_history_repairs_a_hole_and_leaves_the_newest_candle_open(state):
    for minute in (0, 1, 40, 41):
        state.apply_candle(stream(minute))
    state.apply_history(history(*range(30, 42)))
    assert minutes_of(state) == list(range(30, 41))
    assert not state.coins["BTC"].has_gap
    assert state.coins["BTC"].running == candle(41)


def test_history_wins_over_the_stream_but_not_over_newer_candles(state):
    for minute in range(5):
        state.apply_candle(stream(minute))
    state.apply_history(history(0, 1, 2, px=200))
    closes = [c.close_px for c in state.coins["BTC"].ring.candles()]
    assert closes == [201, 201, 201, 101]
    assert state.coins["BTC"].running == candle(4)


def test_history_that_does_not_reach_the_stream_leaves_only_the_newer_side(state):
    for minute in (40, 41, 42):
        state.apply_candle(stream(minute))
    state.apply_history(history(0, 1, 2))
    assert minutes_of(state) == [40, 41]


def test_holes_inside_history_are_minutes_without_a_trade(state):
    state.apply_history(history(0, 1, 4, 5))
    assert minutes_of(state) == [0, 1, 2, 3, 4]


def test_a_gap_within_one_candle_loses_nothing_and_a_longer_one_does(state):
    state.apply_history(history(*range(10)))
    state.apply_gap("BTC", T0 + 9 * NS_PER_MIN + 1, T0 + 9 * NS_PER_MIN + 2)
    assert len(minutes_of(state)) == 9
    state.apply_gap("BTC", T0 + 9 * NS_PER_MIN, T0 + 11 * NS_PER_MIN)
    assert minutes_of(state) == [] and state.coins["BTC"].has_gap
    for minute in range(12, 13 + GAP_HEALED_COUNT):
        state.apply_candle(stream(minute))
    assert not state.coins["BTC"].has_gap


def test_a_crossed_or_empty_touch_is_unknown(state):
    def bbo(bid, ask):
        return BboChanged(coin="BTC", bid_px=bid, bid_lots=1, ask_px=ask, ask_lots=1)

    market = state.apply_bbo(bbo(100, 102), T0)
    assert (market.mid_x2, market.touch_ns) == (202, T0)
    assert market.spread_bps == pytest.approx(10_000 * 2 / 101)
    for bid, ask in ((102, 102), (103, 102), (0, 102), (100, 0)):
        assert state.apply_bbo(bbo(bid, ask), T0 + 1).mid_x2 == 0
        assert np.isnan(market.spread_bps)
    assert market.touch_ns == T0
    assert (
        state.apply_bbo(BboChanged(coin="DOGE", bid_px=1, bid_lots=1, ask_px=2, ask_lots=1), T0)
        is None
    )


def test_the_book_brings_touch_and_imbalance(state):
    book = BookChanged(coin="BTC", bids=((100, 6), (99, 3)), asks=((102, 3),))
    market = state.apply_book(book, T0)
    assert (market.bid_px, market.ask_px, market.bid_lots) == (100, 102, 6)
    assert market.imbalance_5 == pytest.approx(0.5)
    assert state.apply_book(BookChanged(coin="BTC", bids=(), asks=()), T0).mid_x2 == 0


def test_imbalance_counts_five_levels():
    bids = tuple((100 - i, 1) for i in range(9))
    assert imbalance(bids, ((101, 5),)) == 0.0
    assert imbalance((), ()) == 0.0


def test_positions_are_valued_at_mark_and_without_one_at_mid(state):
    bbo = BboChanged(coin="BTC", bid_px=100, bid_lots=1, ask_px=102, ask_lots=1)
    market = state.apply_bbo(bbo, T0)
    assert market.value_px == 101
    state.apply_context(ContextChanged(coin="BTC", mark_px=107, oracle_px=0, funding_rate_1h=0.0))
    assert market.value_px == 107
    state.apply_context(ContextChanged(coin="BTC", mark_px=0, oracle_px=106, funding_rate_1h=0.0))
    assert (market.value_px, market.oracle_px) == (107, 106)


def test_columns_are_read_only_floats_of_the_closed_candles(state):
    state.apply_history(history(0, 1, 2))
    columns = state.coins["BTC"].columns(BTC)
    assert columns.closes.tolist() == [10.1, 10.1]
    assert columns.volumes.tolist() == [0.00005, 0.00005]
    with pytest.raises(ValueError, match="read-only"):
        columns.closes[0] = 1.0
    assert state.coins["BTC"].columns(BTC) is columns
    state.apply_candle(stream(3))
    assert state.coins["BTC"].columns(BTC).closes.size == 3


def test_a_snapshot_restores_everything(state):
    state.apply_history(history(0, 1, 2))
    state.apply_bbo(BboChanged(coin="BTC", bid_px=100, bid_lots=1, ask_px=102, ask_lots=1), T0)
    twin = MarketState(["BTC"], candle_ns=NS_PER_MIN)
    twin.restore(state.snapshot())
    assert twin.snapshot() == state.snapshot() or repr(twin.snapshot()) == repr(state.snapshot())
    assert twin.apply_candle(stream(3)) is not None
