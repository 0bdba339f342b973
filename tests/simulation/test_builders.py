"""Builders and referrers: approvals, fees on top, rewards to claim, the discount."""

from __future__ import annotations

import msgspec
import pytest

from core.model.codes import Tif
from core.model.instrument import micro_from_text
from core.simulation.venue.builders import APPROVALS_MAX
from core.simulation.venue.outputs import FillOutput
from core.simulation.venue.records import BuilderFee, Referral
from tests.simulation.venue_kit import ALICE, BOB, CAROL, USDC, Market, limit


@pytest.fixture
def market() -> Market:
    market = Market()
    market.fund(ALICE, BOB)
    market.tick()
    return market


def with_builder(order, tenths: int):
    return msgspec.structs.replace(order, builder=BuilderFee(BOB, tenths))


def test_a_builder_is_approved_up_to_a_rate_and_needs_100_dollars(market: Market):
    builders = market.venue.builders
    assert builders.approve(ALICE, CAROL, 10) == (
        "Builder has insufficient balance to be approved."
    )
    assert builders.approve(ALICE, BOB, 10) is None
    assert (builders.limit(ALICE, BOB), builders.approved(ALICE)) == (10, (BOB,))
    unapproved = "Builder fee has not been approved."
    assert builders.refusal(ALICE, BuilderFee(BOB, 10), is_spot=False) is None
    assert builders.refusal(ALICE, BuilderFee(BOB, 11), is_spot=False) == unapproved
    assert builders.refusal(BOB, BuilderFee(BOB, 1), is_spot=False) == unapproved
    assert builders.approve(ALICE, BOB, 0) is None
    assert builders.approved(ALICE) == ()


def test_rates_above_the_venues_limits_are_refused(market: Market):
    builders = market.venue.builders
    assert builders.approve(ALICE, BOB, 1_001) is not None
    assert builders.approve(ALICE, BOB, 1_000) is None
    assert builders.refusal(ALICE, BuilderFee(BOB, 101), is_spot=False) is not None
    assert builders.refusal(ALICE, BuilderFee(BOB, 1_000), is_spot=True) is None


def test_approvals_are_limited(market: Market):
    addresses = [f"0x{n:02x}" + "e" * 38 for n in range(APPROVALS_MAX + 1)]
    market.fund(*addresses, usdc=200)
    answers = [market.venue.builders.approve(ALICE, a, 5) for a in addresses]
    assert answers[:-1] == [None] * APPROVALS_MAX and answers[-1] is not None


def test_the_fee_comes_on_top_and_waits_to_be_claimed(market: Market):
    venue = market.venue
    venue.place(ALICE, [with_builder(limit(True, 100_010, 0.01, Tif.IOC), 10)])
    (output,) = [o for o in venue.drain() if isinstance(o, FillOutput)]
    assert output.builder_fee_micro == micro_from_text("0.10001")
    assert output.fill.fee_micro == micro_from_text("0.450045") + output.builder_fee_micro
    assert venue.conservation_error_micro() == 0
    assert venue.builders.earned_micro(BOB) == output.builder_fee_micro
    assert venue.builders.claim(BOB) is None
    assert venue.account_report(BOB).cash_micro == 10_000 * USDC + output.builder_fee_micro
    assert venue.builders.claim(BOB) == "No rewards to claim"
    assert venue.conservation_error_micro() == 0


def test_a_resting_order_pays_its_builder_when_it_fills(market: Market):
    venue = market.venue
    venue.place(ALICE, [with_builder(limit(True, 100_000, 0.01), 100)])
    market.tick(asks=((99_995, 1.0),), bids=((99_985, 1.0),))
    (fill,) = venue.fills(ALICE)
    assert fill.builder_fee_micro == micro_from_text("1")
    assert fill.fill.is_maker


def test_a_code_gives_its_user_four_per_cent_off(market: Market):
    venue = market.venue
    referrals = venue.referrals
    assert referrals.set_referrer(ALICE, "BOBBY") == "Referral code not registered"
    assert "enough volume" in (referrals.register(BOB, "BOBBY") or "")
    venue.place(BOB, [limit(True, 100_010, 0.1, Tif.IOC)])
    assert referrals.register(BOB, "BOBBY") is None
    assert referrals.register(BOB, "AGAIN") == "Referral code already registered"
    assert referrals.set_referrer(BOB, "BOBBY") is not None
    assert referrals.set_referrer(ALICE, "BOBBY") is None
    assert referrals.set_referrer(ALICE, "BOBBY") == "Referrer already set"
    assert referrals.view(ALICE) == Referral(referrer=BOB, referrer_code="BOBBY")
    assert referrals.view(BOB).referred == (ALICE,)
    market.tick()
    venue.drain()
    venue.place(ALICE, [limit(True, 100_010, 0.01, Tif.IOC)])
    (output,) = [o for o in venue.drain() if isinstance(o, FillOutput)]
    assert output.fill.fee_micro == micro_from_text("0.432043")
    assert venue.conservation_error_micro() == 0
