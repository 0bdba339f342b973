"""A venue under test on a clock moved by hand, and a client that signs for it in process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from core.api.actions import decode_action
from core.api.signing import Signer
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.candle_source import CandleSource
from core.simulation.market.source import MarketSource
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import instrument_of, recorded_instruments
from core.simulation.server import VenueServer
from core.simulation.wire.connections import Connection
from core.simulation.wire.faults import FaultPlan
from core.simulation.wire.socket_limits import SocketSettings
from core.utils.clock import ManualClock

T = TypeVar("T")

START_NS = 1_746_489_600_000_000_000
SECOND_NS = 1_000_000_000
MASTER = Signer("0x" + "11" * 32)
AGENT = Signer("0x" + "22" * 32)
STRANGER = Signer("0x" + "33" * 32)
BTC = instrument_of("BTC")


class ScriptedSource:
    """A market written down tick by tick."""

    def __init__(self, ticks: list[MarketTick], end_ns: int | None = None) -> None:
        self._ticks = ticks
        self.instruments = recorded_instruments()
        self.coins = tuple(dict.fromkeys(tick.coin for tick in ticks))
        self.start_ns = START_NS
        self.end_ns = end_ns or ticks[-1].ts_ns + 1
        self.assumptions = ("the market is scripted",)

    def ticks(self) -> Any:
        return iter(self._ticks)

    def candles_before(self, coin: str, interval_ns: int, end_ns: int, count: int) -> Any:
        return ()


def btc_tick(
    seconds: float,
    bid: int,
    ask: int,
    *,
    lots: int = 1_000_000,
    trades: tuple[tuple[int, int, bool], ...] = (),
) -> MarketTick:
    """One BTC picture; prices in whole dollars, sizes in lots of 0.00001."""
    return MarketTick(
        START_NS + round(seconds * SECOND_NS),
        "BTC",
        ((bid * 10, lots), (bid * 10 - 10, lots)),
        ((ask * 10, lots), (ask * 10 + 10, lots)),
        tuple((px * 10, size, is_buy) for px, size, is_buy in trades),
        (bid + ask) * 5,
        (bid + ask) * 5,
        0.0000125,
    )


def quiet_market(bid: int = 100_000, ask: int = 100_001, seconds: int = 600) -> ScriptedSource:
    """A market that shows the same book every five seconds."""
    return ScriptedSource([btc_tick(s, bid, ask) for s in range(0, seconds, 5)])


class Frames:
    """A websocket client's inbox in process."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.is_closed = False

    async def send(self, frame: bytes) -> None:
        self.raw.append(frame)

    async def close(self) -> None:
        self.is_closed = True

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(raw) for raw in self.raw]

    def of(self, channel: str) -> list[Any]:
        """Data of all messages of one channel."""
        return [m["data"] for m in self.messages if m["channel"] == channel]


class Venue:
    """A venue server without a port, driven by hand."""

    def __init__(
        self, server: VenueServer, exchange: SimulatedExchange, clock: ManualClock
    ) -> None:
        self.server, self.exchange, self.clock = server, exchange, clock
        self._nonce = clock.now_ns() // 1_000_000
        self._tasks: list[asyncio.Task[None]] = []

    async def settle(self, awaitable: Awaitable[T], seconds: float = 30.0) -> T:
        """Move time in small steps until something has happened."""
        task = asyncio.ensure_future(awaitable)
        for _ in range(round(seconds / 0.05)):
            await self.clock.advance(0.05)
            if task.done():
                return task.result()
        raise AssertionError(f"nothing happened within {seconds} s of the venue's time")

    def next_nonce(self) -> int:
        self._nonce = max(self._nonce + 1, self.clock.now_ns() // 1_000_000)
        return self._nonce

    def signed(
        self,
        action: Mapping[str, Any],
        signer: Signer = MASTER,
        *,
        nonce: int | None = None,
        expires_after: int | None = None,
        vault_address: str | None = None,
    ) -> bytes:
        """Return the body of a signed action."""
        number = self.next_nonce() if nonce is None else nonce
        decoded = decode_action(msgspec.json.encode(action))
        if "signatureChainId" in action:
            signature = signer.sign_user(dict(action))
        else:
            signature = signer.sign_l1(
                decoded,
                number,
                is_mainnet=False,
                vault_address=vault_address,
                expires_after=expires_after,
            )
        return msgspec.json.encode(
            {
                "action": action,
                "nonce": number,
                "signature": signature,
                "vaultAddress": vault_address,
                "expiresAfter": expires_after,
            }
        )

    async def act(self, action: Mapping[str, Any], signer: Signer = MASTER, **kw: Any) -> Any:
        """Sign, send and return the decoded answer."""
        answer = await self.settle(self.server.exchange(self.signed(action, signer, **kw)))
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body)

    async def ask(self, kind: str, **fields: Any) -> Any:
        """Query and return the decoded answer."""
        answer = await self.settle(self.server.info(msgspec.json.encode({"type": kind, **fields})))
        assert answer.status == 200, answer.body
        return msgspec.json.decode(answer.body)

    def connect(self, ip: str = "127.0.0.1") -> tuple[Any, Frames]:
        """Open a websocket session in process."""
        frames = Frames()
        connection = Connection(frames)
        self._tasks.append(asyncio.ensure_future(connection.write()))
        return self.server.open_session(connection, ip), frames

    def own(self, task: asyncio.Task[None]) -> None:
        self._tasks.append(task)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.server.pump.close()


@asynccontextmanager
async def open_venue(
    source: MarketSource | None = None,
    *,
    seed: int = 7,
    usd: float = 10_000.0,
    faults: FaultPlan | None = None,
    weight_max: int = 1_000_000,
    sockets: SocketSettings | None = None,
) -> AsyncIterator[Venue]:
    """Run a venue with a funded master account whose market has begun."""
    market = source or quiet_market()
    exchange = SimulatedExchange(market.instruments, start_ns=market.start_ns)
    clock = ManualClock(market.start_ns)
    server = VenueServer(
        exchange,
        market,
        clock,
        seed=seed,
        faults=faults,
        weight_max=weight_max,
        sockets=sockets or SocketSettings(),
    )
    venue = Venue(server, exchange, clock)
    venue.own(asyncio.ensure_future(server.pump.run()))
    if usd:
        server.faucet(MASTER.address, usd)
    await clock.advance(1.0)
    try:
        yield venue
    finally:
        await venue.close()


def order(
    *,
    is_buy: bool = True,
    px: str = "99000",
    sz: str = "0.01",
    tif: str = "Gtc",
    cloid: str | None = None,
    reduce_only: bool = False,
    asset: int = 0,
) -> dict[str, Any]:
    """One order on the wire."""
    wire: dict[str, Any] = {
        "a": asset,
        "b": is_buy,
        "p": px,
        "s": sz,
        "r": reduce_only,
        "t": {"limit": {"tif": tif}},
    }
    if cloid is not None:
        wire["c"] = cloid
    return wire


def place(*orders: dict[str, Any], grouping: str = "na") -> dict[str, Any]:
    """An order action."""
    return {"type": "order", "orders": list(orders), "grouping": grouping}


def statuses(answer: Any) -> list[Any]:
    """The statuses of an answer that the venue took."""
    assert answer["status"] == "ok", answer
    return list(answer["response"]["data"]["statuses"])


def user_action(kind: str, nonce: int, **fields: Any) -> dict[str, Any]:
    """A user-signed action for the test network."""
    return {
        "type": kind,
        "signatureChainId": "0x66eee",
        "hyperliquidChain": "Testnet",
        **fields,
        ("time" if kind in ("usdSend", "spotSend", "withdraw3") else "nonce"): nonce,
    }


CANDLE_HEADER = "ts_ms,open,high,low,close,volume\n"


def write_candles(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    """Write a CSV of candles."""
    path.write_text(CANDLE_HEADER + "".join(",".join(map(str, row)) + "\n" for row in rows))
    return path


def walk_rows(
    seed: int, count: int, first_ms: int = START_NS // 1_000_000
) -> list[tuple[Any, ...]]:
    """Candles of a seeded random walk around 100,000, as file rows."""
    rng = random.Random(seed)
    price, rows = 100_000.0, []
    for i in range(count):
        open_ = price
        close = open_ + rng.randint(-80, 80)
        high = max(open_, close) + rng.randint(0, 40)
        low = min(open_, close) - rng.randint(0, 40)
        rows.append((first_ms + i * 60_000, open_, high, low, close, rng.randint(1, 500) / 10))
        price = close
    return rows


def candle_source(path: Path, rows: list[tuple[Any, ...]], **kw: Any) -> CandleSource:
    """A source over rows written to a file."""
    return CandleSource({"BTC": write_candles(path, rows)}, **kw)
