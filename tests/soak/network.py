"""The network between the bot and the local exchange, without sockets: seeded, slow and unkind.

`Network.session` looks like the HTTP client that the bot's real code uses. Requests and frames
reach the exchange's own handlers; on the way they are delayed, lost before or after they were
carried out, answered 429 or by a proxy's page, and sockets break or fall silent.
"""

from __future__ import annotations

import asyncio
import random
from types import TracebackType
from typing import Any

import aiohttp

from core.simulation.server import VenueServer
from core.simulation.wire.connections import Connection

SECONDS_MIN, SECONDS_MEAN = 0.002, 0.02
STALL_SECONDS_MAX = 12.0


class Trouble:
    """How unkind the network is now, as chances from 0 to 1 per request or frame."""

    def __init__(self) -> None:
        self.lost_before = self.lost_after = self.too_many = self.broken = self.stalled = 0.0
        self.socket_cut = self.socket_mute = 0.0
        self.is_down = False

    def calm(self) -> None:
        """Stop all trouble."""
        self.__init__()  # type: ignore[misc]


class Network:
    """One path to one exchange, for one process after another."""

    def __init__(self, server: VenueServer, chance: random.Random) -> None:
        self.server = server
        self.chance = chance
        self.trouble = Trouble()
        self.request_count = 0

    def session(self) -> Session:
        """Return what a new process connects with."""
        return Session(self)

    async def travel(self) -> None:
        """Let a message take its time."""
        await asyncio.sleep(SECONDS_MIN + self.chance.expovariate(1 / SECONDS_MEAN))

    def strikes(self, chance: float) -> bool:
        """Draw whether one kind of trouble strikes."""
        return self.chance.random() < chance


class Session:
    """One process's connections; `kill` cuts them all, as the end of the process would."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._sockets: list[Socket] = []
        self.is_dead = False

    def post(self, url: str, *, data: bytes, timeout: aiohttp.ClientTimeout, **rest: Any) -> _Call:
        return _Call(self, url, data, timeout.total or 0.0)

    async def ws_connect(self, url: str, **rest: Any) -> Socket:
        await self._network.travel()
        self.check()
        socket = Socket(self._network)
        self._sockets.append(socket)
        return socket

    async def close(self) -> None:
        for socket in self._sockets:
            socket.cut()

    def check(self) -> None:
        """Raise what a client sees where no connection can be had."""
        if self.is_dead or self._network.trouble.is_down:
            raise aiohttp.ClientConnectionError("no route")

    def kill(self) -> None:
        """End the process: nothing more leaves it and nothing reaches it."""
        self.is_dead = True
        for socket in self._sockets:
            socket.cut()

    async def request(self, url: str, data: bytes) -> Response:
        """Carry a request there and its answer back."""
        network, trouble = self._network, self._network.trouble
        network.request_count += 1
        await network.travel()
        self.check()
        if network.strikes(trouble.too_many):
            return Response(429, b"")
        if network.strikes(trouble.broken):
            return Response(502, b"<html>502 Bad Gateway</html>")
        if network.strikes(trouble.lost_before):
            raise aiohttp.ServerDisconnectedError
        if network.strikes(trouble.stalled):
            await asyncio.sleep(network.chance.random() * STALL_SECONDS_MAX)
        is_info = url.endswith("/info")
        answer = await (network.server.info if is_info else network.server.exchange)(data)
        if network.strikes(trouble.lost_after):
            raise aiohttp.ServerDisconnectedError
        await network.travel()
        self.check()
        return Response(answer.status, answer.body)


class Response:
    """An answer in the client's hands."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._body = body

    async def read(self) -> bytes:
        return self._body


class _Call:
    """A request as the HTTP client hands it out: to be entered with ``async with``."""

    def __init__(self, session: Session, url: str, data: bytes, seconds: float) -> None:
        self._session, self._url, self._data, self._seconds = session, url, data, seconds

    async def __aenter__(self) -> Response:
        # As with a real connection: the exchange goes on although the client has given up.
        work = asyncio.ensure_future(self._session.request(self._url, self._data))
        work.add_done_callback(lambda task: task.cancelled() or task.exception())
        done, _ = await asyncio.wait([work], timeout=self._seconds)
        if not done:
            raise TimeoutError
        return work.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class Message:
    """A frame in the client's hands."""

    def __init__(self, kind: aiohttp.WSMsgType, data: Any) -> None:
        self.type, self.data = kind, data


class Socket:
    """A websocket to the exchange."""

    close_code = 1006

    def __init__(self, network: Network) -> None:
        self._network = network
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._is_mute = False
        self._connection = Connection(self)
        self._session = network.server.open_session(self._connection)
        self._writer = asyncio.ensure_future(self._connection.write())
        self._order = asyncio.Lock()

    async def send(self, frame: bytes) -> None:
        """Take a frame from the exchange; order is kept, whatever the delays."""
        trouble = self._network.trouble
        if self._network.strikes(trouble.socket_cut) or trouble.is_down:
            self.cut()
            return
        self._is_mute = self._is_mute or self._network.strikes(trouble.socket_mute)
        if self._is_mute:
            return
        async with self._order:
            await self._network.travel()
            self._inbox.put_nowait(Message(aiohttp.WSMsgType.TEXT, frame.decode()))

    async def send_str(self, text: str) -> None:
        if self._connection.is_cut:
            raise aiohttp.ClientConnectionError("closed")
        await self._network.travel()
        if not self._connection.is_cut:
            self._session.handle(text)

    async def receive(self) -> Message:
        return await self._inbox.get()

    async def close(self) -> None:
        self.cut()

    def cut(self) -> None:
        """Break the connection; the client hears of it."""
        if not self._connection.is_cut:
            self._session.close()
            self._inbox.put_nowait(Message(aiohttp.WSMsgType.CLOSED, None))
