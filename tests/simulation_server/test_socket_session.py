"""The websocket: acknowledgements, snapshots, streams, errors and posts in the venue's words."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.simulation.market.sample_source import SampleSource
from core.simulation.wire.connections import Connection
from tests.simulation_server.test_info_desk import recorded, same_shape
from tests.simulation_server.venue import (
    MASTER,
    Frames,
    ScriptedSource,
    btc_tick,
    open_venue,
    order,
    place,
    statuses,
)

RECORDED = Path(__file__).parent.parent / "data" / "hyperliquid-recorded"


def subscribe(session: Any, **wish: Any) -> None:
    session.handle(json.dumps({"method": "subscribe", "subscription": wish}))


def frame_of(name: str, channel: str) -> Any:
    """Data of the recorded frame of a channel."""
    frames = json.loads((RECORDED / f"{name}.json").read_text())["response"]
    return next(frame["data"] for frame in frames if frame["channel"] == channel)


async def test_acks_echo_the_normalised_subscription_then_a_snapshot_follows() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="l2Book", coin="BTC")
        await venue.clock.advance(0.05)
        assert frames.raw == []
        await venue.clock.advance(2.0)
        ack, book = frames.messages[:2]
        theirs = recorded("jkorf-ws-l2Book")
        assert ack["data"]["subscription"] == {
            **theirs[0]["data"]["subscription"],
            "coin": "BTC",
        }
        assert ack["channel"] == "subscriptionResponse"
        same_shape(book, theirs[1])


async def test_market_streams_have_the_recorded_shapes() -> None:
    async with open_venue(SampleSource(["BTC", "ETH"])) as venue:
        session, frames = venue.connect()
        for kind in ("bbo", "trades", "activeAssetCtx", "l2Book"):
            subscribe(session, type=kind, coin="BTC")
        subscribe(session, type="candle", coin="BTC", interval="15m")
        subscribe(session, type="allMids")
        await venue.clock.advance(70.0)
        same_shape(frames.of("trades")[-1], frame_of("jkorf-ws-trades", "trades"))
        same_shape(frames.of("candle")[-1], frame_of("jkorf-ws-candle", "candle"))
        mids = frames.of("allMids")[-1]["mids"]
        assert set(mids) == {"BTC", "ETH"}
        bbo = frames.of("bbo")[-1]
        assert set(bbo) == {"coin", "time", "bbo"}
        assert set(bbo["bbo"][0]) == {"px", "sz", "n"}
        context = frames.of("activeAssetCtx")[-1]
        same_shape(context["ctx"], recorded("gohl-metaAndAssetCtxs-2026-02")[1][0])
        times = [book["time"] for book in frames.of("l2Book")]
        assert all(b - a >= 5_000 for a, b in pairwise(times[1:]))
        assert {row["t"] for row in frames.of("candle")} == {venue.server._source.start_ns // 10**6}
        volumes = [float(row["v"]) for row in frames.of("candle")]
        assert volumes == sorted(volumes)


async def test_user_streams_tell_fills_orders_and_money() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        kinds = (
            "orderUpdates",
            "userEvents",
            "userFills",
            "userFundings",
            "userNonFundingLedgerUpdates",
            "openOrders",
            "clearinghouseState",
        )
        for kind in kinds:
            subscribe(session, type=kind, user=MASTER.address.upper().replace("X", "x"))
        await venue.clock.advance(2.0)
        acks = frames.of("subscriptionResponse")
        assert [a["subscription"]["type"] for a in acks] == list(kinds)
        assert {a["subscription"]["user"] for a in acks} == {MASTER.address}
        assert frames.of("userFills") == [{"isSnapshot": True, "user": MASTER.address, "fills": []}]
        deposits = frames.of("userNonFundingLedgerUpdates")[0]["nonFundingLedgerUpdates"]
        assert deposits[0]["delta"] == {"type": "deposit", "usdc": "10000.0"}
        await venue.act(place(order(px="100001", tif="Gtc")))
        await venue.act(place(order(px="99000", sz="0.00001")))
        await venue.clock.advance(1.0)
        updates = [row for batch in frames.of("orderUpdates") for row in batch]
        assert [row["status"] for row in updates] == ["open", "filled", "minTradeNtlRejected"]
        keys = {"coin", "side", "limitPx", "sz", "oid", "timestamp", "origSz"}
        assert all(set(row) == {"order", "status", "statusTimestamp"} for row in updates)
        assert all(set(row["order"]) == keys for row in updates)
        assert (updates[1]["order"]["sz"], updates[1]["order"]["origSz"]) == ("0.0", "0.01")
        fill = frame_of("jkorf-ws-userEvents-fill", "user")
        same_shape(frames.of("user")[0], fill, optional=frozenset({"cloid"}))
        assert frames.of("userFills")[-1]["fills"][0]["dir"] == "Open Long"
        state = frames.of("clearinghouseState")[-1]["clearinghouseState"]
        theirs = recorded("jkorf-clearinghouseState-isolated-HYPE")
        same_shape(state, theirs, optional=frozenset({"rawUsd"}))
        venue.server.faucet(MASTER.address, 5)
        await venue.clock.advance(1.0)
        last = frames.of("userNonFundingLedgerUpdates")[-1]
        assert "isSnapshot" not in last
        assert last["nonFundingLedgerUpdates"][0]["delta"]["usdc"] == "5.0"


async def test_local_trades_reach_the_tape() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="trades", coin="BTC")
        subscribe(session, type="bbo", coin="BTC")
        await venue.clock.advance(1.0)
        await venue.act(place(order(px="100001", sz="0.02", tif="Ioc")))
        await venue.clock.advance(0.5)
        (trade,) = frames.of("trades")[-1]
        assert (trade["px"], trade["sz"], trade["side"]) == ("100001.0", "0.02", "B")
        assert trade["users"][0] == MASTER.address
        assert frames.of("bbo")[-1]["bbo"][1]["sz"] == "9.98"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"method":"dance"}', '{"method":"subscribe","xsubscription":{}}']
)
async def test_unreadable_messages(text: str) -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        session.handle(text)
        await venue.clock.advance(0.1)
        wanted = f"Error parsing JSON into valid websocket request: {text}"
        assert frames.messages == [{"channel": "error", "data": wanted}]


async def test_subscription_errors() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="bbo", coin="NOPE")
        subscribe(session, type="bbo", coin="BTC")
        subscribe(session, type="bbo", coin="BTC")
        session.handle('{"method":"unsubscribe","subscription":{"type":"bbo","coin":"ETH"}}')
        await venue.clock.advance(1.0)
        assert frames.of("error") == [
            'Invalid subscription {"type":"bbo","coin":"NOPE"}',
            'Already subscribed: {"type":"bbo","coin":"BTC"}',
            'Already unsubscribed: {"type":"bbo","coin":"ETH"}',
        ]


async def test_users_per_connection_are_limited() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        for i in range(11):
            subscribe(session, type="userFills", user=f"0x{i:040x}")
        await venue.clock.advance(1.0)
        assert frames.of("error") == ["Cannot track more than 10 total users."]


async def test_unsubscribe_stops_the_stream() -> None:
    ticks = [btc_tick(s, 100_000 + s, 100_001 + s) for s in range(0, 60, 5)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        subscribe(session, type="bbo", coin="BTC")
        await venue.clock.advance(12.0)
        assert len(frames.of("bbo")) >= 3
        session.handle('{"method":"unsubscribe","subscription":{"type":"bbo","coin":"BTC"}}')
        await venue.clock.advance(0.1)
        heard = len(frames.of("bbo"))
        assert frames.messages[-1]["data"]["method"] == "unsubscribe"
        await venue.clock.advance(20.0)
        assert len(frames.of("bbo")) == heard


async def test_ping_and_posts() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        session.handle('{"method":"ping"}')
        book = {"type": "info", "payload": {"type": "l2Book", "coin": "BTC"}}
        session.handle(json.dumps({"method": "post", "id": 4, "request": book}))
        action = msgspec.json.decode(venue.signed(place(order())))
        request = {"type": "action", "payload": action}
        session.handle(json.dumps({"method": "post", "id": 5, "request": request}))
        action["signature"]["r"] = "0x1"
        session.handle(json.dumps({"method": "post", "id": 6, "request": request}))
        bad = {"type": "info", "payload": {"type": "what"}}
        session.handle(json.dumps({"method": "post", "id": 7, "request": bad}))
        await venue.clock.advance(2.0)
        assert {"channel": "pong"} in frames.messages
        posts = {m["id"]: m["response"] for m in frames.of("post")}
        assert posts[4]["payload"]["type"] == "l2Book"
        assert posts[4]["payload"]["data"]["coin"] == "BTC"
        assert "resting" in statuses(posts[5]["payload"])[0]
        assert posts[6]["payload"]["status"] == "err"
        assert posts[7]["type"] == "error"
        assert posts[7]["payload"].startswith("422 Failed to deserialize")


async def test_slow_reader_is_cut_off() -> None:
    frames = Frames()
    connection = Connection(frames, frames_max=3)
    for i in range(3):
        connection.push(b"%d" % i)
    assert (connection.queued_count, connection.is_cut) == (3, False)
    connection.push(b"one too many")
    assert (connection.queued_count, connection.is_cut) == (0, True)
    await connection.write()
    assert frames.is_closed
    assert frames.raw == []


async def test_closed_session_is_forgotten() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="bbo", coin="BTC")
        await venue.clock.advance(1.0)
        session.close()
        assert venue.server._hub.key_count == 0
        await venue.clock.advance(1.0)
        assert frames.is_closed
