"""A venue to which everything happens that was recorded of the real one, without a port or a task.

Ticks, actions and queries go straight to the desks and the hub, so the story runs at once. Its
chapters leave answers and frames behind; what they should look like is not told here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from core.api.actions import decode_action
from core.api.signing import Signer
from core.model.instrument import Instrument
from core.model.market import Candle
from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_MIN, NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_instruments, recorded_spot_instruments
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.exchange_desk import ExchangeDesk
from core.simulation.wire.hub import Hub
from core.simulation.wire.info_desk import InfoDesk
from core.simulation.wire.requests import decode_envelope
from tests.simulation_server.venue import MASTER, START_NS

SPOT = "@107"
SPOT_ASSET = 10_107
OTHER = Signer("0x" + "44" * 32)
AGENTS = [Signer("0x" + f"{n}" * 64) for n in (5, 6, 7, 8)]
CLOID = "0x" + "cd" * 16
NOBODY = "0x" + "ee" * 20
USER = MASTER.address
TOUCHES = {
    "BTC": ("100000", "100001"),
    "ETH": ("2079.9", "2080"),
    "SOL": ("150.1", "150.11"),
    "HYPE": ("34.967", "34.969"),
    SPOT: ("34.89", "34.895"),
}


class Listener:
    """A connection that keeps what it is told."""

    def __init__(self) -> None:
        self.keys: dict[Any, None] = {}
        self.messages: list[Any] = []

    def push_all(self, frames: Iterable[bytes]) -> None:
        """Take frames."""
        self.messages += [msgspec.json.decode(frame) for frame in frames]


class Source:
    """Markets by name; their ticks come from the story."""

    def __init__(self) -> None:
        self.instruments = (*recorded_instruments(), *recorded_spot_instruments())
        self.coins = tuple(TOUCHES)
        self.start_ns, self.end_ns = START_NS, START_NS + NS_PER_DAY
        self.assumptions = ("the market is told",)
        self._by_coin = {i.coin: i for i in self.instruments}

    def of(self, coin: str) -> Instrument:
        """Return a market."""
        return self._by_coin[coin]

    def candles_before(self, coin: str, interval_ns: int, end_ns: int, count: int) -> list[Candle]:
        """Return five quiet hours, and at once a price for the first day."""
        px = self.of(coin).px_from_text(TOUCHES[coin][0])
        return [Candle(end_ns - k * NS_PER_MIN, px, px, px, px, 7) for k in range(300, 0, -1)]


class Story:
    """The venue and its clock.

    Parameters
    ----------
    settings : VenueSettings
        Volume gates of the real venue are out of a story's reach and may be lowered.
    """

    def __init__(self, settings: VenueSettings | None = None) -> None:
        source = Source()
        self.source, self.now_ns = source, START_NS
        self.exchange = SimulatedExchange(
            source.instruments, settings or VenueSettings(), start_ns=START_NS
        )
        self.board = MarketBoard(source, self.exchange)  # type: ignore[arg-type]
        self.info = InfoDesk(self.exchange, self.board)
        self.desk = ExchangeDesk(self.exchange)
        self.hub = Hub(self.board, self.exchange)
        self._nonce = START_NS // 1_000_000
        self.ticks()

    # --- what happens ---------------------------------------------------------------------------

    def tick(self, coin: str, bid: str = "", ask: str = "", size: str = "100") -> None:
        """Show a coin's book a second later, with one print at the ask."""
        self.now_ns += NS_PER_S
        instrument = self.source.of(coin)
        bid_px, ask_px = (
            instrument.px_from_text(text or shown)
            for text, shown in zip((bid, ask), TOUCHES[coin], strict=True)
        )
        lots = instrument.lots_from_text(size)
        step = instrument.tick_units_at(bid_px)
        mid = (bid_px + ask_px) // 2
        tick = MarketTick(
            self.now_ns,
            coin,
            tuple((bid_px - k * step, lots) for k in range(25)),
            tuple((ask_px + k * step, lots) for k in range(25)),
            ((ask_px, 3, True),),
            None if instrument.is_spot else mid,
            mid,
        )
        self.exchange.apply_market(tick)
        prints = self.board.add(tick)
        self.tell()
        self.hub.publish(self.hub.tick_rows(tick, prints))

    def ticks(self) -> None:
        """Show every book."""
        for coin in TOUCHES:
            self.tick(coin)

    def pass_hour(self) -> None:
        """Let a full hour turn."""
        self.now_ns += NS_PER_HOUR
        self.ticks()

    def tell(self) -> None:
        """Let the venue's news reach those who listen."""
        self.hub.publish(self.hub.output_rows(self.exchange.drain(), self.now_ns))

    def fund(self, address: str, usd: int) -> None:
        """Give play money."""
        self.exchange.fund(address, usd * 1_000_000)
        self.tell()

    def fund_token(self, address: str, name: str, amount_wei: int) -> None:
        """Give tokens."""
        token = self.exchange.spot.token_named(name)
        assert token is not None
        self.exchange.spot.fund(address, token.index, amount_wei)
        self.tell()

    # --- the wire -------------------------------------------------------------------------------

    def next_nonce(self) -> int:
        """Return an unused nonce."""
        self._nonce += 1
        return self._nonce

    def act(
        self,
        action: Mapping[str, Any],
        signer: Signer = MASTER,
        *,
        nonce: int | None = None,
        expires_after: int | None = None,
    ) -> Any:
        """Sign and carry out an action; return the venue's answer as it reads on the wire."""
        number = self.next_nonce() if nonce is None else nonce
        if "signatureChainId" in action:
            signature = signer.sign_user(dict(action))
        else:
            decoded = decode_action(msgspec.json.encode(action))
            signature = signer.sign_l1(
                decoded, number, is_mainnet=False, expires_after=expires_after
            )
        body = {"action": action, "nonce": number, "signature": signature}
        body["expiresAfter"] = expires_after
        signed = self.desk.read(decode_envelope(msgspec.json.encode(body)))
        answer = self.desk.execute(signed, self.now_ns)
        self.tell()
        return _through_the_wire(answer)

    def act_as_user(self, kind: str, signer: Signer = MASTER, **fields: Any) -> Any:
        """Carry out a user-signed action."""
        number = self.next_nonce()
        name = "time" if kind in ("usdSend", "spotSend", "withdraw3") else "nonce"
        action = {
            "type": kind,
            "signatureChainId": "0x66eee",
            "hyperliquidChain": "Testnet",
            **fields,
            name: number,
        }
        return self.act(action, signer, nonce=number)

    def place(
        self,
        px: str,
        sz: str,
        *,
        asset: int = 0,
        is_buy: bool = True,
        tif: str = "Gtc",
        grouping: str = "na",
        signer: Signer = MASTER,
        expires_after: int | None = None,
        **more: Any,
    ) -> Any:
        """Place one order; ``more`` replaces wire fields."""
        wire: dict[str, Any] = {"a": asset, "b": is_buy, "p": px, "s": sz, "r": False}
        wire |= {"t": {"limit": {"tif": tif}}, **more}
        action = {"type": "order", "orders": [wire], "grouping": grouping}
        return self.act(action, signer, expires_after=expires_after)

    def ask(self, kind: str, **fields: Any) -> Any:
        """Return the answer of a query as it reads on the wire."""
        return _through_the_wire(self.info.answer({"type": kind, **fields}, self.now_ns))

    def listen(self, kind: str, **fields: Any) -> Listener:
        """Subscribe; return who is told."""
        listener = Listener()
        subscription = self.hub.read({"type": kind, **fields})
        assert subscription is not None, (kind, fields)
        listener.push_all(self.hub.join(listener, subscription, self.now_ns))  # type: ignore[arg-type]
        return listener


def stop(px: str, worst_px: str, kind: str, sz: str = "0.001") -> dict[str, Any]:
    """Wire fields of a reduce-only trigger order that sells."""
    trigger = {"isMarket": True, "triggerPx": px, "tpsl": kind}
    return {"a": 0, "b": False, "p": worst_px, "s": sz, "r": True, "t": {"trigger": trigger}}


def agent_fields(agent: Signer, name: str = "") -> dict[str, Any]:
    """Fields of ``approveAgent``."""
    return {"agentAddress": agent.address, "agentName": name}


def _through_the_wire(answer: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(answer))
