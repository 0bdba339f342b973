"""All websocket clients of a server: let in, served, and put out.

What one client says is its session's business, what it is sent the hub's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from core.model.ports import Clock
from core.simulation.wire.connections import Connection, FrameSink
from core.simulation.wire.faults import FaultPlan
from core.simulation.wire.faulty_connection import CallAt, FaultyConnection
from core.simulation.wire.socket_limits import IpShare, SocketLimits, SocketSettings
from core.simulation.wire.socket_session import SocketSession
from core.simulation.wire.sockets import SocketSink, new_socket, read_messages

FRAMES_CROWDED = 1_024
"""Frames that wait for one client from which on time, where it is moved by hand, waits for him."""


class SocketRoom:
    """The open connections.

    Parameters
    ----------
    settings : SocketSettings
        Limits and greeting.
    clock : Clock
        The venue's clock.
    plan : callable
        Returns the fault plan in force.
    call_at : callable
        Calls back at a moment of the venue's time.
    """

    def __init__(
        self,
        settings: SocketSettings,
        clock: Clock,
        *,
        plan: Callable[[], FaultPlan],
        call_at: CallAt,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._plan, self._call_at = plan, call_at
        self._limits = SocketLimits(settings, clock)
        self._connections: set[Connection] = set()

    @property
    def count(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    @property
    def is_crowded(self) -> bool:
        """Whether a client has much to read."""
        return any(c.queued_count > FRAMES_CROWDED for c in self._connections)

    def share(self, ip: str) -> IpShare:
        """Return what an address uses of its limits."""
        return self._limits.share(ip)

    def cut(self) -> None:
        """End all connections without a word."""
        for connection in list(self._connections):
            connection.cut()

    def connection(self, sink: FrameSink) -> FaultyConnection:
        """Return the sending side of a new client."""
        return FaultyConnection(sink, self._clock, plan=self._plan, call_at=self._call_at)

    async def serve(
        self, request: web.Request, ip: str, session_of: Callable[[Connection], SocketSession]
    ) -> web.StreamResponse | None:
        """Let one client talk until its connection ends; ``None`` if it may not come in."""
        share = self.share(ip)
        if not share.open():
            return None
        try:
            socket = new_socket()
            await socket.prepare(request)
            connection = self.connection(SocketSink(socket, request.transport))
            self._connections.add(connection)
            try:
                await self._talk(socket, connection, session_of(connection))
            finally:
                self._connections.discard(connection)
        finally:
            share.close()
        return socket

    async def _talk(
        self, socket: web.WebSocketResponse, connection: FaultyConnection, session: SocketSession
    ) -> None:
        if self._settings.greeting:
            session.greet(self._settings.greeting)
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(connection.write())]
        speed = getattr(self._clock, "speed", None)
        if speed is not None:
            # The link is between programs of this world, whose pings follow its time: with a fast
            # clock the venue's minute would be a blink, so silence is measured in the world's
            # seconds. Where time is moved by hand, silence means nothing.
            idle_ns = round(self._settings.idle_ns * float(speed))
            watcher = loop.create_task(connection.watch(idle_ns))
            connection.on_mute = watcher.cancel
            tasks.append(watcher)
        try:
            await read_messages(socket, session)
        finally:
            session.close()
            for task in tasks[1:]:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
