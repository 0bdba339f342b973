"""Queries: shapes as recorded from the venue, number texts, spans, weights and refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.simulation.market.sample_source import SAMPLE_START_NS, SampleSource
from core.simulation.wire.ip_budget import action_weight, info_weight, rows_weight
from tests.simulation_server.venue import (
    MASTER,
    STRANGER,
    Venue,
    open_venue,
    order,
    place,
    statuses,
)

RECORDED = Path(__file__).parent.parent / "data" / "hyperliquid-recorded"
NULLABLE = frozenset({"liquidationPx", "cloid", "tif", "midPx", "premium", "impactPxs"})
NUMBER = re.compile(r"-?\d+\.\d+")
CLOID = "0x" + "cd" * 16


def recorded(name: str) -> Any:
    return msgspec.json.decode((RECORDED / f"{name}.json").read_bytes())["response"]


def same_shape(
    ours: Any, theirs: Any, where: str = "answer", optional: frozenset[str] = frozenset()
) -> None:
    """Compare keys, types and number texts; lists by their first elements."""
    if isinstance(theirs, dict):
        assert isinstance(ours, dict), where
        assert set(ours) | optional == set(theirs) | optional, where
        for key in set(ours) & set(theirs):
            if ours[key] is None and key in NULLABLE:
                continue
            same_shape(ours[key], theirs[key], f"{where}.{key}", optional)
    elif isinstance(theirs, list):
        assert isinstance(ours, list), where
        if ours and theirs:
            same_shape(ours[0], theirs[0], f"{where}[0]", optional)
    elif isinstance(theirs, str) and NUMBER.fullmatch(theirs):
        assert isinstance(ours, str) and NUMBER.fullmatch(ours), (where, ours)
    elif theirs is not None and ours is not None:
        assert type(ours) is type(theirs), (where, ours, theirs)


async def trade(venue: Venue) -> int:
    """Buy, and leave one resting order; return its oid."""
    answer = await venue.act(
        place(order(px="100001", sz="0.02", tif="Ioc"), order(px="99000", cloid=CLOID))
    )
    return int(statuses(answer)[1]["resting"]["oid"])


async def test_meta_is_the_recorded_universe() -> None:
    async with open_venue() as venue:
        meta = await venue.ask("meta")
        theirs = recorded("gohl-meta-2025-08")
        assert meta["universe"] == theirs["universe"]
        assert meta["marginTables"] == theirs["marginTables"]
        both = await venue.ask("metaAndAssetCtxs")
        assert both[0] == meta
        assert len(both[1]) == len(meta["universe"])
        same_shape(both[1][0], recorded("gohl-metaAndAssetCtxs-2026-02")[1][0])
        empty = both[1][3]
        assert (empty["midPx"], empty["impactPxs"], empty["premium"]) == (None, None, None)


async def test_account_shapes() -> None:
    async with open_venue() as venue:
        oid = await trade(venue)
        user = MASTER.address
        state = await venue.ask("clearinghouseState", user=user)
        theirs = recorded("jkorf-clearinghouseState-isolated-HYPE")
        same_shape(state, theirs, optional=frozenset({"rawUsd"}))
        assert state["assetPositions"][0]["position"]["leverage"] == {"type": "cross", "value": 20}
        flat = await venue.ask("clearinghouseState", user=STRANGER.address)
        same_shape(flat, recorded("gohl-clearinghouseState-empty"))
        assert flat["assetPositions"] == []
        (row,) = await venue.ask("openOrders", user=user)
        cloid = frozenset({"cloid"})
        same_shape(row, recorded("pysdk-openOrders-many")[0], optional=cloid | {"origSz"})
        (row,) = await venue.ask("frontendOpenOrders", user=user)
        same_shape(row, recorded("jkorf-frontendOpenOrders-limit")[0])
        status = await venue.ask("orderStatus", user=user, oid=oid)
        same_shape(status, recorded("gohl-orderStatus-filled-FrontendMarket"))
        assert (
            await venue.ask("orderStatus", user=user, oid=CLOID.upper().replace("X", "x")) == status
        )
        unknown = await venue.ask("orderStatus", user=user, oid=1)
        assert unknown == recorded("gohl-orderStatus-unknownOid")
        (fill,) = await venue.ask("userFills", user=user)
        theirs = recorded("gohl-userFillsByTime-two")[0]
        same_shape(fill, theirs, optional=cloid | {"builderFee"})
        history = await venue.ask("historicalOrders", user=user)
        same_shape(history[0], recorded("pysdk-historicalOrders-iocCancelRejected")[0])
        ledger = await venue.ask("userNonFundingLedgerUpdates", user=user, startTime=0)
        same_shape(ledger[0], recorded("pysdk-userNonFundingLedgerUpdates")[0])
        same_shape(
            await venue.ask("userRateLimit", user=user),
            recorded("pysdk-userRateLimit"),
            optional=frozenset({"nRequestsSurplus"}),
        )


async def test_fees_and_small_answers() -> None:
    async with open_venue() as venue:
        user = MASTER.address
        await trade(venue)
        fees = await venue.ask("userFees", user=user)
        assert (fees["userCrossRate"], fees["userAddRate"]) == ("0.00045", "0.00015")
        assert fees["feeSchedule"]["tiers"]["vip"][0]["ntlCutoff"] == "5000000.0"
        assert fees["dailyUserVlm"][-1]["date"] == "2025-05-06"
        assert await venue.ask("subAccounts", user=user) is None
        assert await venue.ask("userAbstraction", user=user) == "disabled"
        assert await venue.ask("maxBuilderFee", user=user, builder=user) == 0
        assert await venue.ask("perpDexs") == recorded("gohl-perpDexs-2025-12")
        assert await venue.ask("spotClearinghouseState", user=user) == {"balances": []}
        spot = await venue.ask("spotMeta")
        assert spot["universe"] == []
        assert (spot["tokens"][0]["name"], spot["tokens"][0]["index"]) == ("USDC", 0)
        assert await venue.ask("spotMetaAndAssetCtxs") == [spot, []]
        status = await venue.ask("exchangeStatus")
        assert abs(status["time"] - venue.clock.now_ns() // 1_000_000) < 1_000


async def test_books() -> None:
    async with open_venue() as venue:
        book = await venue.ask("l2Book", coin="BTC")
        same_shape(book, recorded("jkorf-l2Book-spot-107"))
        assert book["levels"][0][0] == {"px": "100000.0", "sz": "10.0", "n": 1}
        coarse = await venue.ask("l2Book", coin="BTC", nSigFigs=3)
        assert [lv["px"] for lv in coarse["levels"][0]] == ["100000.0", "99900.0"]
        assert [(lv["px"], lv["sz"]) for lv in coarse["levels"][1]] == [("101000.0", "20.0")]
        assert await venue.ask("l2Book", coin="DOGE") is None
        assert (await venue.ask("allMids")) == {"BTC": "100000.5"}


async def test_local_orders_show_in_the_book() -> None:
    async with open_venue() as venue:
        await venue.act(place(order(px="100000", sz="0.5", tif="Alo")))
        book = await venue.ask("l2Book", coin="BTC")
        assert book["levels"][0][0]["sz"] == "10.5"


async def test_candles_come_from_history_and_ticks_without_a_seam() -> None:
    async with open_venue(SampleSource(["BTC"])) as venue:
        await venue.clock.advance(125.0)
        start_ms = SAMPLE_START_NS // 1_000_000
        request = {"coin": "BTC", "interval": "1m", "startTime": start_ms - 180_000}
        rows = await venue.ask("candleSnapshot", req=request)
        same_shape(rows, recorded("pysdk-candleSnapshot-kPEPE-1h"))
        assert [row["t"] - start_ms for row in rows] == [k * 60_000 for k in range(-3, 3)]
        assert rows[0]["T"] == rows[0]["t"] + 59_999
        closed = venue.server._source.candles_before(
            "BTC", 60 * 10**9, SAMPLE_START_NS + 120 * 10**9, 2
        )
        btc = venue.server._board.instruments["BTC"]
        assert [row["c"] for row in rows[3:5]] == [f"{btc.px_text(c.close_px)}.0" for c in closed]
        hours = {**request, "interval": "1h", "endTime": start_ms - 1}
        (hour,) = await venue.ask("candleSnapshot", req=hours)
        assert hour["t"] == start_ms - 3_600_000


async def test_prints_and_funding_history() -> None:
    async with open_venue(SampleSource(["BTC"])) as venue:
        await venue.clock.advance(30.0)
        trades = await venue.ask("recentTrades", coin="BTC")
        same_shape(trades[0], recorded("jkorf-ws-trades")[1]["data"][0])
        assert [t["time"] for t in trades] == sorted((t["time"] for t in trades), reverse=True)
        venue.clock.jump(3_600.0 * 2)
        await venue.clock.advance(1.0)
        rows = await venue.ask("fundingHistory", coin="BTC", startTime=0)
        assert [row["time"] % 3_600_000 for row in rows] == [0] * len(rows)
        assert len(rows) == 2
        same_shape(rows[0], recorded("pysdk-fundingHistory-BTC-with-end")[0])


async def test_funding_payments() -> None:
    async with open_venue(SampleSource(["BTC"])) as venue:
        px = str(int(float((await venue.ask("allMids"))["BTC"]) * 1.01))
        assert "filled" in statuses(await venue.act(place(order(px=px, tif="Ioc"))))[0]
        venue.clock.jump(3_700.0)
        await venue.clock.advance(1.0)
        rows = await venue.ask("userFunding", user=MASTER.address, startTime=0)
        same_shape(rows[0], recorded("pysdk-userFunding-with-end")[0])
        assert rows[0]["delta"]["szi"] == "0.01"
        assert rows[0]["delta"]["usdc"].startswith("-")
        later = SAMPLE_START_NS // 1_000_000 + 3_600_001
        assert await venue.ask("userFunding", user=MASTER.address, startTime=later) == []


async def test_spans_are_inclusive_and_ascending() -> None:
    async with open_venue() as venue:
        await trade(venue)
        await venue.clock.advance(10.0)
        await venue.act(place(order(px="100001", sz="0.001", tif="Ioc")))
        user = MASTER.address
        newest_first = await venue.ask("userFills", user=user)
        rows = await venue.ask("userFillsByTime", user=user, startTime=0)
        assert rows == newest_first[::-1]
        first, last = rows[0]["time"], rows[-1]["time"]
        exact = await venue.ask("userFillsByTime", user=user, startTime=first, endTime=first)
        assert exact == rows[:1]
        assert await venue.ask("userFillsByTime", user=user, startTime=last + 1) == []


@pytest.mark.parametrize(
    "query",
    [
        {"type": "nonsense"},
        {"user": "0x"},
        {"type": "clearinghouseState"},
        {"type": "clearinghouseState", "user": "0x12"},
        {"type": "orderStatus", "user": MASTER.address, "oid": "abc"},
        {"type": "orderStatus", "user": MASTER.address},
        {"type": "userFillsByTime", "user": MASTER.address},
        {"type": "userFillsByTime", "user": MASTER.address, "startTime": "0"},
        {"type": "candleSnapshot"},
        {"type": "candleSnapshot", "req": {"coin": "BTC", "interval": "7m", "startTime": 0}},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 6},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2},
        {"type": "meta", "dex": "nowhere"},
        {"type": "allMids", "dex": "nowhere"},
        {"type": "userFills", "user": MASTER.address, "aggregateByTime": 1},
        {"type": "marginTable", "id": 777},
        {"type": "tokenDetails", "tokenId": "0x00"},
        {"type": "activeAssetData", "user": MASTER.address, "coin": "DOGE"},
    ],
)
async def test_unreadable_queries_are_422(query: dict[str, Any]) -> None:
    async with open_venue() as venue:
        answer = await venue.server.info(msgspec.json.encode(query))
        assert (answer.status, answer.is_text) == (422, True)
        assert answer.body.startswith(b"Failed to deserialize the JSON body")


async def test_weights_follow_the_venues_table() -> None:
    assert info_weight("l2Book") == 2
    assert info_weight("userRole") == 60
    assert info_weight("openOrders") == 20
    assert (rows_weight("userFills", 45), rows_weight("candleSnapshot", 125)) == (2, 2)
    assert rows_weight("meta", 1_000) == 0
    assert [action_weight(n) for n in (1, 39, 40, 80)] == [1, 1, 2, 3]


async def test_exhausted_minute_answers_429_until_the_next() -> None:
    async with open_venue(weight_max=60) as venue:
        await venue.ask("openOrders", user=MASTER.address)
        await venue.ask("openOrders", user=MASTER.address)
        await venue.ask("openOrders", user=MASTER.address)
        body = msgspec.json.encode({"type": "allMids"})
        assert (await venue.server.info(body)).status == 429
        assert (await venue.server.exchange(venue.signed(place(order())))).status == 429
        assert (await venue.settle(venue.server.info(body, "10.0.0.9"))).status == 200
        await venue.clock.advance(60.0)
        assert "BTC" in await venue.ask("allMids")
