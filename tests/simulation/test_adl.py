"""Auto-deleveraging: who pays when a position is worth less than nothing, and who never does."""

from __future__ import annotations

from fractions import Fraction

import hypothesis.strategies as st
import pytest
from hypothesis import given

from core.model.codes import Tif
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    LedgerOutput,
    LiquidationOutput,
    OrderRequest,
)
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import ALICE, BOB, CAROL, USDC, Market, limit, lots, px

DAVE = "0x" + "da" * 20
ERIN = "0x" + "e2" * 20
EVERYBODY = (ALICE, BOB, CAROL, DAVE, ERIN)


def at(market: Market, mark: float, coin: str = "BTC", depth: float = 50.0) -> None:
    market.tick(coin, bids=((mark - 1, depth),), asks=((mark + 1, depth),), mark=mark)


def cross(market: Market, buyer: str, seller: str, price: float, size: float) -> None:
    """Let two local accounts trade with each other, inside the outside's spread."""
    market.tick(bids=((price - 50, 1.0),), asks=((price + 50, 1.0),), mark=price)
    market.venue.place(seller, [limit(False, price, size)])
    (answer,) = market.venue.place(buyer, [limit(True, price, size, Tif.IOC)])
    assert answer.lots == lots("BTC", size)


def held(market: Market, owner: str, coin: str = "BTC") -> int:
    rows = market.venue.account_summary(owner).positions
    return sum(row.position_lots for row in rows if row.coin == coin)


def value(market: Market, owner: str) -> int:
    return market.venue.account_summary(owner).total.account_value_micro


def ruined(*, adl: bool = True, is_cross: bool = True) -> Market:
    """Alice is long 1 BTC on thin margin; Bob 0.4, Carol 0.3, Dave 0.2 short; Erin has nothing."""
    market = Market(VenueSettings(adl=adl))
    market.fund(ALICE, usdc=6_000)
    market.fund(BOB, usdc=10_000)
    market.fund(CAROL, usdc=4_000)
    market.fund(DAVE, ERIN, usdc=50_000)
    at(market, 100_000)
    market.venue.update_leverage(ALICE, "BTC", 20, is_cross)
    cross(market, ALICE, DAVE, 100_000, 0.2)
    cross(market, ALICE, BOB, 100_000, 0.4)
    cross(market, ALICE, CAROL, 100_000, 0.3)
    at(market, 100_000)
    market.venue.drain()
    return market


def test_opposite_positions_close_at_the_mark_before_in_order_of_rank():
    market = ruined()
    at(market, 98_000)
    before = {owner: value(market, owner) for owner in EVERYBODY}
    market.venue.drain()
    at(market, 90_000)
    fills = [row for row in market.outputs(FillOutput) if row.owner not in (ALICE, LIQUIDATOR)]
    # Leverage used: Carol 30 000 on 4 600, Bob 40 000 on 10 800, Dave 20 000 on 50 400.
    assert [row.owner for row in fills] == [CAROL, BOB, DAVE]
    for row in fills:
        assert (row.direction, row.fill.px, row.fill.fee_micro) == (
            "Auto-Deleveraging",
            px("BTC", 98_000),
            0,
        )
        assert row.liquidation is not None
        assert row.liquidation.liquidated_user == ALICE
        assert not row.fill.is_liquidation
    assert [held(market, owner) for owner in EVERYBODY] == [0, 0, 0, 0, 0]
    after = {owner: value(market, owner) for owner in EVERYBODY}
    assert after == before
    assert market.venue.open_interest_lots("BTC") == 0
    assert market.venue.conservation_error_micro() == 0


def test_of_the_opposite_ones_only_as_many_as_needed_give_up():
    market = ruined()
    market.venue.place(ALICE, [limit(False, 99_999, 0.5, Tif.IOC, reduce_only=True)])
    at(market, 80_000)
    assert held(market, CAROL) == 0
    assert held(market, BOB) == -lots("BTC", 0.3)
    assert held(market, DAVE) == -lots("BTC", 0.2)
    assert market.venue.position_error_lots() == 0


def test_those_without_a_position_lose_nothing():
    market = ruined()
    before = value(market, ERIN)
    at(market, 60_000)
    assert value(market, ERIN) == before
    assert market.venue.fills(ERIN) == ()
    assert market.venue.ledger(ERIN)[-1].kind == "deposit"


def test_switched_off_the_liquidator_carries_the_loss():
    market = ruined(adl=False)
    at(market, 90_000)
    assert held(market, ALICE) == 0
    assert held(market, BOB) == -lots("BTC", 0.4)
    (row,) = [r for r in market.outputs(LedgerOutput) if r.kind == "liquidation"]
    assert row.amount_micro > 0
    assert value(market, ALICE) == 0
    assert market.venue.conservation_error_micro() == 0


def test_what_nobody_stands_against_goes_to_the_liquidator_at_the_mark():
    market = ruined()
    market.venue.place(BOB, [limit(True, 100_001, 0.4, Tif.IOC, reduce_only=True)])
    market.venue.place(DAVE, [limit(True, 100_001, 0.2, Tif.IOC, reduce_only=True)])
    market.venue.drain()
    at(market, 90_000)
    mine = [row for row in market.outputs(FillOutput) if row.owner == ALICE]
    assert [(row.fill.px, row.fill.lots) for row in mine] == [
        (px("BTC", 100_000), lots("BTC", 0.3)),
        (px("BTC", 90_000), lots("BTC", 0.6)),
    ]
    assert value(market, ALICE) == 0
    assert market.venue.open_interest_lots("BTC") == lots("BTC", 0.6)
    assert market.venue.conservation_error_micro() == 0


def test_the_liquidators_own_inventory_goes_first():
    market = ruined()
    # Dave falls first, under two thirds but solvent: the liquidator takes over his short of 0.2.
    assert market.venue.withdraw(DAVE, 47_000 * USDC) is None
    at(market, 114_500)
    assert held(market, DAVE) == 0
    assert market.venue.ledger(DAVE)[-1].kind == "liquidation"
    assert market.venue.withdraw(ALICE, 7_000 * USDC) is None
    market.venue.drain()
    at(market, 96_000)
    first = next(row for row in market.outputs(FillOutput) if row.owner != ALICE)
    assert first.owner == LIQUIDATOR
    assert first.direction == "Auto-Deleveraging"
    assert market.venue.conservation_error_micro() == 0
    assert market.venue.position_error_lots() == 0


@pytest.mark.parametrize("is_long", [True, False])
def test_an_isolated_position_is_deleveraged_alone(is_long):
    market = Market()
    market.fund(ALICE, BOB, usdc=50_000)
    at(market, 100_000)
    market.venue.update_leverage(ALICE, "BTC", 40, False)
    buyer, seller = (ALICE, BOB) if is_long else (BOB, ALICE)
    cross(market, buyer, seller, 100_000, 0.5)
    at(market, 100_000)
    cash = market.venue.account_summary(ALICE).cross.raw_usd_micro
    margin = market.venue.account_summary(ALICE).positions[0].margin_used_micro
    bob = value(market, BOB)
    market.venue.drain()
    at(market, 90_000 if is_long else 110_000)
    rows = market.outputs(LiquidationOutput)
    assert [(row.is_cross, row.account_value_micro < 0) for row in rows] == [(False, True)]
    assert held(market, ALICE) == held(market, BOB) == 0
    assert market.venue.account_summary(ALICE).cross.raw_usd_micro == cash + margin
    assert value(market, BOB) == bob
    assert market.venue.conservation_error_micro() == 0


def test_funding_beyond_the_isolated_margin_is_not_taken_from_the_cash():
    market = Market()
    market.fund(ALICE, BOB, usdc=50_000)
    market.venue.update_leverage(ALICE, "BTC", 40, False)
    cross(market, ALICE, BOB, 100_000, 0.5)
    market.tick(mark=100_000, rate=0.04)
    cash = market.venue.account_summary(ALICE).cross.raw_usd_micro
    market.tick(mark=100_000, seconds=3_600)
    assert held(market, ALICE) == 0
    assert market.venue.account_summary(ALICE).cross.raw_usd_micro == cash
    assert market.venue.fills(ALICE)[-1].direction == "Auto-Deleveraging"
    assert market.venue.conservation_error_micro() == 0


def test_a_deleveraged_holders_reduce_only_orders_go_with_the_position():
    market = ruined()
    (order,) = market.venue.place(CAROL, [limit(True, 70_000, 0.3, reduce_only=True)])
    at(market, 90_000)
    state = market.venue.order_status(CAROL, order.oid)
    assert state is not None
    assert state.status.value == "reduceOnlyCanceled"


def test_profit_counts_beside_leverage():
    """Of two longs the one with the cheaper entry goes first, though it uses less leverage."""
    market = Market()
    market.fund(BOB, usdc=36_000)
    market.fund(CAROL, DAVE, usdc=50_000)
    at(market, 80_000)
    cross(market, BOB, DAVE, 80_000, 0.1)
    at(market, 100_000)
    market.fund(ALICE, usdc=900)
    cross(market, CAROL, ALICE, 100_000, 0.15)
    at(market, 100_000)
    bob, carol = market.venue.account_summary(BOB), market.venue.account_summary(CAROL)
    ranks, used = [], []
    for summary in (bob, carol):
        (row,) = summary.positions
        used.append(Fraction(row.value_micro, summary.total.account_value_micro))
        ranks.append(Fraction(row.value_micro, row.entry_notional_micro) * used[-1])
    assert ranks[0] > ranks[1]
    assert used[0] < used[1]
    market.venue.drain()
    at(market, 107_000)
    taken = [row.owner for row in market.outputs(FillOutput) if row.owner in (BOB, CAROL)]
    assert taken == [BOB, CAROL]


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["trade", "trade", "tick", "eth", "fund"]),
        st.integers(0, 4),
        st.integers(0, 4),
        st.integers(1, 60),
        st.integers(60, 140),
    ),
    min_size=5,
    max_size=40,
)


@given(moves=MOVES, isolated=st.sets(st.integers(0, 4)), adl=st.booleans())
def test_through_every_cascade_no_money_and_no_position_appears(moves, isolated, adl):
    market = Market(VenueSettings(adl=adl, notional_min_micro=1))
    venue = market.venue
    market.fund(*EVERYBODY, usdc=2_000)
    at(market, 100_000)
    at(market, 4_000, "ETH")
    for who in isolated:
        venue.update_leverage(EVERYBODY[who], "BTC", 40, False)
    for kind, first, second, size, percent in moves:
        idle = {owner: value(market, owner) for owner in EVERYBODY}
        flat = [o for o in EVERYBODY if not venue.account_summary(o).positions]
        if kind == "trade" and first != second:
            mark = venue.mark_px("BTC")
            price = mark - mark % 10_000
            market.tick(bids=(), asks=(), mark=mark / 10)
            maker = OrderRequest(coin="BTC", is_buy=False, px=price, lots=size * 1_000, tif=Tif.GTC)
            taker = OrderRequest(coin="BTC", is_buy=True, px=price, lots=size * 1_000, tif=Tif.IOC)
            (answer,) = venue.place(EVERYBODY[second], [maker])
            venue.place(EVERYBODY[first], [taker])
            venue.cancel(EVERYBODY[second], "BTC", answer.oid)
        elif kind == "tick":
            at(market, 1_000 * percent, depth=size / 100)
            assert all(value(market, owner) == idle[owner] for owner in flat)
        elif kind == "eth":
            at(market, 40 * percent, "ETH")
            side = 40 * percent + 1
            venue.place(EVERYBODY[first], [limit(True, side, size / 10, Tif.IOC, coin="ETH")])
        elif kind == "fund":
            market.fund(EVERYBODY[first], usdc=size)
        assert venue.conservation_error_micro() == 0
        assert venue.position_error_lots() == 0
