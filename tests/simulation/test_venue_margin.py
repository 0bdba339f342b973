"""Margin arithmetic against the venue's recorded account states, and the initial margin check."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.instrument import Instrument, MarginTier, micro_from_text
from core.simulation.venue.margin import MarginTable, liquidation_price
from core.simulation.venue.outputs import AnswerKind, MarginSummary
from tests.simulation.venue_kit import (
    ALICE,
    CRCL,
    HYPE,
    USDC,
    Market,
    limit,
    lots,
    px,
)

SOL_50X = Instrument("SOL", 5, 2, leverage_max=50)


@pytest.mark.parametrize(
    ("instrument", "size", "mark", "margin", "other", "recorded"),
    [
        (HYPE, -4.0, 40.0, "51.144417", "0", "50.2724802381"),
        (CRCL, 0.13, 80.0, "3.444882", "0", "64.2010892308"),
        (HYPE, 2.0, 37.826, "7.525754", "0", "35.8559189474"),
        (SOL_50X, -0.5, 137.96, "11524.216934", "38.192", "22881.1978891089"),
    ],
)
def test_recorded_liquidation_prices(instrument, size, mark, margin, other, recorded):
    price = liquidation_price(
        lots=round(size * instrument.lots_scale),
        mark_px=round(mark * instrument.px_scale),
        margin_micro=micro_from_text(margin),
        maintenance_other_micro=micro_from_text(other),
        table=MarginTable(instrument),
        px_scale=instrument.px_scale,
    )
    assert price is not None
    assert f"{float(price):.10f}".rstrip("0") == recorded.rstrip("0")


def test_the_recorded_cross_account():
    market = Market()
    fees = [9 * 827_710 * 45_000 // 10**8, 52 * 827_720 * 45_000 // 10**8]
    deposit = micro_from_text("131.345076") + micro_from_text("50.49083") + sum(fees)
    market.venue.fund(ALICE, deposit)
    market.tick(bids=((82_770, 1.0),), asks=((82_771, 0.00009), (82_772, 1.0)))
    market.venue.place(ALICE, [limit(True, 82_772, 0.00061, Tif.IOC)])
    market.tick(bids=((78_134, 1.0),), asks=((78_136, 1.0),), mark=78_135)
    summary = market.venue.account_summary(ALICE)
    expected = MarginSummary(
        account_value_micro=micro_from_text("179.007426"),
        notional_micro=micro_from_text("47.66235"),
        raw_usd_micro=micro_from_text("131.345076"),
        margin_used_micro=micro_from_text("2.383117"),
    )
    assert summary.total == summary.cross == expected
    assert summary.cross_maintenance_micro == micro_from_text("0.595779")
    assert summary.withdrawable_micro == micro_from_text("174.241191")
    (row,) = summary.positions
    assert row.entry_px == "82771.8"
    assert row.unrealized_pnl_micro == micro_from_text("-2.82848")
    assert row.return_on_equity == "-1.1203935447"
    assert row.liquidation_px is None
    assert (row.leverage, row.leverage_max, row.is_cross) == (20, 40, True)
    report = market.venue.account_report(ALICE)
    assert report.account_value_micro == expected.account_value_micro
    assert report.cash_micro == expected.raw_usd_micro


def test_the_recorded_isolated_account():
    market = Market()
    market.venue.fund(ALICE, micro_from_text("75.781884") + micro_from_text("7.5658"))
    market.tick("HYPE", bids=((37.828, 9.0),), asks=((37.829, 9.0),))
    assert market.venue.update_leverage(ALICE, "HYPE", 10, False) is None
    market.venue.place(ALICE, [limit(True, 37.829, 2.0, Tif.IOC, coin="HYPE")])
    market.tick("HYPE", bids=((37.825, 9.0),), asks=((37.827, 9.0),), mark=37.826)
    summary = market.venue.account_summary(ALICE)
    (row,) = summary.positions
    assert row.raw_usd_micro == micro_from_text("-68.126246")
    assert row.margin_used_micro == micro_from_text("7.525754")
    assert row.liquidation_px == "35.8559189474"
    assert row.return_on_equity == "-0.0007930424"
    assert row.entry_px == "37.829"
    assert summary.total.account_value_micro == micro_from_text("83.307638")
    assert summary.total.raw_usd_micro == micro_from_text("7.655638")
    assert summary.cross.account_value_micro == micro_from_text("75.781884")
    assert summary.cross.notional_micro == 0
    assert summary.withdrawable_micro == micro_from_text("75.781884")


def test_a_resting_order_holds_its_notional_over_leverage():
    market = Market()
    market.venue.fund(ALICE, micro_from_text("3.429999"))
    market.tick("CRCL", bids=((70.0, 9.0),), asks=((75.0, 9.0),))
    market.venue.update_leverage(ALICE, "CRCL", 3, False)
    market.venue.place(ALICE, [limit(True, 70.0, 0.143, coin="CRCL")])
    summary = market.venue.account_summary(ALICE)
    assert summary.order_margin_micro == 10_010_000 // 3
    assert summary.withdrawable_micro == 3_429_999 - 10_010_000 // 3


TIERED = Instrument(
    "TIERED",
    3,
    2,
    leverage_max=20,
    margin_tiers=(
        MarginTier(0, 20),
        MarginTier(1_000 * USDC, 10),
        MarginTier(50_000 * USDC, 3),
    ),
)


def test_maintenance_by_tier_is_the_documented_sum():
    table = MarginTable(TIERED)
    assert table.maintenance_micro(1_000 * USDC) == 25 * USDC
    assert table.maintenance_micro(2_000 * USDC) == 75 * USDC
    deduction = Fraction(25) + 50_000 * (Fraction(1, 6) - Fraction(1, 20))
    expected = Fraction(60_000, 6) - deduction
    assert table.maintenance_micro(60_000 * USDC) == int(expected * USDC)
    assert table.notional_micro_max(20) == 1_000 * USDC
    assert table.notional_micro_max(10) == 50_000 * USDC
    assert table.notional_micro_max(3) is None


@given(notional=st.integers(0, 200_000 * USDC), step=st.integers(0, 1_000 * USDC))
def test_maintenance_is_continuous_and_never_steeper_than_half(notional, step):
    table = MarginTable(TIERED)
    rise = table.maintenance_micro(notional + step) - table.maintenance_micro(notional)
    assert 0 <= rise <= step // 2 + 1


@given(
    size=st.integers(1, 10_000),
    is_long=st.booleans(),
    mark=st.integers(1_000, 1_000_000),
    margin=st.integers(0, 100_000 * USDC),
)
def test_at_the_liquidation_price_margin_equals_maintenance(size, is_long, mark, margin):
    table = MarginTable(TIERED)
    held = size if is_long else -size
    price = liquidation_price(
        lots=held,
        mark_px=mark,
        margin_micro=margin,
        maintenance_other_micro=0,
        table=table,
        px_scale=1,
    )
    if price is None:
        assert is_long
        assert margin - held * mark >= 0
        return
    n = table.tier_i(int(size * price))
    maintenance = (size * price * table.rates[n] - table.deductions[n]) / table.scale
    assert margin + held * (price - mark) == maintenance


def test_a_new_order_needs_initial_margin_beside_the_resting_ones():
    market = Market()
    market.fund(ALICE, usdc=1_000)
    market.tick()
    place = market.venue.place
    assert place(ALICE, [limit(True, 99_990, 0.15)])[0].kind is AnswerKind.RESTING
    assert place(ALICE, [limit(False, 100_020, 0.06)])[0].kind is AnswerKind.ERROR
    assert place(ALICE, [limit(False, 100_020, 0.05)])[0].kind is AnswerKind.RESTING
    summary = market.venue.account_summary(ALICE)
    held = (
        px("BTC", 99_990) * lots("BTC", 0.15) // 20 + px("BTC", 100_020) * lots("BTC", 0.05) // 20
    )
    assert summary.order_margin_micro == held
    assert summary.withdrawable_micro == 1_000 * USDC - held


def test_closing_and_flipping_need_only_the_margin_of_what_they_open():
    market = Market()
    market.fund(ALICE, usdc=1_050)
    market.tick()
    place = market.venue.place
    assert place(ALICE, [limit(True, 100_010, 0.2, Tif.IOC)])[0].kind is AnswerKind.FILLED
    assert place(ALICE, [limit(True, 99_000, 0.02)])[0].kind is AnswerKind.ERROR
    assert place(ALICE, [limit(False, 101_000, 0.2)])[0].kind is AnswerKind.RESTING
    assert market.venue.account_summary(ALICE).order_margin_micro == 0
    assert place(ALICE, [limit(False, 101_000, 0.02)])[0].kind is AnswerKind.ERROR
    flip = place(ALICE, [limit(False, 99_990, 0.39, Tif.IOC)])[0]
    assert flip.lots == lots("BTC", 0.39)
    assert market.venue.account_summary(ALICE).positions[0].position_lots == -lots("BTC", 0.19)
    assert market.venue.fills(ALICE)[-1].direction == "Long > Short"


def test_leverage_follows_the_venues_rules():
    market = Market()
    market.fund(ALICE, usdc=1_000)
    market.tick()
    market.tick("CRCL", bids=((70.0, 9.0),), asks=((75.0, 9.0),))
    update = market.venue.update_leverage
    assert update(ALICE, "BTC", 41, True) == "Invalid leverage value"
    assert update(ALICE, "BTC", 0, True) == "Invalid leverage value"
    assert update(ALICE, "CRCL", 3, True) == "Cross margin is not allowed for this asset."
    assert not market.venue.leverage(ALICE, "CRCL").is_cross
    assert market.venue.leverage(ALICE, "BTC").leverage == 20
    market.venue.place(ALICE, [limit(True, 100_010, 0.1, Tif.IOC)])
    assert update(ALICE, "BTC", 20, False) == "Cannot switch leverage type with open position."
    assert update(ALICE, "BTC", 5, True) == (
        "Cross position does not have sufficient margin available to decrease leverage."
    )
    assert market.venue.leverage(ALICE, "BTC").leverage == 20
    assert update(ALICE, "BTC", 40, True) is None
    assert market.venue.account_summary(ALICE).positions[0].leverage == 40


def test_isolated_margin_moves_in_and_out():
    market = Market()
    market.fund(ALICE, usdc=1_000)
    market.tick("HYPE", bids=((39.99, 99.0),), asks=((40.0, 99.0),), mark=40.0)
    move = market.venue.update_isolated_margin
    assert move(ALICE, "HYPE", USDC) == "Position does not use isolated margin."
    market.venue.update_leverage(ALICE, "HYPE", 10, False)
    market.venue.place(ALICE, [limit(True, 40.0, 10, Tif.IOC, coin="HYPE")])
    assert market.venue.account_summary(ALICE).cross.raw_usd_micro == 960 * USDC
    assert move(ALICE, "HYPE", 961 * USDC) == "Insufficient balance for withdrawal"
    assert move(ALICE, "HYPE", 60 * USDC) is None
    assert move(ALICE, "HYPE", -60 * USDC) == (
        "Isolated position does not have sufficient margin available to decrease leverage."
    )
    assert move(ALICE, "HYPE", -59 * USDC) is None
    market.venue.place(ALICE, [limit(False, 39.99, 4, Tif.IOC, coin="HYPE")])
    assert market.venue.conservation_error_micro() == 0
    market.venue.place(ALICE, [limit(False, 39.99, 6, Tif.IOC, coin="HYPE")])
    summary = market.venue.account_summary(ALICE)
    fees = sum(row.fill.fee_micro for row in market.venue.fills(ALICE))
    pnl = sum(row.fill.closed_pnl_micro for row in market.venue.fills(ALICE))
    assert summary.total == summary.cross
    assert summary.cross.raw_usd_micro == 1_000 * USDC + pnl - fees
    assert pnl == -100_000
