"""Money on the wire: who may move it where, and the venue's words when he may not."""

from __future__ import annotations

from typing import Any

import pytest

from core.simulation.venue.settings import VenueSettings
from tests.simulation_server.desk_kit import (
    AGENT,
    MASTER,
    OK,
    OTHER,
    Desk,
    error,
)

NEW = "0x" + "99" * 20
SHORT = "Insufficient balance for withdrawal"


@pytest.fixture
def desk() -> Desk:
    desk = Desk(VenueSettings(sub_account_volume_micro=0))
    desk.tick()
    desk.fund(MASTER, OTHER)
    return desk


def usdc(desk: Desk) -> str:
    token = desk.venue.spot.token_named("USDC")
    assert token is not None
    return token.wire_name


def spot_usdc(desk: Desk, owner: str = MASTER.address) -> int:
    return sum(row.total_wei for row in desk.venue.spot.balances(owner) if row.token == 0)


def cash(desk: Desk, owner: str = MASTER.address) -> int:
    return desk.venue.account_report(owner).cash_micro


def opened(desk: Desk) -> str:
    answer = desk.act({"type": "createSubAccount", "name": "wing"})
    return str(answer["response"]["data"])


def test_a_withdrawal_pays_its_fee(desk: Desk) -> None:
    assert desk.act_as_user("withdraw3", destination=NEW, amount="100") == OK
    assert cash(desk) == 9_900_000_000
    assert desk.act_as_user("withdraw3", destination=NEW, amount="1") == error(SHORT)
    bad = desk.act_as_user("withdraw3", destination="0xabc", amount="10")
    assert bad == error("Invalid destination")
    assert desk.venue.conservation_error_micro() == 0


@pytest.mark.parametrize("amount", ["0", "-1", "1.0000001", "a", "", "1e400", "99999999999999"])
def test_an_amount_is_positive_and_as_fine_as_micro_dollars(desk: Desk, amount: str) -> None:
    answer = desk.act_as_user("usdSend", destination=OTHER.address, amount=amount)
    assert answer == error("Invalid amount")


def test_a_receiver_may_be_written_in_capitals(desk: Desk) -> None:
    receiver = "0x" + OTHER.address[2:].upper()
    assert desk.act_as_user("usdSend", destination=receiver, amount="2.5") == OK
    assert cash(desk, OTHER.address) == 10_002_500_000


def test_money_changes_sides(desk: Desk) -> None:
    assert desk.act_as_user("usdClassTransfer", amount="1.5", toPerp=False) == OK
    assert (cash(desk), spot_usdc(desk)) == (9_998_500_000, 150_000_000)
    assert desk.act_as_user("usdClassTransfer", amount="1.6", toPerp=True) == error(SHORT)
    assert desk.act_as_user("usdClassTransfer", amount="1.5", toPerp=True) == OK
    assert (cash(desk), spot_usdc(desk)) == (10_000_000_000, 0)


def test_a_master_changes_sides_for_a_sub_account(desk: Desk) -> None:
    sub = opened(desk)
    move = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True}
    assert desk.act({**move, "usd": 50_000_000}) == OK
    amount = f"20 subaccount:{sub}"
    assert desk.act_as_user("usdClassTransfer", amount=amount, toPerp=False) == OK
    assert (cash(desk, sub), spot_usdc(desk, sub)) == (30_000_000, 2_000_000_000)
    foreign = desk.act_as_user("usdClassTransfer", OTHER, amount=amount, toPerp=False)
    assert foreign["status"] == "err"
    assert desk.venue.conservation_error_micro() == 0


def test_tokens_are_sent_by_their_full_name(desk: Desk) -> None:
    assert desk.act_as_user("usdClassTransfer", amount="100", toPerp=False) == OK
    fields = {"destination": OTHER.address, "amount": "10"}
    assert desk.act_as_user("spotSend", token=usdc(desk), **fields) == OK
    assert spot_usdc(desk, OTHER.address) == 1_000_000_000
    unknown = desk.act_as_user("spotSend", token="NOPE:0x00", **fields)
    assert unknown == error("Unknown token")
    much = {**fields, "amount": "91"}
    short = desk.act_as_user("spotSend", token=usdc(desk), **much)
    assert short == error("Insufficient balance for token transfer")


def asset_fields(desk: Desk, **changes: Any) -> dict[str, Any]:
    fields = {
        "destination": MASTER.address,
        "sourceDex": "",
        "destinationDex": "spot",
        "token": usdc(desk),
        "amount": "1",
        "fromSubAccount": "",
    }
    return {**fields, **changes}


def test_an_asset_goes_anywhere_when_the_master_signs(desk: Desk) -> None:
    assert desk.act_as_user("sendAsset", **asset_fields(desk)) == OK
    assert spot_usdc(desk) == 100_000_000
    away = asset_fields(desk, destination=OTHER.address, destinationDex="")
    assert desk.act_as_user("sendAsset", **away) == OK
    assert cash(desk, OTHER.address) == 10_001_000_000
    fine = asset_fields(desk, sourceDex="spot", destinationDex="", amount="0.0000001")
    assert desk.act_as_user("sendAsset", **fine) == error("Invalid send")
    elsewhere = asset_fields(desk, destinationDex="xyz")
    assert desk.act_as_user("sendAsset", **elsewhere) == error("Invalid send")
    assert desk.venue.conservation_error_micro() == 0


def test_an_agent_sends_only_within_the_family(desk: Desk) -> None:
    agent = {"agentAddress": AGENT.address, "agentName": "bot"}
    assert desk.act_as_user("approveAgent", **agent) == OK
    sub = opened(desk)

    def send(**changes: Any) -> Any:
        nonce = desk.nonce()
        action = {"type": "agentSendAsset", **asset_fields(desk, **changes), "nonce": nonce}
        return desk.act(action, AGENT, nonce=nonce)

    assert send() == OK
    assert send(destination=sub, destinationDex="") == OK
    assert cash(desk, sub) == 1_000_000
    assert send(destination=MASTER.address, destinationDex="", fromSubAccount=sub) == OK
    foreign = error("Agent can only send asset to same user or their sub-accounts.")
    assert send(destination=OTHER.address) == foreign
    nonce = desk.nonce()
    action = {"type": "agentSendAsset", **asset_fields(desk), "nonce": nonce - 1}
    assert desk.act(action, AGENT, nonce=nonce) == error("Nonce mismatch.")
    assert desk.venue.conservation_error_micro() == 0


def test_a_sub_account_moves_no_money_in_its_own_name(desk: Desk) -> None:
    sub = opened(desk)
    refused = error("Vault may not perform this action.")
    nonce = desk.nonce()
    action = {"type": "agentSendAsset", **asset_fields(desk), "nonce": nonce}
    assert desk.act(action, nonce=nonce, vault=sub) == refused
    move = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": False, "usd": 1}
    assert desk.act(move, vault=sub) == refused


def test_family_transfers_work_both_ways_and_also_for_agents(desk: Desk) -> None:
    agent = {"agentAddress": AGENT.address, "agentName": "bot"}
    assert desk.act_as_user("approveAgent", **agent) == OK
    sub = opened(desk)
    move = {"type": "subAccountTransfer", "subAccountUser": sub, "isDeposit": True}
    assert desk.act({**move, "usd": 5_000_000}, AGENT) == OK
    assert desk.act({**move, "isDeposit": False, "usd": 2_000_000}, AGENT) == OK
    assert cash(desk, sub) == 3_000_000
    assert desk.act({**move, "usd": 1}, OTHER) == error(
        f"Invalid sub-account transfer from {OTHER.address} to {sub}"
    )
    assert desk.act({**move, "isDeposit": False, "usd": 3_000_001}) == error(SHORT)
    assert desk.act_as_user("usdClassTransfer", amount="10", toPerp=False) == OK
    token = {"token": usdc(desk), "amount": "4"}
    spot = {"type": "subAccountSpotTransfer", "subAccountUser": sub, "isDeposit": True, **token}
    assert desk.act(spot) == OK
    assert spot_usdc(desk, sub) == 400_000_000
    assert desk.act({**spot, "isDeposit": False, "amount": "5"}) == error(
        "Insufficient balance for token transfer"
    )
    assert desk.venue.conservation_error_micro() == 0
