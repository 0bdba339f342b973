"""Planned trouble over real sockets: what a client sees of every fault, and that it is logged."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from core.simulation.server import VenueServer
from core.simulation.wire.fault_files import read_plan
from core.simulation.wire.faults import APPLICABLE
from core.simulation.wire.options import parse
from core.simulation.wire.process import build_server
from tests.simulation_server.test_time_by_hand import WORDS, post, signed, until_pong
from tests.simulation_server.venue import MASTER, order, place

pytestmark = pytest.mark.contract
SEEN: set[tuple[str, str]] = set()


@asynccontextmanager
async def trouble(
    *rules: dict[str, Any], clock: str = "on-request"
) -> AsyncIterator[tuple[VenueServer, aiohttp.ClientSession]]:
    """An exchange under a plan, ten seconds after its market has begun."""
    server = build_server(parse([*WORDS, "--clock", clock, "--latency", "none"]))
    port = await server.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            await post(http, "/clock", {"advance_ms": 10_000})
            if rules:
                server.set_faults(read_plan(json.dumps({"rules": rules})))
            yield server, http
            SEEN.update((row.route, row.fault) for row in server.faults_struck)
    finally:
        await server.stop()


def names(server: VenueServer) -> list[str]:
    return [row.fault for row in server.faults_struck]


async def asked(http: aiohttp.ClientSession, kind: str, **fields: Any) -> Any:
    status, body = await post(http, "/info", {"type": kind, **fields})
    assert status == 200, body
    return json.loads(body)


async def placed(
    server: VenueServer, http: aiohttp.ClientSession, *pxs: str, number: int = 0
) -> Any:
    orders = [order(px=px, sz="0.001") for px in pxs]
    status, body = await post(http, "/exchange", signed(server, place(*orders), number))
    assert status == 200, body
    return json.loads(body)


async def subscribed(ws: aiohttp.ClientWebSocketResponse, **wish: Any) -> None:
    await ws.send_json({"method": "subscribe", "subscription": wish})
    while json.loads((await ws.receive(5.0)).data)["channel"] != "subscriptionResponse":
        pass


def channels(frames: list[str]) -> list[str]:
    return [json.loads(frame)["channel"] for frame in frames]


async def test_refusals_by_status_and_body() -> None:
    rules = (
        {"route": "info", "fault": "too_many", "times": 1},
        {"route": "info", "fault": "too_many", "body": "", "after": 1, "times": 1},
        {"route": "info", "fault": "broken", "status": 503, "after": 2, "times": 1},
        {"route": "info", "fault": "null_body", "after": 3, "times": 1},
        {"route": "exchange", "fault": "null_body", "times": 1},
    )
    async with trouble(*rules) as (server, http):
        mids = {"type": "allMids"}
        assert await post(http, "/info", mids) == (429, b"null")
        assert await post(http, "/info", mids) == (429, b"")
        async with http.post("/info", json=mids) as response:
            assert response.status == 503
            assert response.content_type == "text/html"
            assert "503 Service Unavailable" in await response.text()
        assert await post(http, "/info", mids) == (200, b"null")
        assert set(await asked(http, "allMids")) == {"BTC"}
        raw = signed(server, place(order(px="50000", sz="0.001")), 0)
        assert await post(http, "/exchange", raw) == (200, b"null")
        assert names(server) == ["too_many", "too_many", "broken", "null_body", "null_body"]


async def test_requests_lost_before_and_after_the_venue_saw_them() -> None:
    rules = (
        {"route": "exchange", "kind": "order", "fault": "drop_before", "times": 1},
        {"route": "exchange", "kind": "order", "fault": "drop_after", "after": 1, "times": 1},
    )
    async with trouble(*rules) as (server, http):
        with pytest.raises(aiohttp.ClientError):
            await placed(server, http, "60000", number=1)
        assert await asked(http, "openOrders", user=MASTER.address) == []
        with pytest.raises(aiohttp.ClientError):
            await placed(server, http, "60000", number=2)
        assert len(await asked(http, "openOrders", user=MASTER.address)) == 1


async def test_a_late_request_and_a_late_answer() -> None:
    rules = (
        {"route": "info", "fault": "delay", "delay_ms": 700, "times": 1},
        {"route": "info", "fault": "delay_answer", "delay_ms": 300, "after": 1, "times": 1},
    )
    async with trouble(*rules) as (server, http):
        before_ns = server.now_ns
        late = await asked(http, "exchangeStatus")
        assert server.now_ns == before_ns + 700_000_000
        assert late["time"] == server.now_ns // 1_000_000
        early = await asked(http, "exchangeStatus")
        assert server.now_ns == before_ns + 1_000_000_000
        assert early["time"] == server.now_ns // 1_000_000 - 300


async def test_a_fill_comes_before_its_answer() -> None:
    rule = {"route": "exchange", "kind": "order", "fault": "delay_answer", "delay_ms": 2_000}
    async with trouble(rule, clock="manual") as (server, http), http.ws_connect("/ws") as ws:
        await subscribed(ws, type="userFills", user=MASTER.address)
        await until_pong(ws)
        answer = asyncio.ensure_future(placed(server, http, "150000"))
        fill = json.loads((await ws.receive(5.0)).data)
        assert fill["channel"] == "userFills"
        assert not answer.done()
        await post(http, "/clock", {"advance_ms": 2_000})
        status = (await asyncio.wait_for(answer, 5.0))["response"]["data"]["statuses"][0]
        assert status["filled"]["oid"] == fill["data"]["fills"][0]["oid"]


async def test_stale_mids_stand_still_while_the_market_moves() -> None:
    rule = {"route": "info", "kind": "allMids", "fault": "stale", "until_s": 600}
    async with trouble(rule) as (server, http):
        first = await asked(http, "allMids")
        book = await asked(http, "l2Book", coin="BTC")
        await post(http, "/clock", {"advance_ms": 300_000})
        assert await asked(http, "allMids") == first
        assert (await asked(http, "l2Book", coin="BTC"))["levels"] != book["levels"]
        await post(http, "/clock", {"advance_ms": 300_000})
        assert await asked(http, "allMids") != first
        assert names(server) == ["stale", "stale"]


async def test_a_row_of_the_metadata_is_corrupt() -> None:
    rule = {"route": "info", "kind": "meta", "fault": "corrupt_row", "row": 1, "times": 1}
    async with trouble(rule) as (_, http):
        broken, sound = await asked(http, "meta"), await asked(http, "meta")
        assert broken["universe"][1]["szDecimals"] == "five"
        assert "maxLeverage" not in broken["universe"][1]
        assert broken["universe"][0] == sound["universe"][0]
        assert isinstance(sound["universe"][1]["szDecimals"], int)


async def test_the_venues_clock_is_skewed() -> None:
    rules = (
        {"route": "info", "fault": "clock_skew", "skew_ms": -90_000},
        {"route": "exchange", "fault": "clock_skew", "skew_ms": -90_000},
    )
    async with trouble(*rules) as (server, http):
        async with http.post("/info", json={"type": "exchangeStatus"}) as response:
            told = (await response.json())["time"]
            date = parsedate_to_datetime(response.headers["Date"]).timestamp()
        assert told == server.now_ns // 1_000_000 - 90_000
        assert abs(date - told / 1_000) < 1.0
        raw = signed(server, place(order(px="50000", sz="0.001")), 0)
        async with http.post("/exchange", data=raw) as response:
            skewed = parsedate_to_datetime(response.headers["Date"]).timestamp()
            assert abs(skewed - (server.now_ns / 1e9 - 90)) < 1.0


async def test_an_agent_is_revoked_and_half_a_batch_is_refused() -> None:
    rules = (
        {"route": "exchange", "fault": "revoked_agent", "times": 1},
        {"route": "exchange", "fault": "partial_batch", "after": 1, "times": 1},
    )
    async with trouble(*rules) as (server, http):
        revoked = await placed(server, http, "60000", number=1)
        assert revoked["status"] == "err"
        assert "does not exist" in revoked["response"]
        answer = await placed(server, http, "60000", "60001", "60002", "60003", number=2)
        statuses = answer["response"]["data"]["statuses"]
        assert ["resting" in status for status in statuses] == [True, False, True, False]
        assert "Insufficient margin" in statuses[1]["error"]
        prices = {r["limitPx"] for r in await asked(http, "openOrders", user=MASTER.address)}
        assert prices == {"60000.0", "60002.0"}


async def test_frames_are_doubled_lost_swapped_and_held() -> None:
    async with trouble(clock="manual") as (server, http), http.ws_connect("/ws") as ws:
        await subscribed(ws, type="bbo", coin="BTC")
        await subscribed(ws, type="trades", coin="BTC")
        await until_pong(ws)

        async def minute(*rules: dict[str, Any]) -> list[str]:
            server.set_faults(read_plan(json.dumps({"rules": rules})))
            await post(http, "/clock", {"advance_ms": 60_000})
            SEEN.update((row.route, row.fault) for row in server.faults_struck)
            return await until_pong(ws)

        calm = channels(await minute())
        assert {"bbo", "trades"} == set(calm)
        silent = channels(await minute({"route": "ws", "kind": "trades", "fault": "drop"}))
        assert set(silent) == {"bbo"}
        doubled = await minute({"route": "ws", "kind": "trades", "fault": "duplicate"})
        twice = [frame for frame in doubled if '"trades"' in frame]
        assert twice[::2] == twice[1::2]
        assert twice
        frozen = await minute({"route": "ws", "kind": "bbo", "fault": "stale"})
        assert len({frame for frame in frozen if '"bbo"' in frame}) == 1
        held = await minute({"route": "ws", "kind": "trades", "fault": "delay", "delay_ms": 45_000})
        times = [json.loads(f)["data"] for f in held if '"trades"' in f]
        assert all(rows[0]["time"] <= server.now_ns // 1_000_000 - 45_000 for rows in times)
        await minute()
        swapped = await minute(
            {"route": "ws", "kind": "trades", "fault": "reorder", "times": 1, "delay_ms": 60_000}
        )
        moments = [json.loads(f)["data"][0]["time"] for f in swapped if '"trades"' in f]
        assert moments[0] > moments[1]
        assert moments[1] < moments[0] < moments[2]


async def test_the_answer_of_a_post_comes_twice() -> None:
    rule = {"route": "ws", "kind": "post", "fault": "duplicate"}
    async with trouble(rule) as (_, http), http.ws_connect("/ws") as ws:
        request = {"type": "info", "payload": {"type": "allMids"}}
        await ws.send_json({"method": "post", "id": 5, "request": request})
        first, second = [(await ws.receive(5.0)).data for _ in range(2)]
        assert first == second
        assert json.loads(first)["data"]["id"] == 5


async def test_a_half_open_socket_says_nothing_and_stays_open() -> None:
    rule = {"route": "ws", "kind": "bbo", "fault": "mute", "times": 1}
    async with trouble(rule, clock="manual") as (server, http):
        async with http.ws_connect("/ws") as ws:
            await subscribed(ws, type="bbo", coin="BTC")
            await post(http, "/clock", {"advance_ms": 300_000})
            await ws.send_str('{"method":"ping"}')
            with pytest.raises(asyncio.TimeoutError):
                await ws.receive(0.2)
            assert not ws.closed
        assert server.sockets.count <= 1
        async with http.ws_connect("/ws") as other:
            await subscribed(other, type="bbo", coin="BTC")
            assert channels(await until_pong(other)) == ["bbo"]


async def test_a_storm_of_disconnects() -> None:
    rule = {"route": "ws", "fault": "cut", "from_s": 10, "every_s": 10, "until_s": 35}
    async with trouble(rule, clock="manual") as (server, http):
        for _ in range(3):
            async with http.ws_connect("/ws") as ws:
                assert await until_pong(ws) == []
                await post(http, "/clock", {"advance_ms": 10_000})
                assert (await ws.receive(5.0)).type in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                    aiohttp.WSMsgType.ERROR,
                )
        assert names(server) == ["cut", "cut", "cut"]
        async with http.ws_connect("/ws") as ws:
            await post(http, "/clock", {"advance_ms": 60_000})
            assert await until_pong(ws) == []


@pytest.mark.parametrize(("fault", "status"), [("too_many", 429), ("broken", 502)])
async def test_new_websockets_are_refused(fault: str, status: int) -> None:
    rule = {"route": "ws", "kind": "connect", "fault": fault, "times": 1}
    async with trouble(rule) as (_, http):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await http.ws_connect("/ws")
        assert caught.value.status == status
        async with http.ws_connect("/ws") as ws:
            assert await until_pong(ws) == []


async def test_a_post_only_window_and_a_halt_begin_and_end() -> None:
    rules = (
        {"route": "market", "fault": "post_only", "from_s": 10, "until_s": 20},
        {"route": "market", "fault": "halt", "kind": "BTC", "from_s": 30, "until_s": 40},
    )
    async with trouble(*rules, clock="manual") as (server, http):
        outcomes = []
        for i in range(5):
            answer = await placed(server, http, "60000", number=i)
            outcomes.append("resting" in answer["response"]["data"]["statuses"][0])
            await post(http, "/clock", {"advance_ms": 10_000})
        assert outcomes == [True, False, True, False, True]
        assert names(server) == ["post_only", "halt", "halt"]


async def test_faults_are_set_and_read_over_http() -> None:
    async with trouble() as (server, http):
        plan = '{"seed": 3, // mine\n"rules": [{"route": "info", "fault": "too_many"}]}'
        status, body = await post(http, "/faults", plan.encode())
        assert (status, json.loads(body)["seed"]) == (200, 3)
        assert (await post(http, "/info", {"type": "allMids"}))[0] == 429
        async with http.get("/faults") as response:
            struck = (await response.json())["struck"]
        assert [(row["route"], row["kind"], row["fault"]) for row in struck] == [
            ("info", "allMids", "too_many")
        ]
        async with http.get("/") as response:
            page = await response.text()
        assert "too_many" in page
        assert "Latest faults" in page
        status, body = await post(http, "/faults", {"rules": [{"route": "info"}]})
        assert (status, body) == (422, b"faults: rules[0].fault: " + body.split(b": ", 2)[2])
        bad = {"rules": [{"route": "market", "fault": "halt", "kind": "BTX"}]}
        status, body = await post(http, "/faults", bad)
        assert (status, b"expected a listed coin, was 'BTX'" in body) == (422, True)
        async with http.post("/faults", data=b'{"rules":[]}', headers={"Origin": "x"}) as refused:
            assert refused.status == 403
        assert (await post(http, "/faults", {"rules": []}))[0] == 200
        assert (await post(http, "/info", {"type": "allMids"}))[0] == 200
        assert server.faults_struck == ()


async def test_every_fault_of_every_route_was_seen_here() -> None:
    """Runs last in this file; a fault without a scenario fails it."""
    if len(SEEN) < 5:
        pytest.skip("only together with the rest of the file")
    wanted = {(route, name) for route, known in APPLICABLE.items() for name in known}
    by_twin = {("exchange", name) for name in ("too_many", "broken", "delay", "stale")}
    by_twin |= {("ws", name) for name in ("too_many", "broken")}
    by_twin |= {("info", name) for name in ("drop_before", "drop_after")}
    assert wanted - SEEN - by_twin == set()
