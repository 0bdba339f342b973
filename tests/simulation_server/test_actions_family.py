"""Sub-accounts, vaults, referrers and TWAP orders on the wire."""

from __future__ import annotations

from typing import Any

import pytest

from core.model.time import NS_PER_DAY, NS_PER_S
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.requests import RequestError
from tests.simulation.venue_kit import USDC
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
    user_action,
)

OPEN_GATE = VenueSettings(sub_account_volume_micro=0, sub_accounts_base=2)
VAULT = {"type": "createVault", "name": "Steady", "description": "Holds what it buys."}
MAY_NOT = error("Vault may not perform this action.")


def opened(settings: VenueSettings = OPEN_GATE) -> Desk:
    desk = Desk(settings)
    desk.tick()
    desk.fund(MASTER, OTHER)
    agent = {"agentAddress": AGENT.address, "agentName": "bot"}
    assert desk.act_as_user("approveAgent", **agent) == OK
    return desk


@pytest.fixture
def desk() -> Desk:
    return opened()


def made(answer: Any, kind: str) -> str:
    """The address that an action has made."""
    assert answer["status"] == "ok", answer
    assert answer["response"]["type"] == kind
    return str(answer["response"]["data"])


def sub_account(desk: Desk, name: str = "wing") -> str:
    return made(desk.act({"type": "createSubAccount", "name": name}), "createSubAccount")


def funded_sub_account(desk: Desk) -> str:
    sub = sub_account(desk)
    move = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True}
    assert desk.act({**move, "usd": 5_000 * USDC}) == OK
    return sub


def vault(desk: Desk, usd: int = 1_000 * USDC) -> str:
    nonce = desk.nonce()
    action = {**VAULT, "initialUsd": usd, "nonce": nonce}
    return made(desk.act(action, nonce=nonce), "createVault")


# --- sub-accounts -------------------------------------------------------------------------------


def test_a_sub_account_needs_volume() -> None:
    desk = opened(VenueSettings())
    answer = desk.act({"type": "createSubAccount", "name": "wing"})
    text = "Cannot create sub-accounts until enough volume traded. Required: $100000. "
    assert answer == error(text + "Traded: $0.00.")


def test_sub_accounts_are_numbered_named_and_limited(desk: Desk) -> None:
    first, second = sub_account(desk), sub_account(desk, "tail")
    assert first != second
    too_many = desk.act({"type": "createSubAccount", "name": "head"})
    assert too_many == error("Too many sub-accounts.")
    rename = {"type": "subAccountModify", "subAccountUser": first, "name": "left"}
    assert desk.act(rename) == OK
    assert [row.name for row in desk.venue.family.sub_accounts(MASTER.address)] == ["left", "tail"]
    foreign = error(f"Sub-account {first} is not registered to {OTHER.address}")
    assert desk.act(rename, OTHER) == foreign
    assert desk.act({**rename, "name": "x" * 17}) == error(
        "Sub-account name must be 1 to 16 characters"
    )


def test_the_same_account_opens_the_same_addresses() -> None:
    assert sub_account(opened()) == sub_account(opened())


@pytest.mark.parametrize("signer", [MASTER, AGENT])
def test_master_and_agent_trade_for_a_sub_account(desk: Desk, signer: Any) -> None:
    sub = funded_sub_account(desk)
    (filled,) = statuses(desk.act(place(order("100010", tif="Ioc")), signer, vault=sub))
    assert filled["filled"]["totalSz"] == "0.01"
    assert desk.venue.account_report(sub).positions[0].position_lots == 1_000
    assert desk.venue.account_report(MASTER.address).positions == ()
    unprefixed = desk.act(place(order()), signer, vault="0x" + sub[2:].upper())
    statuses(unprefixed)
    assert desk.venue.conservation_error_micro() == 0


def test_a_stranger_does_not_trade_for_a_sub_account(desk: Desk) -> None:
    sub = sub_account(desk)
    assert desk.act(place(order()), OTHER, vault=sub) == error(f"Vault not registered: {sub}")


def test_a_sub_account_has_a_request_budget_of_its_own(desk: Desk) -> None:
    sub = funded_sub_account(desk)
    before = desk.venue.rate_budget(MASTER.address).requests_used
    statuses(desk.act(place(order(), order("98000")), vault=sub))
    assert desk.venue.rate_budget(sub).requests_used == 2
    assert desk.venue.rate_budget(MASTER.address).requests_used == before


def test_a_sub_account_pays_the_builder_that_its_master_approved(desk: Desk) -> None:
    sub = funded_sub_account(desk)
    builder = {"b": OTHER.address, "f": 10}
    buy = place(order("100010", tif="Ioc"), builder=builder)
    assert desk.act(buy, vault=sub) == error("Builder fee has not been approved.")
    approval = {"maxFeeRate": "0.01%", "builder": OTHER.address}
    assert desk.act_as_user("approveBuilderFee", **approval) == OK
    statuses(desk.act(buy, vault=sub))
    assert desk.venue.fills(sub)[-1].builder_fee_micro == 100_010


@pytest.mark.parametrize(
    "action",
    [
        {"type": "createSubAccount", "name": "wing"},
        {"type": "setReferrer", "code": "A"},
        {"type": "claimRewards"},
        {"type": "vaultTransfer", "vaultAddress": OTHER.address, "isDeposit": True, "usd": 1},
    ],
)
def test_rights_and_money_are_the_masters_alone(desk: Desk, action: Any) -> None:
    assert desk.act(action, vault=sub_account(desk)) == MAY_NOT


# --- vaults -------------------------------------------------------------------------------------


def test_a_vault_is_led_by_who_opened_it(desk: Desk) -> None:
    address = vault(desk)
    (filled,) = statuses(desk.act(place(order("100010", "0.005", tif="Ioc")), AGENT, vault=address))
    assert "filled" in filled
    stranger = desk.act(place(order()), OTHER, vault=address)
    assert stranger == error(f"Vault not registered: {address}")
    assert desk.venue.conservation_error_micro() == 0


def test_a_vaults_first_deposit_and_nonce_are_checked(desk: Desk) -> None:
    nonce = desk.nonce()
    small = {**VAULT, "initialUsd": 99 * USDC, "nonce": nonce}
    assert desk.act(small, nonce=nonce) == error("Vault needs an initial deposit of at least $100")
    assert desk.act(small) == error("Nonce mismatch.")
    nonce = desk.nonce()
    large = {**VAULT, "initialUsd": 10_001 * USDC, "nonce": nonce}
    assert desk.act(large, nonce=nonce) == error("Insufficient balance to create vault")


def test_followers_come_and_go(desk: Desk) -> None:
    address = vault(desk)
    move = {"type": "vaultTransfer", "vaultAddress": address, "isDeposit": True, "usd": 500 * USDC}
    assert desk.act(move, OTHER) == OK
    leave = {**move, "isDeposit": False}
    assert desk.act(leave, OTHER) == error("Vault deposit is locked")
    desk.venue.advance(desk.venue.now_ns + NS_PER_DAY)
    assert desk.act(leave, OTHER) == OK
    assert desk.venue.account_report(OTHER.address).cash_micro == 10_000 * USDC
    assert desk.act(leave, OTHER) == error("Insufficient balance for withdrawal")
    nothing = desk.act({**move, "usd": 0}, OTHER)
    assert nothing == error("Invalid vault request")


def test_a_leader_closes_the_door_and_then_the_vault(desk: Desk) -> None:
    address = vault(desk)
    move = {"type": "vaultTransfer", "vaultAddress": address, "isDeposit": True, "usd": 10 * USDC}
    settings = {"type": "vaultModify", "vaultAddress": address, "allowDeposits": False}
    assert desk.act({**settings, "alwaysCloseOnWithdraw": None}, OTHER) == error(
        f"Vault not registered: {address}"
    )
    assert desk.act({**settings, "alwaysCloseOnWithdraw": None}) == OK
    assert desk.act(move, OTHER) == error("Vault does not accept deposits")
    pay = {"type": "vaultDistribute", "vaultAddress": address, "usd": 100 * USDC}
    assert desk.act(pay) == OK
    assert desk.act({**pay, "usd": 0}) == OK
    assert desk.venue.account_report(MASTER.address).cash_micro == 10_000 * USDC
    view = desk.venue.vaults.view(address)
    assert view is not None and view.is_closed


def test_a_vault_moves_no_money_in_its_own_name(desk: Desk) -> None:
    address = vault(desk)
    nonce = desk.nonce()
    token = desk.venue.spot.token_named("USDC")
    assert token is not None
    send = {
        "type": "agentSendAsset",
        "destination": address,
        "sourceDex": "",
        "destinationDex": "spot",
        "token": token.wire_name,
        "amount": "900",
        "fromSubAccount": "",
        "nonce": nonce,
    }
    assert desk.act(send, nonce=nonce, vault=address) == MAY_NOT


# --- referrers ----------------------------------------------------------------------------------


def test_a_referrers_code_makes_his_friends_trades_cheaper(desk: Desk) -> None:
    register = {"type": "registerReferrer", "code": "FRIEND"}
    gate = "Cannot register referral code until enough volume traded. Required: $10000. "
    assert desk.act(register) == error(gate + "Traded: $0.00.")
    statuses(desk.act(place(order("100010", "0.1", tif="Ioc"))))
    assert desk.act({**register, "code": "no spaces"}) == error("Invalid referral code")
    assert desk.act(register) == OK
    use = {"type": "setReferrer", "code": "FRIEND"}
    assert desk.act({**use, "code": "STRANGER"}, OTHER) == error("Referral code not registered")
    assert desk.act(use) == error("Invalid referral code")
    assert desk.act(use, OTHER) == OK
    assert desk.act(use, OTHER) == error("Referrer already set")
    statuses(desk.act(place(order("100010", tif="Ioc")), OTHER))
    assert desk.venue.fills(OTHER.address)[-1].fill.fee_micro == 432_043
    assert desk.act({"type": "claimRewards"}, OTHER) == error("No rewards to claim")


# --- TWAP ---------------------------------------------------------------------------------------


def twap(desk: Desk, **changes: Any) -> Any:
    wire = {"a": 0, "b": True, "s": "0.01", "r": False, "m": 5, "t": False, **changes}
    return desk.act({"type": "twapOrder", "twap": wire})


def twap_status(answer: Any) -> Any:
    assert answer["status"] == "ok", answer
    return answer["response"]["data"]["status"]


def test_a_twap_runs_and_is_stopped(desk: Desk) -> None:
    twap_id = twap_status(twap(desk))["running"]["twapId"]
    desk.venue.advance(desk.venue.now_ns + 61 * NS_PER_S)
    assert len(desk.venue.fills(MASTER.address)) >= 2
    stop = {"type": "twapCancel", "a": 0, "t": twap_id}
    assert twap_status(desk.act(stop)) == "success"
    gone = {"error": "TWAP was never placed, already canceled, or filled."}
    assert twap_status(desk.act(stop)) == gone
    assert twap_status(desk.act({**stop, "a": 99})) == gone


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"m": 1}, "Invalid TWAP duration: 1 min(s)"),
        ({"a": 99}, "Unknown asset asset=99"),
        ({"s": "0.000001"}, "Order has invalid size."),
        ({"s": "0.0001"}, "TWAP order value too small. Min is $100."),
        ({"r": True}, "Reduce-only TWAP order would increase position."),
    ],
)
def test_a_twap_that_cannot_be_is_refused_in_band(desk: Desk, changes: Any, text: str) -> None:
    assert twap_status(twap(desk, **changes)) == {"error": text}


def test_a_twap_with_a_condition_is_refused_clearly(desk: Desk) -> None:
    wire = {"a": 0, "b": True, "s": "0.01", "r": False, "m": 5, "t": False}
    details = {"t": {"p": "90000", "a": True}, "s": None}
    answer = desk.act({"type": "twapOrder", "twap": wire, "details": details})
    assert answer["response"].startswith("TWAP start conditions")


# --- the envelope -------------------------------------------------------------------------------


def test_a_user_signed_action_names_no_vault(desk: Desk) -> None:
    sub = sub_account(desk)
    nonce = desk.nonce()
    action = user_action("usdSend", nonce, destination=OTHER.address, amount="1")
    request = {"action": action, "nonce": nonce, "signature": MASTER.sign_user(action)}
    assert desk.send({**request, "vaultAddress": sub}) == MAY_NOT
    assert desk.send(request) == OK


@pytest.mark.parametrize("named", ["0x12", "", "vault"])
def test_a_vault_that_is_no_address_cannot_be_read(desk: Desk, named: str) -> None:
    nonce = desk.nonce()
    action = {"type": "noop"}
    signature = MASTER.sign_l1(action, nonce, is_mainnet=False)
    request = {"action": action, "nonce": nonce, "signature": signature, "vaultAddress": named}
    with pytest.raises(RequestError, match="address should be 0x"):
        desk.send(request)


def test_a_vault_may_be_named_without_its_prefix(desk: Desk) -> None:
    sub = funded_sub_account(desk)
    nonce = desk.nonce()
    action = {"type": "noop"}
    signature = MASTER.sign_l1(action, nonce, is_mainnet=False, vault_address=sub)
    request = {"action": action, "nonce": nonce, "signature": signature}
    assert desk.send({**request, "vaultAddress": sub[2:]}) == OK
    stranger = desk.act(action, vault=NOBODY.address)
    assert stranger == error(f"Vault not registered: {NOBODY.address}")
