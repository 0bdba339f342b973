"""Spot orders: what a fill moves, what an order locks, what the venue refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.model.codes import Grouping, Tif, TriggerKind
from core.model.commands import ReportAccount
from core.model.events import OpenOrdersReported
from core.model.time import NS_PER_DAY
from core.simulation.adapter import execute_command, to_events
from core.simulation.venue.outputs import (
    AnswerKind,
    FillOutput,
    OrderOutput,
    OrderRequest,
    TradeOutput,
    TriggerRequest,
    VenueStatus,
)
from core.simulation.venue.settings import FeeTier, VenueSettings
from core.simulation.wire.rows import fill_row
from tests.simulation.spot_kit import HYPE_PAIR, PAIRS, PURR_PAIR, SpotMarket, order
from tests.simulation.venue_kit import ALICE, BOB, START_NS, USDC, limit, trigger

RECORDED = Path(__file__).parents[1] / "data" / "hyperliquid-recorded"
ASSET = PAIRS[HYPE_PAIR].asset
INSUFFICIENT = f"Insufficient spot balance asset={ASSET}"


def market_with(*usdc: tuple[str, str], rate_e8: int = 70_000, **settings: object) -> SpotMarket:
    tiers = (FeeTier(0, 45_000, 15_000, rate_e8, 40_000),)
    market = SpotMarket(VenueSettings(fee_tiers=tiers, **settings))
    for owner, amount in usdc:
        market.fund(owner, amount)
    market.tick()
    market.venue.drain()
    return market


def trigger_order(is_buy: bool, kind: TriggerKind, at: str, px: str, size: str, *, is_market: bool):
    pair = PAIRS[HYPE_PAIR]
    return OrderRequest(
        coin=HYPE_PAIR,
        is_buy=is_buy,
        px=pair.px_from_text(px),
        lots=pair.lots_from_text(size),
        trigger=TriggerRequest(is_market, pair.px_from_text(at), kind),
    )


@pytest.mark.parametrize(
    ("coin", "name", "px", "size", "rate_e8", "fee_wei", "left"),
    [
        (HYPE_PAIR, "HYPE", "34.895", "0.5", 63_000, 31_499, "0.49968501"),
        (HYPE_PAIR, "HYPE", "41.353", "0.27", 70_000, 18_899, "0.26981101"),
        ("@156", "USOL", "160.32", "1.267", 70_000, 88_689, "1.26611311"),
    ],
)
def test_recorded_buys_pay_their_fee_in_what_they_bought(
    coin, name, px, size, rate_e8, fee_wei, left
):
    market = market_with((ALICE, "1000"), rate_e8=rate_e8)
    market.tick(
        bid=PAIRS[coin].px_text(PAIRS[coin].px_from_text(px) * 99 // 100), ask=px, coin=coin
    )
    (answer,) = market.place(ALICE, order(True, px, size, Tif.IOC, coin=coin))
    assert (answer.kind, answer.avg_px) == (AnswerKind.FILLED, px)
    (fill,) = market.outputs(FillOutput)
    assert (fill.fee_token, fill.fee_wei, fill.direction) == (name, fee_wei, "Buy")
    assert (fill.start_wei, fill.fill.closed_pnl_micro) == (0, 0)
    assert market.held(ALICE, name)[0] == left
    assert market.is_conserved()


def test_the_recorded_fill_row_comes_out_whole():
    path = RECORDED / "jkorf-ws-userEvents-fill.json"
    frames = json.loads(path.read_text(encoding="utf-8"))["response"]
    (recorded,) = frames[1]["data"]["fills"]
    market = market_with((ALICE, "1000"), rate_e8=63_000)
    market.fund(ALICE, recorded["startPosition"], "HYPE")
    market.place(ALICE, order(True, recorded["px"], recorded["sz"], Tif.IOC))
    (output,) = market.outputs(FillOutput)
    made = fill_row(output, PAIRS[HYPE_PAIR])
    assert list(made) == list(recorded)
    ours = {"time", "hash", "oid", "tid"}
    assert {k: v for k, v in made.items() if k not in ours} == {
        k: v for k, v in recorded.items() if k not in ours
    }


def test_the_recorded_cost_basis_is_the_whole_notional():
    market = market_with((ALICE, "100"))
    market.tick(bid="41.35", ask="41.353")
    market.place(ALICE, order(True, "41.353", "0.27", Tif.IOC))
    assert market.held(ALICE, "HYPE") == ("0.26981101", "0", "11.16531")
    assert market.held(ALICE, "USDC")[0] == "88.83469"


def test_a_recorded_partial_sale_keeps_its_share_of_the_cost():
    market = market_with((ALICE, "50"))
    market.tick(bid="99.99", ask="100")
    market.place(ALICE, order(True, "100", "0.5", Tif.IOC))
    assert market.held(ALICE, "HYPE") == ("0.49965", "0", "5E+1")
    market.venue.drain()
    market.tick(bid="110", ask="110.01")
    market.place(ALICE, order(False, "110", "0.25", Tif.IOC))
    assert market.held(ALICE, "HYPE") == ("0.24965", "0", "24.982487")
    (fill,) = market.outputs(FillOutput)
    # 27.5 received for what cost 25.01751225.
    assert fill.fill.closed_pnl_micro == 2_482_487
    assert (fill.fee_token, fill.fee_wei, fill.direction) == ("USDC", 1_925_000, "Sell")
    assert (fill.start_wei, fill.fill.start_position_lots) == (49_965_000, 49)
    assert market.held(ALICE, "USDC")[0] == "27.48075"
    assert market.is_conserved()


def test_two_accounts_trade_with_each_other_and_both_pay():
    market = market_with((ALICE, "1000"))
    market.fund(BOB, "10", "HYPE")
    market.place(ALICE, order(True, "34.892", "2"))
    (answer,) = market.place(BOB, order(False, "34.892", "2", Tif.IOC))
    assert (answer.kind, answer.lots) == (AnswerKind.FILLED, 200)
    assert market.held(ALICE, "USDC")[:2] == ("930.216", "0")
    assert market.held(ALICE, "HYPE")[0] == "1.9992"
    assert market.held(BOB, "HYPE")[0] == "8"
    assert market.held(BOB, "USDC")[0] == "69.7351512"
    (printed,) = market.outputs(TradeOutput)
    assert (printed.users, printed.is_buy) == ((ALICE, BOB), False)
    assert market.is_conserved()


def test_open_orders_lock_what_they_would_pay_without_a_fee():
    market = market_with((ALICE, "100"))
    market.fund(ALICE, "1", "HYPE")
    market.place(ALICE, order(True, "30", "2"), order(False, "40", "0.75"))
    assert market.held(ALICE, "USDC")[:2] == ("1E+2", "6E+1")
    assert market.held(ALICE, "HYPE")[:2] == ("1", "0.75")
    short_buy, short_sale, buy = market.place(
        ALICE, order(True, "30", "1.34"), order(False, "41", "0.26"), order(True, "30", "1.33")
    )
    assert (short_buy.text, short_sale.text) == (INSUFFICIENT, INSUFFICIENT)
    assert buy.kind is AnswerKind.RESTING
    statuses = [o.status for o in market.outputs(OrderOutput)]
    assert statuses.count(VenueStatus.INSUFFICIENT_SPOT_BALANCE_REJECTED) == 2
    market.venue.cancel(ALICE, HYPE_PAIR, buy.oid)
    assert market.held(ALICE, "USDC")[1] == "6E+1"


def test_a_resting_order_is_always_paid_from_its_lock():
    market = market_with((ALICE, "60"))
    market.place(ALICE, order(True, "30", "2"))
    market.tick(bid="29.9", ask="29.99", trades=[("29.95", "5", False)])
    assert market.held(ALICE, "USDC") == ("0", "0", "0")
    assert market.held(ALICE, "HYPE") == ("1.9992", "0", "6E+1")
    assert market.venue.fills(ALICE)[0].fill.is_maker
    assert market.is_conserved()


def test_an_ioc_buys_what_the_balance_pays_at_the_price_it_meets():
    market = market_with((ALICE, "35"))
    (answer,) = market.place(ALICE, order(True, "37", "5", Tif.IOC))
    assert (answer.kind, answer.lots, answer.avg_px) == (AnswerKind.FILLED, 100, "34.895")
    assert market.held(ALICE, "USDC")[0] == "0.105"
    (broke,) = market.place(ALICE, order(True, "37", "1", Tif.IOC))
    assert (broke.kind, broke.text) == (AnswerKind.ERROR, INSUFFICIENT)
    (short,) = market.place(ALICE, order(False, "30", "5", Tif.IOC))
    assert (short.kind, short.lots) == (AnswerKind.FILLED, 99)
    assert market.is_conserved()


def test_a_gtc_buy_must_be_covered_at_its_limit():
    market = market_with((ALICE, "35"))
    (refused,) = market.place(ALICE, order(True, "37", "1"))
    assert refused.text == INSUFFICIENT
    (filled,) = market.place(ALICE, order(True, "34.9", "1"))
    assert filled.kind is AnswerKind.FILLED


def test_an_ioc_that_meets_nobody_says_so_even_without_money():
    market = market_with((ALICE, "1"))
    (unmatched,) = market.place(ALICE, order(True, "34", "1", Tif.IOC))
    assert unmatched.text.startswith("Order could not immediately match")


def test_self_trade_prevention_frees_what_the_resting_order_locked():
    market = market_with((ALICE, "34.9"))
    market.place(ALICE, order(True, "34.892", "1"))
    assert market.held(ALICE, "USDC")[1] == "34.892"
    market.fund(ALICE, "1", "HYPE")
    (answer,) = market.place(ALICE, order(False, "34.89", "1", Tif.IOC))
    assert (answer.kind, answer.avg_px) == (AnswerKind.FILLED, "34.89")
    assert market.held(ALICE, "USDC")[1] == "0"
    statuses = [o.status for o in market.outputs(OrderOutput)]
    assert VenueStatus.SELF_TRADE_CANCELED in statuses


def test_spot_says_its_own_words_about_size_shape_and_post_only():
    market = market_with((ALICE, "1000"))
    small, post_only = market.place(
        ALICE, order(True, "34", "0.29"), order(True, "34.895", "1", Tif.ALO)
    )
    assert small.text == f"Order must have minimum value of 10 USDC. asset={ASSET}"
    assert post_only.text == (
        f"Post only order would have immediately matched, bbo was 34.89@34.895. asset={ASSET}"
    )
    (reducing,) = market.place(
        ALICE, order(True, "34", "1", reduce_only=True), order(True, "1", "1")
    )
    assert reducing.text == "Reduce-only is invalid for spot trading."
    (far,) = market.place(ALICE, order(True, "6.9", "10"))
    assert far.text == "Order price cannot be more than 80% away from the reference price"


def test_tpsl_groups_need_reduce_only_and_so_fail_on_spot():
    market = market_with((ALICE, "1000"))
    child = trigger_order(False, TriggerKind.STOP_LOSS, "30", "29", "1", is_market=True)
    for grouping, requests in (
        (Grouping.NORMAL_TPSL, [order(True, "34", "1"), child]),
        (Grouping.POSITION_TPSL, [child]),
    ):
        (answer,) = market.venue.place(ALICE, requests, grouping)
        assert answer.text == "TP/SL orders must be reduce-only triggers against the main order"


def test_one_action_does_not_mix_perps_and_spot():
    market = market_with((ALICE, "1000"))
    market.tick_perp()
    market.venue.fund(ALICE, 1_000 * USDC)
    (answer,) = market.place(ALICE, order(True, "34", "1"), limit(True, 99_000, 0.001))
    assert answer.text == "Order action has different asset classes"


@pytest.mark.parametrize("is_market", [True, False])
def test_a_spot_stop_locks_nothing_and_sells_what_is_there_when_it_fires(is_market):
    market = market_with((ALICE, "100"))
    market.fund(ALICE, "1", "HYPE")
    stop = trigger_order(False, TriggerKind.STOP_LOSS, "34", "33", "1", is_market=is_market)
    (answer,) = market.place(ALICE, stop)
    assert answer.kind is AnswerKind.RESTING
    assert market.held(ALICE, "HYPE")[1] == "0"
    market.tick(bid="33.9", ask="33.91")
    assert market.held(ALICE, "HYPE")[0] == "0"
    assert market.venue.fills(ALICE)[0].fill.px == PAIRS[HYPE_PAIR].px_from_text("33.9")
    assert market.is_conserved()


def test_a_stop_whose_tokens_are_gone_is_rejected_when_it_fires():
    market = market_with((ALICE, "100"))
    market.fund(ALICE, "1", "HYPE")
    at_limit = trigger_order(False, TriggerKind.STOP_LOSS, "34", "33", "1", is_market=False)
    at_market = trigger_order(False, TriggerKind.STOP_LOSS, "34", "33", "1", is_market=True)
    oids = [answer.oid for answer in market.place(ALICE, at_limit, at_market)]
    market.place(ALICE, order(False, "34.89", "1", Tif.IOC))
    market.tick(bid="33.9", ask="33.91")
    for oid in oids:
        state = market.venue.order_status(ALICE, oid)
        assert state is not None
        assert state.status is VenueStatus.INSUFFICIENT_SPOT_BALANCE_REJECTED


def test_a_trigger_that_holds_already_is_refused():
    market = market_with((ALICE, "100"))
    stop = trigger_order(True, TriggerKind.STOP_LOSS, "34", "36", "1", is_market=True)
    (answer,) = market.place(ALICE, stop)
    assert answer.text == f"Invalid TP/SL price. asset={ASSET}"


def test_modify_releases_the_old_lock_before_it_asks_for_the_new():
    market = market_with((ALICE, "60"))
    (old,) = market.place(ALICE, order(True, "30", "2"))
    answer = market.venue.modify(ALICE, old.oid, order(True, "20", "3"))
    assert answer.kind is AnswerKind.RESTING
    assert market.held(ALICE, "USDC")[:2] == ("6E+1", "6E+1")
    failed = market.venue.modify(ALICE, answer.oid, order(True, "20", "3.01"))
    assert failed.text == f"Error placing new order during modify: {INSUFFICIENT}"
    assert market.held(ALICE, "USDC")[:2] == ("6E+1", "0")


def test_spot_volume_counts_once_for_requests_and_twice_for_the_tier():
    tiers = (
        FeeTier(0, 45_000, 15_000, 70_000, 40_000),
        FeeTier(600 * USDC, 40_000, 12_000, 60_000, 30_000),
    )
    market = SpotMarket(VenueSettings(fee_tiers=tiers))
    market.fund(ALICE, "1000")
    market.tick()
    market.place(ALICE, order(True, "34.895", "10", Tif.IOC))
    assert market.venue.rate_budget(ALICE).volume_micro == 348_950_000
    market.venue.advance((START_NS // NS_PER_DAY + 1) * NS_PER_DAY)
    rates = market.venue.fee_rates(ALICE)
    assert (rates.taker_rate_e8, rates.maker_rate_e8) == (40_000, 12_000)
    assert (rates.spot_taker_rate_e8, rates.spot_maker_rate_e8) == (60_000, 30_000)


def test_spot_needs_no_margin_and_margin_ignores_spot():
    market = market_with((ALICE, "1000"))
    market.tick_perp()
    market.venue.fund(ALICE, 1_000 * USDC)
    market.place(ALICE, order(True, "34", "20"), order(True, "34.895", "5", Tif.IOC))
    summary = market.venue.account_summary(ALICE)
    assert summary.order_margin_micro == 0
    assert summary.withdrawable_micro == summary.total.account_value_micro == 1_000 * USDC
    assert summary.positions == ()
    assert market.venue.update_leverage(ALICE, HYPE_PAIR, 1, True) == "Unknown asset"
    text = market.venue.update_isolated_margin(ALICE, HYPE_PAIR, USDC)
    assert text == "Position does not use isolated margin."


def test_a_liquidation_on_perps_leaves_spot_orders_alone():
    market = market_with((ALICE, "1000"))
    market.tick_perp()
    market.venue.fund(ALICE, 100 * USDC)
    market.place(ALICE, order(True, "30", "2"))
    market.place(ALICE, limit(True, 100_010, 0.015, Tif.IOC), limit(True, 90_000, 0.0002))
    market.venue.drain()
    market.tick_perp(93_990, 94_010)
    kinds = {o.order.coin: o.status for o in market.outputs(OrderOutput) if o.owner == ALICE}
    assert kinds["BTC"] in (VenueStatus.LIQUIDATED_CANCELED, VenueStatus.FILLED)
    assert market.venue.account_summary(ALICE).positions == ()
    (left,) = market.venue.open_orders(ALICE)
    assert left.coin == HYPE_PAIR
    assert market.is_conserved()


def test_the_dead_man_switch_reaches_spot_orders():
    market = market_with((ALICE, "1000"), schedule_cancel_volume_micro=0)
    market.place(ALICE, order(True, "30", "2"))
    market.venue.schedule_cancel(ALICE, market.now_ns + NS_PER_DAY)
    market.venue.advance(market.now_ns + NS_PER_DAY)
    assert market.venue.open_orders(ALICE) == ()
    assert market.held(ALICE, "USDC")[1] == "0"


def test_a_token_of_five_decimals_counts_in_its_own_wei():
    market = market_with((ALICE, "1000"))
    market.tick(bid="0.2", ask="0.20001", coin=PURR_PAIR)
    market.place(ALICE, order(True, "0.20001", "123", Tif.IOC, coin=PURR_PAIR))
    # The fee of 0.01722086 USDC is 0.0860999 PURR at this price.
    assert market.held(ALICE, "PURR")[0] == "122.91391"
    assert market.is_conserved()


def test_the_engine_in_process_sees_nothing_of_spot():
    market = market_with((ALICE, "1000"))
    market.place(ALICE, order(True, "34.895", "1", Tif.IOC), order(True, "30", "1"))
    assert to_events(market.venue.drain(), ALICE) == []
    events = execute_command(market.venue, ALICE, ReportAccount(since_ns=0), market.now_ns)
    (reported,) = [event for event in events if isinstance(event, OpenOrdersReported)]
    assert reported.orders == ()
    assert len(events) == 2


def test_the_state_hash_tells_spot_balances_apart():
    hashes = set()
    for amount in ("10", "11"):
        market = SpotMarket()
        market.fund(ALICE, amount, "HYPE")
        hashes.add(market.venue.state_hash())
    assert len(hashes) == 2


def test_triggers_on_perps_are_untouched_by_the_asset_class_check():
    market = market_with((ALICE, "1"))
    market.tick_perp()
    market.venue.fund(ALICE, 1_000 * USDC)
    market.place(ALICE, limit(True, 100_010, 0.001, Tif.IOC))
    (answer,) = market.place(ALICE, trigger(False, TriggerKind.STOP_LOSS, 95_000, 0.001))
    assert answer.kind is AnswerKind.RESTING
