"""Which orders should exist, and the difference to those that do."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engines.order_execution import OrderExecutionEngine, OrderWish, Situation
from core.engines.own_orders import OwnOrder, Question
from core.model.codes import Direction, OrderStatus, Purpose, Regime, Tif, TriggerKind
from core.model.commands import Trigger
from core.model.intents import Quote, TargetQuotes
from core.model.settings import TradingParams
from tests.engines.fakes import BTC, PX, flat, long, short

ENGINE = OrderExecutionEngine(
    TradingParams(slippage_tolerance=0.0005, requote_ratio=0.0005, order_type="market")
)
BID, ASK = PX - 10, PX + 10


def situation(**changes: object) -> Situation:
    fields = {
        "instrument": BTC,
        "bid_px": BID,
        "ask_px": ASK,
        "wish_lots": 1_000,
        "quote_lots": 500,
        "stop_px": 990_000,
        "target_px": 1_020_000,
    }
    return Situation(**{**fields, **changes})


def own(wish: OrderWish, *, cloid: str = "0x1", **changes: object) -> OwnOrder:
    """An order that rests at the venue exactly as wished."""
    fields = {
        "cloid": cloid,
        "coin": "BTC",
        "asset": 0,
        "strategy": "fake",
        "purpose": wish.purpose,
        "is_buy": wish.is_buy,
        "px": wish.px,
        "lots": wish.lots,
        "tif": wish.tif,
        "reduce_only": wish.reduce_only,
        "trigger": wish.trigger,
        "regime": Regime.UNKNOWN,
        "arrival_mid_x2": 0,
        "sent_ns": 0,
        "changed_ns": 0,
        "oid": 1,
        "status": OrderStatus.WORKING,
        "question": Question.NONE,
    }
    return OwnOrder(**{**fields, **changes})


def wished(wish, **changes: object) -> list[OrderWish]:
    return ENGINE.orders_wished(wish, situation(**changes))


def purposes(orders: list[OrderWish]) -> list[Purpose]:
    return sorted(o.purpose for o in orders)


def test_a_long_wish_takes_what_is_missing_to_its_size():
    (entry,) = wished(long())
    assert (entry.lots, entry.px, entry.tif, entry.is_buy) == (1_000, 1_000_510, Tif.IOC, True)
    orders = wished(long(), position_lots=400)
    assert purposes(orders) == [Purpose.ENTRY, Purpose.STOP, Purpose.TARGET]
    assert next(o for o in orders if o.purpose is Purpose.ENTRY).lots == 600


def test_a_limit_type_rests_at_the_touch_of_its_side():
    engine = OrderExecutionEngine(TradingParams(order_type="limit"))
    (buy,) = engine.orders_wished(long(), situation())
    (sell,) = engine.orders_wished(short(), situation(stop_px=1_010_000, target_px=980_000))
    assert (buy.px, buy.tif) == (BID, Tif.ALO)
    assert (sell.px, sell.tif) == (ASK, Tif.ALO)


@given(st.floats(0.5, 2e5), st.booleans())
def test_a_wished_entry_price_is_rounded_never_more_aggressive(price, is_buy):
    wish = (long if is_buy else short)(entry_price=price)
    stop = 1 if is_buy else 10**9
    orders = wished(wish, stop_px=stop, target_px=0, wish_lots=10**9)
    (entry,) = orders or [None]
    assert BTC.is_px_on_grid(entry.px)
    assert entry.px <= price * 10 + 1e-3 if is_buy else entry.px >= price * 10 - 1e-3


@pytest.mark.parametrize("change", [{"stop_px": BID}, {"target_px": ASK}, {"bid_px": 0}])
def test_no_entry_once_the_idea_is_over_or_the_touch_unknown(change):
    assert wished(long(), **change) == []


def test_no_entry_below_the_minimum_notional():
    assert wished(long(), wish_lots=9) == []
    assert wished(long(), wish_lots=10) != []


@pytest.mark.parametrize("wish", [flat(), short()])
def test_a_position_against_the_wish_is_closed_reduce_only_before_anything_opens(wish):
    orders = wished(wish, position_lots=300)
    exit_ = next(o for o in orders if o.purpose is Purpose.EXIT)
    assert (exit_.lots, exit_.is_buy, exit_.reduce_only) == (300, False, True)
    assert purposes(orders) == [Purpose.EXIT, Purpose.STOP, Purpose.TARGET]


def test_a_position_that_must_go_goes_whatever_is_wished():
    orders = wished(long(), position_lots=300, must_close=Purpose.FLATTEN)
    assert Purpose.FLATTEN in purposes(orders) and Purpose.ENTRY not in purposes(orders)
    held = wished(long(), position_lots=300, must_close=Purpose.FLATTEN, may_close=False)
    assert purposes(held) == [Purpose.STOP, Purpose.TARGET]


def test_a_clear_excess_is_trimmed_and_a_small_one_left():
    trim = wished(long(), position_lots=1_250)
    assert [o.lots for o in trim if o.purpose is Purpose.EXIT] == [250]
    assert Purpose.EXIT not in purposes(wished(long(), position_lots=1_249))


def test_protection_is_a_trigger_of_the_full_size_a_tenth_beyond():
    stop, target = wished(None, position_lots=-300, stop_px=1_010_000, target_px=980_000)
    assert stop.trigger == Trigger(TriggerKind.STOP_LOSS, 1_010_000)
    assert target.trigger == Trigger(TriggerKind.TAKE_PROFIT, 980_000)
    assert [o.px for o in (stop, target)] == [1_111_000, 1_078_000]
    assert all(o.is_buy and o.lots == 300 and o.reduce_only for o in (stop, target))


def quotes_of(*quotes: Quote) -> TargetQuotes:
    return TargetQuotes(coin="BTC", strategy="fake", quotes=quotes, reason="grid")


def test_quotes_that_would_take_are_left_out():
    wish = quotes_of(Quote(is_buy=True, price=100_001.0), Quote(is_buy=False, price=99_999.0))
    assert wished(wish) == []


def test_quotes_share_what_is_left_of_the_size_nearest_first():
    buys = [Quote(is_buy=True, price=p) for p in (99_000.0, 99_900.0, 99_500.0)]
    orders = wished(quotes_of(*buys), wish_lots=1_200)
    assert [(o.px, o.lots) for o in orders] == [(999_000, 500), (995_000, 500), (990_000, 200)]
    held = wished(quotes_of(*buys), wish_lots=1_200, position_lots=1_000)
    assert [o.lots for o in held if o.purpose is Purpose.QUOTE] == [200]


def test_reducing_quotes_never_exceed_the_position_and_need_one():
    sells = [Quote(is_buy=False, price=p, is_reducing=True) for p in (100_500.0, 101_000.0)]
    assert wished(quotes_of(*sells)) == []
    orders = [o for o in wished(quotes_of(*sells), position_lots=300) if o.purpose == "quote"]
    assert [(o.lots, o.reduce_only) for o in orders] == [(300, True)]
    assert wished(quotes_of(*sells), position_lots=-300, stop_px=0, target_px=0) == []


def test_a_quotes_own_size_counts_and_tiny_ones_are_left_out():
    orders = wished(
        quotes_of(
            Quote(is_buy=True, price=99_900.0, coins=0.0025),
            Quote(is_buy=True, price=99_800.0, coins=0.00009),
        )
    )
    assert [o.lots for o in orders] == [250]


def test_without_permission_to_open_only_what_reduces_is_wished():
    wish = quotes_of(
        Quote(is_buy=True, price=99_900.0),
        Quote(is_buy=False, price=100_500.0, is_reducing=True),
    )
    orders = wished(wish, position_lots=300, may_open=False)
    assert [o.reduce_only for o in orders if o.purpose is Purpose.QUOTE] == [True]
    assert wished(long(), may_open=False) == []


# --- the difference -------------------------------------------------------------------------


def difference(wishes, existing, **kw):
    return ENGINE.difference(wishes, existing, **kw)


def test_what_exists_as_wished_is_left_alone():
    wishes = wished(long(), position_lots=400)
    existing = [own(w, cloid=f"0x{i}") for i, w in enumerate(wishes) if w.tif is not Tif.IOC]
    found = difference([w for w in wishes if w.tif is not Tif.IOC], existing)
    assert found.is_empty


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"lots": 301}, "modifies"),
        ({"trigger": Trigger(TriggerKind.STOP_LOSS, 991_000)}, "modifies"),
        ({"trigger": Trigger(TriggerKind.STOP_LOSS, 990_100)}, "nothing"),
        ({"is_buy": True}, "cancels"),
        ({"tif": Tif.ALO}, "cancels"),
    ],
)
def test_price_and_size_are_modified_and_other_kinds_cancelled_first(change, kind):
    stop = next(o for o in wished(None, position_lots=300) if o.purpose is Purpose.STOP)
    found = difference([msgspec.structs.replace(stop, **change)], [own(stop)])
    assert len(found.modifies) == (kind == "modifies")
    assert len(found.cancels) == (kind == "cancels")
    assert found.places == [], "placed only once the old one is gone"


@pytest.mark.parametrize(
    "unanswered",
    [
        {"status": OrderStatus.IN_FLIGHT, "question": Question.PLACE},
        {"question": Question.CANCEL},
        {"question": Question.MODIFY, "replaced_by": "0x9"},
        {"question": Question.LOOK_UP},
        {"ending": OrderStatus.FILLED, "lots_executed": 5},
    ],
)
def test_while_anything_of_a_lane_is_unanswered_nothing_is_sent_for_it(unanswered):
    (entry,) = wished(long())
    assert difference([entry], [own(entry, **unanswered)]).is_empty
    assert difference([], [own(entry, **unanswered)]).is_empty


def test_what_is_no_longer_wished_is_cancelled_and_doubles_too():
    (entry,) = wished(long(entry_price=99_900.0))
    assert len(difference([], [own(entry)]).cancels) == 1
    twice = [own(entry), own(entry, cloid="0x2")]
    assert [o.cloid for o in difference([entry], twice).cancels] == ["0x2"]


def test_protection_stays_untouched_while_the_account_is_in_doubt():
    stop = next(o for o in wished(None, position_lots=300) if o.purpose is Purpose.STOP)
    assert difference([], [own(stop)], touches_protection=False).is_empty
    assert len(difference([], [own(stop)]).cancels) == 1


def quote_wish(px: int, lots: int = 500) -> OrderWish:
    return OrderWish(
        purpose=Purpose.QUOTE, is_buy=True, px=px, lots=lots, tif=Tif.ALO, reduce_only=False
    )


def test_quotes_are_paired_by_price_and_a_partial_fill_is_no_reason_to_move():
    near = own(quote_wish(999_000), lots_filled=100)
    assert difference([quote_wish(999_300)], [near]).is_empty
    found = difference([quote_wish(999_600)], [near])
    assert found.modifies == [(near, quote_wish(999_600))]


def test_quotes_in_flight_are_counted_before_more_are_placed():
    flying = own(quote_wish(900_000), status=OrderStatus.IN_FLIGHT, question=Question.PLACE)
    found = difference([quote_wish(999_000), quote_wish(998_000)], [flying])
    assert len(found.places) == 1


@given(
    st.lists(st.integers(9_900, 9_990), max_size=6, unique=True),
    st.lists(st.integers(9_900, 9_990), max_size=6, unique=True),
)
def test_carrying_out_the_difference_leaves_nothing_to_do(before, after):
    existing = [own(quote_wish(p * 100), cloid=f"0x{p}") for p in before]
    wishes = [quote_wish(p * 100) for p in after]
    found = difference(wishes, existing)
    gone = {o.cloid for o in found.cancels} | {o.cloid for o, _ in found.modifies}
    new = [*(w for _, w in found.modifies), *found.places]
    left = [o for o in existing if o.cloid not in gone]
    left += [own(w, cloid=f"0xnew{i}") for i, w in enumerate(new)]
    assert len(left) == len(wishes)
    assert difference(wishes, left).is_empty


def test_the_door_takes_loose_signals_and_needs_an_instrument():
    engine = OrderExecutionEngine()
    loose = {"instrument": BTC, "bid_px": BID, "ask_px": ASK, "wish_lots": 100, "stop_px": 990_000}
    assert [w.is_buy for w in engine.execute_order({"action": "buy"}, loose).places] == [True]
    held = {**loose, "position_lots": 50}
    closed = engine.execute_order({"action": "close"}, held).places
    assert [w.purpose for w in closed] == [Purpose.EXIT, Purpose.STOP]
    assert engine.execute_order({"action": "hold"}, loose).is_empty
    assert engine.execute_order(None, loose).is_empty
    assert engine.execute_order({"action": "buy"}, {}).is_empty
    assert engine.execute_order(long(direction=Direction.FLAT), situation()).is_empty
