"""Queries of accounts: fills and their paging, ledger, family, vaults, fees, value over time."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.model.codes import Tif
from core.model.time import NS_PER_MIN, NS_PER_S
from core.simulation.venue.outputs import OrderRequest
from core.simulation.venue.records import TwapRequest
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.requests import RequestError
from tests.simulation_server.shape_story import NOBODY, OTHER, SPOT, SPOT_ASSET, USER, Story
from tests.simulation_server.venue import AGENT

RICH = OTHER.address


@pytest.fixture
def story() -> Story:
    told = Story(VenueSettings(sub_account_volume_micro=0))
    told.fund(USER, 10_000)
    return told


def trade(story: Story, owner: str, lots: int, *, is_buy: bool, tif: Tif = Tif.IOC) -> None:
    """Trade BTC at the market, without a signature."""
    px = 1_001_000 if is_buy else 999_000
    request = OrderRequest(coin="BTC", is_buy=is_buy, px=px, lots=lots, tif=tif)
    (answer,) = story.exchange.place(owner, [request])
    assert answer.lots == lots, answer
    story.tell()


# --- fills --------------------------------------------------------------------------------------


def sweep(story: Story) -> None:
    """Buy through three levels at once, then a little more."""
    story.fund(RICH, 100_000_000)
    trade(story, RICH, 25_000_000, is_buy=True)
    story.tick("BTC")
    trade(story, RICH, 1_000, is_buy=True)


def test_partial_fills_of_one_order_join_on_request(story: Story) -> None:
    sweep(story)
    apart = story.ask("userFills", user=RICH)
    joined = story.ask("userFills", user=RICH, aggregateByTime=True)
    assert (len(apart), len(joined)) == (4, 2)
    whole = joined[-1]
    assert Decimal(whole["sz"]) == sum(Decimal(row["sz"]) for row in apart[1:])
    assert Decimal(whole["fee"]) == sum(Decimal(row["fee"]) for row in apart[1:])
    by_time = story.ask("userFillsByTime", user=RICH, startTime=0, aggregateByTime=True)
    assert by_time == joined[::-1]


def test_fills_by_time_run_forwards_unless_reversed(story: Story) -> None:
    sweep(story)
    rows = story.ask("userFillsByTime", user=RICH, startTime=0)
    back = story.ask("userFillsByTime", user=RICH, startTime=0, reversed=True)
    assert rows == back[::-1]
    assert rows[0]["time"] < rows[-1]["time"]


def test_fills_are_paged_by_time(story: Story) -> None:
    story.fund(RICH, 1_000_000)
    for n in range(2_100):
        trade(story, RICH, 1_000, is_buy=n % 2 == 0)
        if n % 300 == 299:
            story.tick("BTC")
    newest = story.ask("userFills", user=RICH)
    assert len(newest) == 2_000
    page = story.ask("userFillsByTime", user=RICH, startTime=0)
    assert len(page) == 2_000
    rest = story.ask("userFillsByTime", user=RICH, startTime=page[-1]["time"])
    tids = {row["tid"] for row in page} | {row["tid"] for row in rest}
    assert len(tids) == 2_100
    assert newest[0]["tid"] == rest[-1]["tid"]


def test_twap_slices_are_fills_that_name_their_order(story: Story) -> None:
    request = TwapRequest(
        coin="BTC", is_buy=True, lots=2_000, reduce_only=False, minutes=5, is_randomized=False
    )
    twap_id = story.exchange.twaps.place(USER, request)
    for _ in range(12):
        story.now_ns += 30 * NS_PER_S
        story.tick("BTC")
    history = story.ask("twapHistory", user=USER)
    assert [row["status"]["status"] for row in history] == ["finished", "activated"]
    assert history[0]["time"] < 10**10
    slices = story.ask("userTwapSliceFills", user=USER)
    assert {row["twapId"] for row in slices} == {twap_id}
    assert sum(Decimal(row["fill"]["sz"]) for row in slices) == Decimal("0.02")
    by_time = story.ask("userTwapSliceFillsByTime", user=USER, startTime=0)
    assert by_time == slices[::-1]
    assert {row["twapId"] for row in story.ask("userFills", user=USER)} == {twap_id}


# --- ledger -------------------------------------------------------------------------------------


def test_a_liquidation_is_one_row_of_the_ledger(story: Story) -> None:
    story.fund(RICH, 270)
    story.exchange.update_leverage(RICH, "BTC", 40, True)
    trade(story, RICH, 10_000, is_buy=True)
    ledger = story.listen("userNonFundingLedgerUpdates", user=RICH)
    for _ in range(3):
        story.tick("BTC", "97900", "97901")
    rows = story.ask("userNonFundingLedgerUpdates", user=RICH, startTime=0)
    kinds = [row["delta"]["type"] for row in rows]
    assert kinds == ["deposit", "liquidation"]
    delta = rows[1]["delta"]
    assert delta["liquidatedPositions"] == [{"coin": "BTC", "szi": "0.1"}]
    assert delta["leverageType"] == "Cross"
    told = [row for m in ledger.messages for row in m["data"]["nonFundingLedgerUpdates"]]
    assert told == rows
    late = rows[1]["time"] + 1
    assert story.ask("userNonFundingLedgerUpdates", user=RICH, startTime=late) == []


def test_open_orders_run_from_the_newest(story: Story) -> None:
    for px in ("99000", "98000", "97000"):
        story.place(px, "0.01")
    rows = story.ask("openOrders", user=USER)
    assert [row["limitPx"] for row in rows] == ["97000.0", "98000.0", "99000.0"]
    full = story.ask("frontendOpenOrders", user=USER)
    assert [row["oid"] for row in full] == [row["oid"] for row in rows]


# --- family and vaults --------------------------------------------------------------------------


def test_sub_accounts_show_both_sides_of_their_money(story: Story) -> None:
    sub = story.act({"type": "createSubAccount", "name": "Test"})["response"]["data"]
    action = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True}
    story.act({**action, "usd": 20_000_000})
    assert story.ask("userRole", user=sub) == {"role": "subAccount", "data": {"master": USER}}
    (old,) = story.ask("subAccounts", user=USER)
    (new,) = story.ask("subAccounts2", user=USER)
    assert old["clearinghouseState"]["withdrawable"] == "20.0"
    assert new["dexToClearinghouseState"] == [["", old["clearinghouseState"]]]
    assert new["abstraction"] == "disabled"
    assert story.ask("subAccounts", user=NOBODY) is None
    assert story.ask("subAccounts2", user=NOBODY) is None


def vault(story: Story) -> str:
    """A vault of 1000 of the leader and 500 of another."""
    action = {"type": "createVault", "name": "Story", "description": "A vault of a story"}
    nonce = story.next_nonce()
    answer = story.act({**action, "initialUsd": 1_000_000_000, "nonce": nonce}, nonce=nonce)
    address = str(answer["response"]["data"])
    story.fund(RICH, 1_000)
    assert story.exchange.vaults.deposit(RICH, address, 500_000_000) is None
    story.tell()
    return address


def test_vaults_show_who_owns_what(story: Story) -> None:
    address = vault(story)
    details = story.ask("vaultDetails", vaultAddress=address, user=RICH)
    assert (details["name"], details["leader"]) == ("Story", USER)
    assert [row["user"] for row in details["followers"]] == ["Leader", RICH]
    assert details["followerState"]["vaultEquity"] == "500.0"
    assert details["leaderFraction"] == pytest.approx(2 / 3)
    assert (details["maxDistributable"], details["maxWithdrawable"]) == (1_500.0, 500.0)
    assert [name for name, _ in details["portfolio"]][:2] == ["day", "week"]
    assert story.ask("vaultDetails", vaultAddress=address)["followerState"] is None
    assert story.ask("vaultDetails", vaultAddress=NOBODY) is None
    (equity,) = story.ask("userVaultEquities", user=RICH)
    assert (equity["vaultAddress"], equity["equity"]) == (address, "500.0")
    assert story.ask("leadingVaults", user=USER) == [{"address": address, "name": "Story"}]
    assert story.ask("leadingVaults", user=RICH) == []
    (summary,) = story.ask("vaultSummaries")
    assert (summary["tvl"], summary["isClosed"]) == ("1500.0", False)
    assert story.ask("userRole", user=address) == {"role": "vault"}


def test_a_vaults_yield_follows_its_profit(story: Story) -> None:
    address = vault(story)
    assert story.ask("vaultDetails", vaultAddress=address)["apr"] == 0.0
    trade(story, address, 1_000, is_buy=True)
    for _ in range(4):
        story.now_ns += 15 * NS_PER_MIN
        story.tick("BTC", "101000", "101001")
    assert story.ask("vaultDetails", vaultAddress=address)["apr"] > 0.0


# --- value over time ----------------------------------------------------------------------------


def span(story: Story, name: str) -> dict[str, Any]:
    rows = dict(story.ask("portfolio", user=USER))
    assert list(rows)[:4] == ["day", "week", "month", "allTime"]
    assert list(rows)[4:] == ["perpDay", "perpWeek", "perpMonth", "perpAllTime"]
    found = rows[name]
    assert isinstance(found, dict)
    return found


def test_profit_is_value_less_what_was_moved(story: Story) -> None:
    story.now_ns += 15 * NS_PER_MIN
    story.ticks()
    story.place("100100", "0.01", tif="Ioc")
    story.fund(USER, 500)
    story.act_as_user("usdClassTransfer", amount="1000", toPerp=False)
    story.now_ns += 15 * NS_PER_MIN
    story.tick("BTC", "101000", "101001")
    day, perp_day = span(story, "day"), span(story, "perpDay")
    value, pnl = day["accountValueHistory"][-1][1], day["pnlHistory"][-1][1]
    assert Decimal(value) - 10_500 == Decimal(pnl)
    perp_value = perp_day["accountValueHistory"][-1][1]
    assert Decimal(perp_value) - 9_500 == Decimal(perp_day["pnlHistory"][-1][1])
    assert day["vlm"] == "1000.01"
    state = story.ask("clearinghouseState", user=USER)
    assert state["marginSummary"]["accountValue"] == perp_value


def test_realized_spot_gains_stay_in_the_profit(story: Story) -> None:
    story.act_as_user("usdClassTransfer", amount="1000", toPerp=False)
    story.now_ns += 15 * NS_PER_MIN
    story.ticks()
    story.place("35.5", "10", asset=SPOT_ASSET, tif="Ioc")
    story.tick(SPOT, "40", "40.01")
    story.place("39", "9.99", asset=SPOT_ASSET, is_buy=False, tif="Ioc")
    day = span(story, "day")
    value, pnl = (Decimal(day[k][-1][1]) for k in ("accountValueHistory", "pnlHistory"))
    assert pnl > 50
    assert abs(value - 10_000 - pnl) <= Decimal("0.000002")


def test_nobody_has_no_history(story: Story) -> None:
    rows = dict(story.ask("portfolio", user=NOBODY))
    empty = {"accountValueHistory": [], "pnlHistory": [], "vlm": "0.0"}
    assert list(rows.values()) == [empty] * 8


# --- fees, standing, small answers --------------------------------------------------------------


def test_fee_schedule_and_days(story: Story) -> None:
    story.place("100100", "0.01", tif="Ioc")
    fees = story.ask("userFees", user=USER)
    schedule = fees["feeSchedule"]
    assert schedule["tiers"]["mm"][0] == {"makerFractionCutoff": "0.005", "add": "-0.00001"}
    assert schedule["stakingDiscountTiers"][1] == {"bpsOfMaxSupply": "0.0001", "discount": "0.05"}
    assert (fees["userSpotCrossRate"], fees["userSpotAddRate"]) == ("0.0007", "0.0004")
    days = fees["dailyUserVlm"]
    assert [day["date"] for day in days] == sorted(day["date"] for day in days)
    assert len(days) == 15
    assert (days[-1]["date"], days[-1]["userCross"]) == ("2025-05-06", "1000.01")
    assert Decimal(days[-1]["exchange"]) > Decimal(days[-1]["userCross"])
    assert {day["userCross"] for day in days[:-1]} == {"0.0"}


def test_referrals_name_both_ends(story: Story) -> None:
    assert story.ask("referral", user=USER)["referrerState"]["stage"] == "needToTrade"
    trade(story, USER, 10_000, is_buy=True)
    trade(story, USER, 10_000, is_buy=False)
    assert story.ask("referral", user=USER)["referrerState"] == {"stage": "needToCreateCode"}
    assert story.exchange.referrals.register(USER, "STORY") is None
    story.fund(RICH, 1_000)
    assert story.exchange.referrals.set_referrer(RICH, "STORY") is None
    theirs = story.ask("referral", user=RICH)
    assert theirs["referredBy"] == {"referrer": USER, "code": "STORY"}
    data = story.ask("referral", user=USER)["referrerState"]["data"]
    assert (data["code"], data["nReferrals"]) == ("STORY", 1)
    assert data["referralStates"][0]["user"] == RICH
    assert story.ask("userFees", user=RICH)["activeReferralDiscount"] == "0.04"


def test_builder_approvals_are_told(story: Story) -> None:
    story.fund(RICH, 1_000)
    story.act_as_user("approveBuilderFee", maxFeeRate="0.01%", builder=RICH)
    assert story.ask("maxBuilderFee", user=USER, builder=RICH) == 10
    assert story.ask("approvedBuilders", user=USER) == [RICH]
    fields = {"builder": {"b": RICH, "f": 10}}
    wire = {"a": 0, "b": True, "p": "100100", "s": "0.01", "r": False}
    wire |= {"t": {"limit": {"tif": "Ioc"}}}
    story.act({"type": "order", "orders": [wire], "grouping": "na", **fields})
    (fill,) = story.ask("userFills", user=USER)
    assert fill["builderFee"] == "0.100001"
    assert Decimal(fill["fee"]) > Decimal(fill["builderFee"])
    assert story.ask("referral", user=RICH)["builderRewards"] == fill["builderFee"]


def test_transfers_may_be_checked_before(story: Story) -> None:
    fresh = story.ask("preTransferCheck", user=NOBODY, source=USER)
    assert fresh == {
        "fee": "1.0",
        "isSanctioned": False,
        "userExists": False,
        "userHasSentTx": False,
    }
    assert story.ask("preTransferCheck", user=USER, source=RICH)["fee"] == "0.0"
    story.place("99000", "0.01")
    assert story.ask("preTransferCheck", user=USER, source=RICH)["userHasSentTx"] is True


def test_isolated_leverage_tells_the_margin_account(story: Story) -> None:
    action = {"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 10}
    story.act(action)
    flat = story.ask("activeAssetData", user=USER, coin="BTC")
    assert flat["leverage"] == {"type": "isolated", "value": 10, "rawUsd": "0.0"}
    story.place("100100", "0.01", tif="Ioc")
    (row,) = story.ask("clearinghouseState", user=USER)["assetPositions"]
    held = story.ask("activeAssetData", user=USER, coin="BTC")
    assert held["leverage"] == row["position"]["leverage"]


def test_accounts_of_several_keys_name_them(story: Story) -> None:
    assert story.ask("userToMultiSigSigners", user=USER) is None
    story.fund(RICH, 1_000)
    assert story.exchange.multi_sig.convert(USER, [RICH], 1) is None
    policy = {"authorizedUsers": [RICH], "threshold": 1}
    assert story.ask("userToMultiSigSigners", user=USER) == policy


def test_nobody_stakes(story: Story) -> None:
    summary = story.ask("delegatorSummary", user=USER)
    assert (summary["delegated"], summary["nPendingWithdrawals"]) == ("0.0", 0)
    for kind in ("delegations", "delegatorHistory", "delegatorRewards"):
        assert story.ask(kind, user=USER) == []


def test_everything_at_once_agrees_with_its_parts(story: Story) -> None:
    story.place("100100", "0.01", tif="Ioc")
    story.place("99000", "0.01")
    data = story.ask("webData2", user=USER)
    assert data["clearinghouseState"] == story.ask("clearinghouseState", user=USER)
    assert data["openOrders"] == story.ask("frontendOpenOrders", user=USER)
    assert data["spotState"] == story.ask("spotClearinghouseState", user=USER)
    assert (data["user"], data["isVault"]) == (USER, False)


@pytest.mark.parametrize("kind", ["openOrders", "userFills", "historicalOrders", "extraAgents"])
def test_unknown_users_have_empty_lists(story: Story, kind: str) -> None:
    assert story.ask(kind, user=NOBODY) == []
    assert story.ask(kind, user=AGENT.address) == []


def test_addresses_come_back_in_lower_case(story: Story) -> None:
    upper = "0x" + USER[2:].upper()
    assert story.ask("activeAssetData", user=upper, coin="BTC")["user"] == USER


@pytest.mark.parametrize(
    "query",
    [
        {"type": "vaultDetails"},
        {"type": "perpDexLimits", "dex": ""},
        {"type": "perpDexStatus", "dex": "nowhere"},
        {"type": "activeAssetData", "user": USER, "coin": SPOT},
        {"type": "userFills", "user": USER, "aggregateByTime": "yes"},
        {"type": "preTransferCheck", "user": USER},
        {"type": "maxBuilderFee", "user": USER},
        {"type": "settledOutcome"},
        {"type": "referral"},
    ],
)
def test_incomplete_queries_are_refused(story: Story, query: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        story.ask(query.pop("type"), **query)
