"""Whose keys act for an account: agents, their names and ends, and several keys together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.api.signing import Signer
from core.model.time import NS_PER_DAY, NS_PER_MS, NS_PER_S
from core.simulation.wire.requests import RequestError
from tests.simulation_server.desk_kit import (
    AGENT,
    CHAIN,
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

ZERO = "0x" + "00" * 20
THIRD = Signer("0x" + "55" * 32)
TREASURY = MASTER.address


def approve(desk: Desk, agent: str, name: str | None = "bot", signer: Signer = MASTER) -> Any:
    return desk.act_as_user("approveAgent", signer, agentAddress=agent, agentName=name)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.tick()
    desk.fund(MASTER, OTHER, THIRD)
    return desk


# --- agents -------------------------------------------------------------------------------------


def test_an_agent_lives_until_it_is_removed_and_its_address_is_spent(desk: Desk) -> None:
    assert approve(desk, AGENT.address) == OK
    statuses(desk.act(place(order()), AGENT))
    assert approve(desk, ZERO) == OK
    gone = error(f"User or API Wallet {AGENT.address} does not exist.")
    assert desk.act(place(order()), AGENT) == gone
    assert approve(desk, NOBODY.address) == error("User has pending agent removal")
    desk.venue.advance(desk.venue.now_ns + 5 * NS_PER_S)
    assert approve(desk, AGENT.address) == error("Extra agent already used.")
    assert approve(desk, NOBODY.address) == OK


def test_an_agent_says_in_its_name_how_long_it_lives(desk: Desk) -> None:
    now_ms = desk.venue.now_ns // NS_PER_MS
    past, far = now_ms - 1, now_ms + 181 * 86_400_000
    for stamp in (past, far):
        refused = approve(desk, AGENT.address, f"bot valid_until {stamp}")
        assert refused == error("Agent valid_until already expired.")
    assert approve(desk, AGENT.address, f"bot valid_until {now_ms + 60_000}") == OK
    (row,) = desk.venue.agents(MASTER.address)
    assert (row.name, row.valid_until_ns) == ("bot", (now_ms + 60_000) * NS_PER_MS)
    desk.venue.advance(desk.venue.now_ns + NS_PER_DAY)
    assert desk.act(place(order()), AGENT)["response"].startswith("User or API Wallet")


@pytest.mark.parametrize("name", [None, ""])
def test_an_agent_without_a_name_is_signed_with_an_empty_one(desk: Desk, name: str | None) -> None:
    assert approve(desk, AGENT.address, name) == OK
    assert desk.venue.agents(MASTER.address) == ()
    statuses(desk.act(place(order()), AGENT))


def test_nonces_are_kept_by_signer_and_not_by_account(desk: Desk) -> None:
    assert approve(desk, AGENT.address) == OK
    nonce = desk.nonce()
    statuses(desk.act(place(order()), nonce=nonce))
    statuses(desk.act(place(order()), AGENT, nonce=nonce))


def test_an_account_of_its_own_is_no_agent(desk: Desk) -> None:
    assert approve(desk, OTHER.address) == error("Extra agent already used.")
    assert approve(desk, "0xabc".ljust(42, "0"), "b" * 17) == error(
        "Agent name must be at most 16 characters"
    )


# --- several keys -------------------------------------------------------------------------------


def signers_text(*signers: Signer, threshold: int = 2) -> str:
    users = sorted(signer.address for signer in signers)
    return json.dumps({"authorizedUsers": users, "threshold": threshold})


def convert(desk: Desk, text: str, signer: Signer = MASTER) -> Any:
    return desk.act_as_user("convertToMultiSigUser", signer, signers=text)


@pytest.fixture
def shared(desk: Desk) -> Desk:
    """A desk whose master account belongs to two others together."""
    assert convert(desk, signers_text(OTHER, THIRD)) == OK
    return desk


def together(desk: Desk, action: dict[str, Any], *signers: Signer, **more: Any) -> Any:
    return desk.act_together(TREASURY, action, signers or (OTHER, THIRD), OTHER, **more)


def send_money(desk: Desk, nonce: int, amount: str = "5") -> dict[str, Any]:
    return user_action("usdSend", nonce, destination=OTHER.address, amount=amount)


def test_once_several_keys_act_the_own_one_does_not(shared: Desk) -> None:
    required = error("Multi-sig required")
    assert shared.act(place(order())) == required
    send = {"destination": OTHER.address, "amount": "1"}
    assert shared.act_as_user("usdSend", **send) == required
    statuses(together(shared, place(order())))
    (row,) = shared.venue.open_orders(TREASURY)
    assert row.owner == TREASURY


def test_money_moves_when_enough_have_signed(shared: Desk) -> None:
    nonce = shared.nonce()
    assert together(shared, send_money(shared, nonce), nonce=nonce) == OK
    assert shared.venue.account_report(OTHER.address).cash_micro == 10_005_000_000
    assert shared.venue.conservation_error_micro() == 0


def test_the_leader_need_not_be_one_of_those_who_signed(shared: Desk) -> None:
    assert approve_together(shared, signers_text(OTHER, THIRD, threshold=1)) == OK
    statuses(shared.act_together(TREASURY, place(order()), [OTHER], THIRD))


def test_a_signer_counts_once(shared: Desk) -> None:
    answer = together(shared, place(order()), OTHER, OTHER)
    assert answer == error("Multi-sig threshold not met")


@pytest.mark.parametrize("stranger", [MASTER, NOBODY, AGENT])
def test_only_authorized_keys_sign(shared: Desk, stranger: Signer) -> None:
    assert approve(shared, AGENT.address, signer=THIRD) == OK
    answer = together(shared, place(order()), OTHER, THIRD, stranger)
    assert answer == error("Invalid multi-sig inner signer")


def test_every_inner_signature_binds_the_envelope(shared: Desk) -> None:
    nonce = shared.nonce()
    answer = together(shared, place(order()), nonce=nonce, inner_nonce=nonce - 1)
    assert answer == error("Invalid multi-sig inner signer")


@pytest.mark.parametrize("leader", [MASTER, NOBODY])
def test_only_an_authorized_user_leads(shared: Desk, leader: Signer) -> None:
    answer = shared.act_together(TREASURY, place(order()), [OTHER, THIRD], leader)
    assert answer == error("Invalid multi-sig outer signer")


def test_the_leader_is_the_one_that_the_action_names(shared: Desk) -> None:
    answer = together(shared, place(order()), named_leader=THIRD.address)
    assert answer == error("Invalid multi-sig outer signer")


def test_an_agent_leads_once_it_has_money_of_its_own(shared: Desk) -> None:
    assert approve(shared, AGENT.address, signer=OTHER) == OK
    answer = shared.act_together(TREASURY, place(order()), [OTHER, THIRD], AGENT)
    assert answer == error("Multi-sig outer signer must be an L1 user.")
    assert shared.act_as_user("usdSend", THIRD, destination=AGENT.address, amount="5") == OK
    statuses(shared.act_together(TREASURY, place(order()), [OTHER, THIRD], AGENT))


def test_only_the_leaders_nonce_and_the_accounts_budget_are_used(shared: Desk) -> None:
    nonce = shared.nonce()
    statuses(together(shared, place(order()), nonce=nonce))
    again = together(shared, place(order("98000")), nonce=nonce)
    assert again == error(f"Invalid nonce: duplicate nonce {nonce}")
    statuses(shared.act_together(TREASURY, place(order()), [OTHER, THIRD], THIRD, nonce=nonce))
    assert shared.venue.rate_budget(TREASURY).requests_used == 3
    assert shared.venue.rate_budget(OTHER.address).requests_used == 0


def test_an_inner_nonce_is_the_envelopes(shared: Desk) -> None:
    nonce = shared.nonce()
    answer = together(shared, send_money(shared, nonce), nonce=nonce + 1)
    assert answer == error("Nonce mismatch.")


def test_an_account_of_one_key_takes_no_action_of_several(desk: Desk) -> None:
    answer = desk.act_together(TREASURY, place(order()), [OTHER, THIRD], OTHER)
    assert answer == error("Invalid multi-sig user")


def test_an_agent_approved_together_trades_alone(shared: Desk) -> None:
    nonce = shared.nonce()
    agent = user_action("approveAgent", nonce, agentAddress=AGENT.address, agentName="bot")
    assert together(shared, agent, nonce=nonce) == OK
    statuses(shared.act(place(order()), AGENT))
    assert len(shared.venue.open_orders(TREASURY)) == 1


def test_a_mode_is_signed_as_a_word_and_sent_as_a_code(shared: Desk) -> None:
    nonce = shared.nonce()
    mode = user_action("userSetAbstraction", nonce, user=TREASURY, abstraction="disabled")
    assert together(shared, mode, nonce=nonce, sent={**mode, "abstraction": "i"}) == OK
    nonce = shared.nonce()
    mode = user_action("userSetAbstraction", nonce, user=TREASURY, abstraction="unifiedAccount")
    answer = together(shared, mode, nonce=nonce, sent={**mode, "abstraction": "u"})
    assert answer == error("Only the standard account mode is simulated by this venue.")


def test_an_action_within_an_action_within_an_action_is_no_action(shared: Desk) -> None:
    inner = {
        "type": "multiSig",
        "signatureChainId": CHAIN["signatureChainId"],
        "signatures": [],
        "payload": {
            "multiSigUser": TREASURY,
            "outerSigner": OTHER.address,
            "action": {"type": "noop"},
        },
    }
    for sent in (inner, {"type": "ordr"}):
        with pytest.raises(RequestError, match="unknown variant"):
            together(shared, place(order()), sent=sent)


# --- who they are -------------------------------------------------------------------------------


def approve_together(desk: Desk, text: str) -> Any:
    nonce = desk.nonce()
    change = user_action("convertToMultiSigUser", nonce, signers=text)
    return together(desk, change, nonce=nonce)


def test_they_change_themselves_and_give_the_account_back(shared: Desk) -> None:
    assert approve_together(shared, signers_text(OTHER, threshold=1)) == OK
    answer = together(shared, place(order()), OTHER, THIRD)
    assert answer == error("Invalid multi-sig inner signer")
    nonce = shared.nonce()
    back = user_action("convertToMultiSigUser", nonce, signers="null")
    assert together(shared, back, OTHER, nonce=nonce) == OK
    statuses(shared.act(place(order())))
    assert shared.venue.multi_sig.policy(TREASURY) is None


def test_doubles_and_capitals_make_no_second_signer(desk: Desk) -> None:
    users = [OTHER.address, OTHER.address.upper().replace("X", "x"), THIRD.address]
    assert convert(desk, json.dumps({"authorizedUsers": users, "threshold": 2})) == OK
    policy = desk.venue.multi_sig.policy(TREASURY)
    assert policy is not None
    assert policy.authorized == tuple(sorted([OTHER.address, THIRD.address]))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (signers_text(OTHER, NOBODY), "Multi-sig authorized user must exist on L1"),
        (signers_text(OTHER, MASTER), "Cannot register self as multi-sig authorized user"),
        (signers_text(OTHER, THIRD, threshold=3), "Invalid multi-sig threshold"),
        (signers_text(OTHER, THIRD, threshold=0), "Invalid multi-sig threshold"),
        (signers_text(threshold=0), "Invalid multi-sig threshold"),
        ('{"threshold":1}', "Unexpected error (code=148)"),
        ('{"authorizedUsers":["0x1"],"threshold":1}', "Unexpected error (code=148)"),
        ("", "Unexpected error (code=148)"),
    ],
)
def test_a_set_of_keys_that_cannot_be_is_refused(desk: Desk, text: str, answer: str) -> None:
    assert convert(desk, text) == error(answer)
    assert desk.venue.multi_sig.policy(TREASURY) is None


def test_eleven_keys_are_too_many(desk: Desk) -> None:
    signers = [Signer(f"0x{n:064x}") for n in range(1, 12)]
    desk.fund(*signers)
    assert convert(desk, signers_text(*signers)) == error("Too many multi-sig signers")
    assert convert(desk, signers_text(*signers[:10])) == OK


def test_who_may_act_is_part_of_the_state(desk: Desk) -> None:
    venue, users = desk.venue, (OTHER.address, THIRD.address)
    hashes = [venue.state_hash()]
    for threshold in (1, 2):
        assert venue.multi_sig.convert(TREASURY, users, threshold) is None
        hashes.append(venue.state_hash())
    assert len(set(hashes)) == 3
    venue.multi_sig.revert(TREASURY)
    assert venue.state_hash() == hashes[0]
