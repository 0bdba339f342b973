"""Time that is moved by hand: over HTTP and websocket, and the same bytes each time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core.api.actions import decode_action
from core.simulation.server import VenueServer
from core.simulation.wire.options import parse
from core.simulation.wire.process import build_server
from tests.simulation_server.venue import MASTER, order, place

pytestmark = pytest.mark.contract
WORDS = ("--port", "0", "--coins", "BTC", "--perps-only", "--fund", f"{MASTER.address}=10000")


@asynccontextmanager
async def by_hand(*words: str) -> AsyncIterator[tuple[VenueServer, aiohttp.ClientSession]]:
    server = build_server(parse([*WORDS, *words]))
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield server, http
    finally:
        await server.stop()


async def post(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, bytes]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with http.post(path, data=raw) as response:
        return response.status, await response.read()


def signed(server: VenueServer, action: dict[str, Any], number: int) -> bytes:
    nonce = server.now_ns // 1_000_000 + number
    signature = MASTER.sign_l1(decode_action(json.dumps(action).encode()), nonce, is_mainnet=False)
    body = {
        "action": action,
        "nonce": nonce,
        "signature": {"r": signature.r, "s": signature.s, "v": signature.v},
    }
    return json.dumps(body).encode()


async def until_pong(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Everything that was sent before a ping was answered."""
    await ws.send_str('{"method":"ping"}')
    frames = []
    while True:
        text = str((await ws.receive(5.0)).data)
        if text == '{"channel":"pong"}':
            return frames
        frames.append(text)


async def transcript(seed: str, mode: str) -> list[Any]:
    """One scripted session: subscriptions, orders that rest and fill, two hours of market."""
    told: list[Any] = []
    words = ("--clock", mode, "--seed", seed, "--latency", "home" if mode != "manual" else "none")
    async with by_hand(*words) as (server, http), http.ws_connect("/ws") as ws:
        told.append(await post(http, "/clock", {"advance_ms": 5_000}))
        for wish in (
            {"type": "l2Book", "coin": "BTC"},
            {"type": "trades", "coin": "BTC"},
            {"type": "userFills", "user": MASTER.address},
            {"type": "orderUpdates", "user": MASTER.address},
        ):
            await ws.send_json({"method": "subscribe", "subscription": wish})
            told.append(await until_pong(ws))
        told.append(await post(http, "/info", {"type": "l2Book", "coin": "BTC"}))
        mid = float(json.loads((await post(http, "/info", {"type": "allMids"}))[1])["BTC"])
        for i, share in enumerate((0.999, 0.9999, 1.001, 1.0005)):
            wire = order(is_buy=share < 1, px=str(round(mid * share)), sz="0.001")
            told.append(await post(http, "/exchange", signed(server, place(wire), i)))
        for _ in range(8):
            told.append(await post(http, "/clock", {"advance_ms": 900_000}))
            told.append(await until_pong(ws))
        told.append(await post(http, "/info", {"type": "userFills", "user": MASTER.address}))
        told.append(
            await post(http, "/info", {"type": "clearinghouseState", "user": MASTER.address})
        )
    return told


@pytest.mark.parametrize("mode", ["manual", "on-request"])
async def test_same_seed_and_requests_give_the_same_bytes(mode: str) -> None:
    first = await transcript("7", mode)
    assert await transcript("7", mode) == first
    frames = [frame for part in first if isinstance(part, list) for frame in part]
    assert sum('"channel":"trades"' in frame for frame in frames) > 100
    assert any('"channel":"userFills"' in frame and "isSnapshot" not in frame for frame in frames)
    assert all(part[0] == 200 for part in first if isinstance(part, tuple))
    assert await transcript("8", mode) != first


async def test_time_stands_until_it_is_moved() -> None:
    async with by_hand("--clock", "manual") as (server, http):
        start_ns = server.now_ns
        for _ in range(5):
            await post(http, "/info", {"type": "allMids"})
        async with http.get("/clock") as response:
            facts = await response.json()
        assert facts["now_ns"] == start_ns
        assert (facts["mode"], facts["speed"]) == ("manual", 0.0)
        status, body = await post(http, "/clock", {"advance_ms": 1_500})
        assert (status, json.loads(body)["now_ns"]) == (200, start_ns + 1_500_000_000)
        until_ms = start_ns // 1_000_000 + 10_000
        status, body = await post(http, "/clock", {"until_ms": until_ms})
        assert json.loads(body)["now_ns"] == until_ms * 1_000_000


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"advance_ms": -1},
        {"advance_ms": 1, "until_ms": 2},
        {"until_ms": 1},
        {"advance_ms": 0.5},
        b"[1]",
        b"{",
        {"advance_ms": 10**20},
        {"advance_ms": True},
    ],
)
async def test_a_wrong_move_is_told(body: Any) -> None:
    async with by_hand("--clock", "manual") as (server, http):
        before_ns = server.now_ns
        status, text = await post(http, "/clock", body)
        assert status == 422
        assert b"clock should get" in text or b"time moves forward only" in text
        assert server.now_ns == before_ns


async def test_a_clock_that_runs_is_not_moved() -> None:
    async with by_hand("--speed", "10") as (_, http):
        status, text = await post(http, "/clock", {"advance_ms": 1})
        assert (status, b"--clock manual" in text) == (409, True)


async def test_on_request_time_moves_just_to_the_answer() -> None:
    async with by_hand("--clock", "on-request", "--latency", "100") as (server, http):
        before_ns = server.now_ns
        await post(http, "/info", {"type": "allMids"})
        assert server.now_ns == before_ns + 100_000_000
        wire = order(px="50000", sz="0.001")
        status, body = await post(http, "/exchange", signed(server, place(wire), 0))
        assert (status, b"resting" in body or b"error" in body) == (200, True)
        assert server.now_ns == before_ns + 300_000_000


async def test_a_manual_clock_keeps_a_request_waiting_for_its_latency() -> None:
    async with by_hand("--clock", "manual", "--latency", "100") as (server, http):
        waiting = asyncio.ensure_future(post(http, "/info", {"type": "allMids"}))
        await post(http, "/clock", {"advance_ms": 0})
        while server.pump.next_ns > server.now_ns + 100_000_000:
            await asyncio.sleep(0)
        assert not waiting.done()
        await post(http, "/clock", {"advance_ms": 100})
        assert (await asyncio.wait_for(waiting, 5.0))[0] == 200


async def test_as_fast_as_possible_begins_with_the_first_request_and_loses_nothing() -> None:
    async with by_hand("--speed", "max") as (server, http):
        start_ns = server.now_ns
        async with http.get("/health") as response:
            assert (await response.json())["status"] == "ok"
        assert server.now_ns == start_ns
        async with http.ws_connect("/ws") as ws:
            wish = {"type": "trades", "coin": "BTC"}
            await ws.send_json({"method": "subscribe", "subscription": wish})
            opens = []
            while not opens or opens[-1] < start_ns // 1_000_000 + 1_800_000:
                message = json.loads((await ws.receive(10.0)).data)
                if message["channel"] == "trades":
                    opens += [row["time"] for row in message["data"]]
        live = [ms for ms in opens if ms > opens[0]]
        assert live == sorted(live)
        assert {ms // 60_000 for ms in live} == set(
            range(min(live) // 60_000, max(live) // 60_000 + 1)
        )
