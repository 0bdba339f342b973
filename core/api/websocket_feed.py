"""The live feed: one websocket that keeps itself alive and says when it was not.

The venue numbers nothing and drops connections without notice, so the feed pings, watches for
silence, reconnects with growing pauses, subscribes again, and reports every hole as `DataGap`.
Snapshots of account history that come with a subscription are compared with what was seen before,
so that old fills are not news. It decodes through `Codec` and decides nothing.

Source: venue documentation (websocket, timeouts and heartbeats, rate limits).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import aiohttp
import msgspec

from core.api.codec import Codec
from core.api.feed_memory import FeedMemory
from core.api.limits import (
    RECONNECT_SECONDS,
    URL_TESTNET,
    WS_PING_SECONDS,
    WS_SILENCE_SECONDS_MAX,
    WS_SUBSCRIPTIONS_MAX,
)
from core.api.pace import at_least_wall, is_done_within, report_failure
from core.api.wire import ErrorFrame, Frame, PongFrame, SubscriptionFrame
from core.model.errors import NovaError, VenueError
from core.model.events import DataGap, DataQuarantined, Event, LinkChanged
from core.model.ports import Clock, Emit
from core.model.time import NS_PER_S
from core.utils.clock import SystemClock

WS_URL_TESTNET = "ws" + URL_TESTNET.removeprefix("http") + "/ws"
EVENTS_KEPT = 10_000

MARKET = "market"
USER = "user"

ACK_SECONDS = 10.0
COIN_SILENCE_SECONDS = 60.0
"""Longest silence of one coin's market data; its depth alone is pushed every few seconds."""

WATCH_SECONDS = 5.0
WALL_SECONDS_MIN = 5.0
"""No link is called dead in less than this much of the world's time."""

RECONNECT_WALL_SECONDS_MIN = 0.1
CONNECT_WALL_SECONDS = 10.0
FRAME_BYTES_MAX = 16 * 1024 * 1024

MARKET_CHANNELS = ("bbo", "l2Book", "trades", "activeAssetCtx")
USER_CHANNELS = ("orderUpdates", "userFills", "userFundings", "userNonFundingLedgerUpdates")

_json = msgspec.json.Encoder()
_PING = '{"method":"ping"}'


class _LinkLostError(Exception):
    """The connection is gone or can no longer be trusted."""


def subscriptions_for(
    coins: Sequence[str], candle_interval: str, account: str | None
) -> list[dict[str, Any]]:
    """Return the subscriptions of a feed, market first."""
    wanted: list[dict[str, Any]] = []
    for coin in coins:
        wanted += [{"type": channel, "coin": coin} for channel in MARKET_CHANNELS]
        wanted.append({"type": "candle", "coin": coin, "interval": candle_interval})
    if account is not None:
        wanted += [{"type": channel, "user": account} for channel in USER_CHANNELS]
    return wanted


class WebSocketFeed:
    """Receive market and account data of one venue over one connection.

    Parameters
    ----------
    url : str
        Such as ``wss://api.hyperliquid.xyz/ws``; testnet unless told otherwise.
    codec : Codec, optional
        Decodes messages; must know the coins' instruments, or their messages are set aside.
    clock : Clock, optional
        Measures silence, pings and pauses; the world's by default.
    emit : Emit, optional
        Takes events, in the order of arrival. Without it the latest gather in ``events``.
    account : str or None
        Whose orders and fills to follow; ``None`` follows the market alone.
    coins : sequence of str
        Markets to follow.
    candle_interval : str
        Such as ``1m``.
    on_reconnected : callable, optional
        Awaited after every new connection but the first, when all subscriptions stand again: the
        time to ask what was missed.
    jitter : callable
        Numbers from 0 to 1 that spread reconnects of many clients.
    """

    def __init__(
        self,
        url: str = WS_URL_TESTNET,
        codec: Codec | None = None,
        clock: Clock | None = None,
        emit: Emit | None = None,
        *,
        account: str | None = None,
        coins: Sequence[str] = (),
        candle_interval: str = "1m",
        on_reconnected: Callable[[], Awaitable[None]] | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.url = url
        self.reconnect_count = 0
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._codec = codec or Codec(account=account)
        self._clock: Clock = clock or SystemClock()
        self._emit: Emit = emit or self._keep
        self._coins = tuple(coins)
        self._account = account
        self._wanted = subscriptions_for(coins, candle_interval, account)
        if len(self._wanted) > WS_SUBSCRIPTIONS_MAX:
            raise VenueError(
                f"a feed may have {WS_SUBSCRIPTIONS_MAX} subscriptions, {len(self._wanted)} are "
                "wanted; trade fewer coins"
            )
        self._on_reconnected = on_reconnected
        self._jitter = jitter
        self._memory = FeedMemory()
        self._unacked: list[dict[str, Any]] = []
        self._acknowledged = asyncio.Event()
        self._linked = asyncio.Event()
        self._is_up = {MARKET: False, USER: False}
        self._heard_ns = 0
        self._coin_heard_ns: dict[str, int] = {}
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._runner: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether all subscriptions stand."""
        return self._linked.is_set()

    async def connect(self) -> None:
        """Connect, subscribe, and return when every subscription was accepted.

        Afterwards the feed looks after itself until `disconnect`.

        Raises
        ------
        VenueError
            If the first connection fails; later ones are retried.
        """
        if self._runner is not None:
            return
        self._session = aiohttp.ClientSession()
        first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._runner = asyncio.create_task(self._run(first), name="websocket feed")
        self._runner.add_done_callback(report_failure)
        try:
            await first
        except _LinkLostError as error:
            await self.disconnect()
            raise VenueError(
                f"feed should connect to {self.url}, failed: {error}; check the network"
            ) from None

    async def disconnect(self) -> None:
        """Close the connection and stop reconnecting; harmless twice."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.gather(self._runner, return_exceptions=True)
            self._runner = None
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._mark_down("disconnected")

    async def wait(self) -> None:
        """Wait for the end of the feed, which only `disconnect` or a defect brings.

        The defect is raised: a session that trades without a market would be worse than none.
        """
        if self._runner is not None:
            await asyncio.shield(self._runner)

    def on_message(self, raw: bytes | str) -> None:
        """Take one message from the venue: emit its events, note that the link lives."""
        self._heard_ns = self._clock.now_ns()
        frame = self._codec.parse_frame(raw)
        if frame is None or isinstance(frame, PongFrame):
            return
        if isinstance(frame, DataQuarantined):
            self._emit(frame)
        elif isinstance(frame, SubscriptionFrame):
            self._acknowledge(frame.data.subscription)
        else:
            assert isinstance(frame, Frame), f"invariant: was {type(frame).__name__}"
            self._take(frame)

    # --- the life of a link ---------------------------------------------------------------------

    async def _run(self, first: asyncio.Future[None]) -> None:
        """Keep a link up; the first one reports to ``first``."""
        failures = 0
        try:
            while True:
                try:
                    await self._live_once(first)
                except _LinkLostError as error:
                    failures = 1 if self._linked.is_set() else failures + 1
                    self._mark_down(str(error))
                    if not first.done():
                        first.set_exception(error)
                        return
                await self._clock.sleep(self._pause_seconds(failures))
        finally:
            # Also when something here is broken: nobody may believe in a link that nobody reads.
            self._mark_down("feed stopped")
            if not first.done():
                first.set_exception(_LinkLostError("feed stopped"))

    async def _live_once(self, first: asyncio.Future[None]) -> None:
        """Connect, subscribe, and read until the link is lost; always raises `_LinkLostError`."""
        assert self._session is not None, "invariant: connect opens a session"
        try:
            async with asyncio.timeout(CONNECT_WALL_SECONDS):
                socket = await self._session.ws_connect(self.url, max_msg_size=FRAME_BYTES_MAX)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise _LinkLostError(f"{type(error).__name__}: {error}") from None
        self._socket = socket
        self._heard_ns = self._clock.now_ns()
        self._unacked = list(self._wanted)
        self._acknowledged.clear()
        if not self._unacked:
            self._acknowledged.set()
        workers = [
            asyncio.create_task(work)
            for work in (self._read(socket), self._watch(), self._ping(socket), self._open(first))
        ]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                await task  # raises what ended the link
            raise _LinkLostError("closed")
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self._socket = None
            with contextlib.suppress(aiohttp.ClientError, OSError):
                await socket.close()

    async def _open(self, first: asyncio.Future[None]) -> None:
        """Subscribe to everything, wait for all acknowledgements, then say that we are up."""
        assert self._socket is not None, "invariant: a link is open"
        for subscription in self._wanted:
            body = _json.encode({"method": "subscribe", "subscription": subscription}).decode()
            await self._send(self._socket, body)
        acknowledged = asyncio.ensure_future(self._acknowledged.wait())
        try:
            if not await is_done_within(self._clock, self._seconds(ACK_SECONDS), acknowledged):
                raise _LinkLostError(f"no acknowledgement of {self._unacked[0]}")
        finally:
            acknowledged.cancel()
        is_again = first.done()
        self._mark_up(is_again)
        if not is_again:
            first.set_result(None)
        elif self._on_reconnected is not None:
            try:
                await self._on_reconnected()
            except NovaError as error:
                raise _LinkLostError(f"could not catch up: {error}") from None

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            message = await socket.receive()
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                self.on_message(message.data)
            elif message.type in _CLOSING:
                raise _LinkLostError(f"venue closed the connection ({socket.close_code})")
            elif message.type is aiohttp.WSMsgType.ERROR:
                raise _LinkLostError(f"connection failed: {message.data}")

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._clock.sleep(WS_PING_SECONDS)
            await self._send(socket, _PING)

    async def _watch(self) -> None:
        """Call the link lost when it, or the data of one coin, has been silent for too long."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            now_ns = self._clock.now_ns()
            if now_ns - self._heard_ns > self._ns(WS_SILENCE_SECONDS_MAX):
                raise _LinkLostError(f"silent for {WS_SILENCE_SECONDS_MAX} s, no pong")
            if not self._linked.is_set():
                continue
            limit_ns = self._ns(COIN_SILENCE_SECONDS)
            for coin in self._coins:
                if now_ns - self._coin_heard_ns.get(coin, now_ns) > limit_ns:
                    raise _LinkLostError(f"{coin} silent for {COIN_SILENCE_SECONDS:.0f} s")

    async def _send(self, socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
        try:
            await socket.send_str(text)
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise _LinkLostError(f"could not send: {error}") from None

    # --- what came in ---------------------------------------------------------------------------

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, ErrorFrame) and frame.data.startswith("Already subscribed"):
            return
        now_ns = self._heard_ns
        for event in self._memory.news(frame, self._codec.frame_events(frame)):
            coin = getattr(event, "coin", None)
            if coin in self._coin_heard_ns:
                self._coin_heard_ns[coin] = now_ns
            self._emit(event)

    def _keep(self, event: Event) -> None:
        self.events.append(event)

    def _acknowledge(self, echoed: dict[str, Any]) -> None:
        """Strike off what the venue accepted; it adds defaults and may change the order."""
        for subscription in self._unacked:
            if all(echoed.get(key) == value for key, value in subscription.items()):
                self._unacked.remove(subscription)
                break
        if not self._unacked:
            self._acknowledged.set()

    def _mark_up(self, is_again: bool) -> None:
        now_ns = self._clock.now_ns()
        if is_again:
            self.reconnect_count += 1
            for coin, heard_ns in self._coin_heard_ns.items():
                self._emit(DataGap(coin=coin, from_ns=heard_ns, to_ns=now_ns))
        self._coin_heard_ns = dict.fromkeys(self._coins, now_ns)
        self._linked.set()
        self._change(MARKET, True, self.url)
        if self._account is not None:
            self._change(USER, True, self.url)

    def _mark_down(self, reason: str) -> None:
        self._linked.clear()
        for channel in (MARKET, USER):
            self._change(channel, False, reason)

    def _change(self, channel: str, is_up: bool, detail: str) -> None:
        if self._is_up[channel] != is_up:
            self._is_up[channel] = is_up
            event: Event = LinkChanged(channel=channel, is_up=is_up, detail=detail)
            self._emit(event)

    # --- times ----------------------------------------------------------------------------------

    def _seconds(self, seconds: float) -> float:
        return at_least_wall(self._clock, seconds, WALL_SECONDS_MIN)

    def _ns(self, seconds: float) -> int:
        return int(self._seconds(seconds) * NS_PER_S)

    def _pause_seconds(self, failures: int) -> float:
        """Wait longer after each failure, spread over half to all of the step."""
        step = RECONNECT_SECONDS[min(max(failures, 1), len(RECONNECT_SECONDS)) - 1]
        return at_least_wall(
            self._clock, step * (0.5 + 0.5 * self._jitter()), RECONNECT_WALL_SECONDS_MIN
        )


_CLOSING = frozenset({aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED})
