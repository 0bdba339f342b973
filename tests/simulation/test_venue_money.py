"""Fees, funding, closed PnL and transfers: every micro-USDC has a giver and a taker."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN
from core.simulation.venue.account import Account
from core.simulation.venue.funding import funding_micro, rate_e10_from
from core.simulation.venue.outputs import FundingOutput, LeverageSetting
from core.simulation.venue.perp import direction_text
from core.simulation.venue.premium import RATE_E10
from core.simulation.venue.settings import FEE_TIERS, FeeTier, VenueSettings
from core.simulation.venue.settlement import fee_of
from tests.simulation.venue_kit import ALICE, BOB, CAROL, START_NS, USDC, Market, limit, lots


def test_a_recorded_fee():
    assert fee_of(43_074_000 * 25 // 100, 45_000) == 4_845
    assert fee_of(10_001, -1_000) == 0
    assert fee_of(1_000 * USDC, -3_000) == -30_000


def test_a_maker_may_earn_a_rebate():
    market = Market()
    market.fund(ALICE, BOB)
    market.tick()
    market.venue.set_fee_rates(ALICE, taker_rate_e8=24_000, maker_rate_e8=-3_000)
    market.venue.place(ALICE, [limit(True, 100_000, 0.1)])
    market.venue.place(BOB, [limit(False, 100_000, 0.1, Tif.IOC)])
    (row,) = market.venue.fills(ALICE)
    assert row.fill.fee_micro == -300_000
    assert market.venue.conservation_error_micro() == 0


def test_the_fee_tier_follows_the_volume_of_finished_days():
    tiers = (FEE_TIERS[0], FeeTier(10_000 * USDC, 40_000, 12_000))
    market = Market(VenueSettings(fee_tiers=tiers))
    market.fund(ALICE)
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.2, Tif.IOC)])
    assert market.venue.fee_rates(ALICE).taker_rate_e8 == 45_000
    midnight = (START_NS // NS_PER_DAY + 1) * NS_PER_DAY
    market.venue.advance(midnight - 1)
    assert market.venue.fee_rates(ALICE).taker_rate_e8 == 45_000
    market.venue.advance(midnight)
    assert market.venue.fee_rates(ALICE).taker_rate_e8 == 40_000
    market.venue.advance(midnight + 13 * NS_PER_DAY)
    assert market.venue.fee_rates(ALICE).taker_rate_e8 == 40_000
    market.venue.advance(midnight + 14 * NS_PER_DAY)
    assert market.venue.fee_rates(ALICE).taker_rate_e8 == 45_000


@pytest.mark.parametrize(
    ("size", "oracle_px", "rate", "paid"),
    [
        (3_000, 399_680, 0.0000369155, -44_263),
        (-3_000, 399_680, 0.0000369155, 44_263),
        (4, 690_000, -0.0000079506, 21),
        (1, 1, 0.0000125, 0),
    ],
)
def test_funding_is_position_times_oracle_times_rate(size, oracle_px, rate, paid):
    assert funding_micro(size, oracle_px, rate_e10_from(rate)) == paid


def test_the_funding_rate_is_capped_at_four_per_cent():
    assert rate_e10_from(1.0) == RATE_E10 // 25
    assert rate_e10_from(-1.0) == -RATE_E10 // 25


def test_who_holds_at_the_hour_pays_once():
    market = Market()
    market.fund(ALICE, BOB)
    market.tick(rate=0.0001, oracle=100_000)
    market.venue.place(ALICE, [limit(True, 100_010, 0.1, Tif.IOC)])
    market.venue.place(BOB, [limit(False, 99_990, 0.2, Tif.IOC)])
    market.venue.drain()
    market.venue.advance(START_NS + NS_PER_HOUR - 1)
    assert market.outputs(FundingOutput) == []
    before = market.venue.account_summary(ALICE).total.raw_usd_micro
    market.venue.advance(START_NS + NS_PER_HOUR)
    rows = market.outputs(FundingOutput)
    assert [(row.owner, row.funding_micro) for row in rows] == [(ALICE, -USDC), (BOB, 2 * USDC)]
    assert market.venue.account_summary(ALICE).total.raw_usd_micro == before - USDC
    assert rows[0].ts_ns == START_NS + NS_PER_HOUR
    market.venue.advance(START_NS + NS_PER_HOUR + NS_PER_MIN)
    assert market.outputs(FundingOutput) == []
    market.venue.advance(START_NS + 3 * NS_PER_HOUR)
    assert len(market.outputs(FundingOutput)) == 4
    position = market.venue.account_summary(ALICE).positions[0]
    assert position.funding_since_open_micro == position.funding_all_time_micro == 3 * USDC
    market.venue.place(ALICE, [limit(True, 100_010, 0.1, Tif.IOC)])
    position = market.venue.account_summary(ALICE).positions[0]
    assert position.funding_since_change_micro == 0
    assert position.funding_since_open_micro == 3 * USDC
    assert len(market.venue.funding_history(ALICE)) == 3
    assert market.venue.conservation_error_micro() == 0


def test_funding_falls_due_before_a_later_tick_trades():
    market = Market()
    market.fund(ALICE, BOB)
    market.tick(rate=0.0001, oracle=100_000)
    market.venue.place(ALICE, [limit(True, 100_010, 0.1, Tif.IOC), limit(True, 99_990, 0.1)])
    market.venue.place(BOB, [limit(True, 99_980, 0.1)])
    trades = [(99_000, 9.0, False)]
    market.tick(trades=trades, oracle=90_000, mark=99_500, seconds=2 * 3600 + 1)
    paid = [row.funding_micro for row in market.venue.funding_history(ALICE)]
    assert paid == [-USDC, -USDC]
    assert market.venue.funding_history(BOB) == ()
    assert market.venue.account_summary(ALICE).positions[0].position_lots == lots("BTC", 0.2)


def test_an_isolated_position_pays_funding_from_its_own_margin():
    market = Market()
    market.fund(ALICE)
    market.tick("HYPE", bids=((39.9, 99.0),), asks=((40.0, 99.0),), rate=0.001, oracle=40.0)
    market.venue.update_leverage(ALICE, "HYPE", 5, False)
    market.venue.place(ALICE, [limit(True, 40.0, 10, Tif.IOC, coin="HYPE")])
    before = market.venue.account_summary(ALICE)
    market.venue.advance(START_NS + NS_PER_HOUR)
    after = market.venue.account_summary(ALICE)
    assert after.cross == before.cross
    assert after.positions[0].raw_usd_micro == before.positions[0].raw_usd_micro - 400_000


def test_directions_read_as_on_the_venue():
    assert direction_text(0, 5) == "Open Long"
    assert direction_text(-1, -5) == "Open Short"
    assert direction_text(5, -5) == "Close Long"
    assert direction_text(-5, 4) == "Close Short"
    assert direction_text(5, -6) == "Long > Short"
    assert direction_text(-5, 6) == "Short > Long"


Step = tuple[int, int]
STEPS = st.lists(
    st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 10**7)), min_size=1, max_size=25
)


@given(steps=STEPS, is_cross=st.booleans(), leverage=st.integers(1, 40), fee=st.integers(-5, 50))
def test_closed_pnl_is_exact_over_every_round_trip(steps: list[Step], is_cross, leverage, fee):
    account = Account(ALICE, VenueSettings(), {"BTC": LeverageSetting(leverage, is_cross)})
    closed = flow = held = 0
    for signed, price in steps:
        closed += account.apply_fill("BTC", lots_signed=signed, px=price, fee_micro=fee)
        flow -= signed * price
        held += signed
        assert account.lots("BTC") == held
        position = account.positions.get("BTC")
        open_cost = 0
        if position is not None:
            open_cost = position.cost_micro if position.lots > 0 else -position.cost_micro
        assert closed == flow + open_cost
    assert account.raw_usd_micro == flow - fee * len(steps)


def test_a_partial_close_takes_its_share_of_the_cost_rounded_down():
    account = Account(ALICE, VenueSettings(), {"BTC": LeverageSetting(10, True)})
    for signed, price in ((1, 4), (2, 3)):
        account.apply_fill("BTC", lots_signed=signed, px=price, fee_micro=0)
    closed = [account.apply_fill("BTC", lots_signed=-1, px=10, fee_micro=0) for _ in range(3)]
    assert closed == [10 - 3, 10 - 3, 10 - 4]


@given(steps=STEPS)
def test_the_entry_never_leaves_the_range_of_opening_prices(steps: list[Step]):
    account = Account(ALICE, VenueSettings(), {"BTC": LeverageSetting(10, True)})
    prices: list[int] = []
    for signed, price in steps:
        start = account.lots("BTC")
        account.apply_fill("BTC", lots_signed=signed, px=price, fee_micro=0)
        position = account.positions.get("BTC")
        if position is None:
            prices = []
            continue
        if start * position.lots <= 0:
            prices = []
        if start * signed >= 0 or start * position.lots < 0:
            prices.append(price)
        entry = position.cost_micro / abs(position.lots)
        assert min(prices) <= entry <= max(prices) + len(steps)


def test_transfers_and_withdrawals_leave_what_margin_needs():
    market = Market()
    market.fund(ALICE, usdc=1_000)
    market.tick()
    venue = market.venue
    assert venue.withdraw(CAROL, USDC) == (f"Must deposit before performing actions. User: {CAROL}")
    venue.place(ALICE, [limit(True, 100_010, 0.05, Tif.IOC)])
    free = venue.account_summary(ALICE).withdrawable_micro
    assert venue.withdraw(ALICE, free + 1) == "Insufficient balance for withdrawal"
    assert venue.transfer(ALICE, BOB, free + 1) == "Insufficient balance for withdrawal"
    assert venue.transfer(ALICE, ALICE, 1) == "Insufficient balance for withdrawal"
    assert venue.transfer(ALICE, BOB, 100 * USDC) is None
    assert venue.has_account(BOB)
    assert venue.withdraw(ALICE, free - 101 * USDC) is None
    assert venue.account_summary(ALICE).withdrawable_micro == 0
    kinds = [(row.kind, row.amount_micro, row.fee_micro) for row in venue.ledger(ALICE)]
    assert kinds == [
        ("deposit", 1_000 * USDC, 0),
        ("internalTransfer", -101 * USDC, USDC),
        ("withdraw", 101 * USDC - free, USDC),
    ]
    assert venue.conservation_error_micro() == 0
