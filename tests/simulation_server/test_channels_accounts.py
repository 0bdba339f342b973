"""Channels of accounts: snapshots, order, joining, and what happens without the owner's wish."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import pairwise
from typing import Any

from core.model.codes import Tif, TriggerKind
from core.model.time import NS_PER_S
from core.simulation.market.builder_dexes import builder_dexes
from core.simulation.venue.outputs import OrderRequest, TriggerRequest
from core.simulation.venue.records import TwapRequest
from core.simulation.wire.channels.base import ChannelSettings
from core.simulation.wire.socket_limits import SocketSettings
from tests.simulation_server.test_channels_markets import SPOT, SpotSource, spot_tick, subscribe
from tests.simulation_server.venue import (
    MASTER,
    ScriptedSource,
    Venue,
    btc_tick,
    open_venue,
    order,
    place,
    quiet_market,
)

USER = MASTER.address
OTHER = "0x" + "ab" * 20
LOTS = 100_000
"""One BTC."""


def request(*, is_buy: bool, px: int, lots: int, tif: Tif = Tif.GTC) -> OrderRequest:
    return OrderRequest(coin="BTC", is_buy=is_buy, px=px * 10, lots=lots, tif=tif)


async def act(venue: Venue, owner: str, *orders: OrderRequest) -> None:
    """Place orders of any account at once and let the news arrive."""
    venue.exchange.place(owner, orders)
    venue.server.pump.publish_outputs(venue.exchange.now_ns)
    await venue.clock.advance(1.0)


def listing(session: Any, *kinds: str, **fields: Any) -> None:
    for kind in kinds:
        subscribe(session, type=kind, user=USER, **fields)


async def test_open_and_filled_share_a_frame() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "orderUpdates")
        await venue.clock.advance(1.0)
        await venue.act(place(order(px="100001", tif="Ioc")))
        await venue.clock.advance(0.5)
        (batch,) = frames.of("orderUpdates")
        assert [row["status"] for row in batch] == ["open", "filled"]
        assert [row["order"]["sz"] for row in batch] == ["0.01", "0.0"]


async def test_partial_fills_repeat_open_with_what_is_left() -> None:
    async with open_venue() as venue:
        venue.exchange.fund(OTHER, 10**12)
        session, frames = venue.connect()
        listing(session, "orderUpdates")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=False, px=100_001, lots=3_000))
        await act(
            venue,
            OTHER,
            request(is_buy=True, px=100_001, lots=1_001_000, tif=Tif.IOC),
        )
        rows = [row for batch in frames.of("orderUpdates") for row in batch]
        sells = [row for row in rows if row["order"]["side"] == "A"]
        assert [(row["status"], row["order"]["sz"]) for row in sells] == [
            ("open", "0.03"),
            ("open", "0.02"),
        ]


async def test_an_order_that_rests_after_filling_in_part_opens_once() -> None:
    ticks = [btc_tick(s, 100_000, 100_001, lots=1_000) for s in range(0, 20, 5)]
    ticks += [btc_tick(s, 100_100, 100_101, lots=1_000) for s in range(20, 60, 5)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        listing(session, "orderUpdates")
        await venue.clock.advance(1.0)
        trigger = TriggerRequest(is_market=False, trigger_px=1_000_500, kind=TriggerKind.STOP_LOSS)
        stop = OrderRequest(coin="BTC", is_buy=True, px=1_001_010, lots=3_000, trigger=trigger)
        await act(venue, USER, stop)
        await venue.clock.advance(22.0)
        rows = [row for batch in frames.of("orderUpdates") for row in batch]
        assert [(row["status"], row["order"]["sz"]) for row in rows] == [
            ("open", "0.03"),
            ("triggered", "0.03"),
            ("open", "0.02"),
        ]


async def test_partial_fills_may_be_kept_quiet() -> None:
    quiet = SocketSettings(channels=ChannelSettings(tells_partial_fills=False))
    async with open_venue(sockets=quiet) as venue:
        venue.exchange.fund(OTHER, 10**12)
        session, frames = venue.connect()
        listing(session, "orderUpdates")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=False, px=100_001, lots=3_000))
        await act(venue, OTHER, request(is_buy=True, px=100_001, lots=1_001_000, tif=Tif.IOC))
        assert [row["status"] for batch in frames.of("orderUpdates") for row in batch] == ["open"]


async def test_resting_fill_is_notified_in_the_venues_words() -> None:
    async with open_venue() as venue:
        venue.exchange.fund(OTHER, 10**12)
        session, frames = venue.connect()
        listing(session, "notification")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=False, px=100_001, lots=630))
        await act(venue, OTHER, request(is_buy=True, px=100_001, lots=1_000_630, tif=Tif.IOC))
        text = "Resting order filled: Sold 0.0063 BTC at $100001"
        assert frames.of("notification") == [{"notification": text}]


async def test_cancels_of_the_venue_are_told_as_such() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "userEvents")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=True, px=99_000, lots=1_000))
        mine = venue.exchange.open_orders(USER)[0].oid
        venue.exchange.cancel(USER, "BTC", mine)
        await act(venue, USER, request(is_buy=True, px=99_001, lots=1_000))
        oid = venue.exchange.open_orders(USER)[0].oid
        due_ns = venue.exchange.now_ns + 10 * NS_PER_S
        account = venue.exchange._state.accounts[USER]
        account.volume_micro = 10**13
        assert venue.exchange.schedule_cancel(USER, due_ns) is None
        await venue.clock.advance(20.0)
        assert frames.of("user") == [{"nonUserCancel": [{"coin": "BTC", "oid": oid}]}]


async def test_liquidation_is_told_to_events_and_ledger() -> None:
    crash = [btc_tick(s, 100_000, 100_001) for s in range(0, 30, 5)]
    crash += [btc_tick(s, 91_000, 91_001) for s in range(30, 60, 5)]
    async with open_venue(ScriptedSource(crash)) as venue:
        session, frames = venue.connect()
        listing(session, "userEvents", "userNonFundingLedgerUpdates", "clearinghouseState")
        await venue.clock.advance(2.0)
        await act(venue, USER, request(is_buy=True, px=100_010, lots=LOTS, tif=Tif.IOC))
        await venue.clock.advance(40.0)
        events = [event for event in frames.of("user") if "liquidation" in event]
        assert len(events) == 1
        assert events[0]["liquidation"]["liquidated_user"] == USER
        assert events[0]["liquidation"]["liquidated_ntl_pos"] == "91000.5"
        ledger = frames.of("userNonFundingLedgerUpdates")[1:]
        kinds = [row["delta"]["type"] for message in ledger for row in message[list(message)[-1]]]
        assert "liquidation" in kinds
        assert any("fills" in event for event in frames.of("user"))


async def test_funding_has_the_recorded_shape() -> None:
    ticks = [btc_tick(s, 100_000, 100_001) for s in range(0, 3_700, 50)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        listing(session, "userEvents", "userFundings")
        await venue.clock.advance(2.0)
        await act(venue, USER, request(is_buy=True, px=100_010, lots=1_000, tif=Tif.IOC))
        await venue.clock.advance(3_650.0)
        (event,) = [event["funding"] for event in frames.of("user") if "funding" in event]
        assert set(event) == {"time", "coin", "usdc", "szi", "fundingRate", "nSamples"}
        snapshot, later = frames.of("userFundings")
        assert snapshot == {"isSnapshot": True, "user": USER, "fundings": []}
        assert later == {"user": USER, "fundings": [event]}


async def test_fills_of_one_crossing_order_aggregate() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "userFills")
        listing(session, "userFills", aggregateByTime=True)
        await venue.clock.advance(1.0)
        # The first level holds 1 000 000 lots at 100 001, the next one at 100 002.
        venue.exchange.fund(USER, 10**13)
        await act(venue, USER, request(is_buy=True, px=100_002, lots=1_500_000, tif=Tif.IOC))
        messages = [message["fills"] for message in frames.of("userFills") if message["fills"]]
        single, merged = sorted(messages, key=len, reverse=True)
        assert [row["sz"] for row in single] == ["10.0", "5.0"]
        assert [row["sz"] for row in merged] == ["15.0"]
        assert merged[0]["px"] == "100001.3"
        assert Decimal(merged[0]["fee"]) == sum(Decimal(row["fee"]) for row in single)
        assert merged[0]["tid"] == single[0]["tid"]
        session, frames = venue.connect()
        listing(session, "userFills", aggregateByTime=True)
        await venue.clock.advance(1.0)
        assert frames.of("userFills")[0]["fills"] == merged


async def test_fills_of_different_orders_stay_apart() -> None:
    async with open_venue() as venue:
        venue.exchange.fund(USER, 10**12)
        venue.exchange.fund(OTHER, 10**13)
        # Two orders of one moment as taker, then one resting order that two others fill.
        for _ in range(2):
            venue.exchange.place(USER, [request(is_buy=True, px=100_001, lots=1_000, tif=Tif.IOC)])
        venue.exchange.place(USER, [request(is_buy=True, px=100_000, lots=2_000)])
        for lots in (1_000_500, 1_500):
            venue.exchange.place(OTHER, [request(is_buy=False, px=100_000, lots=lots, tif=Tif.IOC)])
        session, frames = venue.connect()
        listing(session, "userFills", aggregateByTime=True)
        await venue.clock.advance(1.0)
        rows = [(row["sz"], row["crossed"]) for row in frames.of("userFills")[0]["fills"]]
        assert rows == [("0.01", True), ("0.01", True), ("0.005", False), ("0.015", False)]


async def test_snapshots_run_upwards_or_downwards() -> None:
    for is_ascending in (True, False):
        settings = ChannelSettings(
            are_snapshots_ascending=is_ascending, later_is_snapshot="false", snapshot_rows_max=3
        )
        async with open_venue(sockets=SocketSettings(channels=settings)) as venue:
            for i in range(4):
                await act(venue, USER, request(is_buy=True, px=99_000 + i, lots=1_000))
            session, frames = venue.connect()
            listing(session, "userHistoricalOrders")
            await venue.clock.advance(1.0)
            rows = frames.of("userHistoricalOrders")[0]["orderHistory"]
            prices = [row["order"]["limitPx"] for row in rows]
            assert prices == sorted(prices, reverse=not is_ascending)
            assert prices[-1 if is_ascending else 0] == "99003.0"
            assert len(prices) == 3
            await act(venue, USER, request(is_buy=True, px=98_000, lots=1_000))
            later = frames.of("userHistoricalOrders")[-1]
            assert later["isSnapshot"] is False
            assert [row["status"] for row in later["orderHistory"]] == ["open"]


async def test_open_orders_are_the_whole_list_when_one_changed() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "openOrders", dex="")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=True, px=99_000, lots=1_000))
        await act(venue, USER, request(is_buy=True, px=98_000, lots=1_000))
        venue.server.faucet(USER, 5)
        await venue.clock.advance(1.0)
        lists = [[row["limitPx"] for row in m["orders"]] for m in frames.of("openOrders")]
        assert lists == [[], ["99000.0"], ["98000.0", "99000.0"]]


async def test_state_follows_the_market_at_its_pace_and_repeats_nothing() -> None:
    ticks = [btc_tick(s, 100_000 + min(s, 60), 100_001 + min(s, 60)) for s in range(120)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        listing(session, "clearinghouseState", "allDexsClearinghouseState")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=True, px=100_100, lots=1_000, tif=Tif.IOC))
        await venue.clock.advance(100.0)
        states = [row["clearinghouseState"] for row in frames.of("clearinghouseState")]
        moving = [state for state in states if state["assetPositions"]]
        values = [state["marginSummary"]["accountValue"] for state in moving]
        assert len(values) >= 10
        assert all(a != b for a, b in pairwise(values))
        assert all(b["time"] - a["time"] >= 4_000 for a, b in pairwise(moving[2:]))
        many = frames.of("allDexsClearinghouseState")[-1]
        assert many["user"] == USER
        assert many["clearinghouseStates"][0] == ["", states[-1]]
        assert [name for name, _ in many["clearinghouseStates"][1:]] == list(builder_dexes())
        others = [state["marginSummary"] for _, state in many["clearinghouseStates"][1:]]
        assert {summary["accountValue"] for summary in others} == {"0.0"}


async def test_spot_state_tells_balances_and_holds() -> None:
    ticks = [spot_tick(s, 34_000_000) for s in range(0, 60, 2)]
    async with open_venue(SpotSource(ticks)) as venue:
        session, frames = venue.connect()
        listing(session, "spotState")
        await venue.clock.advance(1.0)
        assert venue.exchange.transfers.class_transfer(USER, 500_000_000, to_perp=False) is None
        bid = OrderRequest(coin=SPOT, is_buy=True, px=33_000_000, lots=100, tif=Tif.GTC)
        await act(venue, USER, bid)
        empty, *_, last = [row["spotState"]["balances"] for row in frames.of("spotState")]
        assert empty == []
        usdc = last[0]
        assert (usdc["coin"], usdc["total"], usdc["hold"]) == ("USDC", "500.0", "33.0")
        told = [row["spotState"] for row in frames.of("spotState")]
        assert all(a != b for a, b in pairwise(told))


async def test_active_asset_data_is_told_when_it_changed() -> None:
    async with open_venue(quiet_market(seconds=120)) as venue:
        session, frames = venue.connect()
        listing(session, "activeAssetData", coin="BTC")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=True, px=100_010, lots=1_000, tif=Tif.IOC))
        await venue.clock.advance(60.0)
        rows = frames.of("activeAssetData")
        assert set(rows[0]) == {
            *("user", "coin", "leverage", "maxTradeSzs", "availableToTrade", "markPx")
        }
        assert rows[-1]["availableToTrade"] != rows[0]["availableToTrade"]
        assert all(a != b for a, b in pairwise(rows[1:]))


async def test_twap_streams_tell_one_order_from_all_sides() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "userTwapHistory", "userTwapSliceFills", "twapStates", "userEvents")
        await venue.clock.advance(1.0)
        wish = TwapRequest(
            coin="BTC", is_buy=True, lots=2_000, reduce_only=False, minutes=5, is_randomized=False
        )
        twap_id = venue.exchange.twaps.place(USER, wish)
        assert isinstance(twap_id, int)
        venue.server.pump.publish_outputs(venue.exchange.now_ns)
        await venue.clock.advance(320.0)
        history = [row for m in frames.of("userTwapHistory") for row in m["history"]]
        assert [row["status"] for row in history] == [
            {"status": "activated"},
            {"status": "finished"},
        ]
        assert history[1]["state"]["executedSz"] == "0.02"
        assert history[0]["time"] < 10**10
        slices = [row for m in frames.of("userTwapSliceFills") for row in m["twapSliceFills"]]
        assert {row["twapId"] for row in slices} == {twap_id}
        assert sum(Decimal(row["fill"]["sz"]) for row in slices) == Decimal("0.02")
        states = [m["states"] for m in frames.of("twapStates")]
        assert (states[0], states[-1]) == ([], [])
        assert states[1][0][0] == twap_id
        assert set(states[1][0][1]) >= {"coin", "user", "side", "sz", "executedSz", "minutes"}
        kinds = {kind for event in frames.of("user") for kind in event}
        assert kinds == {"fills", "twapHistory", "twapSliceFills"}
        snapshot, snapshots = venue.connect()
        listing(snapshot, "userTwapHistory", "userTwapSliceFills")
        await venue.clock.advance(1.0)
        assert snapshots.of("userTwapHistory")[0]["history"] == history
        assert snapshots.of("userTwapSliceFills")[0]["twapSliceFills"] == slices


async def test_page_data_hold_account_markets_and_vaults() -> None:
    async with open_venue(quiet_market(seconds=60)) as venue:
        session, frames = venue.connect()
        listing(session, "webData2", "webData3")
        await act(venue, USER, request(is_buy=True, px=99_000, lots=1_000))
        agent = "0x" + "cd" * 20
        assert venue.exchange.approve_agent(USER, agent) is None
        await venue.clock.advance(20.0)
        old, new = frames.of("webData2")[-1], frames.of("webData3")[-1]
        assert set(old) == {
            *("clearinghouseState", "leadingVaults", "totalVaultEquity", "openOrders"),
            *("agentAddress", "agentValidUntil", "cumLedger", "meta", "assetCtxs", "serverTime"),
            *("isVault", "user", "twapStates", "spotState", "spotAssetCtxs"),
            "perpsAtOpenInterestCap",
        }
        assert [row["limitPx"] for row in old["openOrders"]] == ["99000.0"]
        assert len(old["assetCtxs"]) == len(old["meta"]["universe"])
        assert set(new) == {"userState", "perpDexStates"}
        state = new["userState"]
        assert (state["user"], state["agentAddress"], state["isVault"]) == (USER, agent, False)
        assert state["cumLedger"] == "10000.0"
        assert new["perpDexStates"][0] == {
            "totalVaultEquity": "0.0",
            "perpsAtOpenInterestCap": [],
            "leadingVaults": [],
        }
        assert len(new["perpDexStates"]) == 1 + len(builder_dexes())
        times = [row["userState"]["serverTime"] for row in frames.of("webData3")]
        assert all(b - a >= 5_000 for a, b in pairwise(times[1:]))


async def test_dexes_of_builders_are_empty_rooms() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        listing(session, "openOrders", "clearinghouseState", "twapStates", dex="xyz")
        subscribe(session, type="allMids", dex="xyz")
        await venue.clock.advance(1.0)
        await act(venue, USER, request(is_buy=True, px=99_000, lots=1_000))
        assert frames.of("openOrders")[-1] == {"dex": "xyz", "user": USER, "orders": []}
        assert frames.of("twapStates")[-1] == {"dex": "xyz", "user": USER, "states": []}
        state = frames.of("clearinghouseState")[-1]
        assert state["clearinghouseState"]["marginSummary"]["accountValue"] == "0.0"
        assert frames.of("allMids")[-1] == {"dex": "xyz", "mids": {}}


async def test_two_users_streams_do_not_mix() -> None:
    async with open_venue() as venue:
        venue.exchange.fund(OTHER, 10**12)
        session, frames = venue.connect()
        for user in (USER, OTHER):
            session.handle(
                json.dumps(
                    {"method": "subscribe", "subscription": {"type": "userFills", "user": user}}
                )
            )
        await venue.clock.advance(1.0)
        await act(venue, OTHER, request(is_buy=True, px=100_001, lots=1_000, tif=Tif.IOC))
        fills = [m for m in frames.of("userFills") if m["fills"]]
        assert [m["user"] for m in fills] == [OTHER]
