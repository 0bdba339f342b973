"""The life of an order, from the command that leaves to the last fill its end implies."""

from __future__ import annotations

import pytest

from core.engines.own_orders import (
    CLOSED_COUNT_MAX,
    SETTLE_ASKS_MAX,
    SETTLE_SHARE,
    TTL_MARGIN_NS,
    OwnOrders,
)
from core.model.account import Fill, OrderReport
from core.model.codes import OrderStatus, Purpose, Regime, RejectionCode, Tif
from core.model.commands import CancelOrder, LookUpOrder, ModifyOrder, PlaceOrder
from core.model.events import (
    CancelRejected,
    OpenOrdersReported,
    OrderMissing,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
)
from core.model.time import NS_PER_S
from tests.engines.fakes import PX, T0

ANSWER, TTL = 10 * NS_PER_S, 30 * NS_PER_S


def place(cloid: str = "0xa", lots: int = 10, px: int = PX) -> PlaceOrder:
    return PlaceOrder(
        cloid=cloid,
        coin="BTC",
        asset=0,
        is_buy=True,
        px=px,
        lots=lots,
        tif=Tif.GTC,
        reduce_only=False,
        trigger=None,
        purpose=Purpose.ENTRY,
        strategy="fake",
        arrival_mid_x2=0,
    )


def update(status: OrderStatus, *, cloid: str | None = "0xa", oid: int = 7, left: int = -1):
    return OrderUpdated(
        coin="BTC", oid=oid, cloid=cloid, status=status, lots_orig=10, lots_left=left
    )


def fill(lots: int, *, cloid: str | None = "0xa", oid: int = 7) -> Fill:
    return Fill(
        coin="BTC",
        oid=oid,
        cloid=cloid,
        tid=lots,
        is_buy=True,
        px=PX,
        lots=lots,
        fee_micro=0,
        is_maker=False,
        closed_pnl_micro=0,
        start_position_lots=0,
        ts_exch_ns=T0,
    )


@pytest.fixture
def orders() -> OwnOrders:
    book = OwnOrders(answer_ns=ANSWER, ttl_ns=TTL)
    book.sent(place(), Regime.CALM, T0)
    return book


@pytest.fixture
def resting(orders: OwnOrders) -> OwnOrders:
    orders.on_updated(update(OrderStatus.WORKING), T0)
    return orders


def status(orders: OwnOrders, cloid: str = "0xa") -> OrderStatus:
    return orders.find(cloid).status


def test_sent_and_unanswered_is_a_state_and_working_another(orders):
    assert status(orders) is OrderStatus.IN_FLIGHT
    orders.on_updated(update(OrderStatus.WORKING), T0)
    order = orders.find("0xa")
    assert order.is_settled_working and order.oid == 7
    assert [r.status for r in orders.drain_changed()] == [OrderStatus.WORKING]
    assert orders.drain_changed() == ()


def test_filled_lives_on_until_its_fills_have_arrived(orders):
    orders.on_updated(update(OrderStatus.FILLED, left=0), T0)
    assert list(orders.of("BTC")), "the position does not know of it yet"
    orders.on_fill(fill(4), T0)
    assert list(orders.of("BTC"))
    orders.on_fill(fill(6), T0)
    assert not list(orders.of("BTC")) and status(orders) is OrderStatus.FILLED


def test_a_fill_may_come_before_the_answer(orders):
    orders.on_fill(fill(10), T0)
    assert status(orders) is OrderStatus.FILLED
    assert orders.on_updated(update(OrderStatus.FILLED, left=0), T0) is None


def test_an_ioc_that_took_a_part_ends_with_that_part(orders):
    orders.on_updated(update(OrderStatus.FILLED, left=6), T0)
    order = orders.on_fill(fill(4), T0)
    assert not order.is_open and order.ended_badly and order.lots_left == 6


def test_cancelled_by_us_is_no_bad_end_and_by_the_venue_it_is(resting):
    resting.sent(CancelOrder("0xa", 7, "BTC", 0), Regime.CALM, T0)
    assert not resting.find("0xa").is_settled_working
    ended = resting.on_updated(update(OrderStatus.CANCELLED, left=10), T0)
    assert not ended.is_open and not ended.ended_badly
    resting.sent(place("0xb"), Regime.CALM, T0)
    assert resting.on_updated(update(OrderStatus.CANCELLED, cloid="0xb", left=10), T0).ended_badly


def test_a_rejection_closes_and_keeps_the_venues_words(orders):
    code = RejectionCode.MIN_NOTIONAL
    order = orders.on_rejected(
        OrderRejected(coin="BTC", cloid="0xa", code=code, venue_text="too small"), T0
    )
    assert order.ended_badly and order.detail == "MIN_NOTIONAL: too small"
    assert orders.on_updated(update(OrderStatus.REJECTED, oid=8, left=10), T0) is None


def test_a_rejected_status_waits_for_no_fills(orders):
    orders.on_updated(update(OrderStatus.REJECTED, left=0), T0)
    assert status(orders) is OrderStatus.REJECTED


def modified(orders: OwnOrders) -> OwnOrders:
    orders.sent(ModifyOrder("0xa", 7, place("0xb", px=PX + 10)), Regime.CALM, T0)
    return orders


@pytest.mark.parametrize("is_old_first", [True, False])
def test_a_modify_replaces_whichever_message_comes_first(resting, is_old_first):
    old = update(OrderStatus.CANCELLED, left=10)
    new = update(OrderStatus.WORKING, cloid="0xb", oid=9, left=10)
    for event in (old, new) if is_old_first else (new, old):
        modified_once = resting if resting.find("0xb") else modified(resting)
        modified_once.on_updated(event, T0)
    assert status(resting) is OrderStatus.CANCELLED and not resting.find("0xa").ended_badly
    assert resting.find("0xb").is_settled_working


def test_until_a_modify_is_answered_both_orders_may_fill(resting):
    modified(resting)
    assert {o.cloid for o in resting.of("BTC")} == {"0xa", "0xb"}
    assert not any(o.is_settled_working for o in resting.of("BTC"))
    resting.on_fill(fill(3), T0)
    assert resting.find("0xa").lots_left == 7


def test_a_fill_of_the_replacement_proves_the_old_one_gone(resting):
    modified(resting).on_fill(fill(2, cloid="0xb", oid=9), T0)
    assert resting.find("0xa").ending is OrderStatus.CANCELLED
    assert resting.find("0xb").is_open


def cancelled_without_a_size(resting: OwnOrders) -> OwnOrders:
    """The answer to a cancel says success, not how much had been executed before."""
    resting.sent(CancelOrder("0xa", 7, "BTC", 0), Regime.CALM, T0)
    resting.on_updated(update(OrderStatus.CANCELLED), T0)
    return resting


def test_a_cancel_does_not_end_an_order_whose_last_fill_may_be_on_the_way(resting):
    cancelled_without_a_size(resting)
    assert list(resting.of("BTC")), "a racing fill may still change the position"
    assert resting.on_fill(fill(4), T0).is_open, "and more may follow"
    ended = resting.on_updated(update(OrderStatus.CANCELLED, left=6), T0)
    assert not ended.is_open and ended.lots_filled == 4 and not ended.ended_badly


def test_what_a_cancelled_order_executed_is_waited_for_once_known(resting):
    cancelled_without_a_size(resting)
    resting.on_updated(update(OrderStatus.CANCELLED, left=6), T0)
    assert list(resting.of("BTC"))
    assert not resting.on_fill(fill(4), T0).is_open


def test_what_a_cancelled_order_executed_is_asked_for_soon_and_once(resting):
    cancelled_without_a_size(resting)
    assert resting.due_look_ups(T0 + ANSWER // SETTLE_SHARE - 1) == []
    assert resting.due_look_ups(T0 + ANSWER // SETTLE_SHARE) == [LookUpOrder("0xa", "BTC")]
    resting.on_updated(update(OrderStatus.CANCELLED), T0 + ANSWER)
    assert list(resting.of("BTC")), "the same answer again says nothing new"
    resting.on_updated(update(OrderStatus.CANCELLED, left=10), T0 + ANSWER)
    assert not list(resting.of("BTC"))


def test_a_modified_order_counts_until_its_racing_fill_is_known(resting):
    modified(resting)
    resting.on_updated(update(OrderStatus.CANCELLED), T0)
    resting.on_updated(update(OrderStatus.WORKING, cloid="0xb", oid=9, left=10), T0)
    assert {o.cloid for o in resting.of("BTC")} == {"0xa", "0xb"}
    resting.on_fill(fill(3), T0)
    resting.on_updated(update(OrderStatus.CANCELLED, left=7), T0)
    assert {o.cloid for o in resting.of("BTC")} == {"0xb"}


@pytest.mark.parametrize("cloid", ["0xa", "0xb"])
def test_a_refused_modify_asks_what_became_of_the_old_order(resting, cloid):
    modified(resting).on_rejected(
        OrderRejected(coin="BTC", cloid=cloid, code=RejectionCode.TICK_INVALID, venue_text="no"),
        T0,
    )
    assert status(resting, "0xb") is OrderStatus.REJECTED
    assert resting.due_look_ups(T0) == [LookUpOrder("0xa", "BTC")]
    resting.on_updated(update(OrderStatus.WORKING, left=10), T0)
    assert resting.find("0xa").is_settled_working


def test_an_unanswered_modify_asks_about_both(resting):
    modified(resting).on_unanswered(OrderUnanswered(coin="BTC", cloid="0xb", reason="lost"), T0)
    assert {c.cloid for c in resting.due_look_ups(T0)} == {"0xa", "0xb"}
    assert resting.due_look_ups(T0) == []


def test_a_missing_replacement_frees_the_old_order(resting):
    modified(resting)
    late = T0 + TTL + TTL_MARGIN_NS
    resting.on_missing(OrderMissing(coin="BTC", cloid="0xb"), late)
    assert status(resting, "0xb") is OrderStatus.EXPIRED
    resting.due_look_ups(late)
    resting.on_updated(update(OrderStatus.WORKING, left=10), late)
    assert resting.find("0xa").is_settled_working


def test_missing_is_believed_only_once_the_action_cannot_arrive_any_more(orders):
    missing = OrderMissing(coin="BTC", cloid="0xa")
    assert orders.on_missing(missing, T0 + TTL + TTL_MARGIN_NS - 1) is None
    assert status(orders) is OrderStatus.IN_FLIGHT
    assert orders.on_missing(missing, T0 + TTL + TTL_MARGIN_NS).ended_badly


def test_questions_are_repeated_with_growing_waits(orders):
    asked = [s for s in range(300) if orders.due_look_ups(T0 + s * NS_PER_S)]
    assert asked == [10, 30, 70, 130, 190, 250]


def test_a_cancel_that_finds_nothing_is_looked_up(resting):
    resting.sent(CancelOrder("0xa", 7, "BTC", 0), Regime.CALM, T0)
    resting.on_cancel_rejected(
        CancelRejected(
            coin="BTC", cloid="0xa", code=RejectionCode.ORDER_NOT_FOUND, venue_text="gone"
        ),
        T0,
    )
    assert resting.due_look_ups(T0) == [LookUpOrder("0xa", "BTC")]


def test_a_late_open_message_does_not_undo_a_cancel(resting):
    resting.sent(CancelOrder("0xa", 7, "BTC", 0), Regime.CALM, T0)
    resting.on_updated(update(OrderStatus.WORKING), T0)
    assert not resting.find("0xa").is_settled_working


def test_fills_that_never_come_are_given_up_and_left_to_the_report(orders):
    orders.on_updated(update(OrderStatus.FILLED, left=0), T0)
    now = T0
    for _ in range(SETTLE_ASKS_MAX):
        assert orders.give_up_settling() == []
        now += 70 * NS_PER_S
        assert orders.due_look_ups(now)
        orders.on_updated(update(OrderStatus.FILLED, left=0), now)
    assert [o.cloid for o in orders.give_up_settling()] == ["0xa"]
    assert orders.on_fill(fill(10), now) is orders.find("0xa"), "still attributed when late"


def report(*rows: tuple[str | None, int], ts: int = T0 + NS_PER_S) -> OpenOrdersReported:
    return OpenOrdersReported(
        ts_exch_ns=ts,
        orders=tuple(
            OrderReport(
                coin="BTC",
                oid=oid,
                cloid=cloid,
                is_buy=True,
                px=PX,
                lots_orig=10,
                lots_left=10,
                reduce_only=False,
                trigger_px=0,
                ts_exch_ns=T0,
            )
            for cloid, oid in rows
        ),
    )


def test_a_report_answers_what_is_in_flight_and_questions_what_it_lacks(orders):
    orders.sent(place("0xb"), Regime.CALM, T0)
    orders.on_report(report(("0xb", 3)), T0 + NS_PER_S)
    assert orders.find("0xb").is_settled_working
    assert orders.due_look_ups(T0 + NS_PER_S) == [LookUpOrder("0xa", "BTC")]


def test_a_report_from_before_an_order_says_nothing_about_it(orders):
    orders.on_report(report(ts=T0 - 1), T0)
    assert orders.due_look_ups(T0) == []


def test_an_order_believed_gone_but_listed_is_believed_open(resting):
    resting.on_updated(update(OrderStatus.CANCELLED, left=10), T0)
    resting.on_report(report(("0xa", 7), ts=T0 - 1), T0)
    assert status(resting) is OrderStatus.CANCELLED, "the report is older"
    resting.on_report(report(("0xa", 7)), T0 + NS_PER_S)
    assert resting.find("0xa").is_settled_working


def test_foreign_orders_come_shrink_and_go(orders):
    orders.on_report(report((None, 5), ("0xother", 6)), T0)
    assert set(orders.facts.foreign) == {"5", "6"}
    assert orders.open_count == 3
    assert orders.on_fill(fill(4, cloid=None, oid=5), T0) is None
    assert orders.facts.foreign["5"].lots_left == 6
    orders.on_fill(fill(6, cloid=None, oid=5), T0)
    orders.on_updated(update(OrderStatus.CANCELLED, cloid="0xother", oid=6), T0)
    assert orders.facts.foreign == {}


def test_the_memory_of_closed_orders_is_bounded():
    orders = OwnOrders(answer_ns=ANSWER, ttl_ns=TTL)
    for i in range(CLOSED_COUNT_MAX + 20):
        orders.sent(place(f"0x{i}"), Regime.CALM, T0)
        orders.on_fill(fill(10, cloid=f"0x{i}"), T0)
    assert len(orders.facts.closed) == CLOSED_COUNT_MAX
    assert orders.find("0x0") is None and orders.find(f"0x{CLOSED_COUNT_MAX}") is not None


def test_an_id_is_never_used_twice(orders):
    with pytest.raises(AssertionError, match="cloid is new"):
        orders.sent(place(), Regime.CALM, T0)


def test_times_ahead_of_a_clock_that_was_set_back_are_brought_to_now(orders):
    earlier = T0 - 3_600 * NS_PER_S
    assert orders.due_look_ups(earlier + ANSWER) == []
    orders.forget_times_after(earlier)
    assert orders.due_look_ups(earlier + ANSWER) == [LookUpOrder("0xa", "BTC")]
    missing = OrderMissing(coin="BTC", cloid="0xa")
    assert orders.on_missing(missing, earlier + TTL + TTL_MARGIN_NS).ended_badly


def test_a_message_without_our_id_is_known_by_the_venues(resting):
    resting.on_fill(fill(4, cloid=None), T0)
    assert resting.find("0xa").lots_left == 6
    resting.on_updated(update(OrderStatus.CANCELLED, cloid=None, left=6), T0)
    assert status(resting) is OrderStatus.CANCELLED
    assert resting.facts.foreign == {}
