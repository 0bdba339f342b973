"""Multi-signature accounts: what each authorised user signs, and what the leader signs.

Only hashing; this module decides nothing about thresholds or who may sign.

Source: official Python SDK 0.24.0, ``exchange.py`` ``multi_sig`` and ``utils/signing.py``.
"""

from __future__ import annotations

import msgspec

from core.api.actions import Action, MultiSigAction
from core.api.signing import MULTI_SIG_FIELDS, chain_name, l1_hash, typed_digest

_msgpack = msgspec.msgpack.Encoder()


def inner_l1_hash(
    action: Action,
    *,
    multi_sig_user: str,
    outer_signer: str,
    nonce: int,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """Return the L1 hash each authorised user signs for an inner L1 action."""
    envelope = [multi_sig_user.lower(), outer_signer.lower(), action]
    return l1_hash(_msgpack.encode(envelope), nonce, vault_address, expires_after)


def action_hash(
    action: MultiSigAction,
    nonce: int,
    *,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """Return ``multiSigActionHash``: the L1 hash of the action without its ``type``."""
    body = {
        "signatureChainId": action.signature_chain_id,
        "signatures": action.signatures,
        "payload": action.payload,
    }
    return l1_hash(_msgpack.encode(body), nonce, vault_address, expires_after)


def outer_digest(
    action: MultiSigAction,
    nonce: int,
    *,
    is_mainnet: bool,
    vault_address: str | None = None,
    expires_after: int | None = None,
) -> bytes:
    """Return the digest the leader signs."""
    message = {
        "hyperliquidChain": chain_name(is_mainnet),
        "multiSigActionHash": action_hash(
            action, nonce, vault_address=vault_address, expires_after=expires_after
        ),
        "nonce": nonce,
    }
    return typed_digest("SendMultiSig", MULTI_SIG_FIELDS, message, action.signature_chain_id)
