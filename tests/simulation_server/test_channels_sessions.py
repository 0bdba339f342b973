"""Limits and manners of websocket sessions: in process on a clock by hand, and on real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import pytest

from core.simulation.exchange import SimulatedExchange
from core.simulation.server import VenueServer
from core.simulation.wire.connections import Connection
from core.simulation.wire.requests import Answer
from core.simulation.wire.socket_limits import SocketLimits, SocketSettings
from core.simulation.wire.sockets import MESSAGE_BYTES_MAX, SocketSink
from core.utils.clock import ManualClock
from tests.simulation_server.test_channels_markets import subscribe
from tests.simulation_server.venue import (
    START_NS,
    Frames,
    open_venue,
    quiet_market,
)

UNREADABLE = "Error parsing JSON into valid websocket request: "


def user(number: int) -> str:
    return f"0x{number:040x}"


# --- limits per address ------------------------------------------------------------------------


async def test_users_are_counted_over_all_connections_of_an_address() -> None:
    async with open_venue() as venue:
        first, _ = venue.connect("10.0.0.1")
        second, frames = venue.connect("10.0.0.1")
        other, other_frames = venue.connect("10.0.0.2")
        for i in range(9):
            subscribe(first, type="userFills", user=user(i))
        subscribe(second, type="orderUpdates", user=user(0))
        subscribe(second, type="userFills", user=user(9))
        subscribe(second, type="userFills", user=user(10))
        subscribe(other, type="userFills", user=user(10))
        await venue.clock.advance(1.0)
        assert frames.of("error") == ["Cannot track more than 10 total users."]
        assert other_frames.of("error") == []
        first.close()
        subscribe(second, type="userFills", user=user(10))
        await venue.clock.advance(1.0)
        assert len(frames.of("error")) == 1
        assert len(frames.of("subscriptionResponse")) == 3


async def test_the_users_of_the_error_text_are_a_setting() -> None:
    async with open_venue(sockets=SocketSettings(users_max=15)) as venue:
        session, frames = venue.connect()
        for i in range(16):
            subscribe(session, type="userFills", user=user(i))
        await venue.clock.advance(1.0)
        assert frames.of("error") == ["Cannot track more than 15 total users."]


async def test_unsubscribing_frees_a_place() -> None:
    async with open_venue(sockets=SocketSettings(subscriptions_max=1)) as venue:
        session, frames = venue.connect()
        for method in ("subscribe", "unsubscribe", "subscribe"):
            wish = {"type": "bbo", "coin": "BTC"}
            session.handle(json.dumps({"method": method, "subscription": wish}))
        subscribe(session, type="trades", coin="BTC")
        await venue.clock.advance(1.0)
        assert frames.of("error") == ["Cannot track more than 1 subscriptions."]
        methods = [answer["method"] for answer in frames.of("subscriptionResponse")]
        # The first request ended before its acknowledgement came; the last one has its own.
        assert methods == ["unsubscribe", "subscribe"]
        assert len(frames.of("bbo")) == 1


async def test_messages_per_minute_are_counted_over_all_connections() -> None:
    async with open_venue(sockets=SocketSettings(messages_per_minute=5)) as venue:
        (first, frames), (second, more) = venue.connect(), venue.connect()
        for _ in range(3):
            first.handle('{"method":"ping"}')
            second.handle('{"method":"ping"}')
        await venue.clock.advance(0.1)
        assert (len(frames.messages), len(more.messages)) == (3, 3)
        assert more.of("error") == ["Too many websocket messages from this address in this minute."]
        await venue.clock.advance(60.0)
        second.handle('{"method":"ping"}')
        await venue.clock.advance(0.1)
        assert more.messages[-1] == {"channel": "pong"}


def test_connections_open_and_new_are_limited() -> None:
    clock = ManualClock(START_NS)
    limits = SocketLimits(SocketSettings(connections_max=2, connections_per_minute=3), clock)
    share = limits.share("10.0.0.1")
    assert [share.open(), share.open(), share.open()] == [True, True, False]
    share.close()
    assert share.open()
    share.close()
    assert not share.open()
    assert limits.share("10.0.0.2").open()
    asyncio.run(clock.advance(60.0))
    assert share.open()


async def test_posts_in_flight_are_limited() -> None:
    class Door:
        """Answers when told to."""

        def __init__(self) -> None:
            self.gate = asyncio.Event()

        async def info(self, raw: bytes, ip: str) -> Answer:
            await self.gate.wait()
            return Answer(429, b"null")

        async def exchange(self, raw: bytes, ip: str) -> Answer:
            raise AssertionError("nothing was ordered")

    async with open_venue(sockets=SocketSettings(posts_max=2)) as venue:
        session, frames = venue.connect()
        door = session._door = Door()
        for number in (1, 2, 1234):
            request = {"type": "info", "payload": {"type": "meta"}}
            session.handle(json.dumps({"method": "post", "id": number, "request": request}))
        await venue.clock.advance(0.1)
        assert frames.of("error") == ["too many pending post requests id=1234"]
        door.gate.set()
        await venue.clock.advance(0.1)
        response = {"type": "error", "payload": "429 Too Many Requests"}
        assert frames.of("post") == [{"id": i, "response": response} for i in (1, 2)]
        assert session._share.post_count == 0


# --- what cannot be read -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "null",
        '"ping"',
        '{"method":5}',
        '{"method":"subscribe"}',
        '{"method":"subscribe","subscription":}',
        '{"method":"unsubscribe"}',
        '{"method":"post","id":"7","request":{"type":"info","payload":{}}}',
        '{"method":"post","id":7}',
        '{"method":"post","id":7,"request":{"type":"dance","payload":{}}}',
        '{"method":"post","id":7,"request":{"type":"info"}}',
        '{"method":"post","id":7,"request":[]}',
        '{"method":"subscribe","subscription":' + "[" * 5_000 + "]" * 5_000 + "}",
        '{"method":"' + "x" * 200_000 + '"}',
    ],
)
async def test_what_is_no_request_is_shown_back(text: str) -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        session.handle(text)
        session.handle('{"method":"ping"}')
        await venue.clock.advance(0.1)
        assert frames.messages == [
            {"channel": "error", "data": UNREADABLE + text},
            {"channel": "pong"},
        ]


async def test_odd_subscriptions_are_invalid_not_fatal() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        for wish in ("null", "[]", "7", '{"type":null}', '{"type":"bbo","coin":{"a":1}}'):
            session.handle(f'{{"method":"subscribe","subscription":{wish}}}')
            session.handle(f'{{"method":"unsubscribe","subscription":{wish}}}')
        await venue.clock.advance(0.1)
        errors = frames.of("error")
        assert len(errors) == 10
        assert all(error.startswith("Invalid subscription ") for error in errors)


async def test_a_cut_client_is_not_answered() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="bbo", coin="BTC")
        session.close()
        session.handle('{"method":"ping"}')
        session.handle_binary(b"\x00")
        await venue.clock.advance(2.0)
        assert frames.raw == []
        assert venue.server._hub.key_count == 0


# --- silence -----------------------------------------------------------------------------------


async def test_a_client_to_which_nothing_is_sent_is_cut_after_a_minute() -> None:
    clock, frames = ManualClock(START_NS), Frames()
    connection = Connection(frames, clock)
    tasks = [asyncio.ensure_future(connection.write())]
    tasks.append(asyncio.ensure_future(connection.watch(SocketSettings().idle_ns)))
    await clock.advance(50.0)
    connection.push(b"pong")
    await clock.advance(59.0)
    assert not frames.is_closed
    await clock.advance(2.0)
    assert frames.is_closed
    await asyncio.gather(*tasks)
    assert frames.raw == [b"pong"]


class Transport:
    """A transport that notes its violent end."""

    def __init__(self) -> None:
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


@pytest.mark.parametrize("is_closed", [False, True])
async def test_only_an_open_socket_is_dropped(is_closed: bool) -> None:
    class Socket:
        closed = is_closed

    transport = Transport()
    await SocketSink(cast("Any", Socket()), cast("Any", transport)).close()
    assert transport.is_aborted is not is_closed


# --- real sockets ------------------------------------------------------------------------------


class RunningClock(ManualClock):
    """Moved by hand, but for the server a clock that runs with the world."""

    speed = 1.0


@asynccontextmanager
async def serving(
    clock: Any = None, **settings: Any
) -> AsyncIterator[tuple[VenueServer, aiohttp.ClientSession]]:
    """Serve a quiet market on a free port."""
    source = quiet_market()
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    server = VenueServer(
        exchange,
        source,
        clock or ManualClock(START_NS),
        port=0,
        sockets=SocketSettings(**settings),
    )
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield server, http
    finally:
        await server.stop()


@pytest.mark.contract
async def test_greeting_comes_first_where_asked_for() -> None:
    greeting = "Websocket connection established."
    async with serving(greeting=greeting) as (_, http), http.ws_connect("/ws") as ws:
        await ws.send_str('{"method":"ping"}')
        assert await ws.receive_str() == greeting
        assert await ws.receive_str() == '{"channel":"pong"}'


@pytest.mark.contract
async def test_binary_frames_are_answered_and_the_client_stays() -> None:
    async with serving() as (_, http), http.ws_connect("/ws") as ws:
        await ws.send_bytes(b'\xff{"method":"ping"}')
        answer = json.loads(await ws.receive_str())
        assert answer == {"channel": "error", "data": UNREADABLE + '\ufffd{"method":"ping"}'}
        await ws.send_str('{"method":"ping"}')
        assert await ws.receive_str() == '{"channel":"pong"}'


@pytest.mark.contract
@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("x" * (MESSAGE_BYTES_MAX + 1), aiohttp.WSCloseCode.MESSAGE_TOO_BIG),
        (b"\xff\xfe", aiohttp.WSCloseCode.INVALID_TEXT),
    ],
    ids=["too big", "not UTF-8"],
)
async def test_frames_beyond_the_protocol_end_the_connection_cleanly(
    frame: str | bytes, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as (server, http):
        async with http.ws_connect("/ws") as ws:
            raw = frame.encode() if isinstance(frame, str) else frame
            await ws.send_frame(raw, aiohttp.WSMsgType.TEXT)
            answer = await ws.receive()
            assert answer.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            assert ws.close_code == code
        async with http.ws_connect("/ws") as ws:
            await ws.send_str('{"method":"ping"}')
            assert await ws.receive_str() == '{"channel":"pong"}'
        await ws.close()
        assert server.sockets.share("127.0.0.1").subscription_count == 0
    assert caplog.records == []


@pytest.mark.contract
async def test_reserved_bits_end_the_connection_cleanly(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (_, http), http.ws_connect("/ws") as ws:
        transport = ws._writer.transport
        assert transport is not None
        transport.write(b"\xf1\x80\x00\x00\x00\x00")
        answer = await ws.receive()
        assert answer.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert ws.close_code == aiohttp.WSCloseCode.PROTOCOL_ERROR
    assert caplog.records == []


@pytest.mark.contract
async def test_silence_ends_the_connection_without_a_word() -> None:
    clock = RunningClock(START_NS)
    async with serving(clock) as (_, http), http.ws_connect("/ws") as ws:
        await ws.send_str('{"method":"ping"}')
        assert await ws.receive_str() == '{"channel":"pong"}'
        await clock.advance(61.0)
        answer = await ws.receive()
        assert answer.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert ws.close_code == aiohttp.WSCloseCode.ABNORMAL_CLOSURE


@pytest.mark.contract
async def test_a_client_that_leaves_gets_its_goodbye_and_is_forgotten() -> None:
    async with serving() as (server, http):
        ws = await http.ws_connect("/ws")
        await ws.send_str('{"method":"subscribe","subscription":{"type":"bbo","coin":"BTC"}}')
        await ws.send_str('{"method":"ping"}')
        await ws.receive_str()
        assert await ws.close()
        assert ws.close_code == aiohttp.WSCloseCode.OK
        share = server.sockets.share("127.0.0.1")
        for _ in range(100):
            await asyncio.sleep(0)
        assert (share.connection_count, share.subscription_count) == (0, 0)
