"""Stories of the whole path: what is sent, what comes back, and what stands afterwards."""

from __future__ import annotations

import msgspec
import pytest

from core.model.account import Fill
from core.model.codes import (
    OperatorAction,
    OrderStatus,
    Purpose,
    RefusalCode,
    Tif,
    TradingState,
)
from core.model.commands import CancelOrder, LookUpOrder, ModifyOrder, PlaceOrder, ReportAccount
from core.model.events import (
    LinkChanged,
    OrderFilled,
    OrderMissing,
    OrderUnanswered,
    OrderUpdated,
    SessionEnded,
)
from core.model.intents import Quote, TargetQuotes
from tests.engines.fakes import BTC, CASH, PX, T0, Floor, config_of, flat, long, short

LOTS = 8_771  # 1 % of 10 000 USDC at a stop 1 % away, fees and slippage included


def rows(floor: Floor, purpose: Purpose) -> list:
    return [o for o in floor.engine.status().orders if o.purpose is purpose]


def test_a_wish_becomes_a_position_with_stop_and_target_at_the_venue():
    floor = Floor(long()).start()
    assert floor.position() == LOTS
    (stop,), (target,) = floor.working("stop"), floor.working("target")
    assert stop.reduce_only and target.reduce_only
    assert (stop.lots, stop.trigger.trigger_px, stop.px) == (LOTS, 990_000, 891_000)
    assert (target.lots, target.trigger.trigger_px, target.px) == (LOTS, 1_020_000, 918_000)


def test_a_market_entry_is_an_ioc_within_the_slippage_tolerance():
    floor = Floor(long()).start(settles=False)
    (entry,) = floor.places()
    assert (entry.tif, entry.is_buy, entry.reduce_only) == (Tif.IOC, True, False)
    # 100 001 USDC plus 0.05 % is 100 051.0005, rounded down to the grid of 1 USDC.
    assert entry.px == 1_000_510
    assert entry.arrival_mid_x2 == 2 * PX


def test_asking_twice_places_nothing_twice():
    floor = Floor(long()).start(settles=False)
    assert len(floor.places()) == 1
    for _ in range(5):
        floor.tick(1.0, settles=False)
        floor.quote()
    assert len(floor.places()) == 1
    floor.settle()
    sent = [c for s in floor.steps for c in s.commands if isinstance(c, PlaceOrder)]
    assert [c.purpose for c in sent] == [Purpose.ENTRY, Purpose.STOP, Purpose.TARGET]


def test_a_partly_filled_resting_entry_grows_its_stop_with_each_fill():
    floor = Floor(long(entry_price=99_900.0)).start()
    (entry,) = floor.working("entry")
    assert (entry.px, entry.tif) == (999_000, Tif.GTC)
    floor.send(*floor.venue.fill(entry.cloid, 1_000, 999_000))
    floor.settle()
    assert [o.lots for o in floor.working("stop")] == [1_000]
    floor.send(*floor.venue.fill(entry.cloid, 2_000, 999_000))
    modifies = [c for c in floor.outbox if isinstance(c, ModifyOrder)]
    assert {(m.order.purpose, m.order.lots) for m in modifies} == {
        (Purpose.STOP, 3_000),
        (Purpose.TARGET, 3_000),
    }
    floor.settle()
    assert [o.lots for o in floor.working("stop")] == [3_000]
    assert [o.lots for o in floor.working("target")] == [3_000]
    assert len(floor.working("entry")) == 1, "what is left of the entry goes on working"


def test_a_stop_that_fills_ends_the_idea_and_bars_its_direction_for_a_while():
    floor = Floor(long()).start()
    floor.move(989_000)
    assert floor.position() == 0
    assert floor.venue.orders == {}, "the target leaves with the position"
    floor.move(1_000_000)
    floor.tick(60)
    assert floor.position() == 0, "the same wish must not re-enter at once"
    floor.tick(180)
    floor.quote()
    floor.settle()
    assert floor.position() > 0


def test_a_rejected_entry_is_not_hammered():
    floor = Floor(long())
    floor.venue.ioc_share = 0.0
    floor.start()
    for _ in range(120):
        floor.tick(1.0)
        floor.quote()
        floor.settle()
    sent = [c for s in floor.steps for c in s.commands if isinstance(c, PlaceOrder)]
    assert 5 <= len(sent) <= 8, "tries after 1, 2, 4 … seconds"
    assert len({c.cloid for c in sent}) == len(sent)


def test_unanswered_and_then_found_filled():
    floor = Floor(long()).start(settles=False)
    (entry,) = floor.places()
    floor.outbox.clear()
    answers = floor.venue.take(entry)
    floor.send(OrderUnanswered(coin="BTC", cloid=entry.cloid, reason="time-out"))
    assert floor.outbox == [LookUpOrder(entry.cloid, "BTC")]
    floor.outbox.clear()
    floor.send(floor.venue.look_up(entry.cloid, "BTC"))
    assert not floor.places(), "filled but the fill is missing: nothing may be doubled"
    floor.send(*[e for e in answers if isinstance(e, OrderFilled)])
    assert {p.purpose for p in floor.places()} == {Purpose.STOP, Purpose.TARGET}
    assert floor.position() == LOTS


def test_unanswered_and_then_missing_is_dead_only_after_its_action_expired():
    floor = Floor(long()).start(settles=False)
    (entry,) = floor.places()
    floor.outbox.clear()
    floor.send(OrderUnanswered(coin="BTC", cloid=entry.cloid, reason="time-out"), after_s=1)
    floor.send(OrderMissing(coin="BTC", cloid=entry.cloid))
    floor.outbox.clear()
    for _ in range(28):
        floor.tick(1.0, settles=False)
        floor.quote()
    assert not floor.places(), "the action may still arrive"
    floor.tick(7.0, settles=False)
    assert LookUpOrder(entry.cloid, "BTC") in floor.outbox
    floor.outbox.clear()
    floor.send(OrderMissing(coin="BTC", cloid=entry.cloid))
    assert any(
        o.cloid == entry.cloid and o.status is OrderStatus.EXPIRED for o in floor.steps[-1].orders
    )
    floor.tick(2.0, settles=False)
    (again,) = floor.places()
    assert again.cloid != entry.cloid


def test_silence_is_asked_about_once_per_wait():
    floor = Floor(long()).start(settles=False)
    (entry,) = floor.places()
    floor.outbox.clear()
    for _ in range(9):
        floor.tick(1.0, settles=False)
    assert floor.outbox == []
    floor.tick(1.0, settles=False)
    assert floor.outbox == [LookUpOrder(entry.cloid, "BTC")]
    for _ in range(9):
        floor.tick(1.0, settles=False)
    assert len(floor.outbox) == 1


def test_a_fill_that_arrives_twice_counts_once():
    floor = Floor(long()).start()
    fill = next(e for e in floor.events if isinstance(e, OrderFilled))
    before = floor.engine.status()
    (step,) = floor.send(fill)
    assert step.fills == ()
    after = floor.engine.status()
    assert (after.cash_micro, after.fees_micro) == (before.cash_micro, before.fees_micro)
    assert floor.position() == LOTS


def test_fills_are_attributed_to_strategy_purpose_and_arrival():
    floor = Floor(long()).start()
    stop_px = next(o.trigger_px for o in floor.engine.status().orders if o.purpose is Purpose.STOP)
    floor.move(989_000)
    entry, stop = [f for s in floor.steps for f in s.fills]
    assert (entry.strategy, entry.purpose, entry.arrival_mid_x2) == ("fake", Purpose.ENTRY, 2 * PX)
    assert (stop.strategy, stop.purpose, stop.arrival_mid_x2) == (
        "fake",
        Purpose.STOP,
        2 * stop_px,
    )


def test_money_is_exact_to_the_micro():
    floor = Floor(long()).start()
    floor.move(989_000)
    status = floor.engine.status()
    fees = sum(f.fill.fee_micro for s in floor.steps for f in s.fills)
    gross = (988_990 - 1_000_010) * LOTS
    assert status.realized_pnl_micro == gross
    assert status.fees_micro == fees
    assert status.equity_micro == status.cash_micro == CASH + gross - fees
    assert floor.engine._context.account.cash_micro == floor.venue.cash


def test_disconnect_stops_entries_and_reconnect_asks_for_the_truth():
    floor = Floor().start()
    floor.send(LinkChanged(channel="user", is_up=False, detail="lost"))
    floor.strategy.wish = long()
    floor.tick(2.0, settles=False)
    floor.quote()
    assert floor.engine.status().trading_state is TradingState.HALTED
    assert not floor.places()
    floor.send(LinkChanged(channel="user", is_up=True))
    floor.quote()
    assert not floor.places(), "up again, but nothing is known of what happened meanwhile"
    floor.tick(16.0, settles=False)
    assert any(isinstance(c, ReportAccount) for c in floor.outbox)
    floor.settle()
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    assert floor.position() == LOTS


def test_a_stop_that_filled_during_a_disconnect_is_found_by_the_report():
    floor = Floor(long()).start()
    floor.send(LinkChanged(channel="user", is_up=False))
    lost = floor.venue.move("BTC", 988_990, 989_010)
    assert floor.position() == LOTS
    floor.mark(989_000)
    floor.send(LinkChanged(channel="user", is_up=True), after_s=5)
    floor.send(*floor.venue.report())
    assert floor.engine.status().trading_state is TradingState.HALTED, "they differ: ask again"
    floor.send(*lost)
    floor.settle()
    assert floor.position() == 0
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    assert floor.alerts("account_differs")
    assert not floor.alerts("account_adopted"), "the fills explained it"


def test_a_difference_that_stays_is_adopted_from_the_venue():
    floor = Floor().start()
    floor.venue.positions["BTC"] = 500
    floor.tick(1.0)
    floor.send(LinkChanged(channel="user", is_up=False), LinkChanged(channel="user", is_up=True))
    floor.send(*floor.venue.report(), after_s=1)
    floor.settle()
    assert floor.position() == 500
    assert "500 at the venue" in floor.alerts("account_adopted")[0]
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    assert [o.lots for o in floor.working("stop")] == [500], "no position goes without a stop"


def test_the_first_report_is_adopted_with_its_positions():
    floor = Floor().start(positions={"BTC": -300})
    assert floor.position() == -300
    assert floor.coin().entry_price == pytest.approx(100_000.0)
    (stop,) = floor.working("stop")
    assert stop.is_buy and stop.lots == 300 and stop.trigger.trigger_px > PX


def test_fills_from_before_the_adopted_report_are_not_applied_again():
    floor = Floor().start(positions={"BTC": 300})
    old = Fill(
        coin="BTC",
        oid=7,
        cloid=None,
        tid=99,
        is_buy=True,
        px=PX,
        lots=300,
        fee_micro=1,
        is_maker=False,
        closed_pnl_micro=0,
        start_position_lots=0,
        ts_exch_ns=T0 - 1,
    )
    floor.send(OrderFilled(fill=old))
    assert floor.position() == 300


def test_the_days_loss_stops_new_entries_until_utc_midnight():
    floor = Floor(long(), config=config_of(max_daily_loss=0.005)).start()
    floor.move(993_000)
    assert floor.engine.status().trading_state is TradingState.REDUCING
    assert floor.position() == LOTS, "what is held stays, guarded by its stop"
    floor.strategy.wish = flat()
    floor.tick(2.0)
    floor.quote(992_990, 993_010)
    floor.settle()
    assert floor.position() == 0
    floor.strategy.wish = long(stop_price=98_000.0)
    for _ in range(5):
        floor.tick(60.0)
        floor.quote(992_990, 993_010)
        floor.settle()
    assert floor.position() == 0
    floor.tick(12 * 3600.0)
    floor.mark(993_000)
    floor.quote(992_990, 993_010)
    floor.settle()
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    floor.tick(1.0)
    assert floor.position() > 0


def shutdown_floor() -> Floor:
    """A loss past the shutdown while the venue has nothing to sell into."""
    floor = Floor(long(stop_price=90_000.0), config=config_of(max_daily_drawdown=0.005)).start()
    floor.venue.ioc_share = 0.0
    floor.move(950_000, settles=False)
    return floor


def test_an_emergency_flattens_with_repricing_until_flat_and_stays_latched():
    floor = shutdown_floor()
    assert floor.engine.is_emergency_latched
    assert floor.alerts("emergency_shutdown")
    (first,) = floor.places()
    assert first.purpose is Purpose.FLATTEN and first.reduce_only and first.tif is Tif.IOC
    limits = [first.px]
    floor.settle()
    for _ in range(30):
        floor.tick(1.0, settles=False)
        limits += [p.px for p in floor.places()]
        floor.settle()
    # The first was priced at the touch of before the fall; from then on each try gives more,
    # until the bound of 5 %.
    bound = 902_500
    falling = limits[1 : limits.index(bound) + 1]
    assert len(falling) > 3 and falling == sorted(set(falling), reverse=True)
    assert set(limits[limits.index(bound) :]) == {bound}
    floor.venue.ioc_share = 1.0
    floor.tick(5.0)
    assert floor.engine.is_flat
    assert floor.venue.orders == {}, "stop and target leave with the position"
    floor.tick(3600.0)
    floor.move(1_000_000)
    assert floor.engine.is_flat and floor.engine.is_emergency_latched


def test_an_emergency_ends_only_by_the_operators_word():
    floor = shutdown_floor()
    floor.venue.ioc_share = 1.0
    floor.tick(5.0)
    floor.operate(OperatorAction.RESUME)
    assert floor.engine.status().trading_state is TradingState.ACTIVE
    assert not floor.engine.is_emergency_latched


def test_a_flip_closes_first_and_enters_only_once_flat():
    floor = Floor(long()).start()
    floor.strategy.wish = short()
    floor.tick(2.0, settles=False)
    floor.quote()
    (exit_,) = floor.places()
    assert exit_.purpose is Purpose.EXIT and exit_.reduce_only and exit_.lots == LOTS
    floor.settle()
    assert floor.position() < 0
    (stop,) = floor.working("stop")
    assert stop.is_buy and stop.trigger.trigger_px == 1_010_000
    assert [o.lots for o in floor.working("stop")] == [-floor.position()]


def test_a_trailing_stop_moves_by_modify_and_never_back():
    floor = Floor(long()).start()
    (before,) = floor.working("stop")
    floor.strategy.wish = long(stop_price=99_500.0)
    floor.tick(2.0, settles=False)
    floor.quote()
    (modify,) = [c for c in floor.outbox if isinstance(c, ModifyOrder)]
    assert (modify.cloid, modify.order.trigger.trigger_px) == (before.cloid, 995_000)
    assert not floor.places() and not any(isinstance(c, CancelOrder) for c in floor.outbox)
    floor.settle()
    floor.strategy.wish = long(stop_price=98_000.0)
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    assert [o.trigger.trigger_px for o in floor.working("stop")] == [995_000]


def test_a_position_past_its_time_is_closed():
    floor = Floor(long(), config=config_of(trade_timeout_seconds=600.0)).start()
    floor.tick(599.0)
    assert floor.position() == LOTS
    floor.tick(1.0)
    assert floor.position() == 0


def test_a_position_whose_stop_was_refused_and_passed_is_closed():
    floor = Floor(long()).start()
    (stop,) = floor.working("stop")
    floor.send(floor.venue._end(stop.cloid, OrderStatus.CANCELLED))
    floor.outbox.clear()
    floor.mark(989_000)
    floor.quote(988_990, 989_010)
    floor.tick(1.0)
    assert floor.position() == 0


def test_quotes_rest_and_are_not_touched_by_small_moves():
    wish = TargetQuotes(
        coin="BTC",
        strategy="fake",
        quotes=(Quote(is_buy=True, price=99_500.0), Quote(is_buy=False, price=100_500.0)),
        reason="grid",
    )
    floor = Floor(wish).start()
    assert sorted(o.px for o in floor.working("quote")) == [995_000, 1_005_000]
    assert all(o.tif is Tif.ALO for o in floor.working("quote"))
    sent = sum(len(s.commands) for s in floor.steps)
    moved = tuple(msgspec.structs.replace(q, price=q.price * 1.0002) for q in wish.quotes)
    floor.strategy.wish = msgspec.structs.replace(wish, quotes=moved)
    floor.tick(2.0)
    floor.quote(PX, PX + 10)
    floor.settle()
    assert sum(len(s.commands) for s in floor.steps) == sent
    floor.strategy.wish = msgspec.structs.replace(
        wish, quotes=(Quote(is_buy=True, price=99_000.0),)
    )
    floor.tick(2.0, settles=False)
    floor.quote()
    kinds = [type(c).__name__ for c in floor.outbox]
    assert sorted(kinds) == ["CancelOrder", "ModifyOrder"]
    floor.settle()
    assert [o.px for o in floor.working("quote")] == [990_000]


def test_a_failing_strategy_is_stopped_and_its_position_closed():
    floor = Floor(long()).start()

    def fail(view):
        raise ZeroDivisionError("no prices")

    floor.strategy.decide = fail
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    floor.tick(2.0)
    assert floor.position() == 0
    assert RefusalCode.STRATEGY_FAILED.value in floor.refusals()
    assert "ZeroDivisionError" in floor.engine.status().strategies["fake"]


@pytest.mark.parametrize(
    "wish",
    [
        long(stop_price=None),
        long(stop_price=float("nan")),
        long(coin="ETH"),
        long(strength=0.0),
        long(entry_price=-1.0),
    ],
)
def test_a_wish_that_makes_no_sense_opens_nothing(wish):
    floor = Floor(wish).start()
    assert not floor.venue.orders and floor.position() == 0
    assert set(floor.refusals()) <= {"STOP_MISSING", "STRATEGY_FAILED"} and floor.refusals()


def test_a_refusal_is_reported_once_per_change_not_at_every_event():
    floor = Floor(long(), config=config_of(spread_bps_max=0.1)).start()
    for _ in range(20):
        floor.tick(1.0)
        floor.quote(PX - 100, PX + 100)
    assert floor.refusals() == ["SPREAD_TOO_WIDE"]
    assert floor.coin().why_not.startswith("SPREAD_TOO_WIDE: was 0.2 bps")


def test_a_liquidation_is_applied_told_and_latched():
    floor = Floor(long()).start()
    fill = Fill(
        coin="BTC",
        oid=77,
        cloid=None,
        tid=123_456,
        is_buy=False,
        px=950_000,
        lots=LOTS,
        fee_micro=10,
        is_maker=False,
        closed_pnl_micro=0,
        start_position_lots=LOTS,
        ts_exch_ns=floor.now_ns,
        is_liquidation=True,
    )
    floor.send(OrderFilled(fill=fill))
    assert floor.engine.is_flat and floor.engine.is_emergency_latched
    assert floor.alerts("liquidated")


def test_foreign_orders_are_shown_and_counted_but_never_touched():
    floor = Floor().start()
    foreign = OrderUpdated(
        coin="BTC",
        oid=555,
        cloid=None,
        status=OrderStatus.WORKING,
        is_buy=True,
        px=990_000,
        lots_orig=9_999,
        lots_left=9_999,
    )
    floor.send(foreign)
    (row,) = floor.engine.status().orders
    assert (row.strategy, row.oid) == ("foreign", 555)
    floor.strategy.wish = long()
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    assert floor.position() == 0
    assert "POSITION_TOO_LARGE" in floor.refusals(), "the worst case holds the foreign order"
    floor.operate(OperatorAction.FLATTEN)
    assert not any(isinstance(c, CancelOrder) for s in floor.steps for c in s.commands)


def test_orders_left_by_somebody_else_are_told_once():
    floor = Floor()
    other = floor.venue._place(
        PlaceOrder(
            "0xother", "BTC", 0, True, 900_000, 10, Tif.GTC, False, None, Purpose.QUOTE, "", 0
        )
    )
    assert other
    floor.start()
    floor.send(*floor.venue.report())
    assert floor.alerts("orders_foreign") == [
        "1 open orders in BTC are not ours: counted, never touched"
    ]


def test_after_the_session_ended_nothing_new_is_opened():
    floor = Floor().start()
    floor.send(SessionEnded(reason="done"))
    floor.strategy.wish = long()
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    assert floor.position() == 0 and floor.engine.status().trading_state is TradingState.HALTED
    assert floor.steps[-1].trading_state is TradingState.HALTED


def test_equity_is_sampled_at_the_start_each_minute_and_at_the_end():
    floor = Floor().start()
    assert floor.steps[-1].equity is None
    for _ in range(180):
        floor.tick(1.0)
    floor.send(SessionEnded(reason="done"))
    points = [s.equity for s in floor.steps if s.equity is not None]
    assert len(points) == 1 + 3 + 1
    assert {p.equity_micro for p in points} == {CASH}


def test_orders_of_different_sessions_never_share_an_id():
    first, second = Floor(long()), Floor(long())
    second.now_ns += 1_000_000_000
    first.start()
    second.start()
    ids = [
        {c.cloid for s in floor.steps for c in s.commands if isinstance(c, PlaceOrder)}
        for floor in (first, second)
    ]
    assert ids[0] and ids[1] and not ids[0] & ids[1]


def test_protection_stays_when_trading_is_halted():
    floor = Floor(long()).start()
    floor.operate(OperatorAction.HALT)
    floor.operate(OperatorAction.CANCEL_ALL)
    assert floor.working("stop") and floor.working("target")
    assert floor.position() == LOTS
    assert floor.engine.cancellable_orders() == ()


def test_a_wish_too_small_for_the_venue_says_what_bounds_it():
    floor = Floor(long(), config=config_of(max_risk_per_trade=0.000001)).start()
    assert floor.position() == 0
    assert floor.refusals() == ["ORDER_TOO_SMALL"]
    assert "bound by risk at the stop" in floor.coin().why_not


def test_asset_of_knows_only_what_the_venue_lists():
    floor = Floor().start()
    assert floor.engine.asset_of("BTC") == BTC.asset
    with pytest.raises(KeyError):
        floor.engine.asset_of("DOGE")


def test_quotes_that_wait_for_others_to_leave_are_no_refusal():
    def grid(*prices: float) -> TargetQuotes:
        quotes = tuple(Quote(is_buy=True, price=p) for p in prices)
        return TargetQuotes(coin="BTC", strategy="fake", quotes=quotes, reason="grid")

    floor = Floor(grid(99_000.0, 98_900.0)).start()
    assert {o.px for o in floor.working("quote")} == {990_000, 989_000}
    floor.strategy.wish = grid(97_000.0, 96_900.0)
    floor.tick(2.0, settles=False)
    floor.quote()
    assert len(floor.outbox) == 1, "until the first is answered, both it and its heir may fill"
    floor.settle()
    assert {o.px for o in floor.working("quote")} == {970_000, 969_000}
    assert floor.refusals() == []
