"""What an account sets besides orders, on the wire: leverage, margin, switch, requests, modes."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.venue.settings import VenueSettings
from tests.simulation.venue_kit import CRCL, USDC
from tests.simulation_server.desk_kit import (
    AGENT,
    MASTER,
    NOBODY,
    OK,
    OTHER,
    Desk,
    error,
    order,
    place,
    statuses,
)

STAKING = "Staking is not simulated by this venue."
STANDARD_ONLY = "Only the standard account mode is simulated by this venue."


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.tick()
    desk.tick("139.9", "140.1", coin="CRCL", size="1000")
    desk.fund(MASTER, OTHER)
    return desk


def test_an_asset_that_is_not_listed_is_refused_everywhere(desk: Desk) -> None:
    for action in (
        {"type": "updateLeverage", "asset": 99, "isCross": True, "leverage": 2},
        {"type": "updateIsolatedMargin", "asset": 99, "isBuy": True, "ntli": 1},
        {"type": "topUpIsolatedOnlyMargin", "asset": 99, "leverage": "2"},
    ):
        assert desk.act(action) == error("Unknown asset asset=99")


def test_an_isolated_market_is_never_cross(desk: Desk) -> None:
    action = {"type": "updateLeverage", "asset": CRCL.asset, "isCross": True, "leverage": 2}
    assert desk.act(action) == error("Cross margin is not allowed for this asset.")
    assert desk.act({**action, "isCross": False}) == OK
    assert desk.act({**action, "isCross": False, "leverage": 4}) == error("Invalid leverage value")


def test_isolated_margin_is_moved_and_topped_up(desk: Desk) -> None:
    margin = {"type": "updateIsolatedMargin", "asset": CRCL.asset, "isBuy": True, "ntli": 5 * USDC}
    assert desk.act(margin) == error("Position does not use isolated margin.")
    statuses(desk.act(place(order("140.1", "1", tif="Ioc", asset=CRCL.asset))))
    before = desk.venue.account_summary(MASTER.address).positions[0].margin_used_micro
    assert desk.act(margin) == OK
    after = desk.venue.account_summary(MASTER.address).positions[0].margin_used_micro
    assert after == before + 5 * USDC
    top_up = {"type": "topUpIsolatedOnlyMargin", "asset": CRCL.asset, "leverage": "2"}
    assert desk.act(top_up) == OK
    row = desk.venue.account_summary(MASTER.address).positions[0]
    assert row.margin_used_micro == 70 * USDC == row.value_micro // 2
    assert desk.venue.conservation_error_micro() == 0


def test_the_dead_man_switch_is_set_and_cleared() -> None:
    desk = Desk(VenueSettings(schedule_cancel_volume_micro=0))
    desk.tick()
    desk.fund(MASTER)
    now_ms = desk.venue.now_ns // NS_PER_MS
    early = desk.act({"type": "scheduleCancel", "time": now_ms + 4_999})
    assert early == error("Scheduled cancel time too early, must be at least 5 seconds from now.")
    assert desk.act({"type": "scheduleCancel", "time": now_ms + 6_000}) == OK
    assert desk.act({"type": "scheduleCancel"}) == OK
    statuses(desk.act(place(order())))
    desk.venue.advance(desk.venue.now_ns + 60 * NS_PER_S)
    assert len(desk.venue.open_orders(MASTER.address)) == 1


def test_requests_are_bought_for_oneself_or_another(desk: Desk) -> None:
    cap = desk.venue.rate_budget(MASTER.address).requests_cap
    assert desk.act({"type": "reserveRequestWeight", "weight": 1_000}) == OK
    assert desk.venue.rate_budget(MASTER.address).requests_cap == cap + 1_000
    gift = {"type": "reserveRequestWeight", "weight": 500, "destination": OTHER.address}
    assert desk.act(gift) == OK
    assert desk.venue.rate_budget(MASTER.address).requests_cap == cap + 1_000
    assert desk.venue.rate_budget(OTHER.address).requests_cap == cap + 500
    assert desk.venue.account_report(MASTER.address).cash_micro == 9_999_250_000
    lost = desk.act({**gift, "destination": NOBODY.address})
    text = f"Must deposit before performing actions. User: {NOBODY.address}"
    assert lost == error(text)
    assert desk.act({**gift, "weight": 0}) == error("Insufficient balance for withdrawal")


def test_a_noop_burns_the_nonce_of_an_action_in_flight(desk: Desk) -> None:
    nonce = desk.nonce()
    assert desk.act({"type": "noop"}, nonce=nonce) == OK
    late = desk.act(place(order()), nonce=nonce)
    assert late == error(f"Invalid nonce: duplicate nonce {nonce}")


@pytest.mark.parametrize(
    ("action", "answer"),
    [
        ({"type": "evmUserModify", "usingBigBlocks": True}, OK),
        ({"type": "spotUser", "toggleSpotDusting": {"optOut": True}}, OK),
        ({"type": "setDisplayName", "displayName": "a" * 20}, OK),
        ({"type": "setDisplayName", "displayName": "a" * 21}, error("Invalid display name")),
        ({"type": "agentSetAbstraction", "abstraction": "i"}, OK),
        ({"type": "agentSetAbstraction", "abstraction": "u"}, error(STANDARD_ONLY)),
        ({"type": "agentEnableDexAbstraction"}, error(STANDARD_ONLY)),
        (
            {"type": "gossipPriorityBid", "slotId": 0, "ip": "1.2.3.4", "maxGas": 1},
            error("Action gossipPriorityBid is not simulated by this venue."),
        ),
    ],
)
def test_what_changes_nothing_is_taken_and_what_cannot_be_is_refused(
    desk: Desk, action: Any, answer: Any
) -> None:
    assert desk.act(action) == answer


@pytest.mark.parametrize(
    ("kind", "fields", "answer"),
    [
        ("userSetAbstraction", {"user": "", "abstraction": "disabled"}, OK),
        ("userSetAbstraction", {"user": "", "abstraction": "unifiedAccount"}, STANDARD_ONLY),
        ("userDexAbstraction", {"user": "", "enabled": False}, OK),
        ("userDexAbstraction", {"user": "", "enabled": True}, STANDARD_ONLY),
        ("userPortfolioMargin", {"user": "", "enabled": True}, STANDARD_ONLY),
        ("tokenDelegate", {"validator": "", "wei": 1, "isUndelegate": False}, STAKING),
        ("cDeposit", {"wei": 1}, STAKING),
        ("cWithdraw", {"wei": 1}, STAKING),
        ("linkStakingUser", {"user": "", "isFinalize": False}, STAKING),
    ],
)
def test_modes_and_staking_are_answered_clearly(
    desk: Desk, kind: str, fields: dict[str, Any], answer: Any
) -> None:
    named = {k: MASTER.address if v == "" else v for k, v in fields.items()}
    expected = error(answer) if isinstance(answer, str) else answer
    assert desk.act_as_user(kind, **named) == expected


def test_an_agent_may_not_sign_what_its_master_must(desk: Desk) -> None:
    assert desk.act_as_user("approveAgent", agentAddress=AGENT.address, agentName=None) == OK
    refused = desk.act_as_user("cDeposit", AGENT, wei=1)
    text = f"Must deposit before performing actions. User: {AGENT.address}"
    assert refused == error(text)


def test_a_spent_budget_lets_one_request_through_each_ten_seconds() -> None:
    desk = Desk(VenueSettings(requests_base=1))
    desk.tick()
    desk.fund(MASTER)
    statuses(desk.act(place(order())))
    statuses(desk.act(place(order("98000"))))
    refused = desk.act(place(order("97000")))
    assert refused["response"].startswith("Too many cumulative requests sent (3 > 1)")
    desk.venue.advance(desk.venue.now_ns + 10 * NS_PER_S)
    statuses(desk.act(place(order("97000"))))
    assert len(desk.venue.open_orders(MASTER.address)) == 3
