"""A websocket of the server as a sink of frames and a source of messages.

Binary frames are answered as unreadable; oversized frames, text that is not UTF-8 and broken
frames end the connection with the protocol's own close codes (1009, 1007, 1002). The venue itself
never says goodbye: it drops connections without a close frame, which clients see as code 1006
(reference section 11.3).
"""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from core.simulation.wire.socket_session import SocketSession

MESSAGE_BYTES_MAX = 1024 * 1024
CLOSE_SECONDS_MAX = 1.0
"""How long to wait for the client's half of a closing handshake."""


def new_socket() -> web.WebSocketResponse:
    """Return a websocket that takes messages of at most `MESSAGE_BYTES_MAX`."""
    return web.WebSocketResponse(
        compress=False, max_msg_size=MESSAGE_BYTES_MAX, timeout=CLOSE_SECONDS_MAX
    )


class SocketSink:
    """Sends encoded frames to one client; ends without a close frame."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None) -> None:
        self._socket, self._transport = socket, transport

    async def send(self, frame: bytes) -> None:
        """Send one text frame; waits while the network is full."""
        await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def close(self) -> None:
        """Drop the connection, unless the client or the protocol has ended it already."""
        if not self._socket.closed and self._transport is not None:
            self._transport.abort()


async def read_messages(socket: web.WebSocketResponse, session: SocketSession) -> None:
    """Hand a client's messages to its session until the connection ends."""
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            session.handle(message.data)
        elif message.type is WSMsgType.BINARY:
            session.handle_binary(message.data)
