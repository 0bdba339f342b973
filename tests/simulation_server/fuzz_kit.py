"""Whatever a client may send: bodies, actions with true signatures around them, socket messages.

Inputs begin as something sensible (every query and every action of the published signing vectors)
and are then bent in a few places, so that they reach as deep as they can before they are wrong.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Coroutine
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st

from core.api.actions import ActionDecodeError, decode_action
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_instruments, recorded_spot_instruments
from core.simulation.server import VenueServer
from core.simulation.wire.connections import Connection
from core.simulation.wire.latency import NO_LATENCY
from core.simulation.wire.process import UNLIMITED, UNLIMITED_SOCKETS
from core.simulation.wire.requests import UNPARSEABLE, Answer
from core.simulation.wire.time_mode import TimeMode
from core.utils.clock import ManualClock
from tests.simulation_server.venue import (
    AGENT,
    MASTER,
    SECOND_NS,
    START_NS,
    STRANGER,
    Frames,
    ScriptedSource,
    btc_tick,
    user_action,
)

VECTORS = Path(__file__).parent.parent / "data" / "signing-vectors.json"
SPOT_COIN = "@142"
SIGNERS = (MASTER, AGENT, STRANGER)
ADDRESSES = [s.address for s in SIGNERS] + ["0x" + "00" * 20, MASTER.address.upper(), "0x12"]
JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**30),
    *(0.5, -0.0, 1e308, "", " ", "0", "-1", "1", "0.1", "1e5", "1.0", "NaN", "inf", "é\u2028\x00"),
    *("100000", "99999.5", "0.001", "9" * 40, "0." + "0" * 40 + "1", "x" * 3_000, "null"),
    *([], {}, [[]], [None], {"a": 1}, [1, 2, 3], {"type": "order"}, ["BTC"], [0] * 500),
    *("BTC", "btc", SPOT_COIN, "UBTC", "PURR/USDC", "1m", "3d", "Gtc", "Ioc", "Alo", "na", "tp"),
    *(10_142, 10_000, 5, START_NS // 10**6, START_NS // 10**6 + 60_000, "0x" + "ab" * 16),
    *ADDRESSES,
]
BODIES = {
    "deep list": b"[" * 100_000,
    "deep object": b'{"type":' * 5_000,
    "cut off": b'{"type":"meta"',
    "no text": b"\xff\xfe",
    "infinite": b"1e999",
    "empty": b"",
    "bare": b"{}",
}
FIELDS = (
    *("user", "coin", "oid", "dex", "startTime", "endTime", "req", "interval", "nSigFigs"),
    *("mantissa", "aggregateByTime", "builder", "vaultAddress", "tokenId", "token", "id", "fast"),
)
CHANNELS = (
    *("allMids", "l2Book", "bbo", "trades", "candle", "activeAssetCtx", "assetCtxs", "webData2"),
    *("webData3", "orderUpdates", "userEvents", "userFills", "userFundings", "notification"),
    *("userNonFundingLedgerUpdates", "userHistoricalOrders", "openOrders", "clearinghouseState"),
    *("allDexsAssetCtxs", "allDexsClearinghouseState", "spotState", "activeAssetData"),
    *("userTwapSliceFills", "userTwapHistory", "twapStates", "fastAssetCtxs", "spotAssetCtxs"),
    *("outcomeMetaUpdates", "nothing"),
)
Input = tuple[str, Any]
"""Where it goes (info, exchange, ws, time) and what."""


def junk() -> st.SearchStrategy[Any]:
    """Something that does not belong, each time a new one."""
    return st.integers(0, len(JUNK) - 1).map(lambda i: copy.deepcopy(JUNK[i]))


def like(value: Any) -> st.SearchStrategy[Any]:
    """Junk of a value's own type, where there is some."""
    same = [i for i, other in enumerate(JUNK) if type(other) is type(value)]
    return st.sampled_from(same or range(len(JUNK))).map(lambda i: copy.deepcopy(JUNK[i]))


@cache
def actions() -> list[dict[str, Any]]:
    """One action of each published form, and orders that this market would take."""
    vectors = json.loads(VECTORS.read_text())["vectors"]
    found = {
        json.dumps(sorted(v["action"])) + str(v["action"].get("type")): v["action"]
        for v in vectors
        if isinstance(v.get("action"), dict)
    }
    limit = {"a": 0, "b": True, "p": "99000", "s": "0.01", "r": False}
    orders = [
        {**limit, "t": {"limit": {"tif": "Gtc"}}},
        {**limit, "p": "100500", "t": {"limit": {"tif": "Ioc"}}},
        {**limit, "a": 10_142, "p": "100001", "t": {"limit": {"tif": "Gtc"}}},
        {
            **limit,
            "b": False,
            "r": True,
            "t": {"trigger": {"isMarket": True, "triggerPx": "98000", "tpsl": "sl"}},
        },
    ]
    own: list[dict[str, Any]] = [
        {"type": "order", "orders": [one], "grouping": "na"} for one in orders
    ]
    own.append({"type": "order", "orders": orders, "grouping": "na"})
    own.append({"type": "order", "orders": [orders[0], orders[3]], "grouping": "normalTpsl"})
    own.append({"type": "cancel", "cancels": [{"a": 0, "o": oid} for oid in range(1, 6)]})
    own.append(user_action("usdSend", 1, destination=STRANGER.address, amount="5"))
    own.append(user_action("withdraw3", 1, destination=MASTER.address, amount="5"))
    usdc, other = "USDC:0x6d1e7cde53ba9467b783cb7c530ce054", STRANGER.address
    own += [
        user_action("usdClassTransfer", 1, amount="5", toPerp=to_perp) for to_perp in (True, False)
    ]
    own.append(user_action("spotSend", 1, destination=other, token=usdc, amount="5"))
    own.append(
        user_action(
            "sendAsset",
            1,
            destination=other,
            sourceDex="",
            destinationDex="spot",
            token=usdc,
            amount="5",
            fromSubAccount="",
        )
    )
    own.append({"type": "createSubAccount", "name": "one"})
    own.append({"type": "updateLeverage", "asset": 0, "isCross": False, "leverage": 5})
    own.append({"type": "updateIsolatedMargin", "asset": 0, "isBuy": True, "ntli": 1_000_000})
    return [*found.values(), *own, *own, *own]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All paths into a JSON value."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else ()
    if isinstance(value, list):
        items = list(enumerate(value[:20]))
    for key, child in items:
        found += places(child, (*path, key))
    return found


@st.composite
def bent(draw: st.DrawFn, value: Any, most: int = 3) -> Any:
    """A copy of a value with up to so many places replaced, removed or added to."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, most)))):
        known = places(value)
        if not known:
            return draw(junk())
        *way, last = draw(st.sampled_from(known))
        parent = value
        for key in way:
            parent = parent[key]
        change = draw(st.integers(0, 9))
        if change == 0:
            del parent[last]
        elif change == 1 and isinstance(parent, dict):
            parent[draw(st.sampled_from(FIELDS))] = draw(junk())
        elif change == 2 and isinstance(parent[last], list):
            parent[last] = parent[last] * draw(st.sampled_from((0, 2, 50)))
        else:
            parent[last] = draw(like(parent[last]) if change < 8 else junk())
    return value


@st.composite
def queries(draw: st.DrawFn, types: list[str]) -> bytes:
    """A query body."""
    body: dict[str, Any] = {"type": draw(st.sampled_from([*types, "nothing"]))}
    body["user"] = draw(st.sampled_from(ADDRESSES))
    body["coin"] = draw(st.sampled_from(["BTC", "BTC", SPOT_COIN, "ETH", "nope"]))
    if draw(st.booleans()):
        span = {"startTime": START_NS // 10**6 - 86_400_000, "endTime": None}
        body |= span | {"req": {"coin": body["coin"], "interval": "1m", **span}}
        body |= {"oid": draw(st.integers(0, 5)), "dex": ""}
    return json.dumps(draw(bent(body))).encode()


@st.composite
def signed(draw: st.DrawFn) -> bytes:
    """A body for ``/exchange``; its signature is true for what the venue understands, if it can."""
    action = draw(bent(actions()[draw(st.integers(0, len(actions()) - 1))]))
    signer = SIGNERS[draw(st.sampled_from((0, 0, 0, 0, 1, 2)))]
    nonce = START_NS // 10**6 + draw(st.integers(0, 10**6))
    if isinstance(action, dict) and "signatureChainId" in action:
        nonce_key = "time" if "time" in action else "nonce"
        action["hyperliquidChain"] = "Testnet"
        if draw(st.integers(0, 9)):
            action[nonce_key] = nonce
    is_rare = draw(st.integers(0, 9)) == 0
    vault = draw(st.sampled_from([None, *ADDRESSES])) if is_rare else None
    expiry = draw(st.sampled_from([None, 0, nonce + 60_000])) if is_rare else None
    signature: Any = {"r": "0x" + "11" * 32, "s": "0x" + "22" * 32, "v": 27}
    try:
        decoded = decode_action(json.dumps(action).encode())
        if isinstance(action, dict) and "signatureChainId" in action:
            signature = msgspec.to_builtins(signer.sign_user(action))
        elif not isinstance(decoded, dict):
            signature = msgspec.to_builtins(
                signer.sign_l1(
                    decoded, nonce, is_mainnet=False, vault_address=vault, expires_after=expiry
                )
            )
    except (ActionDecodeError, ValueError, OverflowError, TypeError, AttributeError, KeyError):
        pass
    body = {
        "action": action,
        "nonce": nonce,
        "signature": signature,
        "vaultAddress": vault,
        "expiresAfter": expiry,
    }
    if draw(st.integers(0, 9)) == 0:
        body = draw(bent(body, 2))
    return json.dumps(body).encode()


RAW = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(sorted(BODIES)).map(BODIES.__getitem__),
    junk().map(lambda value: json.dumps(value).encode()),
)


@st.composite
def messages(draw: st.DrawFn, types: list[str]) -> str:
    """A websocket text."""
    choice = draw(st.integers(0, 9))
    if choice == 0:
        return draw(RAW).decode("utf-8", "replace")
    if choice <= 2:
        kind = draw(st.sampled_from(["info", "action", "action"]))
        raw = draw(queries(types)) if kind == "info" else draw(signed())
        post = {"method": "post", "id": draw(st.sampled_from([0, 1, 2**63, -1, None, "1"]))}
        post["request"] = {"type": kind, "payload": json.loads(raw)}
        return json.dumps(draw(bent(post, 1)))
    wish: dict[str, Any] = {
        "type": draw(st.sampled_from(CHANNELS)),
        "coin": draw(st.sampled_from(["BTC", SPOT_COIN, "ETH", "nope"])),
        "user": draw(st.sampled_from(ADDRESSES)),
        "interval": draw(st.sampled_from(["1m", "1h", "7s"])),
        "dex": draw(st.sampled_from(["", "", None, "xyz"])),
    }
    method = draw(st.sampled_from(["subscribe", "subscribe", "unsubscribe", "ping", "x"]))
    return json.dumps(draw(bent({"method": method, "subscription": wish}, 2)))


def inputs(types: list[str]) -> st.SearchStrategy[Input]:
    """Anything for any entrance."""
    return st.one_of(
        st.tuples(st.just("info"), queries(types)),
        st.tuples(st.just("exchange"), signed()),
        st.tuples(st.just("ws"), messages(types)),
        st.tuples(st.sampled_from(["info", "exchange"]), RAW),
        st.tuples(st.just("time"), st.sampled_from([0, 1, 1_000, 5_000, 60_000, 3_600_000])),
    )


class FuzzVenue:
    """A venue without latency and limits, entered past HTTP."""

    def __init__(self) -> None:
        source = _market()
        self.exchange = SimulatedExchange(source.instruments, start_ns=START_NS)
        self.server = VenueServer(
            self.exchange,
            source,
            ManualClock(START_NS),
            latency=NO_LATENCY,
            time_mode=TimeMode.MANUAL,
            weight_max=UNLIMITED,
            sockets=UNLIMITED_SOCKETS,
        )
        self.server.faucet(MASTER.address, 100_000)
        self.server.faucet(STRANGER.address, 1_000)
        self.server.faucet_token(MASTER.address, "USDC", "50000")
        self.server.faucet_token(MASTER.address, "UBTC", "2")
        self.exchange.approve_agent(MASTER.address, AGENT.address, "fuzz")
        self._frames = Frames()
        self._connection = Connection(self._frames)
        self._session = self.server.open_session(self._connection)

    async def send(self, where: str, what: Any) -> None:
        """Let one input happen and check what came of it."""
        if where == "time":
            await self.server.move_clock(self.server.now_ns + what * 10**6)
        elif where == "ws":
            self._session.handle(what)
            await asyncio.sleep(0)
        else:
            work: Coroutine[Any, Any, Answer]
            work = self.server.info(what) if where == "info" else self.server.exchange(what)
            check(where, await work)
        for frame in self._connection._queue:
            msgspec.json.decode(frame)
        self._connection._queue.clear()

    def check_books(self) -> None:
        """Money and positions are conserved, whatever happened."""
        exchange = self.exchange
        assert exchange.conservation_error_micro() == 0
        assert exchange.position_error_lots() == 0
        for token in exchange.spot.tokens:
            assert exchange.token_error_wei(token.index) == 0, token.name

    async def close(self) -> None:
        self._session.close()
        await asyncio.sleep(0)


def check(where: str, answer: Answer) -> None:
    """An answer is one of the venue's own."""
    assert answer.status in (200, 422), (answer.status, answer.body)
    if answer.status == 422:
        assert answer.body.startswith(UNPARSEABLE.encode())
        return
    body = msgspec.json.decode(answer.body)
    if where == "exchange":
        assert body["status"] in ("ok", "err"), body


@cache
def _market() -> ScriptedSource:
    ticks: list[MarketTick] = []
    for second in range(0, 36_000, 60):
        wave = (second // 60 * 37) % 400
        tick = btc_tick(second, 100_000 + wave, 100_001 + wave)
        spot = MarketTick(
            START_NS + second * SECOND_NS,
            SPOT_COIN,
            ((99_999_000, 10_000), (99_998_000, 10_000)),
            ((100_001_000, 10_000), (100_002_000, 10_000)),
            (),
            None,
            100_000_000,
        )
        ticks += [tick, spot]
    source = ScriptedSource(ticks)
    source.instruments = (*recorded_instruments(), *recorded_spot_instruments())
    return source
