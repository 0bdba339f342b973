"""Dead-man switch, request budget, nonces and agents: each rule with the venue's words."""

from __future__ import annotations

import pytest

from core.model.codes import Tif
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_S
from core.simulation.venue.outputs import UserRole, VenueStatus
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import ALICE, BOB, CAROL, START_NS, USDC, Market, limit

ZERO = "0x" + "00" * 20


def address(n: int) -> str:
    return f"0x{n:040x}"


@pytest.fixture
def market() -> Market:
    market = Market(VenueSettings(schedule_cancels_per_day=2))
    market.fund(ALICE, usdc=1_000_000)
    market.tick(bids=((99_990, 50.0),), asks=((100_010, 50.0),))
    return market


def trade_a_million(market: Market) -> None:
    market.venue.place(ALICE, [limit(True, 100_010, 5, Tif.IOC)])
    market.venue.place(ALICE, [limit(False, 99_990, 5, Tif.IOC)])


def test_the_dead_man_switch_needs_a_million_of_volume(market):
    market.venue.place(ALICE, [limit(True, 100_010, 0.12066, Tif.IOC)])
    assert market.venue.schedule_cancel(ALICE, None) == (
        "Cannot set scheduled cancel time until enough volume traded. "
        "Required: $1000000. Traded: $12067.20."
    )


def test_the_dead_man_switch_cancels_everything_when_it_is_due(market):
    trade_a_million(market)
    venue = market.venue
    early = "Scheduled cancel time too early, must be at least 5 seconds from now."
    assert venue.schedule_cancel(ALICE, market.now_ns + 5 * NS_PER_S - 1) == early
    due_ns = market.now_ns + 10 * NS_PER_S
    assert venue.schedule_cancel(ALICE, market.now_ns + 5 * NS_PER_S) is None
    assert venue.schedule_cancel(ALICE, due_ns) is None
    (answer,) = venue.place(ALICE, [limit(True, 90_000, 0.1)])
    venue.advance(due_ns - 1)
    assert len(venue.open_orders(ALICE)) == 1
    venue.advance(due_ns + NS_PER_HOUR)
    state = venue.order_status(ALICE, answer.oid)
    assert state is not None
    assert (state.status, state.status_ns) == (VenueStatus.SCHEDULED_CANCEL, due_ns)


def test_the_dead_man_switch_may_be_cleared_and_fires_so_often_a_day(market):
    trade_a_million(market)
    venue = market.venue
    venue.place(ALICE, [limit(True, 90_000, 0.1)])
    assert venue.schedule_cancel(ALICE, venue.now_ns + 6 * NS_PER_S) is None
    assert venue.schedule_cancel(ALICE, None) is None
    venue.advance(venue.now_ns + NS_PER_HOUR)
    assert len(venue.open_orders(ALICE)) == 1
    for _ in range(2):
        assert venue.schedule_cancel(ALICE, venue.now_ns + 6 * NS_PER_S) is None
        venue.advance(venue.now_ns + 6 * NS_PER_S)
    assert venue.schedule_cancel(ALICE, venue.now_ns + 6 * NS_PER_S) == (
        "Too many scheduled cancels triggered for the day. Limit is 2"
    )
    venue.advance(venue.now_ns + NS_PER_DAY)
    assert venue.schedule_cancel(ALICE, venue.now_ns + 6 * NS_PER_S) is None


def test_the_request_budget_grows_with_volume_and_cancels_have_more():
    market = Market(VenueSettings(requests_base=10))
    market.fund(ALICE)
    market.tick()
    venue = market.venue
    assert venue.use_requests(ALICE, 10) is None
    assert venue.use_requests(ALICE, 2) == (
        "Too many cumulative requests sent (12 > 10) for cumulative volume traded $0.00. "
        "Place taker orders to free up 1 request per USDC traded."
    )
    assert venue.use_requests(ALICE, 10, is_cancel=True) is None
    assert venue.use_requests(ALICE, 2, is_cancel=True) is not None
    venue.place(ALICE, [limit(True, 100_010, 0.001, Tif.IOC)])
    assert venue.use_requests(ALICE, 1) is None
    budget = venue.rate_budget(ALICE)
    assert (budget.requests_used, budget.requests_cap) == (21, 110)


def test_on_a_spent_budget_one_request_each_ten_seconds_still_passes():
    market = Market(VenueSettings(requests_base=1))
    market.fund(ALICE)
    venue = market.venue
    assert venue.use_requests(ALICE, 1) is None
    assert venue.use_requests(ALICE, 1) is None
    assert venue.use_requests(ALICE, 1) is not None
    market.tick(seconds=10)
    assert venue.use_requests(ALICE, 1) is None
    assert venue.use_requests(ALICE, 1) is not None


def test_requests_can_be_bought(market):
    venue = market.venue
    before_micro = venue.account_report(ALICE).cash_micro
    before = venue.rate_budget(ALICE).requests_cap
    assert venue.reserve_requests(ALICE, 2_000) is None
    assert venue.rate_budget(ALICE).requests_cap == before + 2_000
    assert venue.account_report(ALICE).cash_micro == before_micro - 1 * USDC
    assert venue.reserve_requests(ALICE, 10**10) == "Insufficient balance for withdrawal"
    assert venue.conservation_error_micro() == 0


def test_a_nonce_is_new_recent_and_used_once(market):
    use = market.venue.use_nonce
    now_ms = market.venue.now_ns // NS_PER_MS
    assert use(ALICE, now_ms) is None
    assert use(ALICE, now_ms) == f"Invalid nonce: duplicate nonce {now_ms}"
    assert use(BOB, now_ms) is None
    low, high = now_ms - 2 * 86_400_000, now_ms + 86_400_000
    assert use(ALICE, low) == f"Invalid nonce: nonce too low {low} < {low}"
    assert use(ALICE, high) == f"Invalid nonce: nonce too high {high} > {high}"
    assert use(ALICE, low + 1) is None


def test_only_the_hundred_highest_nonces_are_kept(market):
    use = market.venue.use_nonce
    first = market.venue.now_ns // NS_PER_MS
    for nonce in range(first, first + 100):
        assert use(ALICE, nonce) is None
    assert use(ALICE, first - 1) == f"Invalid nonce: nonce too low {first - 1} < {first}"
    assert use(ALICE, first + 200) is None
    assert use(ALICE, first) == f"Invalid nonce: nonce too low {first} < {first + 1}"
    assert use(ALICE, first + 150) is None


def test_an_agent_signs_for_its_master_until_it_is_replaced_or_removed(market):
    venue = market.venue
    assert venue.resolve_signer(ALICE) == ALICE
    assert venue.resolve_signer(address(1)) is None
    assert venue.unknown_signer_text(address(1)) == (
        f"User or API Wallet {address(1)} does not exist."
    )
    assert venue.approve_agent(ALICE, address(1), "bot") is None
    assert venue.resolve_signer(address(1)) == ALICE
    assert venue.user_role(address(1)) == UserRole(role="agent", master=ALICE)
    assert venue.approve_agent(ALICE, address(2), "bot") is None
    assert venue.resolve_signer(address(1)) is None
    assert venue.unknown_signer_text(address(1)) == (
        f"Must deposit before performing actions. User: {ALICE}"
    )
    assert venue.approve_agent(ALICE, address(1), "other") == "Extra agent already used."
    assert venue.approve_agent(ALICE, ZERO, "bot") is None
    assert venue.resolve_signer(address(2)) is None
    assert venue.unknown_signer_text(address(2)) == (
        f"User or API Wallet {address(2)} does not exist."
    )
    assert venue.approve_agent(ALICE, address(3), "bot") == "User has pending agent removal"
    venue.advance(venue.now_ns + 5 * NS_PER_S)
    assert venue.approve_agent(ALICE, address(3), "bot") is None
    assert venue.user_role(ALICE).role == "user"
    assert venue.user_role(CAROL).role == "missing"


def test_agents_are_limited_named_and_expire(market):
    venue = market.venue
    assert venue.approve_agent(CAROL, address(1)) == (
        f"Must deposit before performing actions. User: {CAROL}"
    )
    assert venue.approve_agent(ALICE, ALICE) == "Extra agent already used."
    assert venue.approve_agent(ALICE, address(1)) is None
    for n in (2, 3, 4):
        assert venue.approve_agent(ALICE, address(n), f"bot{n}") is None
    assert venue.approve_agent(ALICE, address(5), "bot5") == (
        "Too many extra agents for cumulative volume traded. Current limit is 3"
    )
    assert [row.name for row in venue.agents(ALICE)] == ["bot2", "bot3", "bot4"]
    soon = venue.now_ns // NS_PER_MS + 1_000
    assert venue.approve_agent(ALICE, address(6), f"bot2 valid_until {soon}") is None
    assert venue.approve_agent(ALICE, address(7), f"bot3 valid_until {soon - 2_000}") == (
        "Agent valid_until already expired."
    )
    far = venue.now_ns + 181 * NS_PER_DAY
    assert venue.approve_agent(ALICE, address(7), "bot3", far) == (
        "Agent valid_until already expired."
    )
    assert "16 characters" in (venue.approve_agent(ALICE, address(7), "b" * 17) or "")
    assert venue.resolve_signer(address(6)) == ALICE
    venue.advance(soon * NS_PER_MS)
    assert venue.resolve_signer(address(6)) is None
    venue.advance(venue.now_ns + 91 * NS_PER_DAY)
    assert venue.resolve_signer(address(1)) is None


def test_time_never_runs_backwards(market):
    venue = market.venue
    venue.advance(START_NS + NS_PER_HOUR)
    venue.advance(START_NS)
    assert venue.now_ns == START_NS + NS_PER_HOUR
    market.tick(bids=((50_000, 1.0),), asks=((50_010, 1.0),))
    assert venue.now_ns == START_NS + NS_PER_HOUR
    assert venue.mark_px("BTC") == 500_050
