"""Liquidation as a story: to the book, in part, and to the backstop."""

from __future__ import annotations

import pytest

from core.model.codes import Tif, TriggerKind
from core.simulation.venue.outputs import (
    LIQUIDATOR,
    FillOutput,
    LedgerOutput,
    LiquidationOutput,
    VenueStatus,
)
from tests.simulation.venue_kit import ALICE, USDC, Market, limit, lots, trigger


def long_market(usdc: float, size: float, *, leverage: int = 40, is_cross: bool = True) -> Market:
    market = Market()
    market.fund(ALICE, usdc=usdc)
    at(market, 100_000)
    market.venue.update_leverage(ALICE, "BTC", leverage, is_cross)
    (answer,) = market.venue.place(ALICE, [limit(True, 100_001, size, Tif.IOC)])
    assert answer.lots == lots("BTC", size)
    market.venue.drain()
    return market


def at(market: Market, mark: float, depth: float = 50.0, seconds: float = 1.0) -> None:
    market.tick(bids=((mark - 1, depth),), asks=((mark + 1, depth),), mark=mark, seconds=seconds)


def position_lots(market: Market) -> int:
    return sum(row.position_lots for row in market.venue.account_summary(ALICE).positions)


def test_it_is_liquidated_exactly_when_value_falls_under_maintenance():
    market = long_market(2_600, 0.9)
    row = market.venue.account_summary(ALICE).positions[0]
    assert row.liquidation_px is not None
    price = float(row.liquidation_px)
    above, below = int(price) + 1, int(price)
    for mark in range(99_900, above, -100):
        at(market, mark)
    at(market, above)
    assert position_lots(market) == lots("BTC", 0.9)
    assert market.outputs(LiquidationOutput) == []
    at(market, below)
    assert position_lots(market) == 0
    (fill,) = [row for row in market.venue.fills(ALICE) if row.liquidation is not None]
    assert fill.fill.is_liquidation
    assert fill.liquidation is not None and fill.liquidation.method == "market"
    assert fill.liquidation.liquidated_user == ALICE
    assert fill.fill.fee_micro == fill.fill.notional_micro * 45_000 // 10**8
    assert fill.direction == "Close Long"
    assert market.venue.conservation_error_micro() == 0


def test_its_open_orders_are_cancelled_first():
    market = long_market(2_700, 0.9)
    (resting,) = market.venue.place(ALICE, [limit(True, 90_000, 0.001)])
    (stop,) = market.venue.place(ALICE, [trigger(False, TriggerKind.STOP_LOSS, 90_000, 0.9)])
    at(market, 98_200)
    for answer in (resting, stop):
        state = market.venue.order_status(ALICE, answer.oid)
        assert state is not None and state.status is VenueStatus.LIQUIDATED_CANCELED
    (row,) = market.outputs(LiquidationOutput)
    assert row.positions == (("BTC", lots("BTC", 0.9)),)


def test_a_large_position_goes_a_fifth_first_and_whole_within_half_a_minute():
    market = long_market(30_000, 10.0)
    at(market, 98_221)
    assert position_lots(market) == lots("BTC", 8.0)
    at(market, 97_950, seconds=10)
    assert position_lots(market) == 0
    assert market.venue.position_error_lots() == 0


def test_after_half_a_minute_the_next_part_is_a_fifth_again():
    market = long_market(30_000, 10.0)
    at(market, 98_221)
    at(market, 97_950, seconds=31)
    assert position_lots(market) == lots("BTC", 6.4)


def test_what_the_book_cannot_take_waits_for_the_next_tick():
    market = long_market(2_600, 0.9)
    at(market, 98_210, depth=0.3)
    assert position_lots(market) == lots("BTC", 0.6)
    at(market, 98_210, depth=0.3)
    assert len(market.outputs(LiquidationOutput)) == 1


def test_under_two_thirds_the_backstop_takes_positions_and_margin():
    market = long_market(2_600, 0.9)
    at(market, 97_700)
    assert position_lots(market) == 0
    summary = market.venue.account_summary(ALICE)
    assert summary.total.account_value_micro == 0
    assert summary.total.raw_usd_micro == 0
    fill = market.venue.fills(ALICE)[-1]
    assert fill.liquidation is not None and fill.liquidation.method == "backstop"
    assert (fill.fill.px, fill.fill.fee_micro) == (977_000, 0)
    row = market.venue.ledger(ALICE)[-1]
    assert row.kind == "liquidation"
    assert row.amount_micro < 0
    liquidator = market.venue.open_interest_lots("BTC")
    assert liquidator == lots("BTC", 0.9)
    kinds = [type(output) for output in market.venue.drain() if output_owner(output) == LIQUIDATOR]
    assert kinds == [FillOutput]
    assert market.venue.conservation_error_micro() == 0


def output_owner(output: object) -> str:
    return getattr(output, "owner", "")


def test_a_negative_account_is_carried_by_the_liquidator():
    market = long_market(2_600, 0.9)
    at(market, 90_000)
    assert market.venue.account_summary(ALICE).total.account_value_micro == 0
    (row,) = [r for r in market.outputs(LedgerOutput) if r.kind == "liquidation"]
    assert row.amount_micro > 0
    assert market.venue.conservation_error_micro() == 0
    assert market.venue.position_error_lots() == 0


@pytest.mark.parametrize(("mark", "method"), [(96_100, "market"), (95_700, "backstop")])
def test_an_isolated_position_falls_alone(mark, method):
    market = long_market(20_000, 0.9, leverage=20, is_cross=False)
    cash = market.venue.account_summary(ALICE).cross.raw_usd_micro
    at(market, mark)
    assert position_lots(market) == 0
    (row,) = market.outputs(LiquidationOutput)
    assert (row.method, row.is_cross) == (method, False)
    after = market.venue.account_summary(ALICE).cross.raw_usd_micro
    assert after == cash if method == "backstop" else after > cash
    assert after > 15_000 * USDC
    assert market.venue.conservation_error_micro() == 0


def test_a_stop_wakes_before_the_margin_is_looked_at():
    market = long_market(2_600, 0.9)
    market.venue.place(ALICE, [trigger(False, TriggerKind.STOP_LOSS, 98_500, 0.9)])
    at(market, 98_000)
    assert position_lots(market) == 0
    assert market.outputs(LiquidationOutput) == []


def test_a_trade_makes_the_margin_be_looked_at_anew():
    market = long_market(10_000, 0.1)
    at(market, 100_000)
    market.tick(bids=((99_999, 1.0),), asks=((101_000, 50.0),), mark=100_000)
    market.venue.place(ALICE, [limit(True, 101_000, 3.7, Tif.IOC)])
    assert position_lots(market) == lots("BTC", 3.8)
    market.venue.drain()
    at(market, 99_500)
    assert len(market.outputs(LiquidationOutput)) == 1
