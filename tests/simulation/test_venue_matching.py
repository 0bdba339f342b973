"""Who trades with whom, at which price, in which order; and the queue inside outside levels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif
from core.simulation.venue.book import PPM, displayed_lots, refresh_queue
from core.simulation.venue.orders import LOTS_AHEAD_UNKNOWN, Order
from core.simulation.venue.outputs import OUTSIDE, AnswerKind, FillOutput, TradeOutput, VenueStatus
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import ALICE, BOB, CAROL, Market, limit, lots, px

BIDS = ((99_990, 1.0), (99_980, 2.0), (99_970, 5.0))
ASKS = ((100_010, 1.0), (100_020, 2.0), (100_030, 5.0))


@pytest.fixture
def market() -> Market:
    return funded_market(VenueSettings())


def funded_market(settings: VenueSettings) -> Market:
    market = Market(settings)
    market.fund(ALICE, BOB, CAROL, usdc=1_000_000)
    market.tick(bids=BIDS, asks=ASKS)
    market.venue.drain()
    return market


def place(market: Market, owner: str, *request: object):
    (answer,) = market.venue.place(owner, list(request))
    return answer


def filled_lots(market: Market, owner: str) -> int:
    return sum(row.fill.lots for row in market.venue.fills(owner))


def test_a_local_order_inside_the_spread_trades_before_the_outside(market):
    place(market, ALICE, limit(False, 100_005, 0.4))
    answer = place(market, BOB, limit(True, 100_010, 1.0, Tif.IOC))
    assert answer.lots == lots("BTC", 1.0)
    prices = [(row.fill.px, row.fill.lots) for row in market.venue.fills(BOB)]
    assert prices == [(px("BTC", 100_005), lots("BTC", 0.4)), (px("BTC", 100_010), 60_000)]
    (maker,) = market.venue.fills(ALICE)
    assert maker.fill.is_maker
    assert maker.fill.tid == market.venue.fills(BOB)[0].fill.tid


def test_outside_lots_that_stood_first_trade_first(market):
    place(market, ALICE, limit(False, 100_010, 0.5))
    place(market, BOB, limit(True, 100_010, 0.8, Tif.IOC))
    assert filled_lots(market, ALICE) == 0
    place(market, BOB, limit(True, 100_010, 0.3, Tif.IOC))
    assert filled_lots(market, ALICE) == lots("BTC", 0.1)
    assert market.venue.book("BTC")[1][0] == (px("BTC", 100_010), lots("BTC", 0.4))


def test_outside_lots_that_came_later_stand_behind(market):
    place(market, ALICE, limit(False, 100_010, 0.5))
    market.tick(bids=BIDS, asks=((100_010, 3.0), (100_020, 2.0)))
    place(market, BOB, limit(True, 100_010, 1.2, Tif.IOC))
    assert filled_lots(market, ALICE) == lots("BTC", 0.2)


def test_orders_at_one_price_share_a_print_once(market):
    place(market, ALICE, limit(True, 99_990, 0.5))
    place(market, BOB, limit(True, 99_990, 0.5))
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_990, 1.5, False)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.5)
    assert filled_lots(market, BOB) == 0


def test_local_orders_at_one_price_trade_in_time_order(market):
    place(market, ALICE, limit(False, 100_000, 0.2))
    place(market, BOB, limit(False, 100_000, 0.2))
    place(market, CAROL, limit(True, 100_000, 0.3, Tif.IOC))
    assert filled_lots(market, ALICE) == lots("BTC", 0.2)
    assert filled_lots(market, BOB) == lots("BTC", 0.1)


def test_an_own_order_in_the_way_is_cancelled_and_the_walk_goes_on(market):
    own = place(market, ALICE, limit(False, 100_000, 0.2))
    answer = place(market, ALICE, limit(True, 100_010, 0.3, Tif.IOC))
    assert answer.lots == lots("BTC", 0.3)
    state = market.venue.order_status(ALICE, own.oid)
    assert state is not None and state.status is VenueStatus.SELF_TRADE_CANCELED
    assert all(row.users[1] == OUTSIDE for row in market.outputs(TradeOutput))
    assert [row.fill.px for row in market.venue.fills(ALICE)] == [px("BTC", 100_010)]


def test_only_an_own_order_to_match_is_no_match(market):
    place(market, ALICE, limit(False, 100_000, 0.2))
    answer = place(market, ALICE, limit(True, 100_000, 0.3, Tif.IOC))
    assert answer.kind is AnswerKind.ERROR
    assert market.venue.open_orders(ALICE) == ()


def test_taken_depth_stays_taken_until_the_next_tick(market):
    place(market, ALICE, limit(True, 100_010, 0.7, Tif.IOC))
    assert market.venue.book("BTC")[1][0] == (px("BTC", 100_010), lots("BTC", 0.3))
    market.tick(bids=BIDS, asks=ASKS)
    assert market.venue.book("BTC")[1][0] == (px("BTC", 100_010), lots("BTC", 1.0))


def test_a_trade_through_the_price_fills_up_to_what_traded(market):
    place(market, ALICE, limit(True, 99_985, 0.5))
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_980, 0.2, False)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.2)
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_984, 9.0, True)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.5)
    assert {row.fill.px for row in market.venue.fills(ALICE)} == {px("BTC", 99_985)}
    assert market.outputs(TradeOutput) == []


def test_one_print_is_given_away_once(market):
    place(market, ALICE, limit(True, 99_986, 0.5))
    place(market, BOB, limit(True, 99_985, 0.5))
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_980, 0.6, False)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.5)
    assert filled_lots(market, BOB) == lots("BTC", 0.1)


def test_a_print_at_the_price_works_through_the_queue(market):
    answer = place(market, ALICE, limit(True, 99_990, 0.5))
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 1.0)
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_990, 0.6, False)])
    assert filled_lots(market, ALICE) == 0
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 0.4)
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_990, 0.5, False)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.1)
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_990, 5.0, True)])
    assert filled_lots(market, ALICE) == lots("BTC", 0.1)


def test_a_quote_that_reaches_the_price_fills_completely(market):
    place(market, ALICE, limit(True, 99_990, 3.0))
    market.tick(bids=((99_980, 1.0),), asks=((99_990, 1.0), (99_995, 1.0)), mark=99_985)
    assert filled_lots(market, ALICE) == lots("BTC", 3.0)
    (row,) = market.outputs(TradeOutput)
    assert (row.px, row.is_buy, row.users) == (px("BTC", 99_990), False, (ALICE, OUTSIDE))
    assert market.venue.book("BTC")[1] == ((px("BTC", 99_995), lots("BTC", 1.0)),)


def test_size_that_vanishes_moves_the_queue_by_the_stated_share():
    market = funded_market(VenueSettings(queue_share=0.5))
    answer = place(market, ALICE, limit(True, 99_970, 0.1))
    market.tick(bids=(*BIDS[:2], (99_970, 4.0)), asks=ASKS)
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 4.0)
    market.tick(bids=(*BIDS[:2], (99_970, 6.0)), asks=ASKS)
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 4.0)
    market.tick(bids=(*BIDS[:2], (99_970, 5.0)), asks=ASKS)
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 3.5)
    market.tick(bids=(*BIDS[:2], (99_960, 5.0)), asks=ASKS)
    assert market.venue.lots_ahead(answer.oid) == 0


def test_an_order_beyond_the_picture_queues_when_it_is_first_seen(market):
    answer = place(market, ALICE, limit(True, 99_950, 0.1))
    assert market.venue.lots_ahead(answer.oid) is None
    market.tick(bids=BIDS, asks=ASKS, trades=[(99_950, 9.0, False)])
    assert filled_lots(market, ALICE) == 0
    market.tick(bids=((99_960, 1.0), (99_950, 7.0)), asks=ASKS)
    assert market.venue.lots_ahead(answer.oid) == lots("BTC", 7.0)


def test_a_resting_order_that_can_no_longer_be_carried_is_cancelled(market):
    market.fund("0x" + "dd" * 20, usdc=600)
    poor = "0x" + "dd" * 20
    first = place(market, poor, limit(True, 99_000, 0.1))
    assert first.kind is AnswerKind.RESTING
    market.venue.update_leverage(poor, "ETH", 25, True)
    market.tick("ETH", bids=((2_000, 50.0),), asks=((2_001, 50.0),))
    place(market, poor, limit(False, 2_000, 0.5, Tif.IOC, coin="ETH"))
    market.tick("ETH", bids=((2_190, 50.0),), asks=((2_191, 50.0),))
    market.tick(bids=((98_000, 1.0),), asks=((98_500, 1.0),), mark=98_400)
    state = market.venue.order_status(poor, first.oid)
    assert state is not None and state.status is VenueStatus.MARGIN_CANCELED
    assert filled_lots(market, poor) == lots("ETH", 0.5)


def test_positions_and_fills_agree_and_tids_are_unique(market):
    for size in (0.1, 0.2, 0.3):
        place(market, ALICE, limit(True, 100_030, size, Tif.IOC))
        place(market, BOB, limit(False, 99_970, size, Tif.IOC))
    rows = market.outputs(FillOutput)
    tids = [row.fill.tid for row in rows]
    assert len(set(tids)) == len(tids)
    assert all(0 < tid < 2**50 for tid in tids)
    (position,) = market.venue.account_summary(ALICE).positions
    signed = sum(row.fill.signed_lots for row in market.venue.fills(ALICE))
    assert position.position_lots == signed == lots("BTC", 0.6)
    assert market.venue.conservation_error_micro() == 0


def resting(price: int, ahead: int, seen: int, traded: int) -> Order:
    return Order(
        owner=ALICE,
        coin="BTC",
        oid=1,
        cloid=None,
        is_buy=True,
        px=price,
        lots_orig=1,
        lots_left=1,
        reduce_only=False,
        tif=Tif.GTC,
        tif_text="Gtc",
        trigger=None,
        is_position_tpsl=False,
        placed_ns=0,
        lots_ahead=ahead,
        level_lots=seen,
        level_traded=traded,
    )


@given(data=st.data())
def test_a_queue_place_never_worsens_and_never_exceeds_the_level(data):
    prices = data.draw(st.lists(st.integers(1, 40), min_size=1, max_size=8, unique=True))
    bids = tuple((price, data.draw(st.integers(1, 50))) for price in sorted(prices, reverse=True))
    price = data.draw(st.one_of(st.sampled_from(prices), st.integers(1, 41)))
    ahead = data.draw(st.integers(LOTS_AHEAD_UNKNOWN, 60))
    traded = data.draw(st.integers(0, 60))
    order = resting(price, ahead, data.draw(st.integers(0, 60)), traded)
    refresh_queue([order], bids, is_bid=True, share_ppm=data.draw(st.integers(0, PPM)))
    shown = displayed_lots(bids, price, is_bid=True)
    if shown is None:
        assert order.lots_ahead == ahead
    elif ahead == LOTS_AHEAD_UNKNOWN:
        assert order.lots_ahead == shown
    else:
        assert 0 <= order.lots_ahead <= min(ahead, shown)
        assert (order.level_lots, order.level_traded) == (shown, 0)
