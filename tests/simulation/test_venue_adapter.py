"""The bridge between venue and engine: commands in, the wire client's events out."""

from __future__ import annotations

import pytest

from core.api import venue_words
from core.model.codes import OrderStatus, Purpose, RejectionCode, Tif, TriggerKind
from core.model.commands import (
    CancelOrder,
    LookUpOrder,
    ModifyOrder,
    PlaceOrder,
    ReportAccount,
    SetLeverage,
    Trigger,
)
from core.model.events import (
    AccountReported,
    CancelRejected,
    FundingPaid,
    LedgerMoved,
    LeverageChanged,
    LeverageRejected,
    OpenOrdersReported,
    OrderFilled,
    OrderMissing,
    OrderRejected,
    OrderUpdated,
)
from core.model.time import NS_PER_HOUR, NS_PER_MS
from core.simulation.adapter import execute_command, order_status, to_events
from core.simulation.venue import texts
from core.simulation.venue.outputs import VenueStatus
from tests.simulation.venue_kit import ALICE, BOB, BTC, START_NS, USDC, Market, lots, px


def cloid(n: int) -> str:
    return f"0x{n:032x}"


def command(
    n: int,
    is_buy: bool,
    price: float,
    size: float,
    tif: Tif = Tif.GTC,
    *,
    reduce_only: bool = False,
    stop: float | None = None,
) -> PlaceOrder:
    trigger = None if stop is None else Trigger(TriggerKind.STOP_LOSS, px("BTC", stop))
    return PlaceOrder(
        cloid=cloid(n),
        coin="BTC",
        asset=0,
        is_buy=is_buy,
        px=px("BTC", price),
        lots=lots("BTC", size),
        tif=tif,
        reduce_only=reduce_only,
        trigger=trigger,
        purpose=Purpose.ENTRY,
        strategy="test",
        arrival_mid_x2=0,
    )


@pytest.fixture
def market() -> Market:
    market = Market()
    market.fund(ALICE)
    market.tick(rate=0.0001)
    market.venue.drain()
    return market


def run(market: Market, *commands: object) -> list[object]:
    events: list[object] = []
    for item in commands:
        market.now_ns += NS_PER_MS
        events += execute_command(market.venue, ALICE, item, market.now_ns)
    return events


def test_answers_to_orders(market):
    resting, filled, partial, refused = run(
        market,
        command(1, True, 99_000, 0.01),
        command(2, True, 100_010, 0.4, Tif.IOC),
        command(3, True, 100_010, 0.8, Tif.IOC),
        command(4, True, 99_000, 0.01, Tif.IOC),
    )
    assert isinstance(resting, OrderUpdated)
    assert (resting.status, resting.cloid) == (OrderStatus.WORKING, cloid(1))
    assert resting.ts_exch_ns == market.now_ns - 3 * NS_PER_MS
    assert isinstance(filled, OrderUpdated)
    assert (filled.status, filled.lots_left) == (OrderStatus.FILLED, 0)
    assert isinstance(partial, OrderUpdated)
    assert (partial.status, partial.lots_left) == (OrderStatus.CANCELLED, lots("BTC", 0.2))
    assert isinstance(refused, OrderRejected)
    assert refused.code is RejectionCode.IOC_NO_MATCH
    events = to_events(market.venue.drain(), ALICE)
    fills = [event.fill for event in events if isinstance(event, OrderFilled)]
    assert [fill.cloid for fill in fills] == [cloid(2), cloid(3)]
    ends = [event for event in events if isinstance(event, OrderUpdated)]
    assert [(event.cloid, event.status) for event in ends[-2:]] == [
        (cloid(3), OrderStatus.CANCELLED),
        (cloid(4), OrderStatus.REJECTED),
    ]


def test_answers_to_cancels(market):
    (order,) = run(market, command(1, True, 99_000, 0.01))
    by_cloid, gone = run(market, *[CancelOrder(cloid(1), 0, "BTC", 0)] * 2)
    assert isinstance(by_cloid, OrderUpdated) and by_cloid.status is OrderStatus.CANCELLED
    assert isinstance(gone, CancelRejected) and gone.code is RejectionCode.ORDER_NOT_FOUND
    (order,) = run(market, command(2, True, 99_000, 0.01))
    assert isinstance(order, OrderUpdated)
    (by_oid,) = run(market, CancelOrder(cloid(2), order.oid, "BTC", 0))
    assert isinstance(by_oid, OrderUpdated) and by_oid.oid == order.oid


def test_a_stop_is_armed_and_moved(market):
    run(market, command(1, True, 100_010, 0.1, Tif.IOC))
    (armed,) = run(market, command(2, False, 90_000, 0.1, reduce_only=True, stop=99_000))
    assert isinstance(armed, OrderUpdated) and armed.status is OrderStatus.WORKING
    moved_to = command(3, False, 90_000, 0.1, reduce_only=True, stop=99_500)
    ended, moved = run(market, ModifyOrder(cloid(2), armed.oid, moved_to))
    assert isinstance(ended, OrderUpdated) and isinstance(moved, OrderUpdated)
    assert (ended.cloid, ended.status) == (cloid(2), OrderStatus.CANCELLED)
    assert (moved.cloid, moved.status) == (cloid(3), OrderStatus.WORKING)
    assert moved.oid > armed.oid
    (order,) = market.venue.open_orders(ALICE)
    assert order.order_type == "Stop Market"
    (missing,) = run(market, ModifyOrder(cloid(9), 0, command(4, True, 99_000, 0.01, Tif.ALO)))
    assert isinstance(missing, OrderRejected)
    assert missing.venue_text == "Cannot modify canceled or filled order"


def test_leverage_look_ups_and_reports(market):
    changed, refused = run(market, SetLeverage("BTC", 0, 10, True), SetLeverage("BTC", 0, 99, True))
    assert isinstance(changed, LeverageChanged) and changed.leverage == 10
    assert isinstance(refused, LeverageRejected)
    run(market, command(1, True, 100_010, 0.1, Tif.IOC), command(2, True, 99_000, 0.01))
    found, missing = run(market, LookUpOrder(cloid(2), "BTC"), LookUpOrder(cloid(7), "BTC"))
    assert isinstance(found, OrderUpdated)
    assert (found.status, found.lots_left) == (OrderStatus.WORKING, lots("BTC", 0.01))
    assert isinstance(missing, OrderMissing)
    fill, orders, account = run(market, ReportAccount(0))
    assert isinstance(fill, OrderFilled) and fill.fill.cloid == cloid(1)
    assert isinstance(account, AccountReported)
    assert account.positions[0].position_lots == lots("BTC", 0.1)
    assert account.cash_micro == 10_000 * USDC - fill.fill.notional_micro - fill.fill.fee_micro
    assert isinstance(orders, OpenOrdersReported)
    assert [row.cloid for row in orders.orders] == [cloid(2)]


def test_streams_carry_only_ones_own_events(market):
    market.venue.fund(BOB, 5 * USDC)
    market.venue.fund(ALICE, USDC)
    run(market, command(1, True, 100_010, 0.1, Tif.IOC))
    market.venue.advance(START_NS + NS_PER_HOUR)
    outputs = market.venue.drain()
    events = to_events(outputs, ALICE)
    ledger = [event for event in events if isinstance(event, LedgerMoved)]
    assert [(event.kind, event.amount_micro) for event in ledger] == [("deposit", USDC)]
    funding = [event for event in events if isinstance(event, FundingPaid)]
    assert [event.funding_micro for event in funding] == [-1 * USDC]
    assert funding[0].rate_1h == 0.0001
    assert all(event.seq == 0 and event.ts_recv_ns == 0 for event in events)
    assert len(to_events(outputs, BOB)) == 1


ORDER_TEXTS = [
    texts.tick_invalid(BTC),
    texts.notional_too_small(BTC, 10 * USDC),
    texts.margin_insufficient(BTC),
    texts.reduce_only_increases(BTC),
    texts.post_only_matches(BTC, 1, 2),
    texts.market_no_liquidity(BTC),
    texts.ioc_no_match(BTC),
    texts.trigger_invalid(BTC),
    texts.order_not_found(BTC),
    texts.modify_failed(texts.tick_invalid(BTC)),
    texts.must_deposit(ALICE),
    texts.PRICE_INVALID,
    texts.SIZE_INVALID,
    texts.SIZE_ZERO,
    texts.PRICE_TOO_FAR,
    texts.MAIN_IS_TRIGGER,
    texts.TRIGGER_COUNT,
    texts.TRADING_HALTED,
    texts.OPEN_ORDERS_TOO_MANY,
    texts.TIER_EXCEEDED,
    texts.MODIFY_DEAD,
    texts.ASSET_UNKNOWN,
    texts.TPSL_NOT_REDUCING,
]


@pytest.mark.parametrize("text", ORDER_TEXTS)
def test_the_client_knows_every_text_of_the_venue(text):
    assert venue_words.rejection_code(text) is not RejectionCode.UNCLASSIFIED


def test_statuses_map_by_their_meaning():
    mapped = {status: order_status(status) for status in VenueStatus}
    assert mapped[VenueStatus.TRIGGERED] is OrderStatus.WORKING
    assert mapped[VenueStatus.SCHEDULED_CANCEL] is OrderStatus.CANCELLED
    for status, meaning in mapped.items():
        if status.value.endswith("Canceled"):
            assert meaning is OrderStatus.CANCELLED
        if status.value.endswith("Rejected"):
            assert meaning is OrderStatus.REJECTED
