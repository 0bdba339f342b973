"""One websocket client: a bounded queue of frames and the task that writes them.

A client that reads too slowly is cut off instead of growing the venue's memory; it may reconnect
and gets snapshots. It knows bytes, not messages.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Protocol

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
    frames_max : int
        Frames that may wait; one more ends the connection.
    """

    def __init__(self, sink: FrameSink, *, frames_max: int = FRAMES_QUEUED_MAX) -> None:
        self._sink = sink
        self._frames_max = frames_max
        self._queue: deque[bytes] = deque()
        self._bytes = 0
        self._has_frames = asyncio.Event()
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
        self.cut()
        await self._sink.close()
