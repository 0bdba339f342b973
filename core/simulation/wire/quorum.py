"""Who has signed an action for a multi-signature account.

It recovers addresses from signatures and decides nothing: whether they suffice is the venue's
`MultiSigBook`'s business. Source: reference section 5.7.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.actions import MultiSigAction, UserAction, UserSetAbstractionAction
from core.api.multi_sig import inner_l1_hash, outer_digest
from core.api.signing import agent_digest, recover, user_digest
from core.simulation.wire.requests import Envelope, RequestError

ABSTRACTION_WORDS = {"i": "disabled", "u": "unifiedAccount", "p": "portfolioMargin"}
"""An account mode's code in a multi-signature payload, and the word that was signed for it."""


class Quorum(msgspec.Struct, frozen=True):
    """The account acted for, the leader its action names, and who signed the inner action."""

    user: str
    leader: str
    signers: tuple[str, ...]


def read_quorum(outer: MultiSigAction, envelope: Envelope, *, is_mainnet: bool) -> Quorum:
    """Recover who signed the inner action.

    Raises
    ------
    RequestError
        If there is no inner action that the venue knows.
    ValueError
        If a signature is malformed.
    """
    payload = outer.payload
    if isinstance(payload.action, dict | MultiSigAction):
        raise RequestError("unknown variant in `payload.action`")
    digest = _inner_digest(outer, envelope, is_mainnet=is_mainnet)
    signers = tuple(recover(digest, signature) for signature in outer.signatures)
    return Quorum(payload.multi_sig_user, payload.outer_signer, signers)


def recover_leader(outer: MultiSigAction, envelope: Envelope, *, is_mainnet: bool) -> str:
    """Return who signed the outer action; `ValueError` if malformed."""
    digest = outer_digest(
        outer,
        envelope.nonce,
        is_mainnet=is_mainnet,
        vault_address=envelope.vault_address,
        expires_after=envelope.expires_after,
    )
    return recover(digest, envelope.signature)


def _inner_digest(outer: MultiSigAction, envelope: Envelope, *, is_mainnet: bool) -> bytes:
    """Return what every authorized user signed."""
    payload = outer.payload
    names = {"multi_sig_user": payload.multi_sig_user, "outer_signer": payload.outer_signer}
    if isinstance(payload.action, UserAction):
        return user_digest(_as_signed(payload.action), **names)
    connection_id = inner_l1_hash(
        payload.action,
        nonce=envelope.nonce,
        vault_address=envelope.vault_address,
        expires_after=envelope.expires_after,
        **names,
    )
    return agent_digest(connection_id, is_mainnet=is_mainnet)


def _as_signed(action: Any) -> Any:
    """Return a user-signed action with the words that were signed."""
    if not isinstance(action, UserSetAbstractionAction):
        return action
    word = ABSTRACTION_WORDS.get(action.abstraction, action.abstraction)
    return msgspec.structs.replace(action, abstraction=word)
