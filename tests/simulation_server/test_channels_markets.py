"""Channels of markets: how they are asked for, what they say, how often, and what that costs."""

from __future__ import annotations

import base64
import json
import zlib
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from core.model.time import NS_PER_S
from core.simulation.exchange import SimulatedExchange
from core.simulation.market.builder_dexes import builder_dexes
from core.simulation.market.candles import INTERVALS_NS
from core.simulation.market.ticks import MarketTick
from core.simulation.market.universe import recorded_instruments, recorded_spot_instruments
from core.simulation.wire.board import MarketBoard
from core.simulation.wire.channels import CHANNELS
from core.simulation.wire.channels.base import ChannelSettings
from core.simulation.wire.connections import Connection
from core.simulation.wire.hub import Hub
from core.simulation.wire.socket_limits import SocketSettings
from tests.simulation_server.test_info_desk import recorded, same_shape
from tests.simulation_server.venue import (
    MASTER,
    START_NS,
    STRANGER,
    Frames,
    ScriptedSource,
    btc_tick,
    open_venue,
    order,
    place,
)

USER = STRANGER.address
SPOT = "@107"
EVERY_BOOK = SocketSettings(channels=ChannelSettings(book_every_ns=0))


class SpotSource(ScriptedSource):
    """A scripted market whose universe has spot pairs too."""

    def __init__(self, ticks: list[MarketTick]) -> None:
        super().__init__(ticks)
        self.instruments = recorded_instruments() + recorded_spot_instruments()


def spot_tick(seconds: float, bid: int) -> MarketTick:
    """One picture of HYPE/USDC; prices in 10^-6 USDC."""
    bids, asks = ((bid, 5_000),), ((bid + 1_000, 5_000),)
    ts_ns = START_NS + round(seconds * NS_PER_S)
    return MarketTick(ts_ns, SPOT, bids, asks, ((bid, 100, False),), None, bid)


def moving(count: int = 60) -> list[MarketTick]:
    """BTC rising by a dollar every second."""
    return [btc_tick(s, 100_000 + s, 100_001 + s) for s in range(count)]


def hub_of(ticks: list[MarketTick], **settings: Any) -> tuple[Hub, Any]:
    """A hub without a pump, and a function that plays one tick into it."""
    source = SpotSource(ticks)
    exchange = SimulatedExchange(source.instruments, start_ns=source.start_ns)
    board = MarketBoard(source, exchange)
    hub = Hub(board, exchange, ChannelSettings(**settings))

    def play(tick: MarketTick) -> list[Any]:
        exchange.apply_market(tick)
        return list(hub.tick_rows(tick, board.add(tick)))

    return hub, play


def subscribe(session: Any, **wish: Any) -> None:
    session.handle(json.dumps({"method": "subscribe", "subscription": wish}))


def listen(hub: Hub, **wish: Any) -> Connection:
    """Let a new connection hear a subscription; its frames stay in its queue."""
    subscription = hub.read(wish)
    assert subscription is not None, wish
    connection = Connection(Frames())
    connection.push_all(hub.join(connection, subscription, START_NS))
    return connection


def heard(connection: Connection) -> list[Any]:
    """Data of the frames that wait."""
    return [msgspec.json.decode(frame)["data"] for frame in connection._queue]


ECHOES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "allMids"}, {}),
    ({"type": "allMids", "dex": ""}, {}),
    ({"type": "l2Book", "coin": "BTC"}, {"nSigFigs": None, "mantissa": None}),
    ({"type": "l2Book", "coin": "BTC", "nSigFigs": 5, "mantissa": 2, "fast": True}, {}),
    ({"type": "bbo", "coin": "BTC"}, {}),
    ({"type": "trades", "coin": SPOT}, {}),
    ({"type": "candle", "coin": "BTC", "interval": "1h"}, {}),
    ({"type": "activeAssetCtx", "coin": "BTC"}, {}),
    ({"type": "activeAssetCtx", "coin": SPOT}, {}),
    ({"type": "assetCtxs"}, {"dex": ""}),
    ({"type": "assetCtxs", "dex": "xyz"}, {}),
    ({"type": "spotAssetCtxs"}, {}),
    ({"type": "allDexsAssetCtxs"}, {}),
    ({"type": "fastAssetCtxs"}, {}),
    ({"type": "orderUpdates", "user": USER}, {}),
    ({"type": "userEvents", "user": USER}, {}),
    ({"type": "userFills", "user": USER}, {"aggregateByTime": False}),
    ({"type": "userFills", "user": USER, "aggregateByTime": True}, {}),
    ({"type": "userFundings", "user": USER}, {}),
    ({"type": "userNonFundingLedgerUpdates", "user": USER}, {}),
    ({"type": "userHistoricalOrders", "user": USER}, {}),
    ({"type": "openOrders", "user": USER}, {"dex": ""}),
    ({"type": "clearinghouseState", "user": USER}, {"dex": ""}),
    ({"type": "allDexsClearinghouseState", "user": USER}, {}),
    ({"type": "spotState", "user": USER, "ignorePortfolioMargin": True}, {}),
    ({"type": "activeAssetData", "user": USER, "coin": "BTC"}, {}),
    ({"type": "userTwapSliceFills", "user": USER}, {}),
    ({"type": "userTwapHistory", "user": USER}, {}),
    ({"type": "twapStates", "user": USER}, {"dex": ""}),
    ({"type": "notification", "user": USER}, {}),
    ({"type": "webData2", "user": USER}, {}),
    ({"type": "webData3", "user": USER}, {}),
    ({"type": "outcomeMetaUpdates"}, {}),
]


def test_every_channel_echoes_its_parameters_with_defaults() -> None:
    hub, _ = hub_of(moving())
    for wish, defaults in ECHOES:
        subscription = hub.read({**wish, "unknown": 1})
        assert subscription is not None, wish
        assert subscription.echo == wish | defaults
        assert (subscription.user is None) == ("user" not in wish)
    assert {wish["type"] for wish, _ in ECHOES} == set(CHANNELS)


@pytest.mark.parametrize(
    "wish",
    [
        None,
        [],
        {},
        {"type": 5},
        {"type": ["bbo"]},
        {"type": "bbo"},
        {"type": "bbo", "coin": 5},
        {"type": "bbo", "coin": "btc"},
        {"type": "bbo", "coin": ["BTC"]},
        {"type": "candle", "coin": "BTC", "interval": "7m"},
        {"type": "candle", "coin": "BTC", "interval": ["1m"]},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 1},
        {"type": "l2Book", "coin": "BTC", "nSigFigs": 4, "mantissa": 2},
        {"type": "l2Book", "coin": "BTC", "fast": 1},
        {"type": "allMids", "dex": "nobody"},
        {"type": "assetCtxs", "dex": []},
        {"type": "userFills", "user": "0x1"},
        {"type": "userFills"},
        {"type": "userFills", "user": USER, "aggregateByTime": "yes"},
        {"type": "openOrders", "user": USER, "dex": "nobody"},
        {"type": "spotState", "user": USER, "isPortfolioMargin": 0},
        {"type": "activeAssetData", "user": USER, "coin": SPOT},
        {"type": "activeAssetData", "user": USER},
        {"type": "explorerBlock"},
    ],
)
def test_what_no_channel_knows_is_none(wish: Any) -> None:
    hub, _ = hub_of(moving())
    assert hub.read(wish) is None


def test_absent_and_default_parameters_share_a_key() -> None:
    hub, _ = hub_of(moving())
    for bare, full in (
        ({"type": "l2Book", "coin": "BTC"}, {"fast": False, "nSigFigs": None}),
        ({"type": "openOrders", "user": USER}, {"user": USER.upper().replace("X", "x"), "dex": ""}),
        ({"type": "userFills", "user": USER}, {"aggregateByTime": None}),
    ):
        first, second = hub.read(bare), hub.read({**bare, **full})
        assert first is not None and second is not None
        assert first.key == second.key
    slow, fast = (
        hub.read({"type": "l2Book", "coin": "BTC"}),
        hub.read({"type": "l2Book", "coin": "BTC", "fast": True}),
    )
    assert slow is not None and fast is not None
    assert slow.key != fast.key


def test_a_book_is_encoded_once_for_a_hundred_listeners() -> None:
    ticks = moving(10)
    hub, play = hub_of(ticks, book_every_ns=0)
    listeners = [listen(hub, type="l2Book", coin="BTC") for _ in range(100)]
    before = hub.encode_count
    for tick in ticks:
        hub.publish(play(tick))
    assert hub.encode_count - before == len(ticks)
    assert {len(heard(connection)) for connection in listeners} == {len(ticks)}


def test_nobody_listening_makes_no_rows() -> None:
    ticks = moving(3)
    hub, play = hub_of(ticks)
    listener = listen(hub, type="bbo", coin="BTC")
    assert len(play(ticks[0])) == 1
    hub.leave(listener)
    assert play(ticks[1]) == []
    assert hub.key_count == 0


def test_a_new_listener_is_not_told_what_his_snapshot_holds() -> None:
    ticks = [btc_tick(s, 100_000, 100_001, trades=((100_000, 5 + s, True),)) for s in range(3)]
    hub, play = hub_of(ticks)
    early = listen(hub, type="trades", coin="BTC")
    travelling = play(ticks[0])
    late = listen(hub, type="trades", coin="BTC")
    travelling += play(ticks[1])
    hub.publish(travelling)
    sizes = [[row["sz"] for row in message] for message in heard(late)]
    assert sizes == [["0.00005"], ["0.00006"]]
    assert [row["sz"] for message in heard(early) for row in message] == ["0.00005", "0.00006"]
    hub.publish(play(ticks[2]))
    assert heard(early)[-1] == heard(late)[-1]


async def test_books_come_at_their_pace() -> None:
    async with open_venue(ScriptedSource(moving(60))) as venue:
        session, frames = venue.connect()
        subscribe(session, type="l2Book", coin="BTC")
        await venue.clock.advance(1.0)
        fast_session, fast = venue.connect()
        subscribe(fast_session, type="l2Book", coin="BTC", fast=True)
        await venue.clock.advance(30.0)
        slow_times = [book["time"] for book in frames.of("l2Book")][1:]
        assert len(slow_times) >= 5
        assert {b - a for a, b in pairwise(slow_times)} == {5_000}
        fast_times = [book["time"] for book in fast.of("l2Book")][1:]
        assert {b - a for a, b in pairwise(fast_times)} == {1_000}


async def test_cadence_of_books_is_a_setting() -> None:
    async with open_venue(ScriptedSource(moving(30)), sockets=EVERY_BOOK) as venue:
        session, frames = venue.connect()
        subscribe(session, type="l2Book", coin="BTC")
        await venue.clock.advance(10.0)
        assert len(frames.of("l2Book")) >= 9
        books = len(frames.of("l2Book"))
        await venue.act(place(order(px="99000")))
        await venue.clock.advance(0.2)
        levels = [level["px"] for level in frames.of("l2Book")[-1]["levels"][0]]
        assert len(frames.of("l2Book")) > books
        assert "99000.0" in levels


async def test_touch_is_told_only_when_it_changed() -> None:
    ticks = [btc_tick(s, 100_000 + s // 10, 100_001 + s // 10) for s in range(60)]
    async with open_venue(ScriptedSource(ticks)) as venue:
        session, frames = venue.connect()
        subscribe(session, type="bbo", coin="BTC")
        await venue.clock.advance(35.0)
        told = [row["bbo"] for row in frames.of("bbo")][1:]
        assert len(told) >= 3
        assert all(a != b for a, b in pairwise(told))


async def test_trades_may_start_without_the_past() -> None:
    ticks = [btc_tick(s, 100_000, 100_001, trades=((100_000, 7, True),)) for s in (0, 20, 40)]
    silent = SocketSettings(channels=ChannelSettings(shows_recent_trades=False))
    async with open_venue(ScriptedSource(ticks), sockets=silent) as venue:
        session, frames = venue.connect()
        subscribe(session, type="trades", coin="BTC")
        await venue.clock.advance(5.0)
        assert frames.of("trades") == []
        await venue.clock.advance(20.0)
        assert len(frames.of("trades")) == 1


@pytest.mark.parametrize("interval", list(INTERVALS_NS))
def test_candles_of_every_interval_follow_their_ticks(interval: str) -> None:
    ticks = [
        btc_tick(s * 50, 100_000 + s, 100_001 + s, trades=((100_000 + s, 100, True),))
        for s in range(4)
    ]
    hub, play = hub_of(ticks)
    listener = listen(hub, type="candle", coin="BTC", interval=interval)
    hub.publish([row for tick in ticks for row in play(tick)])
    rows = heard(listener)
    assert {row["i"] for row in rows} == {interval}
    assert sum(float(row["v"]) for row in rows) == pytest.approx(0.004)
    assert len({row["t"] for row in rows}) == len(rows)
    assert rows[-1]["c"] == "100003.0"


def test_candles_are_told_when_they_change_and_may_be_arrays() -> None:
    ticks = [
        btc_tick(0, 100_000, 100_001, trades=((100_000, 9, True),)),
        btc_tick(1, 100_000, 100_001),
        btc_tick(2, 100_000, 100_001, trades=((100_001, 9, True),)),
    ]
    hub, play = hub_of(ticks, candle_shape="array")
    listener = listen(hub, type="candle", coin="BTC", interval="1m")
    for tick in ticks:
        hub.publish(play(tick))
    assert [[row["c"] for row in message] for message in heard(listener)] == [
        ["100000.0"],
        ["100001.0"],
    ]
    same_shape(heard(listener)[0][0], recorded("jkorf-ws-candle")[1]["data"])


def test_spot_context_has_its_own_channel_name() -> None:
    ticks = [spot_tick(s, 34_000_000 + s * 1_000) for s in range(3)]
    hub, play = hub_of(ticks)
    listener = listen(hub, type="activeAssetCtx", coin=SPOT)
    for tick in ticks:
        hub.publish(play(tick))
    frames = [msgspec.json.decode(frame) for frame in listener._queue]
    assert {frame["channel"] for frame in frames} == {"activeSpotAssetCtx"}
    context = frames[-1]["data"]["ctx"]
    assert set(context) == {
        *("prevDayPx", "dayNtlVlm", "markPx", "midPx", "circulatingSupply"),
        *("coin", "totalSupply", "dayBaseVlm"),
    }
    assert (context["coin"], context["midPx"]) == (SPOT, "34.0025")
    assert context["dayBaseVlm"] == "3.0"
    assert context["dayNtlVlm"] == "102.003"


def test_contexts_of_all_coins_keep_the_order_of_the_universe() -> None:
    ticks = [*moving(2), spot_tick(3, 34_000_000)]
    hub, play = hub_of(ticks, contexts_every_ns=0)
    names = ("assetCtxs", "spotAssetCtxs", "allDexsAssetCtxs")
    listeners = {name: listen(hub, type=name) for name in names}
    for tick in ticks:
        hub.publish(play(tick))
    perps = heard(listeners["assetCtxs"])[-1]
    assert perps["dex"] == ""
    assert len(perps["ctxs"]) == len(recorded_instruments())
    assert perps["ctxs"][0]["midPx"] == "100001.5"
    every = heard(listeners["allDexsAssetCtxs"])[-1]
    assert every["ctxs"][0] == ["", perps["ctxs"]]
    theirs = [(name, len(dex.coins)) for name, dex in builder_dexes().items()]
    assert [(name, len(rows)) for name, rows in every["ctxs"][1:]] == theirs
    spot = heard(listeners["spotAssetCtxs"])[-1]
    traded = [i.coin for i in recorded_spot_instruments()]
    assert [row["coin"] for row in spot if row["coin"] in traded] == traded
    assert next(row for row in spot if row["coin"] == SPOT)["midPx"] == "34.0005"


def inflated(data: str) -> Any:
    return json.loads(zlib.decompress(base64.b64decode(data), wbits=-15))


def test_fast_contexts_are_a_snapshot_and_then_changes() -> None:
    ticks = [*moving(3), spot_tick(3, 34_000_000), btc_tick(4, 100_002, 100_003)]
    hub, play = hub_of(ticks, fast_contexts_every_ns=0)
    hub.publish(play(ticks[0]))
    listener = listen(hub, type="fastAssetCtxs")
    for tick in ticks[1:]:
        hub.publish(play(tick))
    first, *later = [inflated(data) for data in heard(listener)]
    assert first == {"BTC": {"markPx": "100000.5", "midPx": "100000.5"}}
    assert later[0] == {"BTC": {"markPx": "100001.5", "midPx": "100001.5"}}
    assert set(later[2]) == {SPOT}
    # The last BTC tick repeats the one before it: nothing changed, nothing is told.
    assert len(later) == 3
    state: dict[str, Any] = {}
    for changes in (first, *later):
        for coin, changed in changes.items():
            state.setdefault(coin, {}).update(changed)
    (now,) = heard(listen(hub, type="fastAssetCtxs"))
    assert inflated(now) == state


def test_changes_that_travel_together_are_one_fast_message() -> None:
    ticks = moving(4)
    hub, play = hub_of(ticks, fast_contexts_every_ns=0)
    listener = listen(hub, type="fastAssetCtxs")
    hub.publish([row for tick in ticks for row in play(tick)])
    assert [inflated(data) for data in heard(listener)] == [
        {},
        {"BTC": {"markPx": "100003.5", "midPx": "100003.5"}},
    ]


async def test_mids_hold_spot_pairs_too() -> None:
    ticks = [*moving(3), spot_tick(3, 34_000_000), *[btc_tick(s, 99, 100) for s in range(4, 20)]]
    async with open_venue(SpotSource(ticks)) as venue:
        session, frames = venue.connect()
        subscribe(session, type="allMids")
        await venue.clock.advance(15.0)
        assert set(frames.of("allMids")[-1]["mids"]) == {"BTC", SPOT}


async def test_outcomes_are_acknowledged_and_silent() -> None:
    async with open_venue() as venue:
        session, frames = venue.connect()
        subscribe(session, type="outcomeMetaUpdates")
        await venue.act(place(order(px="100001", tif="Gtc")), MASTER)
        await venue.clock.advance(30.0)
        assert [message["channel"] for message in frames.messages] == ["subscriptionResponse"]
