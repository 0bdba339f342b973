"""What a person may ask of a running engine, and what the engine shows."""

from __future__ import annotations

import math

import msgspec
import pytest

from core.engines.operator_desk import changed
from core.engines.trading_engine import TradingEngine
from core.model.codes import OperatorAction, Purpose, Regime, TradingState
from core.model.commands import CancelOrder, PlaceOrder, SetLeverage
from core.model.events import (
    DataGap,
    DataQuarantined,
    LeverageRejected,
    LinkChanged,
    RateBudgetReported,
    VenueUnavailable,
)
from core.model.settings import StrategiesConfig, TrendFollowingParams
from core.model.time import NS_PER_MIN, NS_PER_S
from tests.engines.fakes import (
    ACCOUNT,
    CASH,
    PX,
    FakeStrategy,
    Floor,
    TinyVenue,
    config_of,
    long,
)


def state(floor: Floor) -> TradingState:
    return floor.engine.status().trading_state


def test_pause_keeps_the_position_managed_and_opens_nothing():
    floor = Floor(long(entry_price=99_900.0)).start()
    (entry,) = floor.working("entry")
    floor.send(*floor.venue.fill(entry.cloid, 1_000, 999_000))
    floor.settle()
    floor.operate(OperatorAction.PAUSE)
    assert state(floor) is TradingState.REDUCING
    assert floor.working("entry") == [], "an entry at work may open exposure"
    assert [o.lots for o in floor.working("stop")] == [1_000]
    floor.operate(OperatorAction.RESUME)
    assert state(floor) is TradingState.ACTIVE
    assert floor.working("entry")


def test_halt_latches_and_pause_does_not_soften_it():
    floor = Floor().start()
    floor.operate(OperatorAction.HALT)
    floor.operate(OperatorAction.PAUSE)
    assert state(floor) is TradingState.HALTED
    assert floor.engine.status().state_reason == "halted by tester"


def test_flatten_closes_everything_and_nothing_comes_back():
    floor = Floor(long()).start()
    floor.operate(OperatorAction.FLATTEN)
    assert floor.engine.is_flat and floor.venue.orders == {}
    sent = [c for s in floor.steps for c in s.commands if isinstance(c, PlaceOrder)]
    assert sent[-1].purpose is Purpose.FLATTEN and sent[-1].reduce_only
    for _ in range(20):
        floor.tick(60.0)
        floor.quote()
    assert floor.engine.is_flat and state(floor) is TradingState.HALTED


def test_one_coin_can_be_closed_by_hand():
    floor = Floor(long()).start()
    floor.operate(OperatorAction.FLATTEN, coin="BTC")
    assert floor.engine.is_flat and state(floor) is TradingState.ACTIVE
    floor.tick(60.0)
    assert floor.engine.is_flat, "what was closed by hand stays closed for a while"
    floor.operate(OperatorAction.FLATTEN, coin="DOGE")
    assert "DOGE is not traded here" in floor.alerts("operator")


def test_cancel_all_takes_back_quotes_and_entries_and_leaves_protection():
    floor = Floor(long(entry_price=99_900.0)).start()
    (entry,) = floor.working("entry")
    floor.send(*floor.venue.fill(entry.cloid, 1_000, 999_000))
    floor.settle()
    assert [o.purpose for o in floor.engine.cancellable_orders()] == [Purpose.ENTRY]
    floor.strategy.wish = None
    floor.operate(OperatorAction.CANCEL_ALL)
    assert floor.engine.cancellable_orders() == ()
    assert floor.working("stop") and floor.working("target")


def test_a_stopped_strategy_gives_up_its_position_and_starts_again():
    floor = Floor(long()).start()
    floor.operate(OperatorAction.STOP_STRATEGY, strategy="fake")
    assert floor.engine.is_flat
    assert floor.engine.status().strategies == {"fake": "stopped by tester"}
    floor.operate(OperatorAction.START_STRATEGY, strategy="fake")
    assert floor.engine.status().strategies == {"fake": "running"}
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    assert floor.position() > 0


def test_an_unknown_strategy_is_answered_with_the_nearest_name():
    floor = Floor().start()
    floor.operate(OperatorAction.STOP_STRATEGY, strategy="fkae")
    assert "did you mean fake?" in floor.alerts("operator")[-1]


def test_a_parameter_change_is_an_event_and_takes_effect():
    floor = Floor(long(), config=config_of(max_risk_per_trade=0.01))
    floor.strategy.wish = None
    floor.start()
    floor.operate(OperatorAction.SET_PARAMETER, key="max_risk_per_trade", value="0.005")
    floor.strategy.wish = long()
    floor.tick(2.0)
    floor.quote()
    floor.settle()
    assert floor.position() == 8_771 // 2
    replica = Floor(config=floor.config)
    replica.engine.restore(floor.engine.snapshot())
    assert replica.engine._context.trading.max_risk_per_trade == 0.005


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"key": "max_risk_per_trade", "value": "7"}, "<= 0.1"),
        ({"key": "max_risk_per_trad", "value": "0.01"}, "did you mean max_risk_per_trade"),
        ({"key": "coins", "value": '["ETH"]'}, "cannot change while running"),
        ({"strategy": "scalping", "key": "entry_deviation", "value": "lots"}, "float"),
        ({"strategy": "nobody", "key": "x", "value": "1"}, "no such parameter"),
        (
            {"strategy": "selection", "key": "fixed_strategy", "value": "fkae"},
            "expected one of fake",
        ),
        ({"key": "max_daily_loss", "value": "0.9"}, "at most max_daily_drawdown"),
        ({"key": "default_leverage", "value": "3"}, "cannot change while running"),
        ({"key": "requests_per_minute_max", "value": "60"}, "cannot change while running"),
        ({"strategy": "scalping", "key": "enabled", "value": "false"}, "cannot change"),
        ({"strategy": "regime", "key": "history_period", "value": "900"}, "cannot change"),
    ],
)
def test_an_impossible_parameter_is_refused_and_changes_nothing(fields, words):
    floor = Floor().start()
    before = floor.engine._context.config
    floor.operate(OperatorAction.SET_PARAMETER, **fields)
    assert words in floor.alerts("parameter_refused")[0]
    assert floor.engine._context.config == before


def test_a_strategy_parameter_can_be_changed_too():
    config = changed(config_of(), "scalping", "entry_deviation", "0.01")
    assert config.strategies.scalping.entry_deviation == 0.01
    assert changed(config_of(), "", "order_type", "limit").trading.order_type == "limit"


# --- what comes from outside ----------------------------------------------------------------


def test_leverage_is_set_before_the_first_order_and_asked_again_after_a_no():
    floor = Floor(long())
    floor.venue = TinyVenue()
    floor.start(settles=False)
    floor.engine._context.desks["BTC"].leverage_set = 0
    floor.outbox.clear()
    floor.tick(1.0, settles=False)
    asked = [c for c in floor.outbox if isinstance(c, SetLeverage)]
    assert [(c.leverage, c.is_cross) for c in asked] == [(10, True)]
    floor.send(LeverageRejected(coin="BTC", venue_text="no margin"))
    floor.tick(30.0, settles=False)
    assert len([c for c in floor.outbox if isinstance(c, SetLeverage)]) == 1
    floor.tick(31.0, settles=False)
    assert len([c for c in floor.outbox if isinstance(c, SetLeverage)]) == 2
    assert floor.alerts("leverage_rejected") == ["BTC: no margin"]


def wish_later(floor: Floor) -> None:
    floor.strategy.wish = long()
    floor.tick(2.0)
    floor.quote()
    floor.settle()


def test_a_venue_that_refuses_service_gets_no_entries_until_it_said():
    floor = Floor().start()
    floor.send(VenueUnavailable(reason="429", until_ns=floor.now_ns + 30 * NS_PER_S))
    wish_later(floor)
    assert floor.refusals() == ["VENUE_UNAVAILABLE"]
    floor.tick(30.0)
    floor.quote()
    floor.tick(1.0)
    assert floor.position() > 0


def test_a_spent_request_budget_stops_entries():
    floor = Floor().start()
    floor.send(RateBudgetReported(requests_used=9_600, requests_cap=10_000))
    wish_later(floor)
    assert floor.refusals() == ["RATE_BUDGET_SPENT"]
    assert floor.engine.status().requests_cap == 10_000


def test_the_longest_configured_period_can_be_looked_back_over():
    trend = TrendFollowingParams(slow_period=1_000)
    config = msgspec.structs.replace(
        config_of(), strategies=StrategiesConfig(trend_following=trend)
    )
    strategy = FakeStrategy("trend_following")
    engine = TradingEngine(config, [strategy], account=ACCOUNT)
    assert engine._context.market.coins["BTC"].ring.capacity >= 2_000
    desk = engine._context.desks["BTC"]
    desk.strategy = strategy.name
    assert engine._decider.warm_up_count(desk) == 1_001


def test_a_data_gap_stops_entries_until_history_closes_it():
    floor = Floor().start()
    floor.send(DataGap(coin="BTC", from_ns=floor.now_ns - 5 * NS_PER_MIN, to_ns=floor.now_ns))
    wish_later(floor)
    assert floor.position() == 0
    assert floor.coin().why_not.startswith("DATA_WARMING_UP")
    assert "closed candles, had " in floor.coin().why_not


def test_quarantined_data_is_counted_and_told():
    floor = Floor().start()
    floor.send(DataQuarantined(source="meta", detail="row 7"))
    assert floor.engine.status().quarantined_count == 1
    assert floor.alerts("data_quarantined") == ["meta: row 7"]


def test_the_status_shows_market_judgement_stake_and_reasons():
    floor = Floor(long()).start()
    status, coin = floor.engine.status(), floor.coin()
    assert (status.session, status.account) == ("test", floor.engine.status().account)
    assert coin.regime is not Regime.UNKNOWN and coin.strategy == "fake"
    assert coin.strategy_reason == "fixed by the configuration"
    assert coin.position_coins == pytest.approx(0.08771)
    assert coin.position_notional_micro == 8_771 * PX
    assert coin.entry_price == pytest.approx(100_001.0)
    assert coin.unrealized_pnl_micro == -8_771 * 10
    assert (coin.stop_price, coin.target_price) == (99_000.0, 102_000.0)
    assert coin.wish == "long 0.08771 BTC, stop 99000, target 102000"
    assert coin.why_not == ""
    assert status.margin_used_micro == 8_771 * PX // 10
    assert status.exposure_gross_micro == 8_771 * PX
    assert status.equity_micro == CASH - 8_771 * 10 - status.fees_micro
    assert status.cash_micro == CASH - status.fees_micro
    assert {o.purpose for o in status.orders} == {Purpose.STOP, Purpose.TARGET}
    assert len(status.fills) == 1


def test_before_anything_is_known_the_status_invents_nothing():
    floor = Floor()
    status = floor.engine.status()
    assert status.trading_state is TradingState.HALTED
    assert math.isnan(status.coins[0].price) and math.isnan(status.coins[0].entry_price)
    assert status.coins[0].data_age_ns == -1


def test_decisions_are_reported_when_they_change_and_only_then():
    floor = Floor(long()).start()
    before = sum(len(s.decisions) for s in floor.steps)
    for _ in range(20):
        floor.tick(2.0)
        floor.quote()
    assert sum(len(s.decisions) for s in floor.steps) == before
    floor.strategy.wish = long(stop_price=99_500.0)
    floor.tick(2.0)
    floor.quote()
    assert floor.steps[-1].decisions[0].wish.endswith("stop 99500, target 102000")


def test_a_cancel_goes_by_the_venues_id():
    floor = Floor(long(entry_price=99_900.0)).start()
    floor.operate(OperatorAction.PAUSE, settles=False)
    (cancel,) = [c for c in floor.outbox if isinstance(c, CancelOrder)]
    assert cancel.oid > 0


@pytest.mark.parametrize("lots", [0, -500])
def test_a_position_that_is_gone_or_turned_takes_its_guards_along(lots):
    floor = Floor(long()).start()
    floor.strategy.wish = None
    floor.venue.positions["BTC"] = lots
    desk = floor.engine._context.desks["BTC"]
    desk.wish, desk.is_closing_asked = None, True
    floor.send(LinkChanged(channel="user", is_up=False), LinkChanged(channel="user", is_up=True))
    desk.is_closing_asked = True
    floor.send(*floor.venue.report(), after_s=1)
    floor.send(*floor.venue.report(), after_s=1)
    assert floor.position() == lots
    assert not desk.is_closing_asked and desk.target_px == 0
    assert desk.stop_px == 0 if lots == 0 else desk.stop_px > PX


def test_the_audit_tells_who_asked_for_what():
    floor = Floor(long()).start()
    floor.operate(
        OperatorAction.SET_PARAMETER, strategy="trading", key="max_open_positions", value="3"
    )
    assert "tester: set_parameter trading max_open_positions 3" in floor.alerts("operator")
    floor.operate(OperatorAction.FLATTEN, coin="BTC", reason="news")
    assert "tester: flatten BTC (news)" in floor.alerts("operator")
