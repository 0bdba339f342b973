"""Orders, cancels and modifies on the wire: groupings, fast cancels, builders, spot."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.api.signing import agent_digest, l1_hash
from core.simulation.venue.settings import VenueSettings
from tests.simulation.spot_kit import HYPE_PAIR, PAIRS
from tests.simulation_server.desk_kit import (
    MASTER,
    OK,
    OTHER,
    Desk,
    error,
    order,
    place,
    statuses,
    stop,
)

HYPE = PAIRS[HYPE_PAIR].asset
CLOID = "0x" + "ab" * 16
BUILDER = {"b": OTHER.address, "f": 10}


def opened(settings: VenueSettings | None = None) -> Desk:
    desk = Desk(settings)
    desk.tick()
    desk.tick("34.89", "34.9", coin=HYPE_PAIR, size="1000")
    desk.fund(MASTER, OTHER)
    return desk


@pytest.fixture
def desk() -> Desk:
    return opened()


def take_profit(px: str = "110000", sz: str = "0.01") -> dict[str, Any]:
    wire = stop(px, sz)
    wire["t"] = {"trigger": {"isMarket": True, "triggerPx": px, "tpsl": "tp"}}
    return wire


def test_a_parent_that_rests_lets_its_children_wait(desk: Desk) -> None:
    answer = desk.act(place(order(), stop(), take_profit(), grouping="normalTpsl"))
    parent, *children = statuses(answer)
    assert "resting" in parent
    assert children == ["waitingForFill", "waitingForFill"]
    filled = order("100010", tif="Gtc")
    answer = desk.act(place(filled, stop(), take_profit(), grouping="normalTpsl"))
    assert statuses(answer)[1:] == ["waitingForTrigger", "waitingForTrigger"]


@pytest.mark.parametrize(
    ("orders", "text"),
    [
        ((), "Orders are empty."),
        ((stop(), order()), "Main order cannot be trigger order."),
        ((order(), stop(), stop(), stop()), "Unexpected number of trigger orders"),
        (
            (order(), {**stop(), "r": False}),
            "TP/SL orders must be reduce-only triggers against the main order",
        ),
    ],
)
def test_a_misshapen_group_is_refused_with_one_status(desk: Desk, orders: Any, text: str) -> None:
    answer = desk.act(place(*orders, grouping="normalTpsl"))
    assert statuses(answer) == [{"error": text}]
    assert desk.venue.open_orders(MASTER.address) == ()


def test_a_priority_fee_is_refused_clearly(desk: Desk) -> None:
    answer = desk.act(place(order(tif="Ioc"), grouping={"p": 1_000}))
    assert answer == error("Priority fee cannot be paid: no staked HYPE")


def test_perpetuals_and_spot_do_not_share_an_action(desk: Desk) -> None:
    answer = desk.act(place(order(), order("30", "1", asset=HYPE)))
    assert statuses(answer) == [{"error": "Order action has different asset classes"}]


def test_the_web_pages_market_order_has_its_own_words(desk: Desk) -> None:
    (filled,) = statuses(desk.act(place(order("110000", "0.01", tif="FrontendMarket"))))
    assert filled["filled"]["avgPx"] == "100010.0"
    (dry,) = statuses(desk.act(place(order("50000", tif="FrontendMarket"))))
    assert dry == {"error": "No liquidity available for market order. asset=0"}


@pytest.mark.parametrize("by_cloid", [False, True])
def test_a_fast_cancel_spares_triggers_until_it_is_an_ordinary_one(
    desk: Desk, by_cloid: bool
) -> None:
    statuses(desk.act(place(order("100010", tif="Ioc"))))
    (armed,) = statuses(desk.act(place(stop(cloid=CLOID))))
    other = "0x" + "cd" * 16
    (resting,) = statuses(desk.act(place(order(cloid=other))))
    if by_cloid:
        cancels = [{"asset": 0, "cloid": c} for c in (CLOID, other)]
    else:
        cancels = [{"a": 0, "o": row["resting"]["oid"]} for row in (armed, resting)]
    action = {"type": "cancelByCloid" if by_cloid else "cancel", "cancels": cancels}
    refused, done = statuses(desk.act({**action, "f": True}))
    assert refused == {"error": "Fast cancel may not refer to trigger orders asset=0"}
    assert done == "success"
    again, gone = statuses(desk.act(action))
    assert again == "success"
    dead = "Order was never placed, already canceled, or filled. asset=0"
    assert gone == {"error": dead}
    assert statuses(desk.act({**action, "f": True})) == [{"error": dead}] * 2


def test_a_flag_that_is_hashed_as_false_recovers_a_stranger(desk: Desk) -> None:
    """The venue skips false flags before hashing, so whoever signed one signed other bytes."""
    action = {"type": "cancel", "cancels": [{"a": 0, "o": 1}], "f": False}
    nonce = desk.nonce()
    digest = agent_digest(
        l1_hash(msgspec.msgpack.encode(action), nonce, None, None), is_mainnet=False
    )
    request = {"action": action, "nonce": nonce, "signature": MASTER.sign_digest(digest)}
    answer = desk.send(request)
    assert answer["response"].startswith("User or API Wallet 0x")
    assert MASTER.address not in answer["response"]


def crossing_modify(desk: Desk, **flags: Any) -> Any:
    (resting,) = statuses(desk.act(place(order(cloid=CLOID))))
    modify = {"oid": resting["resting"]["oid"], "order": order("100010", cloid=CLOID)}
    return desk.act({"type": "batchModify", "modifies": [modify], **flags})


def test_a_modify_places_whatever_is_asked_only_if_it_says_so(desk: Desk) -> None:
    (refused,) = statuses(crossing_modify(desk))
    assert "error" in refused
    (filled,) = statuses(crossing_modify(desk, a=True))
    assert "filled" in filled


def test_before_2026_a_modify_placed_anything() -> None:
    desk = opened(VenueSettings(modify_places_always=True))
    (filled,) = statuses(crossing_modify(desk))
    assert "filled" in filled


def test_a_malformed_modify_is_refused(desk: Desk) -> None:
    action = {"type": "modify", "oid": 1, "order": order(asset=9_999)}
    assert desk.act(action) == error("Unknown asset asset=9999")
    batch = {"type": "batchModify", "modifies": [{"oid": 1, "order": order("1.23456")}]}
    answer = statuses(desk.act(batch))
    assert answer == [{"error": "Price must be divisible by tick size. asset=0"}]


def approve(desk: Desk, rate: str) -> Any:
    return desk.act_as_user("approveBuilderFee", maxFeeRate=rate, builder=OTHER.address)


def test_a_builder_is_paid_by_the_orders_that_name_him(desk: Desk) -> None:
    refused = error("Builder fee has not been approved.")
    with_builder = place(order("100010", tif="Ioc"), builder=BUILDER)
    assert desk.act(with_builder) == refused
    assert approve(desk, "0.01%") == OK
    statuses(desk.act(with_builder))
    fill = desk.venue.fills(MASTER.address)[-1]
    assert fill.builder_fee_micro == 100_010
    greedy = {**BUILDER, "f": 11}
    assert desk.act(place(order("100010", tif="Ioc"), builder=greedy)) == refused
    assert desk.act({"type": "claimRewards"}, OTHER) == OK
    assert desk.venue.account_report(OTHER.address).cash_micro == 10_000_100_010
    assert approve(desk, "0%") == OK
    assert desk.act(with_builder) == refused
    assert desk.venue.conservation_error_micro() == 0


@pytest.mark.parametrize("rate", ["0.01", "one%", "0.0001%", "%"])
def test_a_rate_is_a_percentage_of_whole_tenths_of_a_basis_point(desk: Desk, rate: str) -> None:
    assert approve(desk, rate) == error("Invalid amount")


def test_a_builder_earns_from_spot_sales_and_not_from_purchases(desk: Desk) -> None:
    assert approve(desk, "1%") == OK
    assert desk.act_as_user("usdClassTransfer", amount="1000", toPerp=False) == OK
    builder = {**BUILDER, "f": 1_000}
    statuses(desk.act(place(order("35", "10", tif="Ioc", asset=HYPE), builder=builder)))
    assert desk.venue.builders.earned_micro(OTHER.address) == 0
    sell = order("34", "5", is_buy=False, tif="Ioc", asset=HYPE)
    statuses(desk.act(place(sell, builder=builder)))
    assert desk.venue.builders.earned_micro(OTHER.address) == 1_744_500
    perp = place(order("100010", tif="Ioc"), builder=builder)
    assert desk.act(perp) == error("Builder fee is too high")
    assert desk.venue.conservation_error_micro() == 0
