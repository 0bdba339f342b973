"""Signed actions: who signed, in what order checks run, and the venue's words for each refusal."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.simulation_server.venue import (
    AGENT,
    MASTER,
    STRANGER,
    Venue,
    open_venue,
    order,
    place,
    statuses,
    user_action,
)

CLOID = "0x" + "ab" * 16


async def approve(venue: Venue, name: str | None = "bot") -> Any:
    nonce = venue.next_nonce()
    fields = {"agentAddress": AGENT.address, "agentName": name}
    return await venue.act(user_action("approveAgent", nonce, **fields), nonce=nonce)


async def test_unknown_signer_is_named_by_the_recovered_address() -> None:
    async with open_venue() as venue:
        answer = await venue.act(place(order()), STRANGER)
        assert answer == {
            "status": "err",
            "response": f"User or API Wallet {STRANGER.address} does not exist.",
        }


async def test_changed_body_recovers_another_address() -> None:
    async with open_venue() as venue:
        raw = venue.signed(place(order(px="99000"))).replace(b'"99000"', b'"99001"')
        body = msgspec.json.decode((await venue.settle(venue.server.exchange(raw))).body)
        assert body["status"] == "err"
        assert body["response"].startswith("User or API Wallet 0x")
        assert MASTER.address not in body["response"]


async def test_trailing_zeros_are_removed_before_hashing() -> None:
    """Signed as 99000, sent as 99000.0: the venue hashes its own canonical form."""
    async with open_venue() as venue:
        raw = venue.signed(place(order(px="99000"))).replace(b'"99000"', b'"99000.0"')
        body = msgspec.json.decode((await venue.settle(venue.server.exchange(raw))).body)
        assert "resting" in statuses(body)[0]


async def test_nonce_is_used_once_and_must_be_recent() -> None:
    async with open_venue() as venue:
        nonce = venue.next_nonce()
        statuses(await venue.act(place(order()), nonce=nonce))
        again = await venue.act(place(order(px="98000")), nonce=nonce)
        assert again == {"status": "err", "response": f"Invalid nonce: duplicate nonce {nonce}"}
        old = await venue.act(place(order()), nonce=nonce - 3 * 86_400_000)
        assert old["response"].startswith("Invalid nonce: nonce too low")
        far = await venue.act(place(order()), nonce=nonce + 3 * 86_400_000)
        assert far["response"].startswith("Invalid nonce: nonce too high")


async def test_expired_action_dies_and_costs_five_requests() -> None:
    async with open_venue() as venue:
        now_ms = venue.clock.now_ns() // 1_000_000
        dead = await venue.act(place(order()), expires_after=now_ms + 100)
        assert dead == {"status": "err", "response": "Action already expired"}
        used = await venue.ask("userRateLimit", user=MASTER.address)
        assert used["nRequestsUsed"] == 5
        alive = await venue.act(place(order()), expires_after=now_ms + 60_000)
        assert "resting" in statuses(alive)[0]


async def test_unknown_action_and_broken_body_are_422_in_plain_text() -> None:
    async with open_venue() as venue:
        good = venue.signed(place(order()))
        for raw in (
            b"",
            b"[]",
            b'{"action":1}',
            good.replace(b'"order"', b'"ordr"'),
            good.replace(b'"nonce"', b'"nonse"'),
            good.replace(b'"grouping":"na"', b'"grouping":"nope"'),
            good.replace(b'"v":2', b'"v":9'),
        ):
            answer = await venue.server.exchange(raw)
            assert (answer.status, answer.is_text) == (422, True), raw
            assert answer.body.startswith(b"Failed to deserialize the JSON body"), answer.body


async def test_builder_fee_is_refused() -> None:
    async with open_venue() as venue:
        action = {**place(order()), "builder": {"b": STRANGER.address, "f": 10}}
        answer = await venue.act(action)
        assert answer == {"status": "err", "response": "Builder fee has not been approved."}


async def test_foreign_vault_is_refused() -> None:
    async with open_venue() as venue:
        answer = await venue.act(place(order()), vault_address=STRANGER.address)
        assert answer["response"] == f"Vault not registered: {STRANGER.address}"


async def test_order_answers_keep_their_shapes() -> None:
    async with open_venue() as venue:
        answer = await venue.act(
            place(
                order(px="99000", cloid=CLOID),
                order(px="100001", sz="0.02", tif="Ioc"),
                order(px="99000", sz="0.00001"),
                order(px="100001", tif="Alo"),
            )
        )
        resting, filled, small, crossing = statuses(answer)
        assert set(resting["resting"]) == {"oid", "cloid"}
        assert resting["resting"]["cloid"] == CLOID
        assert filled["filled"]["totalSz"] == "0.02"
        assert filled["filled"]["avgPx"] == "100001.0"
        assert set(filled["filled"]) == {"totalSz", "avgPx", "oid"}
        assert small == {"error": "Order must have minimum value of $10. asset=0"}
        assert crossing["error"].startswith("Post only order would have immediately matched, bbo")


@pytest.mark.parametrize(
    ("bad", "text"),
    [
        (order(asset=9_999), "Unknown asset asset=9999"),
        (order(px="99000.55"), "Price must be divisible by tick size. asset=0"),
        (order(sz="0.000001"), "Order has invalid size."),
        (order(cloid="0xabc"), "Invalid cloid"),
    ],
)
async def test_malformed_order_refuses_the_whole_batch_once(bad: Any, text: str) -> None:
    async with open_venue() as venue:
        answer = await venue.act(place(order(), bad, order()))
        assert statuses(answer) == [{"error": text}]
        assert await venue.ask("openOrders", user=MASTER.address) == []


async def test_triggers_answer_with_bare_words() -> None:
    async with open_venue() as venue:
        child = {
            "a": 0,
            "b": False,
            "p": "95000",
            "s": "0.01",
            "r": True,
            "t": {"trigger": {"isMarket": True, "triggerPx": "97000", "tpsl": "sl"}},
        }
        entry = order(px="100001", tif="Gtc")
        answer = await venue.act(place(entry, child, grouping="normalTpsl"))
        filled, waiting = statuses(answer)
        assert "filled" in filled
        assert waiting == "waitingForTrigger"
        row = (await venue.ask("frontendOpenOrders", user=MASTER.address))[0]
        assert (row["orderType"], row["tif"]) == ("Stop Market", None)
        assert (row["triggerPx"], row["isTrigger"], row["reduceOnly"]) == ("97000.0", True, True)


async def test_cancels_are_answered_one_by_one() -> None:
    async with open_venue() as venue:
        first, second = (
            s["resting"]["oid"]
            for s in statuses(await venue.act(place(order(), order(px="98000", cloid=CLOID))))
        )
        answer = await venue.act(
            {"type": "cancel", "cancels": [{"a": 0, "o": first}, {"a": 0, "o": 77}]}
        )
        gone = "Order was never placed, already canceled, or filled. asset=0"
        assert statuses(answer) == ["success", {"error": gone}]
        action = {"type": "cancelByCloid", "cancels": [{"asset": 0, "cloid": CLOID}]}
        answer = await venue.act(action)
        assert answer["response"]["type"] == "cancel"
        assert statuses(answer) == ["success"]
        unknown = await venue.act({"type": "cancel", "cancels": [{"a": 9_999, "o": second}]})
        assert statuses(unknown) == [{"error": "Unknown asset asset=9999"}]


async def test_modify_gives_a_new_oid_that_only_the_batch_form_tells() -> None:
    async with open_venue() as venue:
        oid = statuses(await venue.act(place(order(cloid=CLOID))))[0]["resting"]["oid"]
        one = {"type": "modify", "oid": oid, "order": order(px="98000", cloid=CLOID)}
        assert await venue.act(one) == {"status": "ok", "response": {"type": "default"}}
        row = (await venue.ask("openOrders", user=MASTER.address))[0]
        assert row["oid"] > oid
        many = {
            "type": "batchModify",
            "modifies": [{"oid": CLOID, "order": order(px="97000", cloid=CLOID)}],
        }
        answer = await venue.act(many)
        assert answer["response"]["type"] == "order"
        assert statuses(answer)[0]["resting"]["oid"] > row["oid"]
        dead = await venue.act({"type": "modify", "oid": oid, "order": order(px="96000")})
        assert dead == {"status": "err", "response": "Cannot modify canceled or filled order"}


async def test_leverage_is_set_or_refused() -> None:
    async with open_venue() as venue:
        action = {"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 7}
        assert (await venue.act(action))["status"] == "ok"
        data = await venue.ask("activeAssetData", user=MASTER.address, coin="BTC")
        assert data["leverage"] == {"type": "cross", "value": 7}
        bad = await venue.act({**action, "leverage": 41})
        assert bad == {"status": "err", "response": "Invalid leverage value"}


async def test_agent_acts_for_its_master_but_moves_no_money() -> None:
    async with open_venue() as venue:
        assert await approve(venue) == {"status": "ok", "response": {"type": "default"}}
        assert "resting" in statuses(await venue.act(place(order()), AGENT))[0]
        assert len(await venue.ask("openOrders", user=MASTER.address)) == 1
        assert await venue.ask("openOrders", user=AGENT.address) == []
        role = await venue.ask("userRole", user=AGENT.address)
        assert role == {"role": "agent", "data": {"user": MASTER.address}}
        (row,) = await venue.ask("extraAgents", user=MASTER.address)
        assert (row["name"], row["address"]) == ("bot", AGENT.address)
        nonce = venue.next_nonce()
        send = user_action("usdSend", nonce, destination=STRANGER.address, amount="1")
        refused = await venue.act(send, AGENT, nonce=nonce)
        assert refused["response"] == (
            f"Must deposit before performing actions. User: {AGENT.address}"
        )


async def test_money_moves_when_the_master_signs() -> None:
    async with open_venue() as venue:
        nonce = venue.next_nonce()
        send = user_action("usdSend", nonce, destination=STRANGER.address, amount="250.5")
        assert (await venue.act(send, nonce=nonce))["status"] == "ok"
        state = await venue.ask("clearinghouseState", user=STRANGER.address)
        received = float(state["marginSummary"]["accountValue"])
        assert 249.0 <= received <= 250.5
        nonce = venue.next_nonce()
        out = user_action("withdraw3", nonce, destination=MASTER.address, amount="1000000")
        refused = await venue.act(out, nonce=nonce)
        assert refused["response"] == "Insufficient balance for withdrawal"
        assert venue.exchange.conservation_error_micro() == 0


async def test_user_signed_action_must_match_network_and_nonce() -> None:
    async with open_venue() as venue:
        nonce = venue.next_nonce()
        send = user_action("usdSend", nonce, destination=STRANGER.address, amount="1")
        wrong = await venue.act(send, nonce=nonce + 1)
        assert wrong["response"] == "Nonce mismatch."
        mainnet = {**send, "hyperliquidChain": "Mainnet"}
        refused = await venue.act(mainnet, nonce=nonce)
        assert refused["response"] == "Mainnet and testnet require different signature."


async def test_action_outside_the_simulation_is_refused_clearly() -> None:
    async with open_venue() as venue:
        bid = {"type": "gossipPriorityBid", "slotId": 1, "ip": "1.2.3.4", "maxGas": 1}
        answer = await venue.act(bid)
        text = "Action gossipPriorityBid is not simulated by this venue."
        assert answer == {"status": "err", "response": text}
        assert (await venue.act({"type": "noop"}))["status"] == "ok"


async def test_address_budget_refuses_in_the_venues_words() -> None:
    from core.simulation.exchange import SimulatedExchange
    from core.simulation.server import VenueServer
    from core.simulation.venue.settings import VenueSettings
    from core.utils.clock import ManualClock
    from tests.simulation_server.venue import quiet_market

    source = quiet_market()
    exchange = SimulatedExchange(
        source.instruments, VenueSettings(requests_base=2), start_ns=source.start_ns
    )
    clock = ManualClock(source.start_ns)
    venue = Venue(VenueServer(exchange, source, clock), exchange, clock)
    venue.server.faucet(MASTER.address, 1_000)
    try:
        statuses(await venue.act(place(order(), order(px="98000"))))
        refused = await venue.act(place(order(px="97000"), order(px="96000")))
        assert refused["status"] == "err"
        assert refused["response"].startswith("Too many cumulative requests sent (4 > 2)")
    finally:
        await venue.close()
