"""The client: reads become reports, and people can use it in plain words."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from core.api.actions import decode_action
from core.api.hyperliquid_api import HyperliquidAPI
from core.api.limits import FILLS_PER_PAGE, URL_MAINNET, URL_TESTNET
from core.api.signing import Signer, recover_user
from core.api.wire import WireSignature
from core.model.codes import OrderStatus, Purpose, Tif
from core.model.commands import (
    LookUpOrder,
    ReportAccount,
)
from core.model.errors import CredentialError, GridError, VenueError
from core.model.events import (
    AccountReported,
    OpenOrdersReported,
    OrderFilled,
    OrderMissing,
    OrderUpdated,
    VenueUnavailable,
)
from core.model.time import NS_PER_MS
from core.utils.clock import ManualClock
from tests.api.clients import NOW_MS, TTL_NS, VAULT, cancel, client, executed, sent
from tests.api.fake_venue import FakeVenue, statuses
from tests.api.instruments import ADDRESS, ETH, KEY, place

META = {
    "universe": [
        {"name": "BTC", "szDecimals": 5, "maxLeverage": 40},
        {"name": "ETH", "szDecimals": 4, "maxLeverage": 25},
    ],
    "marginTables": [],
}
CONTEXT = {"markPx": "60001.0", "oraclePx": "60002.0", "funding": "0.0000125", "openInterest": "9"}
STATE = {
    "marginSummary": {"accountValue": "10", "totalRawUsd": "10", "totalMarginUsed": "0"},
    "withdrawable": "10",
    "assetPositions": [],
    "time": NOW_MS,
}


# --- reads ----------------------------------------------------------------------------------------


async def test_reads_within_a_batch(venue: FakeVenue) -> None:
    venue.answer("orderStatus", (200, {"status": "unknownOid"}))
    venue.answer("userFillsByTime", (200, []))
    venue.answer("frontendOpenOrders", (200, []))
    venue.answer("clearinghouseState", (200, STATE))
    cloid = place().cloid
    events = await executed(venue, LookUpOrder(cloid, "BTC"), ReportAccount(NOW_MS * NS_PER_MS))
    assert [type(e) for e in events] == [OrderMissing, OpenOrdersReported, AccountReported]
    assert venue.infos[0] == {"type": "orderStatus", "user": ADDRESS, "oid": cloid}
    assert venue.infos[1]["startTime"] == NOW_MS


async def test_a_failed_read_is_trouble_not_an_error(venue: FakeVenue) -> None:
    (trouble,) = await executed(venue, LookUpOrder(place().cloid, "BTC"))
    assert isinstance(trouble, VenueUnavailable)
    assert "422" in trouble.reason


def fill(tid: int, time_ms: int) -> dict[str, Any]:
    return {
        "coin": "BTC",
        "px": "60000.0",
        "sz": "0.01",
        "side": "B",
        "time": time_ms,
        "startPosition": "0.0",
        "closedPnl": "0.0",
        "oid": tid,
        "crossed": True,
        "fee": "0.1",
        "tid": tid,
        "feeToken": "USDC",
    }


async def test_fills_are_paged_and_come_once(venue: FakeVenue) -> None:
    api = client(venue)
    page = [fill(i, NOW_MS + i // 10) for i in range(FILLS_PER_PAGE)]
    rest = [*page[-5:], fill(9_999, NOW_MS + 500)]
    venue.answer("userFillsByTime", (200, page), (200, rest))
    fills = await api.fetch_fills(NOW_MS * NS_PER_MS)
    assert [f.fill.tid for f in fills] == [*range(FILLS_PER_PAGE), 9_999]
    assert all(isinstance(f, OrderFilled) for f in fills)
    assert [i["startTime"] for i in venue.infos] == [NOW_MS, page[-1]["time"]]
    await api.close()


async def test_paging_ends_even_if_the_venue_repeats_itself(venue: FakeVenue) -> None:
    api = client(venue)
    venue.answer("userFillsByTime", (200, [fill(i, NOW_MS) for i in range(FILLS_PER_PAGE)]))
    assert len(await api.fetch_fills(NOW_MS * NS_PER_MS)) == FILLS_PER_PAGE
    assert len(venue.infos) == 6
    await api.close()


async def test_funding_is_paged_and_comes_once(venue: FakeVenue) -> None:
    api = client(venue)

    def row(hour: int) -> dict[str, Any]:
        delta = {"type": "funding", "coin": "BTC", "usdc": "0.5", "szi": "1", "fundingRate": "0.1"}
        return {"time": NOW_MS + hour, "hash": "0x", "delta": delta}

    venue.answer("userFunding", (200, [row(i) for i in range(500)]), (200, [row(499), row(500)]))
    assert len(await api.fetch_funding(NOW_MS * NS_PER_MS)) == 501
    await api.close()


async def test_candles(venue: FakeVenue) -> None:
    api = client(venue)
    rows = [
        {"t": NOW_MS + i * 60_000, "T": 0, "s": "ETH", "i": "1m", "n": 1, "v": "1.5"}
        | dict.fromkeys("ohlc", "2000.5")
        for i in (1, 0)
    ]
    venue.answer("candleSnapshot", (200, rows))
    loaded = await api.fetch_candles("ETH", "1m", NOW_MS * NS_PER_MS, (NOW_MS + 1) * NS_PER_MS)
    assert [c.open_ns for c in loaded.candles] == [
        NOW_MS * NS_PER_MS,
        (NOW_MS + 60_000) * NS_PER_MS,
    ]
    assert loaded.candles[0].close_px == ETH.px_from_text("2000.5")
    assert venue.infos[0]["req"] == {
        "coin": "ETH",
        "interval": "1m",
        "startTime": NOW_MS,
        "endTime": NOW_MS + 1,
    }
    with pytest.raises(VenueError, match="listed perpetual, was 'eth'"):
        await api.fetch_candles("eth", "1m", 0, 1)
    await api.close()


async def test_budget_role_and_time(venue: FakeVenue) -> None:
    api = client(venue)
    venue.answer(
        "userRateLimit", (200, {"cumVlm": "1", "nRequestsUsed": 5, "nRequestsCap": 10_001})
    )
    venue.answer("userRole", (200, {"role": "agent", "data": {"user": VAULT}}))
    venue.answer("exchangeStatus", (200, {"time": NOW_MS, "specialStatuses": None}), (200, {}))
    budget = await api.fetch_rate_budget()
    assert (budget.requests_used, budget.requests_cap, budget.ip_weight_used) == (5, 10_001, 20)
    assert api.address_budget.left == 9_996
    assert (await api.fetch_role(ADDRESS.upper()))["role"] == "agent"
    assert await api.fetch_server_time_ns() == NOW_MS * NS_PER_MS
    with pytest.raises(VenueError, match="time in ms"):
        await api.fetch_server_time_ns()
    await api.close()


async def test_an_order_that_is_known(venue: FakeVenue) -> None:
    api = client(venue)
    row = {
        "coin": "BTC",
        "side": "B",
        "limitPx": "60000.0",
        "sz": "0.0",
        "oid": 5,
        "timestamp": NOW_MS,
        "origSz": "0.01",
        "cloid": None,
    }
    known = {"order": row, "status": "filled", "statusTimestamp": NOW_MS}
    venue.answer("orderStatus", (200, {"status": "order", "order": known}))
    found = await api.look_up_order(place().cloid, "BTC")
    assert isinstance(found, OrderUpdated)
    assert (found.cloid, found.status, found.lots_left) == (place().cloid, OrderStatus.FILLED, 0)
    await api.close()


# --- setting up -----------------------------------------------------------------------------------


def test_the_network_follows_from_the_address() -> None:
    assert not HyperliquidAPI().is_mainnet
    assert HyperliquidAPI().base_url == URL_TESTNET
    assert HyperliquidAPI(URL_MAINNET + "/").is_mainnet
    assert not HyperliquidAPI("http://127.0.0.1:3001").is_mainnet
    assert HyperliquidAPI("http://127.0.0.1:3001", is_mainnet=True).is_mainnet


def test_the_account_defaults_to_the_signers() -> None:
    api = HyperliquidAPI(signer=Signer(KEY))
    assert api.account == api.codec.account == ADDRESS
    assert HyperliquidAPI(signer=Signer(KEY), account="0x" + "AB" * 20).account == "0x" + "ab" * 20
    with pytest.raises(CredentialError, match="account should be 0x and 40 hex digits"):
        HyperliquidAPI(account="0x12")
    assert KEY[2:] not in repr(api)


def test_reads_look_at_the_account_that_orders_act_on() -> None:
    vault = "0x" + "AB" * 20
    assert HyperliquidAPI(signer=Signer(KEY), vault_address=vault).account == vault.lower()
    with pytest.raises(CredentialError, match="account should be the vault"):
        HyperliquidAPI(signer=Signer(KEY), account="0x" + "cd" * 20, vault_address=vault)


async def test_reads_of_an_account_need_one(venue: FakeVenue) -> None:
    api = client(venue, signer=None)
    with pytest.raises(CredentialError, match="should name it"):
        await api.fetch_account()
    await api.close()


async def test_an_agent_is_approved_by_the_master(venue: FakeVenue) -> None:
    master, agent = Signer(KEY), Signer("0x" + "2" * 64)
    api = client(venue, signer=agent, account=master.address)
    await api.approve_agent(master, agent.address.upper().replace("0X", "0x"), "nova")
    body = venue.actions[0]
    action = decode_action(json.dumps(body["action"]).encode())
    assert body["action"]["nonce"] == body["nonce"]
    assert body["action"]["hyperliquidChain"] == "Testnet"
    assert body["action"]["agentAddress"] == agent.address
    signature = WireSignature(**body["signature"])
    assert recover_user(action, signature) == master.address  # type: ignore[arg-type]
    venue.exchange_default = (200, {"status": "err", "response": "Extra agent already used."})
    with pytest.raises(CredentialError, match="Extra agent already used"):
        await api.approve_agent(master, agent.address, "")
    assert "agentName" not in venue.actions[-1]["action"]
    venue.exchange_default = (0, "")
    with pytest.raises(VenueError, match="was not answered"):
        await api.approve_agent(master, agent.address, "nova")
    with pytest.raises(CredentialError, match="at most 16 characters"):
        await api.approve_agent(master, agent.address, "x" * 17)
    await api.close()


# --- the short names ------------------------------------------------------------------------------


BOOK = {
    "coin": "BTC",
    "time": NOW_MS,
    "levels": [[{"px": "60000.0", "sz": "1.0", "n": 1}], [{"px": "60010.0", "sz": "2.0", "n": 1}]],
}


async def test_market_data(venue: FakeVenue) -> None:
    api = client(venue)
    venue.answer("l2Book", (200, BOOK), (200, {**BOOK, "levels": [[], BOOK["levels"][1]]}))
    venue.answer("metaAndAssetCtxs", (200, [META, [CONTEXT, CONTEXT]]))
    assert await api.get_market_data("BTC") == {
        "coin": "BTC",
        "price": 60005.0,
        "bid": 60000.0,
        "ask": 60010.0,
        "bid_size": 1.0,
        "ask_size": 2.0,
        "mark_price": 60001.0,
        "oracle_price": 60002.0,
        "funding_rate_1h": 0.0000125,
        "open_interest": 9.0,
        "time_ns": NOW_MS * NS_PER_MS,
    }
    assert math.isnan((await api.get_market_data("BTC"))["price"])
    await api.close()


async def test_an_order_in_words(venue: FakeVenue) -> None:
    api = client(venue)
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    (placed,) = await api.place_order(coin="BTC", is_buy=True, size=0.012345678, price=60000.07)
    assert isinstance(placed, OrderUpdated)
    # Rounded to the venue's grid, never more aggressive than asked.
    assert sent(venue)[0]["orders"][0]["p"] == "60000"
    assert sent(venue)[0]["orders"][0]["s"] == "0.01234"
    with pytest.raises(GridError, match="at least one lot"):
        await api.place_order(coin="BTC", size=0.000001, price=60000.0)
    await api.place_order(place(3))
    assert sent(venue)[-1]["orders"][0]["c"] == place(3).cloid
    await api.close()


@pytest.mark.parametrize(("is_buy", "px"), [(True, "60310"), (False, "59700")])
async def test_a_market_order_is_limited(venue: FakeVenue, is_buy: bool, px: str) -> None:
    api = client(venue)
    venue.answer("l2Book", (200, BOOK))
    venue.exchange_default = statuses({"filled": {"oid": 1, "totalSz": "0.01", "avgPx": "1"}})
    await api.place_order(coin="BTC", is_buy=is_buy, size=0.01, reduce_only=True)
    wire = sent(venue)[0]["orders"][0]
    assert (wire["p"], wire["t"], wire["r"]) == (px, {"limit": {"tif": "Ioc"}}, True)
    with pytest.raises(GridError, match="slippage should be a fraction"):
        await api.place_order(coin="BTC", size=0.01, slippage=5.0)
    await api.close()


async def test_an_empty_book_takes_no_market_order(venue: FakeVenue) -> None:
    api = client(venue)
    venue.answer("l2Book", (200, {**BOOK, "levels": [[], []]}), (200, None))
    with pytest.raises(VenueError, match="its book is empty"):
        await api.place_order(coin="BTC", size=0.01)
    with pytest.raises(VenueError, match="should be readable"):
        await api.place_order(coin="BTC", size=0.01)
    await api.close()


async def test_cancel_positions_and_orders_by_their_short_names(venue: FakeVenue) -> None:
    api = client(venue)
    venue.exchange_default = statuses("success", kind="cancel")
    (cancelled,) = await api.cancel_order(coin="BTC", oid=5)
    assert isinstance(cancelled, OrderUpdated)
    await api.cancel_order(cancel(1))
    venue.answer("clearinghouseState", (200, STATE))
    venue.answer("frontendOpenOrders", (200, []))
    assert await api.get_positions() == ()
    assert await api.get_open_orders() == ()
    await api.close()


async def test_instruments_are_fetched_when_first_needed(venue: FakeVenue) -> None:
    api = HyperliquidAPI(venue.url, signer=Signer(KEY), clock=ManualClock(NOW_MS * NS_PER_MS))
    venue.answer("meta", (200, META))
    venue.answer("clearinghouseState", (200, STATE))
    await api.fetch_account()
    await api.fetch_account()
    assert [i["type"] for i in venue.infos] == ["meta", "clearinghouseState", "clearinghouseState"]
    assert {i.coin for i in api.codec.instruments} == {"BTC", "ETH"}
    await api.close()


async def test_flattening_has_the_fastest_lane(venue: FakeVenue) -> None:
    api = client(venue)
    api.limiter.block(60)
    venue.exchange_default = statuses({"resting": {"oid": 1}})
    flatten = place(0, is_buy=False, tif=Tif.IOC, reduce_only=True, purpose=Purpose.FLATTEN)
    (event,) = await api.execute([flatten], ttl_ns=TTL_NS)
    assert isinstance(event, OrderUpdated)
    await api.close()
