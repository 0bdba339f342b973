"""Over real sockets: paths, page, clock, faucet, faults, ports and the life of the process."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from core.model.errors import ExitCode, PortInUseError
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.sample_source import SAMPLE_START_NS
from core.simulation.server import VenueServer, main
from core.simulation.wire.faults import FaultPlan, FaultRule
from core.simulation.wire.socket_limits import SocketSettings
from core.utils.clock import ManualClock, ScaledClock
from tests.simulation_server.venue import (
    MASTER,
    START_NS,
    ScriptedSource,
    Venue,
    btc_tick,
    order,
    place,
    quiet_market,
)

pytestmark = pytest.mark.contract


@asynccontextmanager
async def serving(
    faults: FaultPlan | None = None, clock: Any = None, sockets: SocketSettings | None = None
) -> AsyncIterator[tuple[Venue, aiohttp.ClientSession]]:
    """Serve a quiet market on a free port at fifty times the world's speed."""
    source = quiet_market(seconds=100_000)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    venue_clock = clock or ScaledClock(START_NS, 50.0, time.monotonic_ns())
    server = VenueServer(
        exchange, source, venue_clock, port=0, faults=faults, sockets=sockets or SocketSettings()
    )
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            yield Venue(server, exchange, venue_clock), http
    finally:
        await server.stop()


async def post(http: aiohttp.ClientSession, path: str, body: Any) -> tuple[int, str]:
    data = body if isinstance(body, bytes) else json.dumps(body)
    async with http.post(path, data=data) as response:
        return response.status, await response.text()


async def test_paths_headers_and_statuses() -> None:
    async with serving() as (_, http):
        async with http.post("/info", json={"type": "allMids"}) as response:
            assert response.status == 200
            assert response.headers["access-control-allow-origin"] == "*"
            assert await response.json() == {"BTC": "100000.5"}
        status, text = await post(http, "/info", {"type": "nothing"})
        assert (status, text[:24]) == (422, "Failed to deserialize th")
        status, _ = await post(http, "/exchange", b"x" * (2 * 1024 * 1024))
        assert status == 413
        async with http.get("/v1/assets") as response:
            assert response.status == 404


async def test_faucet_and_page() -> None:
    async with serving() as (venue, http):
        status, _ = await post(http, "/faucet", {"user": MASTER.address, "usd": 123.45})
        assert status == 200
        summary = venue.exchange.account_summary(MASTER.address)
        assert summary.total.account_value_micro == 123_450_000
        for bad in ({}, {"user": "0x1", "usd": 1}, {"user": MASTER.address, "usd": -1}, b"{"):
            status, text = await post(http, "/faucet", bad)
            assert status == 422
            assert "faucet should get" in text
        async with http.get("/") as response:
            page = await response.text()
        assert "No real money moves here" in page
        assert MASTER.address in page
        assert "123.45" in page
        assert "the market is scripted" in page
        assert "<script" not in page


async def test_clock_tells_how_to_share_it() -> None:
    async with serving() as (venue, http):
        async with http.get("/clock") as response:
            facts = await response.json()
        assert facts["speed"] == 50.0
        assert facts["start_ns"] == START_NS
        shared = ScaledClock(facts["start_ns"], facts["speed"], facts["anchor_monotonic_ns"])
        assert abs(shared.now_ns() - venue.clock.now_ns()) < 10**9
        assert facts["end_ns"] > START_NS
        assert facts["assumptions"] == ["the market is scripted"]


async def test_planned_faults_happen_where_planned() -> None:
    names = ("too_many", "broken", "drop_before", "drop_after")
    plan = FaultPlan(
        [FaultRule(route="exchange", fault=name, after=i, times=1) for i, name in enumerate(names)]
    )
    async with serving(plan) as (venue, http):
        venue.server.faucet(MASTER.address, 1_000)
        assert (await post(http, "/exchange", venue.signed(place(order()))))[0] == 429
        assert (await post(http, "/exchange", venue.signed(place(order()))))[0] == 502
        with pytest.raises(aiohttp.ClientError):
            await post(http, "/exchange", venue.signed(place(order())))
        assert venue.exchange.open_orders(MASTER.address) == ()
        with pytest.raises(aiohttp.ClientError):
            await post(http, "/exchange", venue.signed(place(order())))
        assert len(venue.exchange.open_orders(MASTER.address)) == 1
        assert (await post(http, "/exchange", venue.signed(place(order()))))[0] == 200


async def test_sockets_are_cut_at_the_planned_moment() -> None:
    clock = ManualClock(START_NS)
    plan = FaultPlan([FaultRule(route="ws", fault="cut", from_s=30.0)])
    async with serving(plan, clock) as (_, http), http.ws_connect("/ws") as ws:
        await ws.send_str('{"method":"ping"}')
        assert (await ws.receive()).data == '{"channel":"pong"}'
        await clock.advance(31.0)
        assert (await ws.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_connections_per_address_are_limited() -> None:
    settings = SocketSettings(connections_max=1)
    async with serving(sockets=settings) as (_, http), http.ws_connect("/ws"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect("/ws")
        assert caught.value.status == 429


async def test_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        source = quiet_market()
        exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
        server = VenueServer(exchange, source, ManualClock(START_NS), port=port)
        with pytest.raises(PortInUseError, match=f"port {port} on 127.0.0.1 should be free"):
            await server.start()


def test_process_says_the_port_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["--port", port, "--coins", "SOL"]) == ExitCode.PORT_IN_USE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "choose another with --port" in captured.err


@pytest.mark.parametrize(
    "argv",
    [
        ["--speed", "0"],
        ["--start", "yesterday"],
        ["--fund", "0x12=5"],
        ["--fund", f"{MASTER.address}=-1"],
    ],
)
def test_bad_arguments_are_usage_errors(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == ExitCode.USAGE


def test_unknown_coin_is_a_data_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--coins", "DOGE"]) == ExitCode.DATA_FILE
    assert "shipped sample holds BTC, ETH, SOL" in capsys.readouterr().err


async def test_process_serves_and_stops_in_order() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "core.simulation.server", "--port", "0", "--speed", "1440", "--coins", "SOL"),
        "--perps-only",
        *("--fund", f"{MASTER.address}=500"),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    ready = json.loads(await process.stdout.readline())
    assert ready["ready"] is True
    assert ready["start_ns"] == SAMPLE_START_NS
    assert ready["coins"] == ["SOL"]
    async with aiohttp.ClientSession(ready["base_url"]) as http:
        body = {"type": "clearinghouseState", "user": MASTER.address}
        _, text = await post(http, "/info", body)
        assert json.loads(text)["marginSummary"]["accountValue"] == "500.0"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == ExitCode.OK


async def test_broken_market_stops_the_server_with_its_reason() -> None:
    source = ScriptedSource([btc_tick(0, 100, 101), btc_tick(5, 100, 101), btc_tick(3, 100, 101)])
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    clock = ManualClock(START_NS)
    server = VenueServer(exchange, source, clock, port=0)
    await server.start()
    try:
        await clock.advance(1.0)
        waiter = asyncio.ensure_future(server.failed())
        await clock.advance(6.0)
        with pytest.raises(AssertionError, match="ticks ordered by time"):
            await asyncio.wait_for(waiter, 5)
    finally:
        await server.stop()
