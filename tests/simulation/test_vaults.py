"""Vaults: shares, locks, the leader's part, and money that is exact whatever is asked."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.codes import Tif
from core.model.time import NS_PER_DAY
from core.simulation.venue.outputs import LedgerOutput
from core.simulation.venue.records import VaultFollower, VenueRefusal
from tests.simulation.venue_kit import ALICE, BOB, CAROL, USDC, Market, limit

DAY = NS_PER_DAY // 10**9
ABOUT = "Holds what it buys."


@pytest.fixture
def market() -> Market:
    market = Market()
    market.fund(ALICE, BOB, CAROL)
    market.tick()
    return market


def opened(market: Market, usdc: int = 1_000) -> str:
    vault = market.venue.vaults.create(ALICE, "Steady", ABOUT, usdc * USDC)
    assert isinstance(vault, str)
    return vault


def part_of(market: Market, user: str) -> VaultFollower:
    return market.venue.vaults.of_user(user)[0][1]


def test_a_vault_opens_with_at_least_100_dollars_of_its_leader(market: Market):
    vaults = market.venue.vaults
    small = VenueRefusal("Vault needs an initial deposit of at least $100")
    assert vaults.create(ALICE, "Steady", ABOUT, 99 * USDC) == small
    short = VenueRefusal("Insufficient balance to create vault")
    assert vaults.create(ALICE, "Steady", ABOUT, 10_001 * USDC) == short
    vault = opened(market)
    assert market.venue.user_role(vault).role == "vault"
    assert market.venue.account_report(ALICE).cash_micro == 9_000 * USDC
    view = vaults.view(vault)
    assert view is not None and view.equity_micro == 1_000 * USDC and view.leader == ALICE
    assert market.venue.family.acting_account(ALICE, vault) == vault
    assert isinstance(market.venue.family.acting_account(BOB, vault), VenueRefusal)


def test_a_vault_has_a_name_of_its_own_and_a_description(market: Market):
    vaults, invalid = market.venue.vaults, VenueRefusal("Invalid vault request")
    for name, about in (("ab", ABOUT), ("a" * 51, ABOUT), ("abc", "x" * 9), ("abc", "x" * 251)):
        assert vaults.create(ALICE, name, about, 100 * USDC) == invalid
    opened(market)
    assert vaults.create(BOB, "Steady", ABOUT, 100 * USDC) == invalid
    assert isinstance(vaults.create(BOB, "abc", "x" * 250, 100 * USDC), str)


def test_a_deposit_buys_shares_at_equity_and_is_locked_for_a_day(market: Market):
    venue, vault = market.venue, opened(market)
    assert venue.vaults.deposit(BOB, vault, 500 * USDC) is None
    assert part_of(market, BOB).equity_micro == 500 * USDC
    assert venue.vaults.withdraw(BOB, vault, 100 * USDC) == "Vault deposit is locked"
    market.tick(seconds=DAY)
    assert venue.vaults.withdraw(BOB, vault, 100 * USDC) is None
    assert part_of(market, BOB).equity_micro == 400 * USDC
    assert venue.vaults.withdraw(BOB, vault, 401 * USDC) is not None


def test_the_leader_keeps_five_per_cent(market: Market):
    venue, vault = market.venue, opened(market, 100)
    assert venue.vaults.deposit(BOB, vault, 1_900 * USDC) is None
    text = "Vault leader must own at least 5% of the vault"
    assert venue.vaults.deposit(BOB, vault, 1 * USDC) == text
    market.tick(seconds=DAY)
    assert venue.vaults.withdraw(ALICE, vault, 1 * USDC) == text


def test_the_leader_takes_a_tenth_of_a_followers_profit(market: Market):
    venue, vault = market.venue, opened(market, 1_000)
    assert venue.vaults.deposit(BOB, vault, 1_000 * USDC) is None
    venue.fund(vault, 200 * USDC)
    market.tick(seconds=DAY)
    before = venue.account_report(ALICE).cash_micro
    assert venue.vaults.withdraw(BOB, vault, 1_100 * USDC) is None
    assert venue.account_report(ALICE).cash_micro - before == 10 * USDC
    assert venue.account_report(BOB).cash_micro == 9_000 * USDC + 1_090 * USDC
    kinds = [row.kind for row in venue.ledger(BOB)]
    assert kinds == ["deposit", "vaultDeposit", "vaultWithdraw"]
    last = venue.ledger(BOB)[-1].vault
    assert last is not None and last.commission_micro == 10 * USDC
    assert last.basis_micro == 1_000 * USDC


def levered(market: Market) -> str:
    """A vault of 2,000 dollars, half of them Bob's, with 8,000 dollars of BTC at 5x."""
    venue, vault = market.venue, opened(market, 1_000)
    assert venue.vaults.deposit(BOB, vault, 1_000 * USDC) is None
    assert venue.update_leverage(vault, "BTC", 5, is_cross=True) is None
    venue.place(vault, [limit(True, 100_010, 0.08, Tif.IOC)])
    assert venue.account_report(vault).positions[0].position_lots == 8_000
    market.tick(seconds=DAY)
    return vault


def test_a_withdrawal_that_leaves_margin_enough_touches_no_position(market: Market):
    venue, vault = market.venue, levered(market)
    assert venue.vaults.withdraw(BOB, vault, 100 * USDC) is None
    assert venue.account_report(vault).positions[0].position_lots == 8_000


def test_a_withdrawal_beyond_free_margin_closes_the_leaving_part_of_every_position(
    market: Market,
):
    venue, vault = market.venue, levered(market)
    (order,) = venue.place(vault, [limit(True, 90_000, 0.01)])
    view, equity_micro = venue.vaults.view(vault), part_of(market, BOB).equity_micro
    assert view is not None
    assert venue.vaults.withdraw(BOB, vault, 900 * USDC) is None
    closed = -(-8_000 * 900 * USDC // view.equity_micro)
    assert venue.account_report(vault).positions[0].position_lots == 8_000 - closed
    status = venue.order_status(vault, order.oid)
    assert status is not None and status.status == "vaultWithdrawalCanceled"
    last = venue.ledger(BOB)[-1].vault
    assert last is not None and last.closing_cost_micro > 0
    received = venue.account_report(BOB).cash_micro - 9_000 * USDC
    assert received == 900 * USDC - last.closing_cost_micro
    left = part_of(market, BOB).equity_micro
    assert left <= equity_micro - 900 * USDC
    assert venue.conservation_error_micro() == 0


def test_a_leader_may_have_positions_closed_for_every_leaver(market: Market):
    venue, vault = market.venue, levered(market)
    assert venue.vaults.configure(ALICE, vault, None, closes_on_withdraw=True) is None
    assert venue.vaults.withdraw(BOB, vault, 100 * USDC) is None
    assert 7_500 < venue.account_report(vault).positions[0].position_lots < 7_700


def test_a_withdrawal_the_market_does_not_allow_is_refused(market: Market):
    venue, vault = market.venue, levered(market)
    market.tick(bids=((99_990, 0.001),))
    assert venue.vaults.withdraw(BOB, vault, 900 * USDC) == "Insufficient balance for withdrawal"
    assert part_of(market, BOB).user == BOB
    assert venue.conservation_error_micro() == 0


def test_distribution_pays_by_shares(market: Market):
    venue, vault = market.venue, opened(market, 300)
    assert venue.vaults.deposit(BOB, vault, 700 * USDC) is None
    assert venue.vaults.distribute(BOB, vault, 100 * USDC) == f"Vault not registered: {vault}"
    assert venue.vaults.distribute(ALICE, vault, 100 * USDC) is None
    assert venue.account_report(BOB).cash_micro == 9_370 * USDC
    too_much = venue.vaults.distribute(ALICE, vault, 901 * USDC)
    assert too_much == "Insufficient balance for withdrawal"
    assert part_of(market, BOB).deposited_micro == 630 * USDC


def test_what_was_distributed_beyond_the_deposit_is_profit_when_the_depositor_leaves(
    market: Market,
):
    venue, vault = market.venue, opened(market, 1_000)
    assert venue.vaults.deposit(BOB, vault, 1_000 * USDC) is None
    venue.fund(vault, 2_000 * USDC)
    assert venue.vaults.distribute(ALICE, vault, 3_000 * USDC) is None
    assert venue.account_report(BOB).cash_micro == 10_500 * USDC
    assert part_of(market, BOB).deposited_micro == -500 * USDC
    market.tick(seconds=DAY)
    assert venue.vaults.withdraw(BOB, vault, 500 * USDC) is None
    assert venue.account_report(BOB).cash_micro == 10_900 * USDC


def test_closing_pays_everybody_out_and_ends_the_vault(market: Market):
    venue, vault = market.venue, opened(market, 500)
    assert venue.vaults.deposit(BOB, vault, 500 * USDC) is None
    venue.fund(vault, 100 * USDC)
    assert venue.vaults.distribute(ALICE, vault, 0) is None
    assert venue.account_report(vault).cash_micro == 0
    assert venue.account_report(BOB).cash_micro == 10_045 * USDC
    assert venue.account_report(ALICE).cash_micro == 10_055 * USDC
    view = venue.vaults.view(vault)
    assert view is not None and view.is_closed and view.followers == ()
    assert venue.vaults.deposit(BOB, vault, 10 * USDC) == "Vault does not accept deposits"
    assert venue.vaults.withdraw(BOB, vault, 10 * USDC) == "Insufficient balance for withdrawal"
    assert venue.vaults.distribute(ALICE, vault, 0) is None
    assert venue.conservation_error_micro() == 0


def test_a_vault_with_a_position_cannot_be_closed(market: Market):
    venue, vault = market.venue, opened(market, 1_000)
    venue.place(vault, [limit(True, 100_010, 0.01, Tif.IOC)])
    assert "no positions" in (venue.vaults.distribute(ALICE, vault, 0) or "")
    view = venue.vaults.view(vault)
    assert view is not None and not view.is_closed


def test_a_vault_that_owes_more_than_it_has_takes_and_pays_nothing(market: Market):
    venue, vault = market.venue, levered(market)
    venue._state.accounts[vault].cash_micro -= 3_000 * USDC
    assert venue.vaults.deposit(CAROL, vault, 10 * USDC) == "Invalid vault request"
    assert venue.vaults.withdraw(BOB, vault, 1) == "Insufficient balance for withdrawal"


def equities(market: Market, vault: str) -> dict[str, int]:
    view = market.venue.vaults.view(vault)
    assert view is not None
    return {part.user: part.equity_micro for part in view.followers}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["deposit", "withdraw", "distribute", "configure", "close", "gain", "trade", "move"]
        ),
        st.sampled_from([ALICE, BOB, CAROL]),
        st.integers(1, 700_000_000),
    ),
    max_size=25,
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_no_cent_is_made_or_lost_whatever_is_asked(steps: list[Any]):
    market = Market()
    market.fund(ALICE, BOB, CAROL)
    market.tick()
    venue, vault = market.venue, opened(market)
    rows: list[LedgerOutput] = []
    for what, user, amount in steps:
        if what in ("deposit", "withdraw"):
            before = equities(market, vault)
            getattr(venue.vaults, what)(user, vault, amount)
            after = equities(market, vault)
            assert all(after[other] >= before[other] for other in before if other != user)
        elif what == "distribute":
            venue.vaults.distribute(ALICE, vault, amount)
        elif what == "configure":
            venue.vaults.configure(ALICE, vault, None, closes_on_withdraw=amount % 2 == 0)
        elif what == "close":
            venue.vaults.distribute(ALICE, vault, 0)
        elif what == "gain":
            venue.fund(vault, amount)
        elif what == "trade":
            venue.place(vault, [limit(amount % 2 == 0, 100_000, amount % 50 / 100, Tif.GTC)])
            venue.place(vault, [limit(amount % 2 == 0, 100_010, amount % 50 / 100, Tif.IOC)])
        else:
            market.tick(seconds=amount % (2 * DAY))
        assert venue.conservation_error_micro() == 0
        view = venue.vaults.view(vault)
        assert view is not None
        assert sum(f.equity_micro for f in view.followers) <= view.equity_micro
        rows += [o for o in venue.drain() if isinstance(o, LedgerOutput)]
    assert sum(row.amount_micro for row in rows if row.kind.startswith("vault")) == 0
