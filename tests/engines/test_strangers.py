"""What others do on the account is recognised and handled as the configuration says."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest

from core.engines.own_orders import TTL_MARGIN_NS
from core.model.account import Fill, OrderReport
from core.model.codes import OperatorAction, OrderStatus, Purpose, RefusalCode, TradingState
from core.model.commands import CancelOrder, PlaceOrder, ReportAccount, SetLeverage
from core.model.events import (
    BookChanged,
    LeverageUnanswered,
    LinkChanged,
    OpenOrdersReported,
    OrderFilled,
    OrderUpdated,
)
from core.model.ids import order_cloid
from core.model.time import NS_PER_S
from tests.engines.fakes import ACCOUNT, PX, Floor, config_of, flat, long

ETH_PX = 300_000  # 3 000 USDC
ETH_LOTS = 2_000


def book(px: int = ETH_PX) -> BookChanged:
    return BookChanged(coin="ETH", bids=((px - 10, 10**6),), asks=((px + 10, 10**6),))


def with_eth(lots: int = ETH_LOTS, **trading: object) -> Floor:
    """A floor that trades BTC on an account that holds ETH as well."""
    floor = Floor(config=config_of(**trading))
    floor.venue.touch["ETH"] = (ETH_PX - 10, ETH_PX + 10)
    floor.start(positions={"ETH": lots})
    floor.send(book())
    return floor


def report_of(floor: Floor, *rows: OrderReport) -> OpenOrdersReported:
    ours = floor.venue.report()[0]
    assert isinstance(ours, OpenOrdersReported)
    return msgspec.structs.replace(ours, orders=(*ours.orders, *rows))


def order_row(
    oid: int, *, coin: str = "BTC", cloid: str | None = None, **changes: object
) -> OrderReport:
    row = OrderReport(
        coin=coin,
        oid=oid,
        cloid=cloid,
        is_buy=True,
        px=PX - 5_000,
        lots_orig=10,
        lots_left=10,
        reduce_only=False,
        trigger_px=0,
        ts_exch_ns=0,
    )
    return msgspec.structs.replace(row, **changes)


def cancels(floor: Floor) -> list[int]:
    return [c.oid for c in floor.outbox if isinstance(c, CancelOrder)]


# --- positions in coins that are not traded -------------------------------------------------------


def test_an_untraded_position_is_shown_priced_and_left_alone():
    floor = with_eth()
    assert floor.alerts("position_untraded") == ["ETH is counted and left alone"]
    assert floor.engine.stray_coins == ("ETH",)
    shown = floor.coin("ETH")
    assert (shown.position_coins, shown.why_not) == (0.2, "not traded here")
    before = floor.engine.status().equity_micro
    floor.send(book(ETH_PX + 1_000))
    assert floor.engine.status().equity_micro - before == ETH_LOTS * 1_000
    for _ in range(100):
        floor.tick(60.0)
    assert not [o for _, o, _ in floor.venue.orders.values() if o.coin == "ETH"]
    assert floor.venue.positions["ETH"] == ETH_LOTS, "no time-out, no stop: it is not ours"


def test_an_untraded_position_never_gets_a_leverage_or_a_strategy():
    floor = with_eth()
    floor.strategy.wish = long(coin="ETH")
    for _ in range(5):
        floor.tick(30.0)
        floor.send(book())
    coins = [c.coin for s in floor.steps for c in s.commands if isinstance(c, SetLeverage)]
    assert "ETH" not in coins
    assert {view.coin for view in floor.strategy.views} <= {"BTC"}


@pytest.mark.parametrize("lots", [ETH_LOTS, -ETH_LOTS])
def test_an_emergency_closes_what_others_opened_as_well(lots):
    floor = with_eth(lots)
    floor.operate(OperatorAction.FLATTEN)
    assert floor.venue.positions["ETH"] == 0
    assert floor.engine.is_flat
    floor.tick()
    assert floor.engine.stray_coins == ()


def test_a_price_that_comes_later_lets_the_closing_begin_then():
    floor = Floor().start(positions={"ETH": ETH_LOTS})
    floor.venue.touch["ETH"] = (ETH_PX - 10, ETH_PX + 10)
    floor.operate(OperatorAction.FLATTEN)
    assert floor.venue.positions["ETH"] == ETH_LOTS
    assert not floor.engine.is_flat
    floor.send(book())
    floor.tick()
    assert floor.venue.positions["ETH"] == 0


def test_a_narrow_scope_leaves_others_alone_and_is_flat_without_them():
    floor = with_eth(flatten_scope="traded")
    floor.strategy.wish = long()
    floor.tick(30.0)
    floor.quote()
    floor.settle()
    assert floor.position() > 0
    floor.operate(OperatorAction.FLATTEN)
    assert floor.position() == 0
    assert floor.venue.positions["ETH"] == ETH_LOTS
    assert floor.engine.is_flat


def test_an_adopted_position_gets_a_stop_and_keeps_its_size():
    floor = with_eth(foreign_positions="adopt")
    floor.tick(30.0)
    (stop,) = floor.working("stop")
    assert (stop.coin, stop.lots, stop.reduce_only) == ("ETH", ETH_LOTS, True)
    assert stop.trigger.trigger_px == pytest.approx(ETH_PX * 0.97, rel=0.001)
    assert floor.venue.positions["ETH"] == ETH_LOTS


def test_an_untraded_position_stops_trading_if_asked_to_until_a_person_resumes():
    floor = with_eth(foreign_positions="stop")
    status = floor.engine.status()
    assert status.trading_state is TradingState.HALTED
    assert "ETH is held and not traded" in status.state_reason
    floor.operate(OperatorAction.RESUME)
    for _ in range(3):
        floor.tick(61.0)
    assert floor.engine.status().trading_state is TradingState.ACTIVE


def foreign_fill(floor: Floor, lots: int, coin: str = "BTC", **changes: object) -> OrderFilled:
    """A fill of an order that nobody here placed, as the venue books it."""
    start = floor.venue.positions.get(coin, 0)
    px = floor.venue.touch[coin][0]
    floor.venue.positions[coin] = start + lots
    floor.venue.cash -= lots * px
    row = Fill(
        coin=coin,
        oid=4_711,
        cloid=None,
        tid=len(floor.events) + 10**6,
        is_buy=lots > 0,
        px=px,
        lots=abs(lots),
        fee_micro=0,
        is_maker=False,
        closed_pnl_micro=0,
        start_position_lots=start,
        ts_exch_ns=floor.now_ns,
    )
    return OrderFilled(fill=msgspec.structs.replace(row, **changes))


def test_a_trade_by_hand_in_the_middle_is_booked_and_guarded():
    floor = Floor().start()
    floor.tick(30.0)
    floor.send(foreign_fill(floor, 500))
    floor.settle()
    floor.tick(30.0)
    assert floor.position() == 500
    assert floor.alerts("fill_foreign") == ["BTC: others bought 500 lots"]
    assert [o.lots for o in floor.working("stop")] == [500]
    floor.send(*floor.venue.report())
    assert floor.engine.status().trading_state is TradingState.ACTIVE


def test_a_trade_by_hand_in_another_coin_gets_a_desk_at_once():
    floor = with_eth(0)
    assert floor.engine.stray_coins == ()
    floor.send(foreign_fill(floor, 500, "ETH"))
    assert floor.engine.stray_coins == ("ETH",)
    floor.send(foreign_fill(floor, -500, "ETH"))
    floor.tick(61.0)
    assert floor.engine.stray_coins == ()


def test_a_trade_by_hand_stops_trading_if_asked_to():
    floor = Floor(config=config_of(foreign_positions="stop")).start()
    floor.tick(30.0)
    floor.send(foreign_fill(floor, 500))
    assert floor.engine.status().trading_state is TradingState.HALTED
    assert "traded by others" in floor.engine.status().state_reason


def test_a_liquidation_is_not_called_a_trade_by_hand():
    floor = Floor().start(positions={"BTC": 500})
    floor.send(foreign_fill(floor, -500, is_liquidation=True))
    assert floor.alerts("fill_foreign") == []
    assert floor.engine.is_emergency_latched


# --- orders of others -----------------------------------------------------------------------------


def test_foreign_orders_are_counted_and_never_touched():
    floor = Floor().start()
    floor.send(report_of(floor, order_row(901)))
    for _ in range(5):
        floor.tick(31.0, settles=False)
    assert cancels(floor) == []
    assert floor.alerts("orders_foreign") == [
        "1 open orders in BTC are not ours: counted, never touched"
    ]


def test_foreign_orders_are_cancelled_where_we_trade_if_asked_to():
    floor = Floor(config=config_of(foreign_orders="adopt")).start()
    floor.outbox.clear()
    floor.send(report_of(floor, order_row(901), order_row(902, coin="ETH")))
    floor.tick(1.0, settles=False)
    assert cancels(floor) == [901]
    floor.tick(5.0, settles=False)
    assert cancels(floor) == [901], "the venue is given time to answer"
    ended = OrderUpdated(coin="BTC", oid=901, cloid=None, status=OrderStatus.CANCELLED)
    floor.send(ended)
    floor.tick(60.0, settles=False)
    assert cancels(floor) == [901]


def test_a_foreign_order_stops_trading_if_asked_to_once():
    floor = Floor(config=config_of(foreign_orders="stop")).start()
    floor.send(
        OrderUpdated(
            coin="BTC", oid=901, cloid=None, status=OrderStatus.WORKING, lots_orig=5, lots_left=5
        )
    )
    status = floor.engine.status()
    assert (status.trading_state, "not ours" in status.state_reason) == (TradingState.HALTED, True)
    floor.operate(OperatorAction.RESUME)
    floor.send(report_of(floor, order_row(901)))
    assert floor.engine.status().trading_state is TradingState.ACTIVE, "a person saw this one"
    floor.send(report_of(floor, order_row(901), order_row(902)))
    assert floor.engine.status().trading_state is TradingState.HALTED


def test_an_emergency_cancels_foreign_orders_and_guards_last():
    floor = with_eth()
    floor.venue.ioc_share = 0.0  # nothing can be closed yet
    guard = order_row(903, coin="ETH", reduce_only=True, is_buy=False, trigger_px=ETH_PX - 9_000)
    floor.send(report_of(floor, order_row(901), order_row(902, coin="ETH"), guard))
    floor.outbox.clear()
    floor.operate(OperatorAction.FLATTEN, settles=False)
    floor.tick(1.0, settles=False)
    assert sorted(cancels(floor)) == [901, 902]
    floor.venue.ioc_share = 1.0
    floor.settle()
    for _ in range(10):
        floor.tick(31.0)
    assert floor.venue.positions["ETH"] == 0
    assert 903 in [c.oid for s in floor.steps for c in s.commands if isinstance(c, CancelOrder)]


# --- orders that carry our mark -------------------------------------------------------------------


def marked(oid: int, **changes: object) -> OrderReport:
    return order_row(oid, cloid=order_cloid(ACCOUNT, "fake", 7, oid), **changes)


def test_a_forgotten_stop_of_ours_is_taken_over_and_not_placed_twice():
    floor = Floor()
    floor.venue.positions = {"BTC": 500}
    stop = marked(
        905, is_buy=False, reduce_only=True, trigger_px=970_000, px=880_000, lots_orig=500
    )
    stop = msgspec.structs.replace(stop, lots_left=500)
    reports = floor.venue.report
    floor.venue.report = lambda: [
        msgspec.structs.replace(reports()[0], orders=(*reports()[0].orders, stop)),
        reports()[1],
    ]
    floor.start(positions={"BTC": 500}, settles=False)
    adopted = floor.engine._context.orders.find(stop.cloid)
    assert adopted is not None and adopted.purpose is Purpose.STOP
    floor.tick(1.0, settles=False)
    assert not [o for o in floor.places() if o.purpose is Purpose.STOP]
    assert floor.alerts("order_adopted") == ["BTC order 905, left by an earlier session"]


def test_a_forgotten_entry_of_ours_is_cancelled_as_nothing_wishes_for_it():
    floor = Floor()
    reports = floor.venue.report
    floor.venue.report = lambda: [
        msgspec.structs.replace(reports()[0], orders=(marked(905),)),
        reports()[1],
    ]
    floor.start(settles=False)
    floor.tick(1.0, settles=False)
    assert cancels(floor) == [905]


def test_an_order_with_our_mark_that_comes_much_later_is_another_engine():
    floor = Floor().start()
    floor.tick(30.0 + TTL_MARGIN_NS / NS_PER_S + 1)
    floor.send(report_of(floor, marked(905)))
    status = floor.engine.status()
    assert status.trading_state is TradingState.HALTED
    assert "another engine" in status.state_reason
    assert cancels(floor) == [], "they would fight each other"
    floor.operate(OperatorAction.RESUME)
    floor.send(report_of(floor, marked(905)))
    assert floor.engine.status().trading_state is TradingState.ACTIVE


def test_the_stream_telling_of_an_unknown_order_of_ours_makes_us_look():
    floor = Floor().start()
    floor.outbox.clear()
    row = marked(905)
    floor.send(
        OrderUpdated(
            coin="BTC",
            oid=905,
            cloid=row.cloid,
            status=OrderStatus.WORKING,
            lots_orig=10,
            lots_left=10,
        )
    )
    assert [type(c) for c in floor.outbox] == [ReportAccount]
    assert floor.alerts("orders_foreign") == []


# --- agreement ------------------------------------------------------------------------------------


def test_the_venue_is_compared_from_time_to_time():
    floor = Floor(config=config_of(reconcile_seconds=60.0)).start()
    floor.outbox.clear()
    asked = []
    for second in range(200):
        floor.tick(1.0, settles=False)
        asked += [second for c in floor.outbox if isinstance(c, ReportAccount)]
        floor.settle()
    assert len(asked) == 3
    assert all(b - a == 60 for a, b in pairwise(asked))


def test_one_different_look_stops_nothing_and_a_second_is_believed():
    floor = Floor().start()
    floor.strategy.wish = flat()
    floor.tick(1.0)
    floor.venue.cash += 7_000_000
    floor.send(*floor.venue.report())
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    assert [type(c) for c in floor.outbox] == [ReportAccount]
    floor.settle()
    assert floor.alerts("account_adopted")
    assert floor.engine.status().cash_micro == floor.venue.cash
    floor.tick(20.0)
    assert floor.engine.status().trading_state is TradingState.ACTIVE


def test_losses_are_counted_from_prices_of_now_not_from_what_positions_cost():
    floor = Floor(config=config_of(max_drawdown=0.02, max_daily_drawdown=0.9, max_daily_loss=0.9))
    lots = 40_000  # 0.4 BTC, bought at 100 000; worth a tenth less by now
    floor.venue.cash = 10_000_000_000 - lots * PX
    floor.venue.positions = {"BTC": lots}
    real_quote, real_mark = floor.quote, floor.mark
    floor.quote = lambda *a, **k: []
    floor.mark = lambda *a, **k: []
    floor.start(positions={"BTC": lots}, settles=False)
    assert floor.engine._context.risk.state.peak_micro == 0, "nothing is judged without a price"
    floor.quote, floor.mark = real_quote, real_mark
    floor.mark(PX * 9 // 10)
    assert floor.engine._context.risk.state.peak_micro == floor.venue.cash + lots * PX * 9 // 10
    assert not floor.engine.is_emergency_latched


def test_an_unanswered_leverage_is_unknown_and_asked_again_when_that_is_safe():
    floor = Floor(config=config_of(action_ttl_seconds=120.0))
    take = floor.venue.take
    floor.venue.take = lambda command: (
        [LeverageUnanswered(coin="BTC", reason="lost")]
        if isinstance(command, SetLeverage)
        else take(command)
    )
    floor.start()
    floor.engine._context.desks["BTC"].leverage_set = 0
    floor.engine._context.desks["BTC"].leverage_asked_ns = 0
    floor.strategy.wish = long()
    asked = []
    for second in range(260):
        floor.tick(1.0, settles=False)
        floor.quote()
        asked += [second for c in floor.outbox if isinstance(c, SetLeverage)]
        floor.settle()
    assert len(asked) == 3
    assert all(b - a >= 125 for a, b in pairwise(asked))
    assert floor.alerts("leverage_unanswered") and not floor.alerts("leverage_rejected")
    assert RefusalCode.LEVERAGE_UNKNOWN.value in floor.refusals()
    assert not [c for s in floor.steps for c in s.commands if isinstance(c, PlaceOrder)]


def test_a_link_that_comes_back_asks_before_it_trades():
    floor = Floor().start()
    floor.send(LinkChanged(channel="user", is_up=False), LinkChanged(channel="user", is_up=True))
    assert floor.engine.status().trading_state is TradingState.HALTED
    floor.send(*floor.venue.report())
    assert floor.engine.status().trading_state is TradingState.ACTIVE
