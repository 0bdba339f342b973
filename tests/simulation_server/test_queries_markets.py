"""Queries of markets: dexes, books, mids, candles, contexts, limits, tokens."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.model.time import NS_PER_DAY, NS_PER_HOUR, NS_PER_S
from core.simulation.market.builder_dexes import builder_dex_of, builder_dexes
from core.simulation.market.ticks import MarketTick
from core.simulation.venue.settings import VenueSettings
from core.simulation.wire.requests import RequestError
from tests.simulation_server.shape_story import SPOT, USER, Story
from tests.simulation_server.venue import START_NS

HYPE_TOKEN = "0x0d01dc56dcaaca66ad901c959b4011ec"


@pytest.fixture
def story() -> Story:
    told = Story(VenueSettings(sub_account_volume_micro=0))
    told.fund(USER, 10_000)
    return told


# --- dexes --------------------------------------------------------------------------------------


def test_builders_dexes_are_listed_without_a_market(story: Story) -> None:
    meta = story.ask("meta", dex="xyz")
    names = [row["name"] for row in meta["universe"]]
    assert names[:3] == ["xyz:XYZ100", "xyz:TSLA", "xyz:NVDA"]
    assert all(name.startswith("xyz:") for name in names)
    both, contexts = story.ask("metaAndAssetCtxs", dex="xyz")
    assert both == meta
    assert len(contexts) == len(names)
    assert {context["midPx"] for context in contexts} == {None}
    assert story.ask("allMids", dex="xyz") == {}
    assert story.ask("l2Book", coin="xyz:TSLA") is None
    assert story.ask("openOrders", user=USER, dex="xyz") == []
    assert story.ask("clearinghouseState", user=USER, dex="xyz")["withdrawable"] == "0.0"
    assert story.ask("perpDexLimits", dex="xyz")["coinToOiCap"][0] == ["xyz:AAPL", "25000000.0"]
    assert story.ask("perpDexStatus", dex="xyz") == {"totalNetDeposit": "0.0"}
    assert story.ask("perpDexStatus", dex="") == {"totalNetDeposit": "10000.0"}


def test_every_dex_has_metadata_at_its_place(story: Story) -> None:
    dexes = story.ask("perpDexs")
    metas = story.ask("allPerpMetas")
    assert len(metas) == len(dexes) == 1 + len(builder_dexes())
    for dex, meta in zip(dexes[1:], metas[1:], strict=True):
        assert meta == story.ask("meta", dex=dex["name"])
        capped = {coin for coin, _ in dex["assetToStreamingOiCap"]}
        assert {row["name"] for row in meta["universe"]} == capped


def test_orders_on_builders_coins_are_refused_in_words(story: Story) -> None:
    dex = builder_dex_of("xyz:TSLA")
    assert dex is not None
    assert dex.asset("xyz:TSLA") == 110_001
    answer = story.place("100", "1", asset=dex.asset("xyz:TSLA"))
    assert "asset" in answer["response"]["data"]["statuses"][0]["error"]
    active = story.ask("activeAssetData", user=USER, coin="xyz:TSLA")
    assert active["leverage"] == {"type": "isolated", "value": 10, "rawUsd": "0.0"}
    assert active["maxTradeSzs"] == ["0.0", "0.0"]


# --- books and mids -----------------------------------------------------------------------------


def test_levels_count_the_orders_that_stand_there(story: Story) -> None:
    for _ in range(2):
        story.place("100000", "0.5", tif="Alo")
    story.place("99990", "0.1", tif="Alo")
    bids = story.ask("l2Book", coin="BTC")["levels"][0]
    assert bids[0] == {"px": "100000.0", "sz": "101.0", "n": 3}
    assert bids[10] == {"px": "99990.0", "sz": "100.1", "n": 2}
    story.tick("BTC", "99950", "100001")
    bids = story.ask("l2Book", coin="BTC")["levels"][0]
    assert [level["n"] for level in bids[:3]] == [2, 1, 1]
    coarse = story.ask("l2Book", coin="BTC", nSigFigs=3)["levels"][0]
    assert [(level["px"], level["n"]) for level in coarse] == [("100000.0", 2), ("99900.0", 26)]


def test_rounded_books_tell_their_spread(story: Story) -> None:
    assert "spread" not in story.ask("l2Book", coin="BTC")
    book = story.ask("l2Book", coin="BTC", nSigFigs=5, mantissa=2)
    assert list(book) == ["coin", "time", "levels", "spread"]
    assert Decimal(book["spread"]) > 0


def test_mids_hold_spot_pairs_and_the_last_trade_of_an_empty_book(story: Story) -> None:
    mids = story.ask("allMids")
    assert (mids["BTC"], mids[SPOT]) == ("100000.5", "34.8925")
    instrument = story.source.of("SOL")
    empty = MarketTick(story.now_ns + 1, "SOL", (), ((15_200, 5),), (), 15_150, 15_150)
    story.exchange.apply_market(empty)
    story.board.add(empty)
    last = Decimal(story.ask("recentTrades", coin="SOL")[0]["px"])
    assert Decimal(story.ask("allMids")["SOL"]) == last
    contexts = story.ask("metaAndAssetCtxs")[1]
    assert contexts[instrument.asset]["midPx"] is None


# --- candles ------------------------------------------------------------------------------------


def candle(story: Story, interval: str) -> dict[str, Any]:
    request = {"coin": "BTC", "interval": interval, "startTime": story.now_ns // 1_000_000}
    (row,) = story.ask("candleSnapshot", req=request)
    assert isinstance(row, dict)
    return row


def test_local_trades_are_part_of_candles_and_the_day(story: Story) -> None:
    before, asset = candle(story, "1m"), story.source.of("BTC").asset
    day = Decimal(story.ask("metaAndAssetCtxs")[1][asset]["dayBaseVlm"])
    story.place("100100", "0.01", tif="Ioc")
    after = candle(story, "1m")
    assert Decimal(after["v"]) - Decimal(before["v"]) == Decimal("0.01")
    assert after["n"] == before["n"] + 1
    later = Decimal(story.ask("metaAndAssetCtxs")[1][asset]["dayBaseVlm"])
    assert later - day == Decimal("0.01")
    for interval in ("1h", "1d"):
        assert Decimal(candle(story, interval)["v"]) >= Decimal(after["v"])


def test_streamed_candles_are_those_of_the_query(story: Story) -> None:
    listener = story.listen("candle", coin="BTC", interval="15m")
    story.place("100100", "0.01", tif="Ioc")
    story.tick("BTC", "100200", "100201")
    told = [m["data"] for m in listener.messages if m["channel"] == "candle"]
    assert told[-1] == candle(story, "15m")
    assert len({row["v"] for row in told}) == len(told)


def test_monthly_candles_end_with_their_month(story: Story) -> None:
    row = candle(story, "1M")
    assert row["t"] == (START_NS - 5 * NS_PER_DAY) // 1_000_000
    assert row["T"] + 1 - row["t"] == 31 * 86_400_000


# --- funding, limits, tokens --------------------------------------------------------------------


def test_predicted_fundings_know_this_venue_alone(story: Story) -> None:
    rows = dict(story.ask("predictedFundings"))
    assert SPOT not in rows
    venues = dict(rows["BTC"])
    assert (venues["BinPerp"], venues["BybitPerp"]) == (None, None)
    assert venues["HlPerp"]["nextFundingTime"] * 1_000_000 == START_NS + NS_PER_HOUR


def test_coins_at_their_cap_are_told() -> None:
    story = Story(VenueSettings(open_interest_caps_micro={"BTC": 1_000_000}))
    story.fund(USER, 10_000)
    assert story.ask("perpsAtOpenInterestCap") == []
    story.place("100100", "0.01", tif="Ioc")
    assert story.ask("perpsAtOpenInterestCap") == ["BTC"]
    assert story.ask("perpsAtOpenInterestCap", dex="xyz") == []


def test_margin_tables_are_those_of_the_metadata(story: Story) -> None:
    for number, table in story.ask("meta")["marginTables"]:
        assert story.ask("marginTable", id=number) == table
    single = story.ask("marginTable", id=3)
    assert single["marginTiers"] == [{"lowerBound": "0.0", "maxLeverage": 3}]
    with pytest.raises(RequestError, match="777"):
        story.ask("marginTable", id=777)


def test_status_tells_of_a_post_only_window(story: Story) -> None:
    assert story.ask("exchangeStatus")["specialStatuses"] is None
    story.exchange.market_states.begin_post_only(story.now_ns + NS_PER_S)
    assert "post-only" in story.ask("exchangeStatus")["specialStatuses"]


def test_a_tokens_supply_is_what_accounts_hold(story: Story) -> None:
    story.fund_token(USER, "HYPE", 250_000_000)
    details = story.ask("tokenDetails", tokenId=HYPE_TOKEN)
    assert (details["name"], details["circulatingSupply"]) == ("HYPE", "2.5")
    assert details["midPx"] == story.ask("allMids")[SPOT]
    contexts = {row["coin"]: row for row in story.ask("spotMetaAndAssetCtxs")[1]}
    assert contexts[SPOT]["circulatingSupply"] == "2.5"


def test_spot_contexts_are_dense_and_found_by_name(story: Story) -> None:
    meta, contexts = story.ask("spotMetaAndAssetCtxs")
    assert [row["coin"] for row in contexts[1:]] == [f"@{n}" for n in range(1, len(contexts))]
    names = {row["coin"] for row in contexts}
    assert {row["name"] for row in meta["universe"]} <= names


def test_outcomes_do_not_exist(story: Story) -> None:
    assert story.ask("outcomeMeta") == {"outcomes": [], "questions": []}
    assert story.ask("settledOutcome", outcome=3) is None


def test_unknown_coins_answer_as_the_venue_does(story: Story) -> None:
    assert story.ask("l2Book", coin="btc") is None
    assert story.ask("recentTrades", coin="NOPE") == []
    assert story.ask("fundingHistory", coin="NOPE", startTime=0) == []
    request = {"coin": "NOPE", "interval": "1m", "startTime": 0}
    assert story.ask("candleSnapshot", req=request) == []
