"""One websocket client: a bounded queue of frames and the task that writes them.

A client that reads too slowly is cut off instead of growing the venue's memory; it may reconnect
and gets snapshots. A client to which nothing was sent for a while is cut off too, as the venue
does. It knows bytes, not messages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from typing import Protocol

from core.model.ports import Clock
from core.model.time import NS_PER_S

FRAMES_QUEUED_MAX = 4_096
BYTES_QUEUED_MAX = 16 * 1024 * 1024


class FrameSink(Protocol):
    """Where frames go: an aiohttp websocket, or a list in tests."""

    async def send(self, frame: bytes) -> None:
        """Send one text frame; waits while the network is full."""
        ...

    async def close(self) -> object:
        """End the connection."""
        ...


class Connection:
    """The sending side of one client, in order, and what it has subscribed to.

    Parameters
    ----------
    sink : FrameSink
        The client's socket.
    clock : Clock or None
        Says when something was sent; only `watch` needs it.
    frames_max : int
        Frames that may wait; one more ends the connection.
    """

    def __init__(
        self,
        sink: FrameSink,
        clock: Clock | None = None,
        *,
        frames_max: int = FRAMES_QUEUED_MAX,
    ) -> None:
        self._sink, self._clock = sink, clock
        self._frames_max = frames_max
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._has_frames = asyncio.Event()
        self._sent_ns = 0
        self.is_cut = False
        self.keys: dict[tuple[object, ...], None] = {}

    @property
    def queued_count(self) -> int:
        """Frames that wait."""
        return len(self._queue)

    def push(self, frame: bytes) -> None:
        """Queue one frame; cut the client off if it has fallen too far behind."""
        if self.is_cut:
            return
        if len(self._queue) >= self._frames_max or self._bytes > BYTES_QUEUED_MAX:
            self.cut()
            return
        self._queue.append(frame)
        self._bytes += len(frame)
        self._has_frames.set()

    def push_all(self, frames: Iterable[bytes]) -> None:
        """Queue several frames, in order."""
        for frame in frames:
            self.push(frame)

    def cut(self) -> None:
        """Drop what waits and end the connection."""
        self.is_cut = True
        self._queue.clear()
        self._bytes = 0
        self._has_frames.set()

    async def write(self) -> None:
        """Send frames until the connection ends."""
        with contextlib.suppress(ConnectionError, RuntimeError):
            while not self.is_cut:
                await self._has_frames.wait()
                self._has_frames.clear()
                while self._queue:
                    frame = self._queue.popleft()
                    self._bytes -= len(frame)
                    await self._sink.send(frame)
                if self._clock is not None:
                    self._sent_ns = self._clock.now_ns()
        self.cut()
        await self._sink.close()

    async def watch(self, idle_ns: int) -> None:
        """Cut the client off once nothing has been sent to it for ``idle_ns`` of the clock."""
        clock = self._clock
        assert clock is not None, "invariant: a watched connection has a clock"
        self._sent_ns = max(self._sent_ns, clock.now_ns())
        while not self.is_cut:
            left_ns = self._sent_ns + idle_ns - clock.now_ns()
            if left_ns <= 0:
                self.cut()
            else:
                await clock.sleep(left_ns / NS_PER_S)
