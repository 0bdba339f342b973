"""Markets that are not simply open: after an upgrade, halted, delisted, at their cap."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif, TriggerKind
from core.model.instrument import Instrument
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market import universe
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.market_states import OracleHour
from core.simulation.venue.outputs import (
    AnswerKind,
    FillOutput,
    LiquidationOutput,
    OrderAnswer,
    OrderRequest,
    VenueStatus,
)
from core.simulation.venue.records import TwapRequest, TwapStatus
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import (
    ALICE,
    BOB,
    CAROL,
    USDC,
    Market,
    limit,
    lots,
    px,
    trigger,
)

WINDOW = "Only post-only orders allowed immediately after a network upgrade"
HALTED = "Trading is halted."


def opened(settings: VenueSettings | None = None) -> Market:
    market = Market(settings)
    market.fund(ALICE, BOB, CAROL, usdc=100_000)
    market.tick()
    return market


def status_of(market: Market, answer: OrderAnswer, owner: str = ALICE) -> VenueStatus:
    state = market.venue.order_status(owner, answer.oid)
    assert state is not None
    return state.status


# --- post-only window ----------------------------------------------------------------------------


def test_in_the_window_only_post_only_orders_are_accepted():
    market = opened()
    (resting,) = market.venue.place(ALICE, [limit(True, 99_000, 0.01)])
    market.venue.market_states.begin_post_only(market.now_ns + NS_PER_MIN)
    assert market.venue.market_states.is_post_only
    answers = market.venue.place(
        ALICE,
        [
            limit(True, 100_010, 0.01, Tif.IOC),
            limit(True, 99_000, 0.01, Tif.GTC),
            trigger(False, TriggerKind.STOP_LOSS, 90_000, 0.01, reduce_only=False),
            limit(True, 99_000, 0.01, Tif.ALO),
            trigger(
                False,
                TriggerKind.STOP_LOSS,
                90_000,
                0.01,
                is_market=False,
                price=89_000,
                reduce_only=False,
            ),
        ],
    )
    assert [a.text for a in answers] == [WINDOW, WINDOW, WINDOW, "", ""]
    assert status_of(market, answers[0]) is VenueStatus.REJECTED
    assert status_of(market, resting) is VenueStatus.OPEN
    assert market.venue.cancel(ALICE, "BTC", resting.oid) is None
    market.tick(seconds=60)
    assert not market.venue.market_states.is_post_only
    (after,) = market.venue.place(ALICE, [limit(True, 100_010, 0.01, Tif.IOC)])
    assert after.kind is AnswerKind.FILLED


def test_the_other_spelling_is_a_setting():
    market = opened(VenueSettings(post_only_spelling="network upgrade"))
    market.venue.market_states.begin_post_only(market.now_ns + NS_PER_MIN)
    (answer,) = market.venue.place(ALICE, [limit(True, 99_000, 0.01)])
    assert answer.text == "Only post-only orders allowed immediately after network upgrade"


def test_triggers_that_would_trade_fail_in_the_window_and_others_rest():
    market = opened()
    market.venue.place(ALICE, [limit(True, 100_010, 0.02, Tif.IOC)])
    stop, stop_limit = market.venue.place(
        ALICE,
        [
            trigger(False, TriggerKind.STOP_LOSS, 99_000, 0.01),
            trigger(
                False,
                TriggerKind.STOP_LOSS,
                99_000,
                0.01,
                is_market=False,
                price=99_500,
            ),
        ],
    )
    market.venue.market_states.begin_post_only(market.now_ns + NS_PER_MIN)
    market.tick(bids=((98_990, 1.0),), asks=((99_010, 1.0),), mark=98_999)
    assert status_of(market, stop) is VenueStatus.REJECTED
    assert status_of(market, stop_limit) is VenueStatus.OPEN
    assert market.venue.account_summary(ALICE).positions[0].position_lots == lots("BTC", 0.02)


# --- halts ---------------------------------------------------------------------------------------


def test_while_halted_nobody_trades_and_the_mark_stands_still():
    market = opened()
    states = market.venue.market_states
    market.venue.place(ALICE, [limit(True, 100_010, 0.5, Tif.IOC)])
    (resting,) = market.venue.place(ALICE, [limit(True, 99_000, 0.01)])
    (stop,) = market.venue.place(ALICE, [trigger(False, TriggerKind.STOP_LOSS, 95_000, 0.5)])
    assert states.halt("BTC") is None
    assert states.is_halted("BTC")
    market.venue.drain()
    market.tick(
        bids=((90_000, 1.0),),
        asks=((90_010, 1.0),),
        trades=((90_000, 5.0, False),),
        mark=90_000,
        oracle=90_000,
    )
    assert market.outputs(FillOutput) == []
    assert market.venue.mark_px("BTC") == px("BTC", 100_000)
    assert market.venue.oracle_px("BTC") == px("BTC", 90_000)
    assert market.venue.book("BTC")[1][0] == (px("BTC", 90_010), lots("BTC", 1.0))
    (refused,) = market.venue.place(ALICE, [limit(True, 90_000, 0.01)])
    assert refused.text == HALTED
    assert status_of(market, stop) is VenueStatus.OPEN
    assert market.venue.cancel(ALICE, "BTC", resting.oid) is None
    assert states.resume("BTC") is None
    market.tick(bids=((94_990, 1.0),), asks=((95_010, 1.0),), mark=95_000)
    assert status_of(market, stop) is VenueStatus.FILLED
    assert states.halt("NONE") == "Unknown asset"


def test_a_halted_position_is_not_sold_out_but_may_be_taken_over():
    market = Market(VenueSettings(adl=False))
    market.fund(ALICE, usdc=6_000)
    market.tick()
    market.tick("ETH", bids=((3_999, 500.0),), asks=((4_001, 500.0),))
    market.venue.place(
        ALICE, [limit(True, 100_010, 0.4, Tif.IOC), limit(True, 4_001, 10, Tif.IOC, coin="ETH")]
    )
    market.venue.market_states.halt("BTC")
    market.venue.drain()
    market.tick("ETH", bids=((3_520, 500.0),), asks=((3_521, 500.0),), mark=3_520)
    assert len(market.outputs(LiquidationOutput)) == 1
    held = {row.coin for row in market.venue.account_summary(ALICE).positions}
    assert held == {"BTC"}
    assert market.venue.conservation_error_micro() == 0


# --- delisting -----------------------------------------------------------------------------------


def test_a_delisting_settles_all_at_the_oracles_average_of_one_hour():
    market = opened()
    venue = market.venue
    venue.place(ALICE, [limit(True, 100_010, 0.5, Tif.IOC)])
    venue.update_leverage(CAROL, "BTC", 20, False)
    venue.place(CAROL, [limit(False, 99_990, 0.2, Tif.IOC)])
    venue.place(BOB, [limit(False, 100_005, 0.1)])
    venue.place(ALICE, [limit(True, 100_005, 0.1, Tif.IOC)])
    (resting,) = venue.place(ALICE, [limit(True, 90_000, 0.01)])
    twap = TwapRequest(
        coin="BTC", is_buy=True, lots=5_000, reduce_only=False, minutes=240, is_randomized=False
    )
    assert isinstance(venue.twaps.place(ALICE, twap), int)
    market.tick(oracle=104_000, seconds=3_600)
    market.tick(oracle=104_000, seconds=1_800)
    settled = px("BTC", 102_000)
    assert venue.market_states.settlement_px("BTC") == settled
    positions = {owner: venue.account_summary(owner).positions for owner in (ALICE, BOB, CAROL)}
    held = {owner: sum(r.position_lots for r in rows) for owner, rows in positions.items()}
    venue.drain()
    assert venue.market_states.delist("BTC") is None
    fills = {f.owner: f for f in market.outputs(FillOutput)}
    for owner, position in held.items():
        assert venue.account_summary(owner).positions == ()
        assert (fills[owner].direction, fills[owner].fill.px) == ("Settlement", settled)
        assert fills[owner].fill.signed_lots == -position
        assert fills[owner].fill.fee_micro == 0
    assert status_of(market, resting) is VenueStatus.DELISTED_CANCELED
    assert venue.twaps.history(ALICE)[0].status is TwapStatus.ERROR
    assert venue.open_interest_lots("BTC") == 0
    assert venue.conservation_error_micro() == 0
    assert venue.position_error_lots() == 0
    (refused,) = venue.place(ALICE, [limit(True, 100_000, 0.01)])
    assert refused.text == HALTED
    assert venue.market_states.delisted == ("BTC", "DEAD")
    assert venue.market_states.delist("BTC") == "Unknown asset"


def test_a_settlement_costs_an_isolated_position_its_margin_at_most():
    market = Market()
    market.fund(ALICE, usdc=10_000)
    market.tick()
    market.venue.update_leverage(ALICE, "BTC", 40, False)
    market.venue.place(ALICE, [limit(True, 100_010, 0.1, Tif.IOC)])
    cash = market.venue.account_summary(ALICE).cross.raw_usd_micro
    market.tick(mark=100_000, oracle=50_000)
    market.tick(mark=100_000, oracle=50_000, seconds=3_600)
    market.venue.market_states.delist("BTC")
    assert market.venue.account_summary(ALICE).cross.raw_usd_micro == cash
    assert market.venue.conservation_error_micro() == 0


def test_a_cross_account_that_a_settlement_ruins_owes_nothing():
    market = Market()
    market.fund(ALICE, usdc=1_000)
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.15, Tif.IOC)])
    market.tick(mark=100_000, oracle=50_000)
    market.tick(mark=100_000, oracle=50_000, seconds=3_600)
    market.venue.market_states.delist("BTC")
    assert market.venue.account_summary(ALICE).total.account_value_micro == 0
    assert market.venue.conservation_error_micro() == 0


@given(steps=st.lists(st.tuples(st.integers(0, 1_500), st.integers(1, 500)), min_size=1))
def test_the_oracles_average_is_that_of_every_second(steps):
    hour = OracleHour()
    prices: dict[int, int] = {}
    now = 0
    for seconds, price in steps:
        now += seconds
        hour.note(price, now * NS_PER_S)
        prices[now] = price
    first, end = min(prices), now + 7
    known, current = [], 0
    for second in range(first, end):
        current = prices.get(second, current)
        known.append(current)
    window = known[-3_600:]
    average = hour.average_px(end * NS_PER_S)
    assert average is not None
    assert abs(average * len(window) - sum(window)) * 2 <= len(window)


# --- open interest -------------------------------------------------------------------------------

CAP = VenueSettings(open_interest_caps_micro={"BTC": 50_000 * USDC})
CAPPED = "Order would increase open interest while open interest is capped"


def at_cap() -> Market:
    market = opened(CAP)
    assert market.venue.market_states.coins_at_cap() == ()
    market.venue.place(ALICE, [limit(True, 100_010, 0.6, Tif.IOC)])
    assert market.venue.market_states.coins_at_cap() == ("BTC",)
    return market


@pytest.mark.parametrize(
    ("owner", "order", "status", "text"),
    [
        (
            BOB,
            limit(True, 100_010, 0.1, Tif.IOC),
            VenueStatus.POSITION_INCREASE_AT_CAP_REJECTED,
            CAPPED,
        ),
        (BOB, limit(False, 101_000, 0.1), VenueStatus.POSITION_INCREASE_AT_CAP_REJECTED, CAPPED),
        (ALICE, limit(False, 99_990, 0.7), VenueStatus.POSITION_FLIP_AT_CAP_REJECTED, CAPPED),
        (
            ALICE,
            limit(False, 99_990, 0.1, Tif.IOC),
            VenueStatus.TOO_AGGRESSIVE_AT_CAP_REJECTED,
            "Order rejected due to price more aggressive than oracle while at open interest cap",
        ),
    ],
)
def test_at_the_cap_nobody_opens_flips_or_presses(owner, order, status, text):
    market = at_cap()
    (answer,) = market.venue.place(owner, [order])
    assert answer.text == text
    assert status_of(market, answer, owner) is status


def test_at_the_cap_closing_goes_on_and_ends_it():
    market = at_cap()
    close = limit(False, 99_990, 0.2, Tif.IOC, reduce_only=True)
    (answer,) = market.venue.place(ALICE, [close])
    assert answer.kind is AnswerKind.FILLED
    assert market.venue.market_states.coins_at_cap() == ()
    (answer,) = market.venue.place(BOB, [limit(True, 100_010, 0.1, Tif.IOC)])
    assert answer.kind is AnswerKind.FILLED


def test_a_resting_order_that_would_open_is_cancelled_at_the_cap():
    market = opened(CAP)
    (resting,) = market.venue.place(BOB, [limit(True, 99_000, 0.1)])
    market.venue.place(ALICE, [limit(True, 100_010, 0.6, Tif.IOC)])
    market.tick(bids=((98_000, 1.0),), asks=((98_010, 1.0),), mark=98_000)
    assert status_of(market, resting, BOB) is VenueStatus.OPEN_INTEREST_CAP_CANCELED
    assert market.venue.fills(BOB) == ()


def test_open_interest_may_rise_only_so_much_in_a_minute():
    settings = VenueSettings(open_interest_rises_micro={"BTC": 20_000 * USDC})
    market = opened(settings)
    first, second = market.venue.place(
        ALICE, [limit(True, 100_010, 0.15, Tif.IOC), limit(True, 100_020, 0.1, Tif.IOC)]
    )
    assert first.kind is AnswerKind.FILLED
    assert second.text == "Order would increase open interest too quickly"
    assert status_of(market, second) is VenueStatus.OPEN_INTEREST_INCREASE_REJECTED
    market.tick(seconds=60)
    (third,) = market.venue.place(ALICE, [limit(True, 100_020, 0.1, Tif.IOC)])
    assert third.kind is AnswerKind.FILLED


@given(
    trades=st.lists(
        st.tuples(
            st.sampled_from([ALICE, BOB, CAROL]),
            st.booleans(),
            st.integers(100, 90_000),
            st.sampled_from([Tif.IOC, Tif.GTC]),
        ),
        max_size=15,
    )
)
def test_open_interest_is_the_sum_of_the_long_side_and_of_the_short_side(trades):
    market = opened(CAP)
    venue = market.venue
    for owner, is_buy, size, tif in trades:
        was_capped = bool(venue.market_states.coins_at_cap())
        before = venue.open_interest_lots("BTC")
        order = limit(is_buy, 100_020 if is_buy else 99_980, 0.0, tif)
        venue.place(owner, [msgspec.structs.replace(order, lots=size)])
        held = [
            row.position_lots
            for local in (ALICE, BOB, CAROL)
            for row in venue.account_summary(local).positions
        ]
        longs = sum(size for size in held if size > 0)
        shorts = -sum(size for size in held if size < 0)
        assert venue.open_interest_lots("BTC") == max(longs, shorts)
        assert not was_capped or venue.open_interest_lots("BTC") <= before
        assert venue.position_error_lots() == 0
        market.tick()


# --- strict isolated -----------------------------------------------------------------------------


LOCKED = Instrument("LOCK", 3, 2, leverage_max=10, is_isolated_only=True, is_margin_locked=True)


def locked_venue(usdc: int = 1_000) -> SimulatedExchange:
    venue = SimulatedExchange((LOCKED,), start_ns=0)
    venue.fund(ALICE, usdc * USDC)
    venue.apply_market(
        MarketTick(1, "LOCK", ((399_900, 10**6),), ((400_000, 10**6),), (), 400_000, 400_000)
    )
    venue.update_leverage(ALICE, "LOCK", 10, False)
    order = OrderRequest(coin="LOCK", is_buy=True, px=400_000, lots=1_000, tif=Tif.IOC)
    venue.place(ALICE, [order])
    return venue


def test_locked_margin_goes_in_and_not_out():
    venue = locked_venue()
    assert venue.update_isolated_margin(ALICE, "LOCK", 100 * USDC) is None
    assert venue.update_isolated_margin(ALICE, "LOCK", -USDC) == (
        "Margin cannot be removed from a strict isolated position."
    )


def test_a_top_up_adds_what_the_target_leverage_needs():
    venue = locked_venue()
    top_up = venue.top_up_isolated
    assert top_up(ALICE, "LOCK", "2.5") is None
    (row,) = venue.account_summary(ALICE).positions
    assert row.margin_used_micro == 400 * 10 * USDC // 25
    assert top_up(ALICE, "LOCK", "2.5") == "Invalid leverage value"
    for text in ("0", "-1", "abc", "nan"):
        assert top_up(ALICE, "LOCK", text) == "Invalid leverage value"
    assert top_up(ALICE, "LOCK", "0.1") == "Insufficient balance for withdrawal"
    assert top_up(ALICE, "NONE", "2") == "Position does not use isolated margin."
    assert str(top_up(BOB, "LOCK", "2")).startswith("Must deposit")
    assert venue.conservation_error_micro() == 0


def test_the_recorded_universe_tells_which_margin_is_locked():
    path = (
        Path(__file__).parents[1] / "data/hyperliquid-recorded/gohl-metaAndAssetCtxs-2026-02.json"
    )
    rows = json.loads(path.read_text())["response"][0]["universe"]
    tables = {row["marginTableId"]: None for row in rows}
    strict = [row for row in rows if row.get("marginMode") == "strictIsolated"]
    assert len(strict) == 9
    for row in strict:
        plain = {key: value for key, value in row.items() if key != "marginMode"}
        table_id = min(49, row["marginTableId"])
        assert universe._instrument(0, {**row, "marginTableId": table_id}, tables).is_margin_locked
        assert not universe._instrument(
            0, {**plain, "marginTableId": table_id}, tables
        ).is_margin_locked
