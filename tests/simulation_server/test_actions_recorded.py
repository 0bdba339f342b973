"""Recorded answers of the venue, reproduced: the same request or situation, the same words.

Answers written out here were logged on the venue's testnet in September 2026; the signed requests
are those of ``signing-vectors.json``.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.model.instrument import Instrument
from core.model.time import NS_PER_MS
from tests.api import recordings, vectors
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
    stop,
)

TESTNET_MASTER = "0xe7c2adb44064e705a2e955770440c527373967a1"
TESTNET_AGENT = "0xc6e7df1339786bf130d2e5ad9dbba05c408d8efb"
TESTNET_NS = 1_788_779_850_000 * NS_PER_MS
BTC = Instrument("BTC", 3, 5, leverage_max=40)
CHEAP = Instrument("CHEAP", 173, 0, leverage_max=5)


def recorded(name: str) -> dict[str, Any]:
    return dict(json.loads((recordings.DIRECTORY / f"{name}.json").read_text()))


@pytest.fixture
def desk() -> Desk:
    desk = Desk(instruments=(BTC, CHEAP), start_ns=TESTNET_NS)
    desk.tick("80440", "80445")
    desk.tick("0.223", "0.2235", coin="CHEAP", size="100000")
    desk.fund(MASTER, OTHER)
    return desk


def bought(desk: Desk, sz: str = "0.00015") -> Any:
    return desk.act(place(order("80445", sz, tif="Ioc", asset=3)))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "recover_order_reduce_only_rejected",
            [{"error": "Reduce only order would increase position. asset=3"}],
        ),
        (
            "recover_usd_send_by_agent",
            error(f"Must deposit before performing actions. User: {TESTNET_AGENT}"),
        ),
        ("recover_order_expired", error("Action already expired")),
        ("recover_approve_agent_revoke", OK),
    ],
)
def test_a_signed_request_gets_the_recorded_answer(desk: Desk, name: str, expected: Any) -> None:
    desk.venue.fund(TESTNET_MASTER, 1_000_000_000)
    assert desk.venue.approve_agent(TESTNET_MASTER, TESTNET_AGENT, "probe") is None
    (request,) = (v["request"] for v in vectors.RECOVERY if v["name"] == name)
    desk.venue.advance(request["nonce"] * NS_PER_MS)
    answer = desk.send(request)
    assert (statuses(answer) if isinstance(expected, list) else answer) == expected


@pytest.mark.parametrize("name", ["gohl-order-min-value-error", "gohl-cancel-unknown-error"])
def test_a_request_signed_by_us_gets_the_recorded_answer(desk: Desk, name: str) -> None:
    recording = recorded(name)
    assert desk.act(recording["request"]["action"]) == recording["response"]


def test_the_size_of_evm_blocks_is_taken_as_recorded(desk: Desk) -> None:
    assert desk.act({"type": "evmUserModify", "usingBigBlocks": False}) == OK


def test_resting_orders_and_their_cancels_are_answered_as_recorded(desk: Desk) -> None:
    recording = recorded("gohl-order-resting-cloid")
    answer = desk.act(recording["request"]["action"])
    (expected,) = statuses(recording["response"])
    (got,) = statuses(answer)
    assert got["resting"]["cloid"] == expected["resting"]["cloid"]
    assert got["resting"].keys() == expected["resting"].keys()
    cancel = {"type": "cancel", "cancels": [{"a": 173, "o": got["resting"]["oid"]}]}
    assert desk.act(cancel) == recorded("gohl-cancel-success")["response"]
    recording = recorded("gohl-cancelByCloid-success")
    cancel = recording["request"]["action"]
    cloid = cancel["cancels"][0]["cloid"]
    statuses(desk.act(place(order("0.1233", "100", asset=173, cloid=cloid))))
    assert desk.act(cancel) == recording["response"]


def test_an_unknown_signer_is_told_as_recorded(desk: Desk) -> None:
    recording = recorded("gohl-order-unknown-signer")
    answer = desk.act(recording["request"]["action"], NOBODY)
    recorded_address = recording["response"]["response"].split()[4]
    text = json.dumps(recording["response"]).replace(recorded_address, NOBODY.address)
    assert answer == json.loads(text)


def test_a_replaced_agent_is_told_as_recorded(desk: Desk) -> None:
    for agent in (AGENT, NOBODY):
        fields = {"agentAddress": agent.address, "agentName": "bot"}
        assert desk.act_as_user("approveAgent", **fields) == OK
    action = {"type": "updateLeverage", "asset": 3, "isCross": True, "leverage": 5}
    text = f"Must deposit before performing actions. User: {MASTER.address}"
    assert desk.act(action, AGENT) == error(text)


def test_the_fourth_named_agent_is_refused_as_recorded(desk: Desk) -> None:
    for n in range(3):
        fields = {"agentAddress": f"0x{n + 1:040x}", "agentName": f"n{n}"}
        assert desk.act_as_user("approveAgent", **fields) == OK
    refused = desk.act_as_user("approveAgent", agentAddress=AGENT.address, agentName="n3")
    text = "Too many extra agents for cumulative volume traded. Current limit is 3"
    assert refused == error(text)


def test_a_reduce_only_order_is_capped_as_recorded(desk: Desk) -> None:
    (filled,) = statuses(bought(desk))
    assert filled["filled"].keys() == {"totalSz", "avgPx", "oid"}
    sell = order("80440", "0.0003", is_buy=False, tif="Ioc", asset=3, reduce_only=True)
    (capped,) = statuses(desk.act(place(sell)))
    assert capped["filled"]["totalSz"] == "0.00015"


def test_position_tpsl_waits_as_recorded(desk: Desk) -> None:
    bought(desk)
    child = {**stop("70000", "0.00015"), "a": 3, "p": "60000"}
    answer = desk.act(place(child, grouping="positionTpsl"))
    assert statuses(answer) == ["waitingForTrigger"]


def test_modifying_a_dead_order_is_refused_as_recorded(desk: Desk) -> None:
    (filled,) = statuses(bought(desk))
    replacement = order("70000", "0.001", asset=3)
    action = {"type": "modify", "oid": filled["filled"]["oid"], "order": replacement}
    assert desk.act(action) == error("Cannot modify canceled or filled order")


@pytest.mark.parametrize("time", [{}, {"time": TESTNET_NS // NS_PER_MS + 60_000}])
def test_the_dead_man_switch_names_its_gate_as_recorded(desk: Desk, time: Any) -> None:
    bought(desk, "0.15")
    answer = desk.act({"type": "scheduleCancel", **time})
    text = "Cannot set scheduled cancel time until enough volume traded. "
    assert answer == error(f"{text}Required: $1000000. Traded: $12066.75.")


def test_a_twap_that_would_increase_is_refused_as_recorded(desk: Desk) -> None:
    twap = {"a": 3, "b": False, "s": "0.01", "r": True, "m": 5, "t": False}
    answer = desk.act({"type": "twapOrder", "twap": twap})
    assert answer["response"] == {
        "type": "twapOrder",
        "data": {"status": {"error": "Reduce-only TWAP order would increase position."}},
    }


def test_the_margin_mode_of_an_open_position_stays_as_recorded(desk: Desk) -> None:
    bought(desk)
    action = {"type": "updateLeverage", "asset": 3, "isCross": False, "leverage": 40}
    assert desk.act(action) == error("Cannot switch leverage type with open position.")


def test_an_unknown_vault_is_refused_as_recorded(desk: Desk) -> None:
    dead = "0x000000000000000000000000000000000000dead"
    action = {"type": "vaultTransfer", "vaultAddress": dead, "isDeposit": True, "usd": 1_000_000}
    assert desk.act(action) == error(f"Vault not registered: {dead}")
