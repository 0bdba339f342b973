"""Clients that misbehave: they get the venue's own words or nothing, and others are served."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import Any

import aiohttp
import pytest

from core.simulation.server import VenueServer
from core.simulation.wire.requests import UNPARSEABLE
from tests.simulation_server.test_time_by_hand import by_hand, post, signed, until_pong
from tests.simulation_server.venue import MASTER, order, place

pytestmark = pytest.mark.contract
CALM = ("--clock", "on-request", "--latency", "none")


@pytest.fixture(autouse=True)
def no_traceback(caplog: pytest.LogCaptureFixture) -> Any:
    """Nothing that a client does may end in a logged traceback."""
    yield
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []


async def alive(http: aiohttp.ClientSession) -> None:
    status, body = await post(http, "/info", {"type": "exchangeStatus"})
    assert (status, "time" in json.loads(body)) == (200, True)


def port_of(server: VenueServer) -> int:
    return server._port


@pytest.mark.parametrize("path", ["/info", "/exchange"])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe\x00",
        b'{"type":5}',
        b'{"type":"nothing"}',
        b'{"type":"l2Book"}',
        b'{"type":"orderStatus","user":5}',
        b"[" * 200_000,
        b'{"a":' * 100_000,
        b'{"action":{"type":"order"},"nonce":1,"signature":{"r":"0x1","s":"0x2","v":27}}',
        b'{"action":[],"nonce":-1,"signature":null}',
    ],
)
async def test_bodies_that_are_no_requests_are_422(path: str, body: bytes) -> None:
    async with by_hand(*CALM) as (_, http):
        status, text = await post(http, path, body)
        assert (status, text[: len(UNPARSEABLE)].decode()) == (422, UNPARSEABLE)
        await alive(http)


async def test_the_content_type_does_not_matter_and_wrong_methods_do() -> None:
    async with by_hand(*CALM) as (_, http):
        for kind in ("text/plain", "application/xml", "multipart/form-data", "nonsense"):
            async with http.post(
                "/info", data=b'{"type":"allMids"}', headers={"Content-Type": kind}
            ) as response:
                assert response.status == 200
        for method, path in (("GET", "/info"), ("PUT", "/exchange"), ("POST", "/ws")):
            async with http.request(method, path) as response:
                assert response.status == 405
        async with http.get("/ws") as response:
            assert response.status == 400
        for path in ("/v1/assets", "/info/", "/%00", "/../etc"):
            async with http.get(path) as response:
                assert response.status == 404
        await alive(http)


async def test_bodies_beyond_the_limit_are_413() -> None:
    async with by_hand(*CALM) as (_, http):
        for path in ("/info", "/exchange", "/faucet", "/clock", "/faults"):
            assert (await post(http, path, b"x" * (1024 * 1024 + 1)))[0] == 413
        await alive(http)


async def test_clients_that_break_off_in_the_middle_disturb_nobody() -> None:
    async with by_hand(*CALM) as (server, http):
        parts = (
            b"P",
            b"POST /info HTTP/1.1\r\nHost: x\r\n",
            b"POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
            b"POST /info HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{",
            b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        )
        for part in parts:
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            writer.write(part)
            await writer.drain()
            writer.transport.abort()
        await alive(http)


async def test_hundreds_of_half_requests_wait_without_harm() -> None:
    async with by_hand(*CALM) as (server, http):
        writers = []
        for i in range(400):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
            head = b"POST /info HTTP/1.1\r\nHost: x\r\n"
            writer.write(head if i % 2 else head + b"Content-Length: 9000\r\n\r\n{")
            writers.append(writer)
        await alive(http)
        wire = order(px="50000", sz="0.001")
        assert (await post(http, "/exchange", signed(server, place(wire), 0)))[0] == 200
        for writer in writers:
            writer.transport.abort()
        await alive(http)


async def test_a_body_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.simulation.wire.http_app.BODY_SECONDS_MAX", 0.05)
    async with by_hand(*CALM) as (server, http):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(server))
        writer.write(b"POST /info HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n{")
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 5.0)
        writer.close()
        await alive(http)


async def test_a_slow_reader_is_cut_off_and_others_get_all() -> None:
    async with by_hand("--speed", "max") as (server, http):
        async with http.ws_connect("/ws") as reader:
            slow, writer = await asyncio.open_connection("127.0.0.1", port_of(server), limit=1)
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            await reader.send_json(
                {"method": "subscribe", "subscription": {"type": "trades", "coin": "BTC"}}
            )
            seen = 0
            while seen < 300:
                seen += '"trades"' in (await reader.receive(10.0)).data
            assert slow is not None
            writer.transport.abort()
        await alive(http)


async def test_websocket_messages_of_every_kind_are_answered() -> None:
    async with by_hand(*CALM) as (_, http), http.ws_connect("/ws") as ws:
        for text in ("", "{", "[]", "null", '{"method":"x"}', "x" * 10_000, "[" * 100_000):
            await ws.send_str(text)
            reply = json.loads((await ws.receive(5.0)).data)
            assert reply["channel"] == "error"
        await ws.send_bytes(b"\x00\xff")
        assert json.loads((await ws.receive(5.0)).data)["channel"] == "error"
        assert await until_pong(ws) == []
        with contextlib.suppress(ConnectionError):
            await ws.send_str("x" * (2 * 1024 * 1024))
        assert (await ws.receive(5.0)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        await alive(http)


async def test_a_thousand_requests_at_once_are_all_answered() -> None:
    async with by_hand(*CALM, "--no-ip-limits") as (server, http):
        connector = aiohttp.TCPConnector(limit=300)
        async with aiohttp.ClientSession(http._base_url, connector=connector) as many:
            bodies = [
                signed(server, place(order(px=str(50_000 + i), sz="0.001")), i)
                for i in range(1_000)
            ]
            answers = await asyncio.gather(*(post(many, "/exchange", body) for body in bodies))
        assert {status for status, _ in answers} == {200}
        orders = json.loads(
            (await post(http, "/info", {"type": "openOrders", "user": MASTER.address}))[1]
        )
        assert len(orders) == sum(b"resting" in body for _, body in answers)
