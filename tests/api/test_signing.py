"""Signatures: every vector byte for byte, in any key order, and nothing of the key shown."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from core.api import multi_sig, signing
from core.api.actions import MultiSigAction, UserAction, decode_action, encode_action
from core.api.signing import Signature, Signer, agent_digest, l1_hash, recover_l1, recover_user
from core.model.errors import CredentialError
from tests.api import vectors
from tests.api.instruments import ADDRESS, KEY

# Their texts end in ``.0``: published to test hashing, refused by the live venue.
NOT_CANONICAL = {
    "rs_order_ioc_testnet",
    "rs_order_trigger_tp_mainnet",
    "rs_order_trigger_tp_testnet",
    "rs_order_trigger_sl_testnet",
}
ORDER = {
    "type": "order",
    "orders": [
        {"a": 0, "b": True, "p": "60000", "s": "0.01", "r": False, "t": {"limit": {"tif": "Gtc"}}}
    ],
    "grouping": "na",
}


def packed(signature: Signature) -> str:
    """r, s, v as 65 bytes, to compare with sources that pad differently."""
    return f"0x{int(signature.r, 16):064x}{int(signature.s, 16):064x}{signature.v:02x}"


def scrambled(action: dict[str, Any]) -> bytes:
    """The action as JSON with its keys in another order."""
    return json.dumps(action, sort_keys=True).encode()


@pytest.mark.parametrize("vector", vectors.of_scheme("l1"), ids=vectors.name_of)
def test_l1_vectors(vector: dict[str, Any]) -> None:
    expected = vector["expected"]
    action = decode_action(json.dumps(vector["action"]).encode())
    if vector["name"] in NOT_CANONICAL:
        assert encode_action(action).hex() != expected["msgpack"][2:]
        action = vector["action"]
    data = encode_action(action)
    assert "0x" + data.hex() == expected["msgpack"]
    connection_id = l1_hash(data, vector["nonce"], vector["vault"], vector["expires_after"])
    assert "0x" + connection_id.hex() == expected["hash"]
    digest = agent_digest(connection_id, is_mainnet=vector["is_mainnet"])
    assert "0x" + digest.hex() == expected["digest"]
    envelope = {
        "is_mainnet": vector["is_mainnet"],
        "vault_address": vector["vault"],
        "expires_after": vector["expires_after"],
    }
    signer = Signer(vector["private_key"])
    signature = signer.sign_l1(action, vector["nonce"], **envelope)
    assert packed(signature) == expected["signature"]
    if vector["source"].startswith("generated"):
        assert (signature.r, signature.s, signature.v) == tuple(expected[k] for k in "rsv")
    assert signer.address == vector["address"].lower()
    assert recover_l1(action, vector["nonce"], signature, **envelope) == signer.address


@pytest.mark.parametrize(
    "vector",
    [
        v
        for v in vectors.of_scheme("l1")
        # An action without a struct keeps the order of the request.
        if v["name"] not in NOT_CANONICAL and v["action"]["type"] != "dummy"
    ],
    ids=vectors.name_of,
)
def test_key_order_of_the_request_does_not_matter(vector: dict[str, Any]) -> None:
    assert (
        "0x" + encode_action(decode_action(scrambled(vector["action"]))).hex()
        == (vector["expected"]["msgpack"])
    )


@pytest.mark.parametrize("vector", vectors.of_scheme("user_signed"), ids=vectors.name_of)
def test_user_signed_vectors(vector: dict[str, Any]) -> None:
    # One published vector leaves the type out; its typed data says that it is a usdSend.
    action = {"type": "usdSend", **vector["action"]}
    signer = Signer(vector["private_key"])
    assert "0x" + signing.user_digest(action).hex() == vector["expected"]["digest"]
    signature = signer.sign_user(action)
    assert packed(signature) == vector["expected"]["signature"]
    decoded = decode_action(scrambled(action))
    assert isinstance(decoded, UserAction)
    assert recover_user(decoded, signature) == signer.address
    assert signer.sign_user(decoded) == signature


USER = "0x" + "ab" * 20


@pytest.mark.parametrize(
    ("kind", "name", "fields"),
    [
        ("cDeposit", "CDeposit", {"wei": ("uint64", 5)}),
        ("cWithdraw", "CWithdraw", {"wei": ("uint64", 2**63)}),
        (
            "linkStakingUser",
            "LinkStakingUser",
            {"user": ("address", USER), "isFinalize": ("bool", True)},
        ),
        (
            "userPortfolioMargin",
            "UserPortfolioMargin",
            {"user": ("address", USER), "enabled": ("bool", False)},
        ),
    ],
)
def test_actions_without_a_vector_are_hashed_as_another_implementation_hashes_them(
    kind: str, name: str, fields: dict[str, tuple[str, Any]]
) -> None:
    typed = {"hyperliquidChain": ("string", "Testnet"), **fields, "nonce": ("uint64", 7)}
    message = {field: value for field, (_, value) in typed.items()}
    domain = {"name": "HyperliquidSignTransaction", "version": "1", "chainId": 0x66EEE}
    encoded = encode_typed_data(
        full_message={
            "domain": {**domain, "verifyingContract": "0x" + "00" * 20},
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                f"HyperliquidTransaction:{name}": [
                    {"name": field, "type": solidity} for field, (solidity, _) in typed.items()
                ],
            },
            "primaryType": f"HyperliquidTransaction:{name}",
            "message": message,
        }
    )
    expected = signing.keccak(b"\x19" + encoded.version + encoded.header + encoded.body)
    action = {"type": kind, "signatureChainId": "0x66eee", **message}
    decoded = decode_action(scrambled(action))
    assert isinstance(decoded, UserAction)
    assert signing.user_digest(decoded) == expected


@pytest.mark.parametrize("vector", vectors.of_scheme("phantom_agent"), ids=vectors.name_of)
def test_phantom_agent_vectors(vector: dict[str, Any]) -> None:
    connection_id = bytes.fromhex(vector["connection_id"][2:])
    digest = agent_digest(connection_id, is_mainnet=vector["is_mainnet"])
    assert "0x" + digest.hex() == vector["expected"]["digest"]
    signature = Signer(vector["private_key"]).sign_digest(digest)
    assert packed(signature) == vector["expected"]["signature"]


@pytest.mark.parametrize("vector", vectors.of_scheme("multi_sig"), ids=vectors.name_of)
def test_multi_sig_vectors(vector: dict[str, Any]) -> None:
    expected = vector["expected"]
    users = {
        "multi_sig_user": vector["multi_sig_user"],
        "outer_signer": vector["action"]["payload"]["outerSigner"],
    }
    envelope = {"vault_address": vector["vault"], "expires_after": vector["expires_after"]}
    for key, inner in zip(vector["inner_private_keys"], expected["inner_signatures"], strict=True):
        if vector["inner"] == "l1":
            action = decode_action(scrambled(vector["inner_action"]))
            connection_id = multi_sig.inner_l1_hash(
                action, nonce=vector["nonce"], **users, **envelope
            )
            digest = agent_digest(connection_id, is_mainnet=vector["is_mainnet"])
            signature = Signer(key).sign_digest(digest)
        else:
            signature = Signer(key).sign_user(vector["inner_action"], **users)
        assert packed(signature) == packed(Signature(**inner))

    outer = decode_action(scrambled(vector["action"]))
    assert isinstance(outer, MultiSigAction)
    action_hash = multi_sig.action_hash(outer, vector["nonce"], **envelope)
    assert "0x" + action_hash.hex() == expected["multiSigActionHash"]
    digest = multi_sig.outer_digest(
        outer, vector["nonce"], is_mainnet=vector["is_mainnet"], **envelope
    )
    assert packed(Signer(vector["private_key"]).sign_digest(digest)) == expected["signature"]


@pytest.mark.parametrize("vector", vectors.RECOVERY, ids=vectors.name_of)
def test_signers_of_real_requests(vector: dict[str, Any]) -> None:
    request = vector["request"]
    action = decode_action(scrambled(request["action"]))
    signature = Signature(**request["signature"])
    if isinstance(action, UserAction):
        recovered = recover_user(action, signature)
    else:
        recovered = recover_l1(
            action,
            request["nonce"],
            signature,
            is_mainnet=vector["is_mainnet"],
            expires_after=request.get("expiresAfter"),
        )
    assert recovered == vector["signer"]


@given(
    nonce=st.integers(0, 2**64 - 1),
    vault=st.none() | st.just("0x1719884eb866cb12b2287399b15f7db5e7d775ea"),
    expires=st.none() | st.integers(0, 2**64 - 1),
    is_mainnet=st.booleans(),
)
def test_everything_in_the_envelope_is_signed(
    nonce: int, vault: str | None, expires: int | None, is_mainnet: bool
) -> None:
    action = decode_action(json.dumps(ORDER).encode())
    envelope = {"is_mainnet": is_mainnet, "vault_address": vault, "expires_after": expires}
    signature = Signer(KEY).sign_l1(action, nonce, **envelope)  # type: ignore[arg-type]
    assert recover_l1(action, nonce, signature, **envelope) == ADDRESS  # type: ignore[arg-type]
    other = {**envelope, "is_mainnet": not is_mainnet}
    assert recover_l1(action, nonce, signature, **other) != ADDRESS  # type: ignore[arg-type]
    if nonce < 2**64 - 1:
        later = recover_l1(action, nonce + 1, signature, **envelope)  # type: ignore[arg-type]
        assert later != ADDRESS


def test_another_price_recovers_another_signer() -> None:
    action = decode_action(json.dumps(ORDER).encode())
    signature = Signer(KEY).sign_l1(action, 1, is_mainnet=False)
    changed = copy.deepcopy(ORDER)
    changed["orders"][0]["p"] = "60001"  # type: ignore[index]
    other = decode_action(json.dumps(changed).encode())
    assert recover_l1(other, 1, signature, is_mainnet=False) != ADDRESS


@pytest.mark.parametrize(
    "signature",
    [
        Signature("0x1", "0x1", 29),
        Signature("nonsense", "0x1", 27),
        Signature("0x" + "f" * 65, "0x1", 27),
        Signature("0x0", "0x0", 27),
    ],
)
def test_a_malformed_signature_is_a_value_error(signature: Signature) -> None:
    with pytest.raises(ValueError, match="signature"):
        recover_l1({"type": "noop"}, 1, signature, is_mainnet=False)


@pytest.mark.parametrize("text", ["", "0x12", "0x" + "0" * 64, "0x" + "f" * 64, "zz" * 32])
def test_a_bad_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(CredentialError) as caught:
        Signer(text)
    if text:
        assert text not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_signer_never_shows_its_key() -> None:
    signer = Signer(KEY)
    assert KEY[2:] not in repr(signer) + str(signer)
    assert not hasattr(signer, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(signer)


def test_new_keys_differ_and_are_usable() -> None:
    keys = {signing.new_private_key() for _ in range(8)}
    assert len(keys) == 8
    assert all(len(key) == 66 and Signer(key).address.startswith("0x") for key in keys)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"type": "order"}, "action type"),
        ({"time": None}, "time should be of type uint64"),
        ({"time": -1}, "time should be of type uint64"),
        ({"amount": 1}, "amount should be of type string"),
        ({"signatureChainId": "x"}, "invalid literal"),
    ],
)
def test_a_user_signed_action_must_be_complete(change: dict[str, Any], match: str) -> None:
    action = {
        "type": "usdSend",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "destination": ADDRESS,
        "amount": "1",
        "time": 1,
    }
    with pytest.raises(ValueError, match=match):
        Signer(KEY).sign_user({**action, **change})
    del action["amount"]
    with pytest.raises(ValueError, match="should carry 'amount'"):
        Signer(KEY).sign_user(action)


def test_an_unnamed_agent_is_signed_with_an_empty_name() -> None:
    action: dict[str, Any] = {
        "type": "approveAgent",
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        "agentAddress": ADDRESS,
        "nonce": 5,
    }
    signature = Signer(KEY).sign_user(action)
    for variant in ({**action, "agentName": ""}, {**action, "agentName": None}):
        assert Signer(KEY).sign_user(variant) == signature
    assert Signer(KEY).sign_user({**action, "agentName": "bot"}) != signature
