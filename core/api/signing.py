"""Signatures the venue accepts, and recovery of who made them.

Two schemes exist. An L1 action is signed through a phantom agent: a hash over msgpack bytes,
nonce, vault and expiry, wrapped in a fixed EIP-712 structure. A user-signed action is EIP-712
typed data of its own fields. The venue never says that a signature is wrong: it recovers some other
address and says that this one does not exist, so our client recovers its own signer first.

This module knows no HTTP and no account. Private keys stay inside `Signer` and are never shown.

Source: official Python SDK 0.24.0, ``utils/signing.py``; every constant and scheme is tested
against ``tests/data/signing-vectors.json``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import coincurve
import msgspec
import sha3

from core.api.actions import Action, UserAction, WireSignature, encode_action
from core.model.errors import CredentialError

Signature = WireSignature

SIGNATURE_CHAIN_ID = "0x66eee"
"""Chain id our user-signed actions carry; any EVM chain id is accepted. Source: SDK."""

_ADDRESS_HEX_LENGTH = 42
_UINT64_BYTES = 8
_V_BASE = 27

FieldTypes = tuple[tuple[str, str], ...]
"""Names and Solidity types of a typed message, in signing order."""

_CHAIN = ("hyperliquidChain", "string")
USER_ACTION_TYPES: dict[str, tuple[str, FieldTypes]] = {
    "usdSend": (
        "UsdSend",
        (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "spotSend": (
        "SpotSend",
        (
            _CHAIN,
            ("destination", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("time", "uint64"),
        ),
    ),
    "withdraw3": (
        "Withdraw",
        (_CHAIN, ("destination", "string"), ("amount", "string"), ("time", "uint64")),
    ),
    "usdClassTransfer": (
        "UsdClassTransfer",
        (_CHAIN, ("amount", "string"), ("toPerp", "bool"), ("nonce", "uint64")),
    ),
    "sendAsset": (
        "SendAsset",
        (
            _CHAIN,
            ("destination", "string"),
            ("sourceDex", "string"),
            ("destinationDex", "string"),
            ("token", "string"),
            ("amount", "string"),
            ("fromSubAccount", "string"),
            ("nonce", "uint64"),
        ),
    ),
    "approveAgent": (
        "ApproveAgent",
        (_CHAIN, ("agentAddress", "address"), ("agentName", "string"), ("nonce", "uint64")),
    ),
    "approveBuilderFee": (
        "ApproveBuilderFee",
        (_CHAIN, ("maxFeeRate", "string"), ("builder", "address"), ("nonce", "uint64")),
    ),
    "userDexAbstraction": (
        "UserDexAbstraction",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "userSetAbstraction": (
        "UserSetAbstraction",
        (_CHAIN, ("user", "address"), ("abstraction", "string"), ("nonce", "uint64")),
    ),
    "tokenDelegate": (
        "TokenDelegate",
        (
            _CHAIN,
            ("validator", "address"),
            ("wei", "uint64"),
            ("isUndelegate", "bool"),
            ("nonce", "uint64"),
        ),
    ),
    "cDeposit": ("CDeposit", (_CHAIN, ("wei", "uint64"), ("nonce", "uint64"))),
    "cWithdraw": ("CWithdraw", (_CHAIN, ("wei", "uint64"), ("nonce", "uint64"))),
    "linkStakingUser": (
        "LinkStakingUser",
        (_CHAIN, ("user", "address"), ("isFinalize", "bool"), ("nonce", "uint64")),
    ),
    "userPortfolioMargin": (
        "UserPortfolioMargin",
        (_CHAIN, ("user", "address"), ("enabled", "bool"), ("nonce", "uint64")),
    ),
    "convertToMultiSigUser": (
        "ConvertToMultiSigUser",
        (_CHAIN, ("signers", "string"), ("nonce", "uint64")),
    ),
}
"""Typed-data name and fields of each user-signed action type.

Source: SDK, ``*_SIGN_TYPES``; those it lacks (staking, portfolio margin) from the TypeScript client
``@nktkas/hyperliquid``.
"""

MULTI_SIG_FIELDS: FieldTypes = (_CHAIN, ("multiSigActionHash", "bytes32"), ("nonce", "uint64"))


def keccak(data: bytes) -> bytes:
    """Return the Keccak-256 hash (32 bytes) that Ethereum uses."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def _word(value: int) -> bytes:
    return value.to_bytes(32, "big")


_DOMAIN_TYPE_HASH = keccak(
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
)


def _domain(name: str, chain_id: int) -> bytes:
    return keccak(
        _DOMAIN_TYPE_HASH + keccak(name.encode()) + keccak(b"1") + _word(chain_id) + bytes(32)
    )


_L1_PREFIX = b"\x19\x01" + _domain("Exchange", 1337)
_AGENT_TYPE_HASH = keccak(b"Agent(string source,bytes32 connectionId)")
_AGENT_PREFIX_MAINNET = _AGENT_TYPE_HASH + keccak(b"a")
_AGENT_PREFIX_TESTNET = _AGENT_TYPE_HASH + keccak(b"b")
_USER_DOMAIN_NAME = "HyperliquidSignTransaction"


def chain_name(is_mainnet: bool) -> str:
    """Return the ``hyperliquidChain`` of user-signed actions."""
    return "Mainnet" if is_mainnet else "Testnet"


def l1_hash(
    action_msgpack: bytes, nonce: int, vault_address: str | None, expires_after: int | None
) -> bytes:
    """Hash an L1 action: the phantom agent's ``connectionId``.

    Parameters
    ----------
    action_msgpack : bytes
        As from `core.api.actions.encode_action`.
    nonce, expires_after : int
        Milliseconds.
    """
    data = action_msgpack + nonce.to_bytes(_UINT64_BYTES, "big")
    if vault_address is None:
        data += b"\x00"
    else:
        data += b"\x01" + address_bytes(vault_address)
    if expires_after is not None:
        data += b"\x00" + expires_after.to_bytes(_UINT64_BYTES, "big")
    return keccak(data)


def agent_digest(connection_id: bytes, *, is_mainnet: bool) -> bytes:
    """Wrap an L1 hash into the 32-byte digest that is signed."""
    prefix = _AGENT_PREFIX_MAINNET if is_mainnet else _AGENT_PREFIX_TESTNET
    return keccak(_L1_PREFIX + keccak(prefix + connection_id))


def typed_digest(
    name: str, fields: Sequence[tuple[str, str]], message: Mapping[str, Any], chain_id: str
) -> bytes:
    """Return the EIP-712 digest of ``HyperliquidTransaction:<name>``.

    Raises
    ------
    ValueError
        If a field is missing or does not fit its type, or the chain id is no hex number.
    """
    described = ",".join(f"{kind} {field}" for field, kind in fields)
    encoded = keccak(f"HyperliquidTransaction:{name}({described})".encode())
    for field, kind in fields:
        if field not in message:
            raise ValueError(f"{name} should carry {field!r}, has {sorted(message)}")
        encoded += _encoded(message[field], kind, field)
    domain = _domain(_USER_DOMAIN_NAME, int(chain_id, 16))
    return keccak(b"\x19\x01" + domain + keccak(encoded))


def _encoded(value: Any, kind: str, field: str) -> bytes:
    """Encode one field as a 32-byte EIP-712 word."""
    if kind == "string" and isinstance(value, str):
        return keccak(value.encode())
    if kind == "address" and isinstance(value, str):
        return bytes(12) + address_bytes(value)
    if kind == "bool" and isinstance(value, bool):
        return _word(int(value))
    if kind == "uint64" and isinstance(value, int) and 0 <= value < 1 << 64:
        return _word(value)
    if kind == "bytes32" and isinstance(value, bytes) and len(value) == 32:
        return value
    raise ValueError(f"{field} should be of type {kind}, was {type(value).__name__}")


def address_bytes(address: str) -> bytes:
    """Return the 20 bytes of ``0x`` and 40 hex digits, in either case.

    Raises
    ------
    ValueError
        If the text is no address.
    """
    if len(address) != _ADDRESS_HEX_LENGTH or not address.startswith("0x"):
        raise ValueError(f"address should be 0x and 40 hex digits, was {address!r}")
    return bytes.fromhex(address[2:])


def user_digest(
    action: UserAction | Mapping[str, Any],
    *,
    multi_sig_user: str | None = None,
    outer_signer: str | None = None,
) -> bytes:
    """Return the digest of a user-signed action.

    With ``multi_sig_user`` and ``outer_signer`` it is the digest that each authorised user of a
    multi-signature account signs.

    Raises
    ------
    ValueError
        If the action is not a user-signed one or lacks a field.
    """
    message: dict[str, Any] = dict(
        action if isinstance(action, Mapping) else msgspec.to_builtins(action)
    )
    kind = message.get("type", "")
    if kind not in USER_ACTION_TYPES:
        raise ValueError(f"action type should be one of {sorted(USER_ACTION_TYPES)}, was {kind!r}")
    name, fields = USER_ACTION_TYPES[kind]
    if kind == "approveAgent":
        # The official SDK signs an unnamed agent with an empty name and then omits the key.
        message["agentName"] = message.get("agentName") or ""
    if multi_sig_user is not None and outer_signer is not None:
        message |= {"payloadMultiSigUser": multi_sig_user, "outerSigner": outer_signer}
        fields = (
            fields[0],
            ("payloadMultiSigUser", "address"),
            ("outerSigner", "address"),
            *fields[1:],
        )
    return typed_digest(name, fields, message, str(message.get("signatureChainId", "")))


def recover(digest: bytes, signature: Signature) -> str:
    """Return the lowercase address that signed ``digest``.

    Raises
    ------
    ValueError
        If the signature is malformed or belongs to no key.
    """
    packed = _packed(signature)
    try:
        key = coincurve.PublicKey.from_signature_and_message(packed, digest, hasher=None)
    except Exception as error:  # coincurve raises bare Exception for an unrecoverable signature
        raise ValueError(f"signature should belong to a key: {error}") from None
    return _address_of(key)


def recover_l1(
    action: Action,
    nonce: int,
    signature: Signature,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> str:
    """Return the lowercase address that signed an L1 action; `ValueError` if malformed."""
    connection_id = l1_hash(encode_action(action), nonce, vault_address, expires_after)
    return recover(agent_digest(connection_id, is_mainnet=is_mainnet), signature)


def recover_user(action: UserAction | Mapping[str, Any], signature: Signature) -> str:
    """Return the lowercase address that signed a user-signed action; `ValueError` if malformed."""
    return recover(user_digest(action), signature)


def _packed(signature: Signature) -> bytes:
    """Pad r and s to 32 bytes each (they come without leading zeros) and add the recovery id."""
    try:
        r = int(signature.r, 16).to_bytes(32, "big")
        s = int(signature.s, 16).to_bytes(32, "big")
    except (ValueError, OverflowError):
        raise ValueError("signature r and s should be hex of at most 32 bytes") from None
    recovery_id = signature.v - _V_BASE if signature.v >= _V_BASE else signature.v
    if recovery_id not in (0, 1):
        raise ValueError(f"signature v should be 27 or 28, was {signature.v}")
    return r + s + bytes((recovery_id,))


def _address_of(key: coincurve.PublicKey) -> str:
    return "0x" + keccak(key.format(compressed=False)[1:])[-20:].hex()


def new_private_key() -> str:
    """Make a private key from the operating system's randomness: ``0x`` and 64 hex digits."""
    while True:
        candidate = secrets.token_bytes(32)
        try:
            return "0x" + coincurve.PrivateKey(candidate).secret.hex()
        except ValueError:
            continue  # zero or beyond the group order: odds of about 1 in 2**128


class Signer:
    """A private key that signs actions and never shows itself.

    Parameters
    ----------
    private_key_hex : str
        ``0x`` and 64 hex digits (the ``0x`` may be missing).

    Raises
    ------
    CredentialError
        If the text is no private key; the message does not repeat it.
    """

    __slots__ = ("_key", "address")

    address: str
    """Lowercase address of the key."""

    def __init__(self, private_key_hex: str) -> None:
        text = private_key_hex.strip().removeprefix("0x")
        try:
            if len(text) != 64:
                raise ValueError
            self._key = coincurve.PrivateKey(bytes.fromhex(text))
        except ValueError:
            raise CredentialError(
                "private key should be 0x and 64 hex digits within the secp256k1 range, "
                f"was a text of {len(private_key_hex)} characters; check the key you configured"
            ) from None
        self.address = _address_of(self._key.public_key)

    def __repr__(self) -> str:
        return f"Signer(address={self.address!r})"

    def __reduce__(self) -> Any:
        raise TypeError("a Signer does not leave its process")

    def sign_digest(self, digest: bytes) -> Signature:
        """Sign 32 bytes; deterministic (RFC 6979), low s."""
        packed = self._key.sign_recoverable(digest, hasher=None)
        return Signature(
            hex(int.from_bytes(packed[:32], "big")),
            hex(int.from_bytes(packed[32:64], "big")),
            _V_BASE + packed[64],
        )

    def sign_l1(
        self,
        action: Action,
        nonce: int,
        *,
        is_mainnet: bool,
        vault_address: str | None = None,
        expires_after: int | None = None,
    ) -> Signature:
        """Sign an L1 action; prices and sizes in it must already be canonical."""
        connection_id = l1_hash(encode_action(action), nonce, vault_address, expires_after)
        return self.sign_digest(agent_digest(connection_id, is_mainnet=is_mainnet))

    def sign_user(
        self,
        action: UserAction | Mapping[str, Any],
        *,
        multi_sig_user: str | None = None,
        outer_signer: str | None = None,
    ) -> Signature:
        """Sign a user-signed action; `ValueError` if it is none or lacks a field."""
        digest = user_digest(action, multi_sig_user=multi_sig_user, outer_signer=outer_signer)
        return self.sign_digest(digest)
