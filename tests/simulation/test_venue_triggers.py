"""Stops, targets and TP/SL groups: when they wake, what they become, who goes with them."""

from __future__ import annotations

import pytest

from core.model.codes import Grouping, Tif, TriggerKind
from core.simulation.venue.outputs import AnswerKind, OrderOutput, VenueStatus
from tests.simulation.venue_kit import ALICE, BOB, Market, limit, lots, px, trigger

SL, TP = TriggerKind.STOP_LOSS, TriggerKind.TAKE_PROFIT


@pytest.fixture
def market() -> Market:
    market = Market()
    market.fund(ALICE, BOB, usdc=1_000_000)
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.5, Tif.IOC)])
    market.venue.drain()
    return market


def place(market: Market, request: object, owner: str = ALICE):
    (answer,) = market.venue.place(owner, [request])
    return answer


def status(market: Market, oid: int, owner: str = ALICE) -> VenueStatus:
    state = market.venue.order_status(owner, oid)
    assert state is not None
    return state.status


def around(market: Market, mid: float, **extra: object) -> None:
    bids = ((mid - 10, 2.0), (mid - 20, 2.0))
    market.tick(bids=bids, asks=((mid + 10, 2.0), (mid + 20, 2.0)), **extra)


@pytest.mark.parametrize(
    ("is_buy", "kind", "trigger_price", "sleeps_at", "wakes_at", "condition"),
    [
        (False, SL, 99_000, 99_000.1, 99_000, "Price below 99000"),
        (False, TP, 101_000, 100_999.9, 101_000, "Price above 101000"),
        (True, SL, 101_000, 100_999.9, 101_000, "Price above 101000"),
        (True, TP, 99_000, 99_000.1, 99_000, "Price below 99000"),
    ],
)
def test_a_trigger_wakes_exactly_at_its_mark(
    market, is_buy, kind, trigger_price, sleeps_at, wakes_at, condition
):
    request = trigger(is_buy, kind, trigger_price, 0.1, reduce_only=False)
    oid = place(market, request).oid
    (order,) = market.venue.open_orders(ALICE)
    assert order.trigger_condition == condition
    assert order.tif is None
    around(market, wakes_at, mark=sleeps_at)
    assert status(market, oid) is VenueStatus.OPEN
    around(market, wakes_at, mark=wakes_at)
    assert status(market, oid) is VenueStatus.FILLED


def test_a_market_stop_keeps_its_oid_and_says_triggered(market):
    oid = place(market, trigger(False, SL, 99_000, 0.5)).oid
    market.venue.drain()
    around(market, 98_990)
    rows = [(row.order.oid, row.status) for row in market.outputs(OrderOutput)]
    assert rows == [(oid, VenueStatus.TRIGGERED), (oid, VenueStatus.FILLED)]
    assert market.venue.account_summary(ALICE).positions == ()


def test_a_limit_stop_rests_at_its_limit(market):
    request = trigger(False, SL, 99_000, 0.5, price=99_500, is_market=False)
    oid = place(market, request).oid
    around(market, 98_990)
    assert status(market, oid) is VenueStatus.OPEN
    assert market.venue.book("BTC")[1][-1] == (px("BTC", 99_500), lots("BTC", 0.5))
    around(market, 99_600)
    assert status(market, oid) is VenueStatus.FILLED


def test_a_stop_larger_than_the_position_is_capped_when_it_fires(market):
    place(market, trigger(False, SL, 99_000, 2.0))
    around(market, 98_990)
    assert market.venue.fills(ALICE)[-1].fill.lots == lots("BTC", 0.5)
    assert market.venue.account_summary(ALICE).positions == ()


def test_a_stop_beyond_all_bids_finds_no_liquidity(market):
    oid = place(market, trigger(False, SL, 99_000, 0.5, price=98_990)).oid
    market.tick(bids=((98_000, 1.0),), asks=((99_000, 1.0),), mark=98_500)
    assert status(market, oid) is VenueStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED


def test_a_trigger_that_would_open_needs_margin_when_it_fires(market):
    oid = place(market, trigger(True, SL, 101_000, 300, reduce_only=False)).oid
    around(market, 101_000)
    assert status(market, oid) is VenueStatus.PERP_MARGIN_REJECTED


def test_children_wait_for_a_resting_parent_and_arm_when_it_is_filled(market):
    answers = market.venue.place(
        BOB,
        [
            limit(True, 99_990, 0.2),
            trigger(False, SL, 98_000, 0.2),
            trigger(False, TP, 102_000, 0.2),
        ],
        Grouping.NORMAL_TPSL,
    )
    kinds = [answer.kind.value for answer in answers]
    assert kinds == ["resting", "waitingForFill", "waitingForFill"]
    parent = market.venue.open_orders(BOB)[0]
    assert [child.oid for child in parent.children] == [answers[1].oid, answers[2].oid]
    around(market, 99_000)
    assert status(market, answers[0].oid, BOB) is VenueStatus.FILLED
    assert market.venue.open_orders(BOB)[0].children == ()
    around(market, 102_000)
    assert status(market, answers[2].oid, BOB) is VenueStatus.FILLED
    assert status(market, answers[1].oid, BOB) is VenueStatus.SIBLING_FILLED_CANCELED
    assert market.venue.open_orders(BOB) == ()


def test_children_of_a_parent_that_fills_at_once_wait_for_their_trigger(market):
    answers = market.venue.place(
        BOB,
        [limit(True, 100_010, 0.2, Tif.IOC), trigger(False, SL, 98_000, 0.2)],
        Grouping.NORMAL_TPSL,
    )
    assert [answer.kind.value for answer in answers] == ["filled", "waitingForTrigger"]
    around(market, 97_990)
    assert market.venue.account_summary(BOB).positions == ()


def test_children_do_not_fire_while_they_wait(market):
    market.venue.place(
        BOB, [limit(True, 97_000, 0.2), trigger(False, SL, 98_000, 0.2)], Grouping.NORMAL_TPSL
    )
    around(market, 97_500)
    assert market.venue.fills(BOB) == ()
    assert len(market.venue.open_orders(BOB)) == 2


def test_children_die_with_a_cancelled_parent_even_if_it_was_partly_filled(market):
    answers = market.venue.place(
        BOB, [limit(True, 100_010, 0.8), trigger(False, SL, 98_000, 0.8)], Grouping.NORMAL_TPSL
    )
    assert market.venue.fills(BOB)[0].fill.lots == lots("BTC", 0.5)
    assert market.venue.cancel(BOB, "BTC", answers[0].oid) is None
    assert status(market, answers[1].oid, BOB) is VenueStatus.CANCELED
    assert market.venue.open_orders(BOB) == ()


def test_children_share_the_fate_of_a_rejected_parent(market):
    answers = market.venue.place(
        BOB,
        [limit(True, 99_000, 0.2, Tif.IOC), trigger(False, SL, 98_000, 0.2)],
        Grouping.NORMAL_TPSL,
    )
    assert [answer.kind for answer in answers] == [AnswerKind.ERROR] * 2
    assert market.venue.open_orders(BOB) == ()


def test_position_tpsl_without_a_size_closes_whatever_the_position_is(market):
    answers = market.venue.place(
        ALICE,
        [trigger(False, SL, 99_000, 0), trigger(False, TP, 101_000, 0)],
        Grouping.POSITION_TPSL,
    )
    assert [answer.kind.value for answer in answers] == ["waitingForTrigger"] * 2
    assert all(order.is_position_tpsl for order in market.venue.open_orders(ALICE))
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.3, Tif.IOC)])
    around(market, 101_010)
    assert market.venue.account_summary(ALICE).positions == ()
    assert market.venue.fills(ALICE)[-1].fill.lots == lots("BTC", 0.8)
    assert status(market, answers[0].oid) is VenueStatus.SIBLING_FILLED_CANCELED


def test_position_tpsl_vanishes_with_the_position(market):
    answers = market.venue.place(ALICE, [trigger(False, SL, 99_000, 0)], Grouping.POSITION_TPSL)
    market.venue.place(ALICE, [limit(False, 99_990, 0.5, Tif.IOC)])
    assert status(market, answers[0].oid) is VenueStatus.REDUCE_ONLY_CANCELED


def test_a_stop_is_moved_by_modify_with_always_place(market):
    old = place(market, trigger(False, SL, 99_000, 0.5))
    moved = trigger(False, SL, 99_500, 0.5)
    refused = market.venue.modify(ALICE, old.oid, moved)
    assert refused.text == "Attempted to modify to invalid new order"
    new = market.venue.modify(ALICE, old.oid, moved, True)
    assert new.kind is AnswerKind.RESTING
    around(market, 99_490)
    assert status(market, new.oid) is VenueStatus.FILLED
    assert status(market, old.oid) is VenueStatus.CANCELED


def test_a_modified_child_keeps_its_sibling(market):
    answers = market.venue.place(
        BOB,
        [
            limit(True, 99_990, 0.2),
            trigger(False, SL, 98_000, 0.2),
            trigger(False, TP, 102_000, 0.2),
        ],
        Grouping.NORMAL_TPSL,
    )
    moved = market.venue.modify(BOB, answers[1].oid, trigger(False, SL, 98_500, 0.2), True)
    assert moved.kind is AnswerKind.WAITING_FOR_FILL
    parent = market.venue.modify(BOB, answers[0].oid, limit(True, 99_980, 0.2))
    assert parent.kind is AnswerKind.RESTING
    around(market, 99_000)
    around(market, 98_400)
    assert status(market, moved.oid, BOB) is VenueStatus.FILLED
    assert status(market, answers[2].oid, BOB) is VenueStatus.SIBLING_FILLED_CANCELED


def test_a_child_that_becomes_an_ordinary_order_leaves_its_group(market):
    answers = market.venue.place(
        BOB,
        [
            limit(True, 99_990, 0.2),
            trigger(False, SL, 98_000, 0.2),
            trigger(False, TP, 102_000, 0.2),
        ],
        Grouping.NORMAL_TPSL,
    )
    alone = market.venue.modify(BOB, answers[2].oid, limit(False, 105_000, 0.1))
    assert alone.kind is AnswerKind.RESTING
    around(market, 99_000)
    assert status(market, answers[1].oid, BOB) is VenueStatus.OPEN
    around(market, 97_900)
    assert market.venue.account_summary(BOB).positions == ()
    assert [order.oid for order in market.venue.open_orders(BOB)] == [alone.oid]


def test_children_die_with_a_parent_that_becomes_a_trigger(market):
    answers = market.venue.place(
        BOB, [limit(True, 99_990, 0.2), trigger(False, SL, 98_000, 0.2)], Grouping.NORMAL_TPSL
    )
    stop_entry = trigger(True, SL, 101_000, 0.2, reduce_only=False)
    new = market.venue.modify(BOB, answers[0].oid, stop_entry, True)
    assert [order.oid for order in market.venue.open_orders(BOB)] == [new.oid]
