"""Money that moves without a trade: who may move what, what it costs, what the ledger says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.model.codes import Tif
from core.model.events import LedgerMoved
from core.model.instrument import micro_from_text
from core.simulation.adapter import to_events
from core.simulation.venue.outputs import LedgerOutput
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.ledger_rows import ledger_row
from core.simulation.wire.text import usd_text
from tests.simulation.spot_kit import SpotMarket, order, units
from tests.simulation.venue_kit import ALICE, BOB, CAROL, USDC, limit

RECORDED = Path(__file__).parents[1] / "data" / "hyperliquid-recorded"
SHORT = "Insufficient balance for withdrawal"
TOKENS_SHORT = "Insufficient balance for token transfer"
GAS_SHORT = "Insufficient USDC balance for token transfer gas"
HYPE_WEI = 10**8


@pytest.fixture
def market() -> SpotMarket:
    """Alice: 1000 USDC on perps, 100 USDC and 10 HYPE on spot. Bob exists. Carol does not."""
    market = SpotMarket()
    market.tick("30", "30.001")
    market.tick_perp()
    market.venue.fund(ALICE, 1_000 * USDC)
    market.venue.fund(BOB, USDC)
    market.fund(ALICE, "100")
    market.fund(ALICE, "10", "HYPE")
    market.venue.drain()
    return market


def perp_usdc(market: SpotMarket, owner: str) -> int:
    return market.venue.account_summary(owner).total.raw_usd_micro


def deltas(market: SpotMarket, owner: str) -> list[dict[str, object]]:
    rows = [
        ledger_row(output)
        for output in market.venue.drain()
        if isinstance(output, LedgerOutput) and output.owner == owner
    ]
    return [row["delta"] for row in rows]


def make_sub(market: SpotMarket) -> str:
    """Make Bob's address a sub-account of Alice."""
    market.venue._state.masters[BOB] = ALICE
    return BOB


# --- usdSend, withdraw3 ---------------------------------------------------------------------------


def test_a_transfer_that_opens_an_account_costs_the_sender_a_dollar_on_top(market):
    transfers = market.venue.transfers
    assert transfers.usd_send(ALICE, BOB, 10 * USDC) is None
    assert perp_usdc(market, ALICE) == 990 * USDC
    assert transfers.usd_send(ALICE, CAROL, 10 * USDC) is None
    assert perp_usdc(market, ALICE) == 979 * USDC
    assert perp_usdc(market, CAROL) == 10 * USDC
    assert transfers.usd_send(ALICE, CAROL, 979 * USDC) is None
    assert market.is_conserved()


def test_the_activation_fee_must_be_free_too_and_is_a_setting(market):
    assert market.venue.transfers.usd_send(ALICE, CAROL, 1_000 * USDC) == SHORT
    assert not market.venue.has_account(CAROL)
    free = SpotMarket(VenueSettings(activation_fee_micro=0))
    free.venue.fund(ALICE, 10 * USDC)
    assert free.venue.transfers.usd_send(ALICE, CAROL, 10 * USDC) is None
    assert perp_usdc(free, CAROL) == 10 * USDC


def test_nobody_without_an_account_moves_anything(market):
    text = f"Must deposit before performing actions. User: {CAROL}"
    transfers = market.venue.transfers
    assert transfers.usd_send(CAROL, ALICE, 1) == text
    assert transfers.withdraw(CAROL, 1) == text
    assert transfers.class_transfer(CAROL, 1, True) == text
    assert transfers.spot_send(CAROL, ALICE, market.usdc, 1) == text
    assert transfers.send_asset(CAROL, ALICE, "", "spot", market.usdc, 100) == text


def test_both_ends_of_a_send_see_the_same_row(market):
    market.venue.transfers.usd_send(ALICE, CAROL, 10 * USDC)
    rows = [
        ledger_row(output)["delta"]
        for output in market.venue.drain()
        if isinstance(output, LedgerOutput)
    ]
    assert (
        rows
        == [
            {
                "type": "internalTransfer",
                "usdc": "10.0",
                "user": ALICE,
                "destination": CAROL,
                "fee": "1.0",
            }
        ]
        * 2
    )


def test_a_withdrawal_tells_its_fee_and_nonce(market):
    assert market.venue.transfers.withdraw(ALICE, USDC) == SHORT
    assert market.venue.transfers.withdraw(ALICE, 11 * USDC) is None
    (delta,) = deltas(market, ALICE)
    nonce = market.now_ns // 1_000_000
    assert delta == {"type": "withdraw", "usdc": "10.0", "nonce": nonce, "fee": "1.0"}
    market.venue.transfers.deposit(ALICE, 2_703_997_450_000)
    assert deltas(market, ALICE) == [{"type": "deposit", "usdc": "2703997.45"}]
    assert market.is_conserved()


# --- usdClassTransfer -----------------------------------------------------------------------------


def test_usdc_crosses_between_perps_and_spot(market):
    transfers = market.venue.transfers
    assert transfers.class_transfer(ALICE, 12 * USDC, False) is None
    assert market.held(ALICE, "USDC")[0] == "112"
    assert transfers.class_transfer(ALICE, 1, True) is None
    assert market.held(ALICE, "USDC")[0] == "111.999999"
    assert perp_usdc(market, ALICE) == 988 * USDC + 1
    assert deltas(market, ALICE) == [
        {"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False},
        {"type": "accountClassTransfer", "usdc": "0.000001", "toPerp": True},
    ]
    assert market.is_conserved()


def test_only_what_is_free_crosses(market):
    transfers = market.venue.transfers
    market.place(ALICE, order(True, "25", "2"))
    assert transfers.class_transfer(ALICE, 50 * USDC + 1, True) == SHORT
    assert transfers.class_transfer(ALICE, 50 * USDC, True) is None
    market.place(ALICE, limit(True, 100_010, 0.01, Tif.IOC))
    free = market.venue.account_summary(ALICE).withdrawable_micro
    assert transfers.class_transfer(ALICE, free + 1, False) == SHORT
    assert transfers.class_transfer(ALICE, free, False) is None
    assert transfers.class_transfer(ALICE, 0, True) == SHORT
    assert transfers.class_transfer(ALICE, -1, True) == SHORT
    assert market.is_conserved()


def test_a_master_moves_its_sub_accounts_money_between_the_sides(market):
    transfers = market.venue.transfers
    foreign = transfers.class_transfer(ALICE, USDC, False, BOB)
    assert foreign == f"Sub-account {BOB} is not registered to {ALICE}"
    sub = make_sub(market)
    assert transfers.class_transfer(ALICE, USDC, False, sub) is None
    assert market.held(sub, "USDC")[0] == "1"
    assert perp_usdc(market, ALICE) == 1_000 * USDC


# --- spotSend -------------------------------------------------------------------------------------


def test_the_recorded_spot_transfer_row(market):
    market.venue.transfers.spot_send(ALICE, CAROL, market.usdc, units("10.5", 8))
    assert market.held(ALICE, "USDC")[0] == "88.5"
    (delta,) = deltas(market, CAROL)
    assert delta == {
        "type": "spotTransfer",
        "token": "USDC",
        "amount": "10.5",
        "usdcValue": "10.5",
        "user": ALICE,
        "destination": CAROL,
        "fee": "1.0",
        "nativeTokenFee": "0.0",
        "nonce": market.now_ns // 1_000_000,
        "feeToken": "USDC",
    }
    assert market.is_conserved()


def test_a_token_sent_takes_its_share_of_the_cost_and_arrives_at_mark(market):
    market.tick("40", "40.002")
    assert market.held(ALICE, "HYPE")[2] == "300.005"
    market.venue.transfers.spot_send(ALICE, BOB, market.hype, 4 * HYPE_WEI)
    assert market.held(ALICE, "HYPE") == ("6", "0", "180.003")
    assert market.held(BOB, "HYPE") == ("4", "0", "160.004")
    (delta,) = deltas(market, BOB)
    assert (delta["amount"], delta["usdcValue"], delta["fee"]) == ("4.0", "160.004", "0.0")
    assert delta["feeToken"] == ""
    assert market.is_conserved()


def test_what_open_orders_lock_is_not_sent(market):
    transfers = market.venue.transfers
    market.place(ALICE, order(False, "40", "7"))
    assert transfers.spot_send(ALICE, BOB, market.hype, 3 * HYPE_WEI + 1) == TOKENS_SHORT
    assert transfers.spot_send(ALICE, BOB, market.hype, 3 * HYPE_WEI) is None
    assert transfers.spot_send(ALICE, BOB, market.hype, 1) == TOKENS_SHORT
    for amount in (0, -1):
        assert transfers.spot_send(ALICE, BOB, market.usdc, amount) == "Invalid send"
    assert transfers.spot_send(ALICE, ALICE, market.usdc, 1) == "Invalid send"


def test_opening_an_account_with_a_token_needs_usdc_for_the_fee(market):
    transfers = market.venue.transfers
    hundred = units("100", 8)
    assert transfers.spot_send(ALICE, CAROL, market.usdc, hundred) == GAS_SHORT
    assert transfers.spot_send(ALICE, BOB, market.usdc, hundred) is None
    assert transfers.spot_send(ALICE, CAROL, market.hype, HYPE_WEI) == GAS_SHORT
    assert transfers.class_transfer(ALICE, USDC, False) is None
    assert transfers.spot_send(ALICE, CAROL, market.hype, HYPE_WEI) is None
    assert market.held(ALICE, "USDC")[0] == "0"
    assert market.is_conserved()


# --- sendAsset ------------------------------------------------------------------------------------


def test_send_asset_reaches_every_side(market):
    send = market.venue.transfers.send_asset
    assert send(ALICE, ALICE, "", "spot", market.usdc, units("5", 8)) is None
    assert (perp_usdc(market, ALICE), market.held(ALICE, "USDC")[0]) == (995 * USDC, "105")
    (delta,) = deltas(market, ALICE)
    assert delta == {
        "type": "send",
        "user": ALICE,
        "destination": ALICE,
        "sourceDex": "",
        "destinationDex": "spot",
        "token": "USDC",
        "amount": "5.0",
        "usdcValue": "5.0",
        "fee": "0.0",
        "nativeTokenFee": "0.0",
        "nonce": market.now_ns // 1_000_000,
        "feeToken": "",
    }
    assert send(ALICE, BOB, "spot", "", market.usdc, units("5", 8)) is None
    assert perp_usdc(market, BOB) == 6 * USDC
    assert send(ALICE, BOB, "", "", market.usdc, units("5", 8)) is None
    assert perp_usdc(market, BOB) == 11 * USDC
    assert send(ALICE, BOB, "spot", "spot", market.hype, 1) is None
    assert market.held(BOB, "HYPE")[0] == "1E-8"
    assert send(ALICE, CAROL, "", "spot", market.usdc, units("5", 8)) is None
    assert perp_usdc(market, ALICE) == (995 - 5 - 5 - 1) * USDC
    assert market.is_conserved()


@pytest.mark.parametrize(
    ("source", "destination", "name", "amount"),
    [
        ("", "spot", "USDC", 101),
        ("spot", "", "USDC", 1),
        ("", "spot", "HYPE", 100),
        ("spot", "", "HYPE", 100),
        ("xyz", "spot", "USDC", 100),
        ("spot", "xyz", "USDC", 100),
        ("", "", "USDC", 100),
        ("spot", "spot", "USDC", 100),
        ("", "spot", "USDC", 0),
        ("", "spot", "USDC", -100),
    ],
)
def test_sends_that_make_no_sense_are_invalid(market, source, destination, name, amount):
    token = market.token(name)
    before = market.venue.state_hash()
    text = market.venue.transfers.send_asset(ALICE, ALICE, source, destination, token, amount)
    assert text == "Invalid send"
    assert market.venue.state_hash() == before


def test_send_asset_speaks_of_the_side_that_is_short(market):
    send = market.venue.transfers.send_asset
    assert send(ALICE, BOB, "", "", market.usdc, units("1000.000001", 8)) == SHORT
    assert send(ALICE, BOB, "spot", "", market.usdc, units("100.000001", 8)) == TOKENS_SHORT
    assert send(ALICE, CAROL, "", "spot", market.usdc, units("1000", 8)) == SHORT


def test_an_agent_sends_to_its_own_family_only(market):
    send = market.venue.transfers.agent_send_asset
    amount = units("1", 8)
    foreign = "Agent can only send asset to same user or their sub-accounts."
    assert send(ALICE, BOB, "", "spot", market.usdc, amount) == foreign
    assert send(ALICE, ALICE, "", "spot", market.usdc, amount) is None
    sub = make_sub(market)
    assert send(ALICE, sub, "spot", "spot", market.usdc, amount) is None
    assert send(ALICE, ALICE, "spot", "spot", market.usdc, amount, sub) is None
    assert market.held(sub, "USDC")[0] == "0"
    assert market.held(ALICE, "USDC")[0] == "101"
    stranger = send(ALICE, ALICE, "spot", "spot", market.usdc, amount, CAROL)
    assert stranger == f"Sub-account {CAROL} is not registered to {ALICE}"


# --- sub-accounts ---------------------------------------------------------------------------------


def test_sub_account_transfers_go_both_ways_within_the_family(market):
    transfers = market.venue.transfers
    foreign = f"Invalid sub-account transfer from {ALICE} to {BOB}"
    assert transfers.sub_transfer(ALICE, BOB, USDC, True) == foreign
    assert transfers.sub_spot_transfer(ALICE, BOB, market.hype, 1, True) == foreign
    back = f"Invalid sub-account transfer from {BOB} to {ALICE}"
    assert transfers.sub_transfer(ALICE, BOB, USDC, False) == back
    sub = make_sub(market)
    assert transfers.sub_transfer(ALICE, sub, 10 * USDC, True) is None
    assert transfers.sub_transfer(ALICE, sub, 12 * USDC, False) == SHORT
    assert transfers.sub_transfer(ALICE, sub, 11 * USDC, False) is None
    assert (perp_usdc(market, ALICE), perp_usdc(market, sub)) == (1_001 * USDC, 0)
    assert deltas(market, sub) == [
        {"type": "subAccountTransfer", "usdc": "10.0", "user": ALICE, "destination": sub},
        {"type": "subAccountTransfer", "usdc": "11.0", "user": sub, "destination": ALICE},
    ]
    assert transfers.sub_spot_transfer(ALICE, sub, market.hype, 5 * HYPE_WEI, True) is None
    assert transfers.sub_spot_transfer(ALICE, sub, market.hype, 6 * HYPE_WEI, False) == TOKENS_SHORT
    assert transfers.sub_spot_transfer(ALICE, sub, market.hype, HYPE_WEI, False) is None
    assert market.held(sub, "HYPE")[0] == "4"
    assert market.is_conserved()


# --- recordings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["jkorf-userNonFundingLedgerUpdates-classTransfer", "pysdk-userNonFundingLedgerUpdates"]
)
def test_recorded_rows_come_out_key_by_key(name):
    recorded = json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))["response"]
    market = SpotMarket()
    market.venue.fund(ALICE, 10**13)
    market.fund(ALICE, "100")
    transfers = market.venue.transfers
    for row in recorded:
        market.venue.drain()
        delta = row["delta"]
        micro = micro_from_text(delta.get("usdc", "0"))
        if delta["type"] == "deposit":
            transfers.deposit(ALICE, micro)
        elif delta["type"] == "accountClassTransfer":
            transfers.class_transfer(ALICE, micro, delta["toPerp"])
        else:
            transfers.spot_send(ALICE, CAROL, market.usdc, units(delta["amount"], 8))
        (made,) = [ledger_row(o) for o in market.venue.drain() if o.owner == ALICE]
        assert list(made) == list(row)
        assert list(made["delta"]) == list(delta)
        same = set(delta) - {"usdc", "user", "destination", "nonce", "feeToken"}
        assert {key: made["delta"][key] for key in same} == {key: delta[key] for key in same}
        assert made["delta"].get("usdc") == (usd_text(micro) if micro else None)


# --- faucet, events -------------------------------------------------------------------------------


def test_the_faucet_gives_tokens_that_count_as_deposited(market):
    assert market.venue.spot.circulating_wei(market.hype.index) == 10 * HYPE_WEI
    market.fund(CAROL, "2.5", "HYPE")
    assert market.venue.spot.circulating_wei(market.hype.index) == 1_250_000_000
    assert deltas(market, CAROL) == [{"type": "spotGenesis", "token": "HYPE", "amount": "2.5"}]
    assert market.is_conserved()


def test_the_engine_hears_of_its_perps_cash_only(market):
    transfers = market.venue.transfers
    transfers.class_transfer(ALICE, 5 * USDC, False)
    transfers.spot_send(ALICE, BOB, market.hype, HYPE_WEI)
    transfers.send_asset(ALICE, BOB, "", "spot", market.usdc, 100)
    moved = [e for e in to_events(market.venue.drain(), ALICE) if isinstance(e, LedgerMoved)]
    assert [(e.kind, e.amount_micro) for e in moved] == [
        ("accountClassTransfer", -5 * USDC),
        ("send", -1),
    ]
