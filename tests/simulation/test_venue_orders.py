"""Placing, refusing, cancelling and modifying: the venue's rules with its own words."""

from __future__ import annotations

import pytest

from core.model.codes import Grouping, Tif, TriggerKind
from core.simulation.venue.outputs import AnswerKind, OrderOutput, OrderRequest, VenueStatus
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import ALICE, BOB, CAROL, Market, limit, lots, px, trigger


@pytest.fixture
def market() -> Market:
    market = Market()
    market.fund(ALICE, BOB)
    market.tick()
    market.venue.drain()
    return market


def answer_of(market: Market, request: OrderRequest, owner: str = ALICE):
    (answer,) = market.venue.place(owner, [request])
    return answer


REFUSED = [
    (limit(True, 99_990, 0), "Order has zero size.", None),
    (
        OrderRequest(coin="BTC", is_buy=True, px=0, lots=5, tif=Tif.GTC),
        "Order has invalid price.",
        None,
    ),
    (
        OrderRequest(coin="BTC", is_buy=True, px=5, lots=-5, tif=Tif.GTC),
        "Order has invalid size.",
        None,
    ),
    (
        limit(True, 20_000, 0.01),
        "Order price cannot be more than 80% away from the reference price",
        None,
    ),
    (
        limit(True, 500_010, 0.01),
        "Order price cannot be more than 80% away from the reference price",
        None,
    ),
    (
        limit(True, 99_990.1, 0.01),
        "Price must be divisible by tick size. asset=0",
        VenueStatus.TICK_REJECTED,
    ),
    (
        limit(True, 99_990, 0.0001),
        "Order must have minimum value of $10. asset=0",
        VenueStatus.MIN_TRADE_NTL_REJECTED,
    ),
    (
        limit(True, 99_990, 3.0),
        "Insufficient margin to place order. asset=0",
        VenueStatus.PERP_MARGIN_REJECTED,
    ),
    (
        limit(True, 99_990, 0.01, reduce_only=True),
        "Reduce only order would increase position. asset=0",
        VenueStatus.REDUCE_ONLY_REJECTED,
    ),
    (
        limit(True, 100_010, 0.01, Tif.ALO),
        "Post only order would have immediately matched, bbo was 99990@100010. asset=0",
        VenueStatus.BAD_ALO_PX_REJECTED,
    ),
    (
        limit(True, 100_000, 0.01, Tif.IOC),
        "Order could not immediately match against any resting orders. asset=0",
        VenueStatus.IOC_CANCEL_REJECTED,
    ),
    (
        limit(True, 100_000, 0.01, Tif.IOC, is_market=True),
        "No liquidity available for market order. asset=0",
        VenueStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED,
    ),
    (
        trigger(False, TriggerKind.STOP_LOSS, 100_001, 0.01, reduce_only=False),
        "Invalid TP/SL price. asset=0",
        VenueStatus.BAD_TRIGGER_PX_REJECTED,
    ),
    (limit(True, 10, 1, coin="ETH"), "Trading is halted.", VenueStatus.REJECTED),
    (limit(True, 10, 1, coin="DEAD"), "Trading is halted.", VenueStatus.REJECTED),
]


@pytest.mark.parametrize(("request_", "text", "status"), REFUSED)
def test_a_refused_order_gets_the_venues_words(market, request_, text, status):
    answer = answer_of(market, request_)
    assert (answer.kind, answer.text) == (AnswerKind.ERROR, text)
    rows = market.outputs(OrderOutput)
    if status is None:
        assert answer.oid == 0
        assert rows == []
    else:
        assert [(row.status, row.text) for row in rows] == [(status, text)]
        assert rows[0].order.oid == answer.oid > 2**32
        assert market.venue.historical_orders(ALICE)[0].status is status
    assert market.venue.open_orders(ALICE) == ()


def test_an_unknown_account_must_deposit_first(market):
    answer = answer_of(market, limit(True, 99_990, 0.01), CAROL)
    assert answer.text == f"Must deposit before performing actions. User: {CAROL}"
    assert answer.is_whole_action


def test_a_malformed_batch_is_answered_once(market):
    answers = market.venue.place(ALICE, [limit(True, 99_000, 0.01), limit(True, 99_000, 0)])
    assert [answer.text for answer in answers] == ["Order has zero size."]
    assert market.venue.place(ALICE, [])[0].text == "Orders are empty."
    assert market.venue.open_orders(ALICE) == ()


def test_a_batch_is_judged_order_by_order(market):
    answers = market.venue.place(
        ALICE,
        [limit(True, 99_000, 0.01), limit(True, 99_000, 9.0), limit(True, 100_010, 0.01, Tif.IOC)],
    )
    kinds = [answer.kind for answer in answers]
    assert kinds == [AnswerKind.RESTING, AnswerKind.ERROR, AnswerKind.FILLED]
    oids = [answer.oid for answer in answers]
    assert oids == sorted(set(oids))


def test_the_price_band_includes_its_edges(market):
    assert answer_of(market, limit(True, 20_001, 0.01)).kind is AnswerKind.RESTING
    assert answer_of(market, limit(False, 500_000, 0.001)).kind is AnswerKind.RESTING


def test_gtc_matches_what_it_can_and_rests(market):
    answer = answer_of(market, limit(True, 100_010, 1.5, Tif.GTC))
    assert answer.kind is AnswerKind.RESTING
    (order,) = market.venue.open_orders(ALICE)
    assert (order.lots_orig, order.lots_left) == (lots("BTC", 1.5), lots("BTC", 0.5))
    assert market.venue.book("BTC")[0][0] == (px("BTC", 100_010), lots("BTC", 0.5))
    assert market.venue.book("BTC")[1][0][0] == px("BTC", 100_020)


def test_ioc_sweeps_levels_and_drops_the_rest(market):
    answer = answer_of(market, limit(True, 100_020, 1.9, Tif.IOC))
    assert answer.kind is AnswerKind.FILLED
    assert answer.lots == lots("BTC", 1.9)
    assert answer.avg_px == "100014.7"
    partial = answer_of(market, limit(True, 100_020, 2.0, Tif.IOC), BOB)
    assert partial.lots == lots("BTC", 1.1)
    state = market.venue.order_status(BOB, partial.oid)
    assert state is not None
    assert state.status is VenueStatus.CANCELED
    assert state.order.lots_left == lots("BTC", 0.9)


def test_a_partly_filled_ioc_may_be_set_to_end_as_filled():
    market = Market(VenueSettings(ioc_partial_status="filled"))
    market.fund(ALICE)
    market.tick()
    answer = answer_of(market, limit(True, 100_010, 1.5, Tif.IOC))
    state = market.venue.order_status(ALICE, answer.oid)
    assert state is not None and state.status is VenueStatus.FILLED


def test_an_order_opens_then_fills(market):
    answer_of(market, limit(True, 100_010, 0.5))
    statuses = [row.status for row in market.outputs(OrderOutput)]
    assert statuses == [VenueStatus.OPEN, VenueStatus.FILLED]


def test_a_reduce_only_order_is_capped_at_the_position(market):
    answer_of(market, limit(True, 100_010, 0.15, Tif.IOC))
    answer = answer_of(market, limit(False, 99_990, 0.3, Tif.IOC, reduce_only=True))
    assert answer.lots == lots("BTC", 0.15)
    assert market.venue.account_summary(ALICE).positions == ()


def test_a_reduce_only_order_may_be_set_to_be_rejected_when_too_large():
    market = Market(VenueSettings(reduce_only_oversize="reject"))
    market.fund(ALICE)
    market.tick()
    answer_of(market, limit(True, 100_010, 0.15, Tif.IOC))
    answer = answer_of(market, limit(False, 99_990, 0.3, Tif.IOC, reduce_only=True))
    assert answer.text == "Reduce only order would increase position. asset=0"


def test_a_dust_position_may_be_closed_below_the_minimum(market):
    assert answer_of(market, limit(True, 100_010, 0.0001, Tif.IOC)).kind is AnswerKind.FILLED
    small = "Order must have minimum value of $10. asset=0"
    part = limit(False, 99_990, 0.00009, Tif.IOC, reduce_only=True)
    assert answer_of(market, part).text == small
    assert answer_of(market, limit(False, 99_990, 0.0001, Tif.IOC)).text == small
    whole = answer_of(market, limit(False, 99_990, 0.0001, Tif.IOC, reduce_only=True))
    assert whole.kind is AnswerKind.FILLED
    assert market.venue.account_summary(ALICE).positions == ()


def test_a_newer_reduce_only_order_pushes_out_the_older(market):
    answer_of(market, limit(True, 100_010, 0.1, Tif.IOC))
    older = answer_of(market, limit(False, 101_000, 0.06, reduce_only=True))
    newer = answer_of(market, limit(False, 101_000, 0.05, reduce_only=True))
    state = market.venue.order_status(ALICE, older.oid)
    assert state is not None and state.status is VenueStatus.REDUCE_ONLY_CANCELED
    assert [order.oid for order in market.venue.open_orders(ALICE)] == [newer.oid]


def test_reduce_only_orders_die_with_the_position(market):
    answer_of(market, limit(True, 100_010, 0.1, Tif.IOC))
    resting = answer_of(market, limit(False, 101_000, 0.1, reduce_only=True))
    stop = answer_of(market, trigger(False, TriggerKind.STOP_LOSS, 95_000, 0.1))
    answer_of(market, limit(False, 99_990, 0.1, Tif.IOC))
    for oid in (resting.oid, stop.oid):
        state = market.venue.order_status(ALICE, oid)
        assert state is not None and state.status is VenueStatus.REDUCE_ONLY_CANCELED
    assert market.venue.open_orders(ALICE) == ()


def test_reduce_only_orders_die_when_the_position_turns(market):
    answer_of(market, limit(True, 100_010, 0.1, Tif.IOC))
    resting = answer_of(market, limit(False, 101_000, 0.1, reduce_only=True))
    answer_of(market, limit(False, 99_990, 0.3, Tif.IOC))
    state = market.venue.order_status(ALICE, resting.oid)
    assert state is not None and state.status is VenueStatus.REDUCE_ONLY_CANCELED


def test_cancel_by_oid_and_cloid(market):
    cloid = "0x" + "0a" * 16
    first = answer_of(market, limit(True, 99_000, 0.01, cloid=cloid))
    second = answer_of(market, limit(True, 98_000, 0.01))
    assert market.venue.cancel_by_cloid(ALICE, "BTC", cloid) is None
    gone = "Order was never placed, already canceled, or filled. asset=0"
    assert market.venue.cancel(ALICE, "BTC", first.oid) == gone
    assert market.venue.cancel(BOB, "BTC", second.oid) == gone
    assert market.venue.cancel(ALICE, "ETH", second.oid) == gone.replace("=0", "=1")
    assert market.venue.cancel_by_cloid(ALICE, "BTC", "0x" + "ff" * 16) == gone
    assert market.venue.cancel(ALICE, "BTC", second.oid) is None
    assert market.venue.open_orders(ALICE) == ()


def test_modify_gives_a_new_oid_and_keeps_the_cloid(market):
    cloid = "0x" + "0b" * 16
    old = answer_of(market, limit(True, 99_000, 0.01, cloid=cloid))
    new = market.venue.modify(ALICE, cloid, limit(True, 99_100, 0.02, cloid=cloid))
    assert new.kind is AnswerKind.RESTING
    assert new.oid > old.oid
    state = market.venue.order_status(ALICE, old.oid)
    assert state is not None and state.status is VenueStatus.CANCELED
    named = market.venue.order_status(ALICE, cloid)
    assert named is not None and named.order.oid == new.oid


def test_modify_without_always_place_must_not_take(market):
    old = answer_of(market, limit(True, 99_000, 0.01))
    ioc = market.venue.modify(ALICE, old.oid, limit(True, 100_010, 0.01, Tif.IOC))
    assert ioc.text == "Attempted to modify to invalid new order"
    assert len(market.venue.open_orders(ALICE)) == 1
    crossing = market.venue.modify(ALICE, old.oid, limit(True, 100_010, 0.01))
    assert crossing.text.startswith("Error placing new order during modify: Post only order would")
    assert market.venue.open_orders(ALICE) == ()


def test_modify_of_a_dead_order(market):
    request = limit(True, 99_000, 0.01)
    dead = market.venue.modify(ALICE, 1, request)
    assert dead.text == "Cannot modify canceled or filled order"
    assert dead.is_whole_action
    assert market.venue.modify(ALICE, 1, request, True).kind is AnswerKind.RESTING


def test_open_orders_are_limited():
    market = Market(VenueSettings(open_orders_base=3))
    market.fund(ALICE)
    market.tick()
    answer_of(market, limit(True, 100_010, 0.01, Tif.IOC))
    for _ in range(2):
        answer_of(market, limit(True, 99_000, 0.001))
    assert answer_of(market, limit(False, 101_000, 0.01, reduce_only=True)).text == ""
    assert answer_of(market, limit(True, 99_000, 0.001)).text == "Too many open orders"


def test_the_grouping_shapes_are_checked(market):
    parent = limit(True, 99_000, 0.01)
    stop = trigger(False, TriggerKind.STOP_LOSS, 95_000, 0.01)
    place = market.venue.place
    assert place(ALICE, [stop, stop], Grouping.NORMAL_TPSL)[0].text == (
        "Main order cannot be trigger order."
    )
    assert place(ALICE, [parent], Grouping.NORMAL_TPSL)[0].text == (
        "Unexpected number of trigger orders"
    )
    loose = trigger(False, TriggerKind.STOP_LOSS, 95_000, 0.01, reduce_only=False)
    (answer,) = place(ALICE, [parent, loose], Grouping.NORMAL_TPSL)
    assert answer.kind is AnswerKind.ERROR
    (answer,) = place(ALICE, [parent], Grouping.POSITION_TPSL)
    assert answer.kind is AnswerKind.ERROR


def test_an_order_is_forgotten_when_it_falls_out_of_the_history():
    market = Market(VenueSettings(history_count_max=3))
    market.fund(ALICE)
    market.tick()
    cloid = "0x" + "0c" * 16
    first = answer_of(market, limit(True, 99_000, 0.01, cloid=cloid))
    market.venue.cancel(ALICE, "BTC", first.oid)
    living = answer_of(market, limit(True, 99_000, 0.01))
    for _ in range(4):
        market.venue.cancel(ALICE, "BTC", answer_of(market, limit(True, 98_000, 0.01)).oid)
    assert market.venue.order_status(ALICE, first.oid) is None
    assert market.venue.order_status(ALICE, cloid) is None
    assert market.venue.order_status(ALICE, living.oid) is not None
    assert len(market.venue.historical_orders(ALICE)) == 3


def test_a_leverage_above_the_tier_caps_the_position():
    market = Market()
    market.fund(ALICE, usdc=50_000_000)
    market.tick()
    market.venue.update_leverage(ALICE, "BTC", 40, True)
    answer = answer_of(market, limit(True, 99_000, 1_500))
    assert answer.text == (
        "Order would cause position to exceed margin tier limit at current leverage"
    )
    assert answer_of(market, limit(True, 99_000, 1_499)).kind is AnswerKind.RESTING
