"""Commands become few correct requests, and the answers become events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.api.actions import decode_action
from core.api.signing import recover_l1
from core.api.wire import WireSignature
from core.model.codes import OrderStatus, RejectionCode, Tif
from core.model.commands import (
    ModifyOrder,
    SetLeverage,
)
from core.model.errors import CredentialError
from core.model.events import (
    CancelRejected,
    LeverageChanged,
    LeverageRejected,
    LeverageUnanswered,
    OrderRejected,
    OrderUnanswered,
    OrderUpdated,
    VenueUnavailable,
)
from core.model.time import NS_PER_MS, NS_PER_S
from core.utils.clock import ManualClock
from tests.api.clients import NOW_MS, TTL_NS, VAULT, cancel, client, executed, sent
from tests.api.fake_venue import FakeVenue, statuses
from tests.api.instruments import ADDRESS, place, stop

# --- which requests leave -------------------------------------------------------------------------


async def test_everything_at_once_leaves_in_order_of_urgency(venue: FakeVenue) -> None:
    venue.exchange_answers.extend(
        [
            statuses("success", "success", kind="cancel"),
            statuses({"resting": {"oid": 1}}),
            statuses({"resting": {"oid": 2}}),
            (200, {"status": "ok", "response": {"type": "default"}}),
            statuses({"resting": {"oid": 3}}, {"resting": {"oid": 4}}),
        ]
    )
    modified = ModifyOrder(place(5).cloid, 77, place(5))
    await executed(
        venue,
        SetLeverage("BTC", 0, 5, True),
        modified,
        stop(2, coin="ETH", asset=1),
        place(0),
        place(1),
        cancel(6, 91),
        cancel(7, 92),
    )
    kinds = [(a["type"], len(a.get("orders", a.get("cancels", [0])))) for a in sent(venue)]
    assert kinds == [
        ("cancel", 2),
        ("order", 1),
        ("batchModify", 1),
        ("updateLeverage", 1),
        ("order", 2),
    ]
    assert sent(venue)[1]["orders"][0]["r"] is True
    nonces = [body["nonce"] for body in venue.actions]
    assert len(set(nonces)) == len(nonces)
    # A late cancel still does what was wanted, so it does not expire.
    assert "expiresAfter" not in venue.actions[0]
    assert all(body["expiresAfter"] == NOW_MS + 30_000 for body in venue.actions[1:])


async def test_an_order_lives_from_the_call_and_not_from_its_signature(venue: FakeVenue) -> None:
    api = client(venue)
    clock = api.clock
    assert isinstance(clock, ManualClock)
    venue.exchange_answers.append(statuses("success", kind="cancel"))
    venue.exchange_default = statuses({"resting": {"oid": 1}})

    async def slow() -> None:
        clock.jump(20)

    venue.on_exchange = slow
    await api.execute([cancel(0, 91), place(1)], ttl_ns=TTL_NS)
    assert venue.actions[1]["expiresAfter"] == NOW_MS + 30_000
    # The account state takes an order for dead 30 s after it was decided: it must not leave later.
    venue.exchange_answers.append(statuses("success", kind="cancel"))
    events = await api.execute([cancel(2, 92), cancel(3), place(4)], ttl_ns=TTL_NS)
    assert [body["action"]["type"] for body in venue.actions[2:]] == ["cancel", "cancelByCloid"]
    (refused,) = [e for e in events if isinstance(e, OrderRejected)]
    assert refused.code is RejectionCode.ACTION_EXPIRED
    await api.close()


async def test_an_order_is_taken_back_after_it_was_placed(venue: FakeVenue) -> None:
    venue.exchange_answers.append(statuses("success", kind="cancel"))
    venue.exchange_answers.append(statuses({"resting": {"oid": 1}}))
    venue.exchange_answers.append(statuses("success", kind="cancel"))
    await executed(venue, place(0), cancel(0), cancel(1, 91))
    assert [a["type"] for a in sent(venue)] == ["cancel", "order", "cancelByCloid"]


async def test_post_only_orders_travel_apart(venue: FakeVenue) -> None:
    venue.exchange_answers.append(statuses({"resting": {"oid": 1}}))
    venue.exchange_default = statuses({"resting": {"oid": 2}})
    await executed(venue, place(0), place(1, tif=Tif.IOC))
    tifs = sorted(a["orders"][0]["t"]["limit"]["tif"] for a in sent(venue))
    assert tifs == ["Alo", "Ioc"]


async def test_a_stop_that_follows_its_entry_stays_behind_it(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    await executed(venue, stop(0), place(1, tif=Tif.IOC), stop(2))
    reduce_only = [a["orders"][0]["r"] for a in sent(venue)]
    assert reduce_only == [True, False, True]


async def test_cancels_by_either_id(venue: FakeVenue) -> None:
    venue.exchange_default = statuses("success", kind="cancel")
    events = await executed(venue, cancel(0, 91), cancel(1))
    by_type = {a["type"]: a["cancels"] for a in sent(venue)}
    assert by_type == {
        "cancel": [{"a": 0, "o": 91}],
        "cancelByCloid": [{"asset": 0, "cloid": place(1).cloid}],
    }
    assert {type(e) for e in events} == {OrderUpdated}
    assert {e.status for e in events if isinstance(e, OrderUpdated)} == {OrderStatus.CANCELLED}


async def test_large_batches_are_split_where_the_weight_grows(venue: FakeVenue) -> None:
    venue.exchange_default = (200, {"status": "err", "response": "Trading is halted."})
    await executed(venue, *(place(i) for i in range(100)))
    assert sorted(len(a["orders"]) for a in sent(venue)) == [22, 39, 39]


async def test_the_wire_form_of_orders(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    await executed(venue, stop())
    assert sent(venue)[0] == {
        "type": "order",
        "orders": [
            {
                "a": 0,
                "b": False,
                "p": "53100",
                "s": "0.01",
                "r": True,
                "t": {"trigger": {"isMarket": True, "triggerPx": "59000", "tpsl": "sl"}},
                "c": stop().cloid,
            }
        ],
        "grouping": "na",
    }


async def test_no_builder_code_is_ever_sent(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    modified = ModifyOrder(place(5).cloid, 77, place(5))
    await executed(venue, place(0), stop(1), place(2, tif=Tif.IOC), modified, cancel(3, 9))
    assert len(venue.actions) == 5
    assert "builder" not in json.dumps(venue.actions)


async def test_only_triggers_and_takers_are_modified_unconditionally(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    quote = ModifyOrder(place(0).cloid, 77, place(0))
    trigger = ModifyOrder(stop(1).cloid, 0, stop(1))
    await executed(venue, quote, trigger)
    flags = {a["modifies"][0]["oid"]: a.get("a") for a in sent(venue)}
    assert flags == {77: None, stop(1).cloid: True}


async def test_every_request_is_signed_for_its_network_and_vault(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    for is_mainnet in (True, False):
        await executed(venue, place(), is_mainnet=is_mainnet, vault_address=VAULT)
        body = venue.actions[-1]
        recovered = recover_l1(
            decode_action(json.dumps(body["action"]).encode()),
            body["nonce"],
            WireSignature(**body["signature"]),
            is_mainnet=is_mainnet,
            vault_address=VAULT,
            expires_after=body["expiresAfter"],
        )
        assert (recovered, body["vaultAddress"]) == (ADDRESS, VAULT)


# --- what becomes of the answers ------------------------------------------------------------------


async def test_answers_to_orders(venue: FakeVenue) -> None:
    venue.exchange_answers.append(
        statuses(
            {"resting": {"oid": 1, "cloid": place(0).cloid}},
            {"filled": {"oid": 2, "totalSz": "0.01", "avgPx": "60000.0"}},
            {"filled": {"oid": 3, "totalSz": "0.004", "avgPx": "60000.0"}},
            {"error": "Order must have minimum value of $10. asset=0"},
            "waitingForTrigger",
            {"surprise": 1},
        )
    )
    events = await executed(venue, *(place(i, tif=Tif.IOC) for i in range(6)))
    rows = [
        (e.oid, e.status, e.lots_left) if isinstance(e, OrderUpdated) else type(e) for e in events
    ]
    assert rows == [
        (1, OrderStatus.WORKING, -1),
        (2, OrderStatus.FILLED, 0),
        # What an IOC could not trade is gone.
        (3, OrderStatus.CANCELLED, 600),
        OrderRejected,
        (0, OrderStatus.WORKING, -1),
        OrderUnanswered,
    ]
    assert [getattr(e, "cloid", "") for e in events] == [place(i).cloid for i in range(6)]
    rejected = events[3]
    assert isinstance(rejected, OrderRejected)
    assert rejected.code is RejectionCode.MIN_NOTIONAL


async def test_the_rest_of_an_order_that_may_rest_is_not_taken_for_gone(venue: FakeVenue) -> None:
    filled = {"filled": {"oid": 3, "totalSz": "0.004", "avgPx": "60000.0"}}
    venue.exchange_default = statuses(filled)
    (event,) = await executed(venue, place(0, tif=Tif.GTC))
    assert isinstance(event, OrderUpdated)
    assert (event.status, event.lots_left) == (OrderStatus.WORKING, 600)


@pytest.mark.parametrize("row", ["waitingForTrigger", {"surprise": 1}, {"resting": {"oid": 1}}])
async def test_only_success_is_a_cancel(venue: FakeVenue, row: Any) -> None:
    venue.exchange_default = statuses(row, kind="cancel")
    (event,) = await executed(venue, cancel(0, 91))
    assert isinstance(event, OrderUnanswered)


async def test_one_error_for_a_whole_batch_is_everyones(venue: FakeVenue) -> None:
    venue.exchange_answers.append(statuses({"error": "Order has zero size."}))
    events = await executed(venue, *(place(i) for i in range(3)))
    assert [type(e) for e in events] == [OrderRejected] * 3
    assert [e.cloid for e in events if isinstance(e, OrderRejected)] == [
        place(i).cloid for i in range(3)
    ]


@pytest.mark.parametrize(
    "rows",
    [[], [{"resting": {"oid": 1}}], [{"error": "x"}, {"error": "y"}], ["success"] * 4],
)
async def test_answers_that_do_not_match_the_batch_leave_it_unknown(
    venue: FakeVenue, rows: list[Any]
) -> None:
    venue.exchange_answers.append(statuses(*rows))
    events = await executed(venue, *(place(i) for i in range(3)))
    assert [type(e) for e in events] == [OrderUnanswered] * 3


async def test_a_refused_action_is_a_no_to_each_of_its_commands(venue: FakeVenue) -> None:
    venue.exchange_default = (
        200,
        {"status": "err", "response": "User or API Wallet 0x1 does not exist."},
    )
    events = await executed(venue, place(0), cancel(1, 5), SetLeverage("BTC", 0, 5, True))
    by_type = {type(e): e for e in events}
    assert set(by_type) == {OrderRejected, CancelRejected, LeverageRejected}
    assert by_type[OrderRejected].code is RejectionCode.SIGNER_UNKNOWN  # type: ignore[attr-defined]
    assert by_type[CancelRejected].code is RejectionCode.SIGNER_UNKNOWN  # type: ignore[attr-defined]


async def test_no_answer_is_no_no(venue: FakeVenue) -> None:
    venue.exchange_default = (0, "")
    modified = ModifyOrder(place(5).cloid, 77, place(6))
    events = await executed(venue, place(0), cancel(1, 5), modified, SetLeverage("BTC", 0, 5, True))
    assert len(venue.actions) == 4
    unanswered = {e.cloid for e in events if isinstance(e, OrderUnanswered)}
    assert unanswered == {place(0).cloid, place(1).cloid, place(6).cloid}
    assert [e for e in events if isinstance(e, LeverageUnanswered)]
    assert not [e for e in events if isinstance(e, LeverageRejected)]
    troubles = [e for e in events if isinstance(e, VenueUnavailable)]
    assert troubles
    assert all(e.until_ns == NOW_MS * NS_PER_MS + 10 * NS_PER_S for e in troubles)
    assert not [e for e in events if isinstance(e, OrderRejected | CancelRejected)]


async def test_a_spent_address_budget_is_trouble_at_the_venue(venue: FakeVenue) -> None:
    text = "Too many cumulative requests sent (5 > 4) for cumulative volume traded $4."
    venue.exchange_default = (200, {"status": "err", "response": text})
    rejected, trouble = await executed(venue, place())
    assert isinstance(rejected, OrderRejected)
    assert rejected.code is RejectionCode.RATE_LIMITED
    assert isinstance(trouble, VenueUnavailable)


async def test_leverage(venue: FakeVenue) -> None:
    assert await executed(venue, SetLeverage("BTC", 0, 5, True)) == [
        LeverageChanged(coin="BTC", leverage=5, is_cross=True)
    ]
    assert sent(venue) == [{"type": "updateLeverage", "asset": 0, "isCross": True, "leverage": 5}]


async def test_a_modify_gives_a_new_oid(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 88}})
    same = ModifyOrder(place(0).cloid, 77, place(0))
    (updated,) = await executed(venue, same)
    assert isinstance(updated, OrderUpdated)
    assert (updated.oid, updated.cloid, updated.status) == (
        88,
        place(0).cloid,
        OrderStatus.WORKING,
    )
    renamed = ModifyOrder(place(0).cloid, 77, place(1))
    old, new = await executed(venue, renamed)
    assert isinstance(old, OrderUpdated)
    assert isinstance(new, OrderUpdated)
    assert (old.oid, old.cloid, old.status) == (77, place(0).cloid, OrderStatus.CANCELLED)
    assert (new.oid, new.cloid) == (88, place(1).cloid)


async def test_a_failed_modify_may_have_removed_the_old_order(venue: FakeVenue) -> None:
    renamed = ModifyOrder(place(0).cloid, 77, place(1))
    venue.exchange_answers.append(statuses({"error": "Cannot modify canceled or filled order"}))
    (rejected,) = await executed(venue, renamed)
    assert isinstance(rejected, OrderRejected)
    assert rejected.cloid == place(1).cloid
    text = "Error placing new order during modify: Insufficient margin to place order."
    venue.exchange_answers.append(statuses({"error": text}))
    old, rejected = await executed(venue, renamed)
    assert isinstance(old, OrderUpdated)
    assert old.status is OrderStatus.CANCELLED
    assert isinstance(rejected, OrderRejected)
    assert rejected.code is RejectionCode.MARGIN_INSUFFICIENT


async def test_an_unknown_coin_is_refused_here(venue: FakeVenue) -> None:
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    events = await executed(venue, place(0, coin="NOPE"), place(1))
    assert [type(e) for e in events] == [OrderRejected, OrderUpdated]
    assert len(sent(venue)[0]["orders"]) == 1


async def test_no_key_no_orders(venue: FakeVenue) -> None:
    with pytest.raises(CredentialError, match="none is configured"):
        await executed(venue, place(), signer=None)
    assert venue.actions == []


async def test_the_address_budget_counts_items(venue: FakeVenue) -> None:
    api = client(venue)
    venue.exchange_default = statuses(*({"error": "x"} for _ in range(5)))
    await api.execute([place(i) for i in range(5)], ttl_ns=TTL_NS)
    assert api.address_budget.used == 5
    await api.close()
