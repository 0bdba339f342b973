"""``POST /exchange``: who signed, whether it may act, and what the venue says.

The venue never checks a signature against an expected address: it rebuilds the bytes, recovers
whoever signed them and looks that address up. So does this desk. Checks run in the venue's order:
signer, expiry, nonce, request budget, then the action itself, whose handlers are in `actions`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from core.api.actions import (
    ActionDecodeError,
    CancelAction,
    CancelByCloidAction,
    MultiSigAction,
    UserAction,
    decode_action,
)
from core.api.signing import recover_l1, recover_user
from core.model.time import NS_PER_MS
from core.simulation.exchange import SimulatedExchange
from core.simulation.venue import texts
from core.simulation.venue.records import VenueRefusal
from core.simulation.wire.actions import handlers
from core.simulation.wire.actions.base import Acting, Body, InvalidFieldError
from core.simulation.wire.quorum import Quorum, read_quorum, recover_leader
from core.simulation.wire.requests import Envelope, RequestError, error_body

EXPIRED_COST = 5
"""An action that dies of its expiry costs five requests (venue documentation, rate limits)."""
ACTION_EXPIRED = "Action already expired"
NONCE_MISMATCH = "Nonce mismatch."
NETWORK_MISMATCH = "Mainnet and testnet require different signature."


def tag_of(kind: Any) -> str:
    """Return the ``type`` of an action's struct."""
    return str(kind.__struct_config__.tag)


class SignedAction(msgspec.Struct, frozen=True):
    """A decoded request with the address that its signature belongs to.

    With a ``quorum``, ``action`` is what several keys signed and ``signer`` is who sent it.
    """

    envelope: Envelope
    action: Any
    signer: str
    quorum: Quorum | None = None

    @property
    def kind(self) -> str:
        """The action's ``type``."""
        return tag_of(type(self.action))

    @property
    def count(self) -> int:
        """Orders, cancels or modifies in the action; 1 for any other."""
        for name in ("orders", "cancels", "modifies"):
            items = getattr(self.action, name, None)
            if items is not None:
                return max(1, len(items))
        return 1


class ExchangeDesk:
    """Carries out signed actions.

    Parameters
    ----------
    exchange : SimulatedExchange
        The venue core.
    is_mainnet : bool
        Which network's signatures are accepted; clients of any address but mainnet's sign for
        testnet.
    """

    def __init__(self, exchange: SimulatedExchange, *, is_mainnet: bool = False) -> None:
        self._exchange = exchange
        self._is_mainnet = is_mainnet
        self._handlers = handlers(exchange)

    def read(self, envelope: Envelope) -> SignedAction:
        """Decode the action canonically and recover who signed it.

        Raises
        ------
        RequestError
            If action or signature are not of the venue's form.
        """
        try:
            envelope = _with_canonical_vault(envelope)
            action = decode_action(envelope.action)
            if isinstance(action, dict):
                raise RequestError(f"unknown variant `{action.get('type')}`")
            if isinstance(action, MultiSigAction):
                quorum = read_quorum(action, envelope, is_mainnet=self._is_mainnet)
                leader = recover_leader(action, envelope, is_mainnet=self._is_mainnet)
                return SignedAction(envelope, action.payload.action, leader, quorum)
            return SignedAction(envelope, action, self._recover(envelope, action))
        except (ActionDecodeError, ValueError, OverflowError) as error:
            raise RequestError(str(error).rpartition("target type: ")[2]) from None

    def execute(self, signed: SignedAction, now_ns: int) -> Body:
        """Carry out one action at a moment and return the venue's answer."""
        acting = self._admit(signed, now_ns)
        if isinstance(acting, VenueRefusal):
            return error_body(acting.text)
        handler = self._handlers.get(type(signed.action))
        if handler is None:
            return error_body(f"Action {signed.kind} is not simulated by this venue.")
        try:
            return handler(acting, signed.action)
        except InvalidFieldError as error:
            return error_body(str(error))

    # --- who may act ---------------------------------------------------------------------------

    def _recover(self, envelope: Envelope, action: Any) -> str:
        if isinstance(action, UserAction):
            return recover_user(action, envelope.signature)
        return recover_l1(
            action,
            envelope.nonce,
            envelope.signature,
            is_mainnet=self._is_mainnet,
            vault_address=envelope.vault_address,
            expires_after=envelope.expires_after,
        )

    def _admit(self, signed: SignedAction, now_ns: int) -> Acting | VenueRefusal:
        """Check who acts, for whom, and that he may now; this spends nonce and requests."""
        exchange, envelope = self._exchange, signed.envelope
        master = self._master(signed)
        if isinstance(master, VenueRefusal):
            return master
        text = self._form_refusal(signed)
        if text is not None:
            return VenueRefusal(text)
        owner = exchange.family.acting_account(master, envelope.vault_address)
        if isinstance(owner, VenueRefusal):
            return owner
        if envelope.expires_after is not None and now_ns > envelope.expires_after * NS_PER_MS:
            exchange.use_requests(owner, EXPIRED_COST * signed.count)
            return VenueRefusal(ACTION_EXPIRED)
        is_cancel = isinstance(signed.action, CancelAction | CancelByCloidAction)
        text = exchange.use_nonce(signed.signer, envelope.nonce) or exchange.use_requests(
            owner, signed.count, is_cancel=is_cancel
        )
        return Acting(owner, master, now_ns) if text is None else VenueRefusal(text)

    def _master(self, signed: SignedAction) -> str | VenueRefusal:
        """Return the account whose keys have signed."""
        exchange, signer, quorum = self._exchange, signed.signer, signed.quorum
        if quorum is not None:
            text = exchange.multi_sig.refusal(
                quorum.user, leader=signer, named_leader=quorum.leader, signers=quorum.signers
            )
            return quorum.user if text is None else VenueRefusal(text)
        master = exchange.resolve_signer(signer)
        is_user_signed = isinstance(signed.action, UserAction)
        if master is None and not is_user_signed:
            return VenueRefusal(exchange.unknown_signer_text(signer))
        if master is None or (is_user_signed and master != signer):
            # An agent's signature acts on the agent's own, empty account.
            return VenueRefusal(texts.must_deposit(signer))
        if master == signer and exchange.multi_sig.policy(signer) is not None:
            return VenueRefusal(texts.MULTI_SIG_REQUIRED)
        return master

    def _form_refusal(self, signed: SignedAction) -> str | None:
        """Return what in the action contradicts its envelope."""
        action, envelope = signed.action, signed.envelope
        own_nonce = getattr(action, "nonce", envelope.nonce)
        if isinstance(action, UserAction):
            if envelope.vault_address is not None:
                return texts.VAULT_MAY_NOT
            if action.hyperliquid_chain != ("Mainnet" if self._is_mainnet else "Testnet"):
                return NETWORK_MISMATCH
            own_nonce = getattr(action, "time", own_nonce)
        return None if own_nonce == envelope.nonce else NONCE_MISMATCH


def _with_canonical_vault(envelope: Envelope) -> Envelope:
    """Return the envelope as the venue hashes it.

    Source: some clients leave out the ``0x`` of ``vaultAddress`` and are accepted (ccxt).
    """
    named = envelope.vault_address
    if named is None:
        return envelope
    return msgspec.structs.replace(envelope, vault_address="0x" + named.lower().removeprefix("0x"))
