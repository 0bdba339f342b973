"""An exchange desk without a server: signed actions in, the venue's answers out, at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from core.api.actions import MultiSigAction, decode_action
from core.api.multi_sig import inner_l1_hash, outer_digest
from core.api.signing import Signer, agent_digest
from core.model.instrument import Instrument
from core.model.time import NS_PER_MS, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.exchange_desk import ExchangeDesk
from core.simulation.wire.requests import decode_envelope
from tests.simulation.spot_kit import PAIRS
from tests.simulation.venue_kit import BTC, CRCL, START_NS, USDC

MASTER = Signer("0x" + "11" * 32)
AGENT = Signer("0x" + "22" * 32)
OTHER = Signer("0x" + "33" * 32)
NOBODY = Signer("0x" + "44" * 32)
OK = {"status": "ok", "response": {"type": "default"}}
CHAIN = {"signatureChainId": "0x66eee", "hyperliquidChain": "Testnet"}
TIMED = ("usdSend", "spotSend", "withdraw3")


class Desk:
    """A venue of BTC, CRCL and spot pairs, and its desk, on a clock moved by hand."""

    def __init__(
        self,
        settings: VenueSettings | None = None,
        instruments: Sequence[Instrument] = (BTC, CRCL, *PAIRS.values()),
        start_ns: int = START_NS,
    ) -> None:
        self.venue = SimulatedExchange(instruments, settings or VenueSettings(), start_ns)
        self.desk = ExchangeDesk(self.venue)
        self._nonce = start_ns // NS_PER_MS

    def fund(self, *signers: Signer, usdc: float = 10_000) -> None:
        for signer in signers:
            self.venue.fund(signer.address, round(usdc * USDC))

    def tick(
        self, bid: str = "99990", ask: str = "100010", *, coin: str = "BTC", size: str = "10"
    ) -> None:
        """Show one book a second later; mark and oracle are its middle."""
        instrument = self.venue.instruments[coin]
        bid_px, ask_px = instrument.px_from_text(bid), instrument.px_from_text(ask)
        lots = instrument.lots_from_text(size)
        mid_px = (bid_px + ask_px) // 2
        now_ns = self.venue.now_ns + NS_PER_S
        rate = None if instrument.is_spot else 0.0
        self.venue.apply_market(
            MarketTick(now_ns, coin, ((bid_px, lots),), ((ask_px, lots),), (), mid_px, mid_px, rate)
        )

    def nonce(self) -> int:
        self._nonce = max(self._nonce + 1, self.venue.now_ns // NS_PER_MS)
        return self._nonce

    def send(self, request: Mapping[str, Any]) -> Any:
        """Carry out the body of a request as it stands."""
        signed = self.desk.read(decode_envelope(msgspec.json.encode(request)))
        return self.desk.execute(signed, self.venue.now_ns)

    def act(
        self,
        action: Mapping[str, Any],
        signer: Signer = MASTER,
        *,
        nonce: int | None = None,
        vault: str | None = None,
        expires_after: int | None = None,
    ) -> Any:
        """Sign an L1 action and carry it out."""
        number = self.nonce() if nonce is None else nonce
        signature = signer.sign_l1(
            decode_action(msgspec.json.encode(action)),
            number,
            is_mainnet=False,
            vault_address=vault,
            expires_after=expires_after,
        )
        return self.send(
            {
                "action": action,
                "nonce": number,
                "signature": signature,
                "vaultAddress": vault,
                "expiresAfter": expires_after,
            }
        )

    def act_as_user(self, kind: str, signer: Signer = MASTER, **fields: Any) -> Any:
        """Sign a user-signed action and carry it out."""
        number = self.nonce()
        action = user_action(kind, number, **fields)
        return self.send({"action": action, "nonce": number, "signature": signer.sign_user(action)})

    def act_together(
        self,
        user: str,
        action: Mapping[str, Any],
        signers: Sequence[Signer],
        leader: Signer,
        *,
        nonce: int | None = None,
        named_leader: str | None = None,
        inner_nonce: int | None = None,
        vault: str | None = None,
        sent: Mapping[str, Any] | None = None,
    ) -> Any:
        """Let several keys sign an action for an account and a leader send it.

        ``inner_nonce`` is the nonce that the inner signatures bind, ``sent`` the inner action as
        the payload carries it, where these differ from what is sent and signed.
        """
        number = self.nonce() if nonce is None else nonce
        names = {"multi_sig_user": user, "outer_signer": named_leader or leader.address}
        if "signatureChainId" in action:
            inner = [signer.sign_user(action, **names) for signer in signers]
        else:
            connection_id = inner_l1_hash(
                decode_action(msgspec.json.encode(action)),
                nonce=number if inner_nonce is None else inner_nonce,
                vault_address=vault,
                **names,
            )
            digest = agent_digest(connection_id, is_mainnet=False)
            inner = [signer.sign_digest(digest) for signer in signers]
        outer = {
            "type": "multiSig",
            "signatureChainId": "0x66eee",
            "signatures": inner,
            "payload": {
                "multiSigUser": user,
                "outerSigner": names["outer_signer"],
                "action": sent or action,
            },
        }
        decoded = decode_action(msgspec.json.encode(outer))
        assert isinstance(decoded, MultiSigAction)
        digest = outer_digest(decoded, number, is_mainnet=False, vault_address=vault)
        return self.send(
            {
                "action": outer,
                "nonce": number,
                "signature": leader.sign_digest(digest),
                "vaultAddress": vault,
            }
        )


def user_action(kind: str, nonce: int, **fields: Any) -> dict[str, Any]:
    """A user-signed action for the test network."""
    return {"type": kind, **CHAIN, **fields, ("time" if kind in TIMED else "nonce"): nonce}


def error(text: str) -> dict[str, str]:
    """The venue's refusal of a whole action."""
    return {"status": "err", "response": text}


def statuses(answer: Any) -> list[Any]:
    """The statuses of a batch that the venue took."""
    assert answer["status"] == "ok", answer
    return list(answer["response"]["data"]["statuses"])


def place(*orders: dict[str, Any], grouping: Any = "na", **more: Any) -> dict[str, Any]:
    return {"type": "order", "orders": list(orders), "grouping": grouping, **more}


def order(
    px: str = "99000",
    sz: str = "0.01",
    *,
    is_buy: bool = True,
    tif: str = "Gtc",
    asset: int = 0,
    reduce_only: bool = False,
    cloid: str | None = None,
) -> dict[str, Any]:
    wire = {
        "a": asset,
        "b": is_buy,
        "p": px,
        "s": sz,
        "r": reduce_only,
        "t": {"limit": {"tif": tif}},
    }
    return wire if cloid is None else {**wire, "c": cloid}


def stop(
    trigger_px: str = "97000", sz: str = "0.01", *, is_buy: bool = False, cloid: str | None = None
) -> dict[str, Any]:
    """A reduce-only stop at market."""
    kind = {"isMarket": True, "triggerPx": trigger_px, "tpsl": "sl"}
    px = "110000" if is_buy else "90000"
    wire = {"a": 0, "b": is_buy, "p": px, "s": sz, "r": True, "t": {"trigger": kind}}
    return wire if cloid is None else {**wire, "c": cloid}
