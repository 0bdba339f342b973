"""Actions: canonical form, refusals, and the fields that must be absent."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.actions import (
    ActionDecodeError,
    ApproveAgentAction,
    CancelAction,
    CancelWire,
    LimitSpec,
    ModifyAction,
    OrderAction,
    OrderType,
    OrderWire,
    decode_action,
    encode_action,
)

WIRE: dict[str, Any] = {
    "a": 4,
    "b": True,
    "p": "1670.1",
    "s": "0.0147",
    "r": False,
    "t": {"limit": {"tif": "Ioc"}},
}


def order(**changes: Any) -> dict[str, Any]:
    return {"type": "order", "orders": [{**WIRE, **changes}], "grouping": "na"}


def decoded(action: dict[str, Any]) -> Any:
    return decode_action(json.dumps(action).encode())


@pytest.mark.parametrize(
    ("given_fields", "same_as"),
    [
        ({"p": "1670.10"}, {}),
        ({"p": "01670.1", "s": "0.014700"}, {}),
        ({"p": "2000.0"}, {"p": "2000"}),
        ({"s": ".5"}, {"s": "0.5"}),
        ({"c": "0xABCDEF00000000000000000000000001"}, {"c": "0xabcdef00000000000000000000000001"}),
        ({"c": "abcdef00000000000000000000000001"}, {"c": "0xabcdef00000000000000000000000001"}),
        ({"c": None}, {}),
        ({"unknown": 1}, {}),
        (
            {"t": {"trigger": {"tpsl": "sl", "triggerPx": "10.50", "isMarket": True}}},
            {"t": {"trigger": {"isMarket": True, "triggerPx": "10.5", "tpsl": "sl"}}},
        ),
    ],
)
def test_canonical_orders(given_fields: dict[str, Any], same_as: dict[str, Any]) -> None:
    assert encode_action(decoded(order(**given_fields))) == encode_action(order(**same_as))


@pytest.mark.parametrize(
    "action",
    [
        order(p="abc"),
        order(p="1e5"),
        order(p=""),
        order(p="1.123456789"),
        order(p=1670.1),
        order(t={}),
        order(t={"limit": {"tif": "Ioc"}, "trigger": WIRE["t"]}),
        order(t={"limit": {"tif": "Fok"}}),
        {"type": "order", "orders": [WIRE], "grouping": "other"},
        {"type": "order", "orders": [WIRE]},
        {"type": "cancel", "cancels": [{"a": 1}]},
        {"type": "updateLeverage", "asset": 1, "isCross": True, "leverage": "20"},
        {"no": "type"},
    ],
)
def test_what_is_no_action_is_refused_in_the_venues_words(action: dict[str, Any]) -> None:
    with pytest.raises(ActionDecodeError, match=r"^Failed to deserialize the JSON body"):
        decoded(action)


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b"{", b'{"type":"order\xff"}', b'{"type":1}'])
def test_bytes_that_are_no_action(raw: bytes) -> None:
    with pytest.raises(ActionDecodeError):
        decode_action(raw)


def test_false_flags_are_never_hashed() -> None:
    assert encode_action(decoded({"type": "cancel", "cancels": [], "f": False})) == encode_action(
        {"type": "cancel", "cancels": []}
    )
    assert encode_action(decoded({"type": "cancel", "cancels": [], "f": True})) == encode_action(
        {"type": "cancel", "cancels": [], "f": True}
    )
    modify = {"type": "modify", "oid": 5, "order": WIRE}
    assert encode_action(decoded({**modify, "a": False})) == encode_action(modify)


def test_a_modify_names_an_oid_or_a_cloid() -> None:
    cloid = "0xABCDEF00000000000000000000000001"
    by_cloid = decoded({"type": "modify", "oid": cloid, "order": WIRE})
    by_oid = decoded({"type": "modify", "oid": 2**40, "order": WIRE})
    assert isinstance(by_cloid, ModifyAction)
    assert (by_cloid.oid, by_oid.oid) == (cloid.lower(), 2**40)


def test_addresses_that_are_hashed_become_lowercase() -> None:
    mixed = "0x1D9470d4B963F552E6F671a81619D395877BF409"
    action = {"type": "subAccountTransfer", "subAccountUser": mixed, "isDeposit": True, "usd": 1}
    assert decoded(action).sub_account_user == mixed.lower()
    # The texts of a user-signed transfer are signed as they are.
    send = {"type": "usdSend", "destination": mixed, "amount": "1.0", "time": 1}
    assert (decoded(send).destination, decoded(send).amount) == (mixed, "1.0")
    builder = {**order(), "builder": {"b": mixed, "f": 10}}
    assert decoded(builder).builder.b == mixed.lower()


def test_an_action_without_a_struct_stays_an_ordered_mapping() -> None:
    action = decode_action(b'{"type":"dummy","z":1,"a":{"y":2,"b":3}}')
    assert isinstance(action, dict)
    assert list(action) == ["type", "z", "a"]
    assert encode_action(action) == msgspec.msgpack.encode(
        {"type": "dummy", "z": 1, "a": {"y": 2, "b": 3}}
    )


def test_priority_grouping() -> None:
    action = {**order(), "grouping": {"p": 8}}
    assert encode_action(decoded(action)) == encode_action(action)


def test_an_unnamed_agent() -> None:
    action = decoded({"type": "approveAgent", "agentAddress": "0xAB", "nonce": 1})
    assert action == ApproveAgentAction(agent_address="0xab", nonce=1)


@given(
    asset=st.integers(0, 2**31),
    oid=st.integers(1, 2**63 - 1),
    px=st.integers(1, 10**12),
    lots=st.integers(1, 10**12),
    is_buy=st.booleans(),
)
def test_decoding_what_was_written_changes_nothing(
    asset: int, oid: int, px: int, lots: int, is_buy: bool
) -> None:
    kind = OrderType(limit=LimitSpec("Gtc"))
    wire = OrderWire(asset, is_buy, str(px), str(lots), False, kind)
    for action in (
        OrderAction(orders=[wire], grouping="na"),
        CancelAction(cancels=[CancelWire(asset, oid)]),
    ):
        assert decode_action(msgspec.json.encode(action)) == action


def test_signatures_inside_an_action_lose_their_leading_zeros() -> None:
    payload = {"multiSigUser": "0xAB", "outerSigner": "0xCD", "action": {"type": "noop"}}
    signature = {"r": "0x00ab", "s": "0X0C", "v": 27}
    action = {"type": "multiSig", "signatureChainId": "0x66eee", "payload": payload}
    read = decoded({**action, "signatures": [signature]})
    assert (read.signatures[0].r, read.signatures[0].s) == ("0xab", "0xc")
    assert (read.payload.multi_sig_user, read.payload.outer_signer) == ("0xab", "0xcd")
    with pytest.raises(ActionDecodeError, match="hex"):
        decoded({**action, "signatures": [{**signature, "r": "zz"}]})
