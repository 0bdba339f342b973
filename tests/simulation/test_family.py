"""Sub-accounts: their gate, their money, who may act for them, and their common fee tier."""

from __future__ import annotations

import pytest

from core.model.codes import Tif
from core.model.time import NS_PER_DAY
from core.simulation.venue.outputs import UserRole
from core.simulation.venue.records import VenueRefusal
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import ALICE, BOB, USDC, Market, limit


@pytest.fixture
def market() -> Market:
    market = Market(VenueSettings(sub_account_volume_micro=0, sub_accounts_base=2))
    market.fund(ALICE, BOB)
    market.tick()
    return market


def opened(market: Market, name: str = "wing") -> str:
    sub = market.venue.family.create_sub_account(ALICE, name)
    assert isinstance(sub, str)
    return sub


def test_the_gate_names_what_is_required_and_traded():
    market = Market()
    market.fund(ALICE, usdc=100_000)
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.5, Tif.IOC)])
    refusal = market.venue.family.create_sub_account(ALICE, "wing")
    assert refusal == VenueRefusal(
        "Cannot create sub-accounts until enough volume traded. "
        "Required: $100000. Traded: $50005.00."
    )
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.5, Tif.IOC)])
    assert isinstance(market.venue.family.create_sub_account(ALICE, "wing"), str)


def test_a_sub_account_is_an_account_with_a_master(market: Market):
    venue, sub = market.venue, opened(market)
    assert venue.user_role(sub) == UserRole(role="subAccount", master=ALICE)
    assert [(r.name, r.address) for r in venue.family.sub_accounts(ALICE)] == [("wing", sub)]
    assert venue.family.rename(ALICE, sub, "tail") is None
    assert venue.family.sub_accounts(ALICE)[0].name == "tail"
    assert venue.family.rename(BOB, sub, "mine") == f"Sub-account {sub} is not registered to {BOB}"
    assert venue.family.acting_account(ALICE, sub) == sub
    assert venue.family.acting_account(BOB, sub) == VenueRefusal(f"Vault not registered: {sub}")


def test_names_and_numbers_are_limited(market: Market):
    family = market.venue.family
    assert isinstance(family.create_sub_account(ALICE, ""), VenueRefusal)
    assert isinstance(family.create_sub_account(ALICE, "x" * 17), VenueRefusal)
    first, second = opened(market, "a"), opened(market, "b")
    assert first != second
    assert family.create_sub_account(ALICE, "c") == VenueRefusal("Too many sub-accounts.")
    assert isinstance(family.create_sub_account(first, "d"), VenueRefusal)


def test_volume_earns_more_sub_accounts_up_to_a_cap():
    market = Market(
        VenueSettings(
            sub_account_volume_micro=0,
            sub_accounts_base=1,
            sub_accounts_max=3,
            sub_account_step_micro=1_000 * USDC,
        )
    )
    market.fund(ALICE)
    market.tick()
    opened(market, "a")
    too_many = VenueRefusal("Too many sub-accounts.")
    assert market.venue.family.create_sub_account(ALICE, "b") == too_many
    market.venue.place(ALICE, [limit(True, 100_010, 0.01, Tif.IOC)])
    opened(market, "b")
    assert market.venue.family.create_sub_account(ALICE, "c") == too_many
    market.tick()
    market.venue.place(ALICE, [limit(True, 100_010, 0.03, Tif.IOC)])
    opened(market, "c")
    assert market.venue.family.create_sub_account(ALICE, "d") == too_many


def test_master_and_sub_account_trade_with_each_other_but_not_with_themselves(market: Market):
    venue, sub = market.venue, opened(market)
    assert venue.transfers.sub_transfer(ALICE, sub, 5_000 * USDC, is_deposit=True) is None
    venue.place(sub, [limit(False, 100_005, 0.01)])
    (answer,) = venue.place(ALICE, [limit(True, 100_005, 0.01, Tif.IOC)])
    assert answer.kind == "filled"
    assert venue.account_report(sub).positions[0].position_lots == -1_000
    assert venue.conservation_error_micro() == 0


def test_a_family_has_one_fee_tier(market: Market):
    venue, sub = market.venue, opened(market)
    assert venue.transfers.sub_transfer(ALICE, sub, 9_000 * USDC, is_deposit=True) is None
    state = venue._state
    state.accounts[sub].daily_volume[market.now_ns // NS_PER_DAY] = (6_000_000 * USDC, 0)
    market.tick(seconds=86_400)
    assert venue.fee_rates(ALICE).taker_rate_e8 == 40_000
    assert venue.fee_rates(sub).taker_rate_e8 == 40_000
    assert venue.fee_rates(BOB).taker_rate_e8 == 45_000


def test_agents_may_be_more_with_sub_accounts(market: Market):
    venue = market.venue
    for n in range(3):
        assert venue.approve_agent(ALICE, f"0x{n:040x}".replace("0x0", "0xa"), f"a{n}") is None
    fourth = "0x" + "b" * 40
    assert venue.approve_agent(ALICE, fourth, "a3") is not None
    opened(market)
    assert venue.approve_agent(ALICE, fourth, "a3") is None
