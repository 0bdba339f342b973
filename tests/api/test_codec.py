"""The codec: shapes that no recording shows, and what it does when it does not understand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api import reports
from core.api.codec import Codec
from core.api.feed_memory import FeedMemory
from core.api.ledger import amount_micro
from core.api.venue_words import order_status, rejection_code
from core.api.wire import Frame
from core.model.codes import OrderStatus, RejectionCode
from core.model.errors import GridError, VenueError
from core.model.events import (
    BboChanged,
    BookChanged,
    ContextChanged,
    DataQuarantined,
    FundingPaid,
    LedgerMoved,
    OrderFilled,
    OrderUpdated,
    TradesPrinted,
)
from core.model.time import NS_PER_MS
from tests.api.instruments import ADDRESS, BTC, ETH

TIME_MS = 1_754_450_974_231
OTHER = "0x1719884eb866cb12b2287399b15f7db5e7d775ea"
FILL: dict[str, Any] = {
    "coin": "BTC",
    "px": "60000.0",
    "sz": "0.01",
    "side": "A",
    "time": TIME_MS,
    "startPosition": "0.03",
    "dir": "Close Long",
    "closedPnl": "-0.13",
    "hash": "0x0",
    "oid": 7,
    "crossed": False,
    "fee": "-0.0009",
    "tid": 11,
    "feeToken": "USDC",
    "twapId": None,
}
ORDER: dict[str, Any] = {
    "order": {
        "coin": "BTC",
        "side": "B",
        "limitPx": "60000.0",
        "sz": "0.004",
        "oid": 2**40,
        "timestamp": TIME_MS,
        "origSz": "0.01",
        "cloid": "0x" + "1" * 32,
    },
    "status": "open",
    "statusTimestamp": TIME_MS + 5,
}


def codec() -> Codec:
    return Codec([BTC, ETH], account=ADDRESS)


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def test_touch_and_empty_side() -> None:
    bid = {"px": "60000.0", "sz": "0.5", "n": 3}
    data = {"coin": "BTC", "time": TIME_MS, "bbo": [bid, None]}
    assert codec().decode_frame(frame("bbo", data)) == [
        BboChanged(
            ts_exch_ns=TIME_MS * NS_PER_MS,
            coin="BTC",
            bid_px=600_000,
            bid_lots=50_000,
            ask_px=0,
            ask_lots=0,
        )
    ]


def test_key_order_and_unknown_keys_do_not_matter() -> None:
    level = {"n": 1, "sz": "1", "px": "2", "new": [1]}
    data = {"levels": [[level], []], "time": 1, "coin": "ETH", "spread": "1"}
    raw = json.dumps({"data": data, "extra": 1, "channel": "l2Book"})
    assert codec().decode_frame(raw) == [
        BookChanged(ts_exch_ns=NS_PER_MS, coin="ETH", bids=((200, 10_000),), asks=())
    ]


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(1, 10**9)), min_size=0, max_size=20))
def test_a_book_is_read_exactly(levels: list[tuple[int, int]]) -> None:
    rows = [{"px": BTC.px_text(px), "sz": BTC.lots_text(lots), "n": 1} for px, lots in levels]
    data = {"coin": "BTC", "time": 1, "levels": [rows, rows[::-1]]}
    shared = codec()
    for _ in range(2):
        (event,) = shared.decode_frame(frame("l2Book", data))
        assert isinstance(event, BookChanged)
        assert event.bids == tuple(levels)
        assert event.asks == tuple(levels[::-1])


def test_trades_come_oldest_first_and_by_coin() -> None:
    rows = [
        {"coin": coin, "side": side, "px": "2.0", "sz": "1.0", "time": t, "hash": "0x", "tid": t}
        for coin, side, t in (("BTC", "A", 5), ("ETH", "B", 4), ("BTC", "B", 3))
    ]
    btc, eth = codec().decode_frame(frame("trades", rows))
    assert isinstance(btc, TradesPrinted)
    assert [(t.tid, t.is_buy) for t in btc.trades] == [(3, True), (5, False)]
    assert btc.ts_exch_ns == 5 * NS_PER_MS
    assert eth.coin == "ETH"  # type: ignore[attr-defined]


def test_context_with_nulls() -> None:
    context = {
        "markPx": "66344.05",
        "oraclePx": "66383.0",
        "funding": "-0.000003688",
        "openInterest": "22727.78266",
        "premium": None,
        "midPx": None,
        "impactPxs": None,
    }
    (event,) = codec().decode_frame(frame("activeAssetCtx", {"coin": "BTC", "ctx": context}))
    # Between two price units a mark rounds to even.
    assert event == ContextChanged(
        coin="BTC",
        mark_px=663_440,
        oracle_px=663_830,
        funding_rate_1h=-0.000003688,
        open_interest_lots=2_272_778_266,
    )


def test_order_updates() -> None:
    (event,) = codec().decode_frame(frame("orderUpdates", [ORDER]))
    assert event == OrderUpdated(
        ts_exch_ns=(TIME_MS + 5) * NS_PER_MS,
        coin="BTC",
        oid=2**40,
        cloid="0x" + "1" * 32,
        status=OrderStatus.WORKING,
        is_buy=True,
        px=600_000,
        lots_orig=1000,
        lots_left=400,
        venue_status="open",
    )


def test_fills_and_liquidations_of_ours() -> None:
    liquidated = {**FILL, "tid": 12, "liquidation": {"liquidatedUser": ADDRESS, "markPx": "1"}}
    counterparty = {**FILL, "tid": 13, "liquidation": {"liquidatedUser": OTHER, "markPx": "1"}}
    data = {"user": ADDRESS, "fills": [FILL, liquidated, counterparty]}
    events = codec().decode_frame(frame("userFills", data))
    fills = [event.fill for event in events if isinstance(event, OrderFilled)]
    assert [f.is_liquidation for f in fills] == [False, True, False]
    fill = fills[0]
    assert (fill.is_buy, fill.is_maker, fill.lots, fill.fee_micro) == (False, True, 1000, -900)
    assert (fill.closed_pnl_micro, fill.start_position_lots) == (-130_000, 3000)
    assert codec().decode_frame(frame("user", {"fills": [FILL]})) == events[:1]


def test_a_fee_in_another_token_is_told() -> None:
    events = codec().decode_frame(
        frame("userFills", {"user": ADDRESS, "fills": [{**FILL, "feeToken": "HYPE"}]})
    )
    assert [type(e) for e in events] == [DataQuarantined, OrderFilled]


def test_funding_from_both_channels() -> None:
    row = {
        "time": TIME_MS,
        "coin": "BTC",
        "usdc": "-0.044263",
        "szi": "0.03",
        "fundingRate": "0.0000369155",
        "nSamples": None,
    }
    expected = FundingPaid(
        ts_exch_ns=TIME_MS * NS_PER_MS,
        coin="BTC",
        funding_micro=-44_263,
        position_lots=3000,
        rate_1h=0.0000369155,
    )
    assert codec().decode_frame(frame("user", {"funding": row})) == [expected]
    data = {"user": ADDRESS, "fundings": [row]}
    assert codec().decode_frame(frame("userFundings", data)) == [expected]


def test_cancels_by_the_venue() -> None:
    data = {"nonUserCancel": [{"coin": "BTC", "oid": 5}, {"coin": 1}]}
    update, report = codec().decode_frame(frame("user", data))
    assert isinstance(update, OrderUpdated)
    assert (update.oid, update.status) == (5, OrderStatus.CANCELLED)
    assert isinstance(report, DataQuarantined)


@pytest.mark.parametrize(
    ("delta", "amount"),
    [
        ({"type": "deposit", "usdc": "2703997.4500000002"}, 2_703_997_450_000),
        ({"type": "withdraw", "usdc": "9.0", "fee": "1.0", "nonce": 1}, -10_000_000),
        ({"type": "accountClassTransfer", "usdc": "12.0", "toPerp": True}, 12_000_000),
        ({"type": "accountClassTransfer", "usdc": "12.0", "toPerp": False}, -12_000_000),
        (
            {"type": "internalTransfer", "usdc": "5", "fee": "1", "destination": ADDRESS.upper()},
            5_000_000,
        ),
        (
            {"type": "internalTransfer", "usdc": "5", "fee": "1", "destination": OTHER},
            -6_000_000,
        ),
        ({"type": "subAccountTransfer", "usdc": "5", "destination": OTHER}, -5_000_000),
        ({"type": "vaultDeposit", "usdc": "5", "vault": OTHER}, -5_000_000),
        ({"type": "vaultWithdraw", "netWithdrawnUsd": "4.5", "vault": OTHER}, 4_500_000),
        ({"type": "vaultDistribution", "usdc": "5", "vault": OTHER}, 5_000_000),
        ({"type": "something new", "usdc": "5"}, None),
    ],
)
def test_ledger_rows_are_signed_from_our_wallet(delta: dict[str, Any], amount: int | None) -> None:
    account = ADDRESS
    if delta.get("destination") == ADDRESS.upper():
        delta = {**delta, "destination": "0x" + ADDRESS[2:].upper()}
    assert amount_micro(delta, account) == amount


def test_a_transfer_needs_an_account_and_an_amount() -> None:
    with pytest.raises(GridError, match="none is set"):
        amount_micro({"type": "internalTransfer", "usdc": "5", "destination": OTHER}, None)
    with pytest.raises(GridError, match="should carry 'usdc'"):
        amount_micro({"type": "deposit"}, ADDRESS)


def test_the_ledger_stream() -> None:
    rows = [
        {"time": 1, "hash": "0x1", "delta": {"type": "deposit", "usdc": "5.0"}},
        {"time": 2, "hash": "0x2", "delta": {"type": "spotTransfer", "amount": "5.0"}},
        {"time": 3, "hash": "0x3", "delta": {"type": "brand new"}},
    ]
    data = {"user": ADDRESS, "nonFundingLedgerUpdates": rows, "isSnapshot": False}
    shared = codec()
    moved, report = shared.decode_frame(frame("userNonFundingLedgerUpdates", data))
    assert moved == LedgerMoved(
        ts_exch_ns=NS_PER_MS, kind="deposit", amount_micro=5_000_000, hash="0x1"
    )
    assert isinstance(report, DataQuarantined)
    assert shared.counts["ledger_elsewhere:spotTransfer"] == 1


# --- what is not understood -----------------------------------------------------------------------


def test_unknown_things_are_told_once_and_counted() -> None:
    shared = codec()
    raw = frame("brandNew", {"x": 1})
    (report,) = shared.decode_frame(raw)
    assert isinstance(report, DataQuarantined)
    assert "brandNew" in report.detail
    assert shared.decode_frame(raw) == []
    assert shared.counts["unknown_channel:brandNew"] == 2


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (frame("l2Book", {"coin": "BTC"}), "bad_frame:l2Book"),
        (b'{"channel":"l2Book"', "unknown_channel:"),
        (b'{"no":"channel"}', "unknown_channel:"),
        (
            frame("orderUpdates", [{**ORDER, "status": "quantumState"}]),
            "unknown_status:quantumState",
        ),
        (frame("userFills", {"fills": [{**FILL, "side": "X"}]}), "bad_number:fills"),
        (frame("userFills", {"fills": [{**FILL, "px": "60000.01"}]}), "bad_number:fills"),
        (frame("bbo", {"coin": "NOPE", "time": 1, "bbo": [None, None]}), "unknown_coin:bbo"),
        (frame("error", "Invalid subscription {}"), "ws_error"),
    ],
)
def test_each_kind_of_trouble_has_its_name(raw: bytes, kind: str) -> None:
    shared = codec()
    (report,) = shared.decode_frame(raw)
    assert isinstance(report, DataQuarantined)
    assert shared.counts == {kind: 1}


def test_text_that_is_no_json_is_only_counted() -> None:
    shared = codec()
    assert shared.decode_frame("Websocket connection established.") == []
    assert shared.decode_frame(b"\xff\xfe") == []
    assert shared.counts == {"text": 2}


def test_one_bad_row_spoils_no_other() -> None:
    rows = [{**FILL, "px": "nonsense"}, FILL]
    events = codec().decode_frame(frame("userFills", {"user": ADDRESS, "fills": rows}))
    assert [type(e) for e in events] == [DataQuarantined, OrderFilled]


def test_kinds_of_trouble_are_bounded() -> None:
    shared = codec()
    for i in range(2_000):
        shared.decode_frame(frame(f"channel{i}", {}))
    assert len(shared.counts) <= 501
    assert sum(shared.counts.values()) == 2_000


@given(st.binary(max_size=60) | st.text(max_size=60))
def test_no_message_raises(raw: bytes | str) -> None:
    codec().decode_frame(raw)


# --- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("open", OrderStatus.WORKING),
        ("triggered", OrderStatus.WORKING),
        ("filled", OrderStatus.FILLED),
        ("canceled", OrderStatus.CANCELLED),
        ("scheduledCancel", OrderStatus.CANCELLED),
        ("siblingFilledCanceled", OrderStatus.CANCELLED),
        ("somethingNewCanceled", OrderStatus.CANCELLED),
        ("rejected", OrderStatus.REJECTED),
        ("perpMarginRejected", OrderStatus.REJECTED),
        ("somethingNewRejected", OrderStatus.REJECTED),
        ("somethingNew", None),
    ],
)
def test_statuses(word: str, status: OrderStatus | None) -> None:
    assert order_status(word) is status


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Order must have minimum value of $10. asset=173", RejectionCode.MIN_NOTIONAL),
        ("Order must have minimum value of 10 USDC. asset=1", RejectionCode.MIN_NOTIONAL),
        ("Price must be divisible by tick size. asset=0", RejectionCode.TICK_INVALID),
        ("Order has invalid price.", RejectionCode.TICK_INVALID),
        ("Order has invalid size.", RejectionCode.SIZE_INVALID),
        ("Order has zero size.", RejectionCode.SIZE_INVALID),
        (
            "Order price cannot be more than 80% away from the reference price",
            RejectionCode.PRICE_TOO_FAR,
        ),
        ("Order price too far from oracle", RejectionCode.PRICE_TOO_FAR),
        ("Insufficient margin to place order. asset=0", RejectionCode.MARGIN_INSUFFICIENT),
        (
            "Isolated position does not have sufficient margin available to decrease leverage.",
            RejectionCode.MARGIN_INSUFFICIENT,
        ),
        (
            "Order would cause position to exceed margin tier limit at current leverage",
            RejectionCode.MARGIN_INSUFFICIENT,
        ),
        (
            "Reduce only order would increase position. asset=3",
            RejectionCode.REDUCE_ONLY_WOULD_INCREASE,
        ),
        (
            "Post only order would have immediately matched, bbo was 0.004815@0.004818. asset=197",
            RejectionCode.POST_ONLY_WOULD_MATCH,
        ),
        (
            "Order could not immediately match against any resting orders. asset=0",
            RejectionCode.IOC_NO_MATCH,
        ),
        ("No liquidity available for market order.", RejectionCode.IOC_NO_MATCH),
        ("Invalid TP/SL price. asset=0", RejectionCode.TRIGGER_INVALID),
        ("Too many open orders", RejectionCode.OPEN_ORDERS_TOO_MANY),
        (
            "Order would increase open interest while open interest is capped",
            RejectionCode.OPEN_INTEREST_CAPPED,
        ),
        ("Trading is halted.", RejectionCode.ASSET_HALTED),
        (
            "Order was never placed, already canceled, or filled. asset=0",
            RejectionCode.ORDER_NOT_FOUND,
        ),
        ("Cannot modify canceled or filled order", RejectionCode.ORDER_NOT_FOUND),
        ("Invalid nonce: duplicate nonce 5", RejectionCode.NONCE_INVALID),
        ("Action already expired", RejectionCode.ACTION_EXPIRED),
        ("User or API Wallet 0x12 does not exist.", RejectionCode.SIGNER_UNKNOWN),
        (
            "Must deposit before performing actions. User: 0x12",
            RejectionCode.SIGNER_UNKNOWN,
        ),
        (
            "Too many cumulative requests sent (37986 > 10436) for cumulative volume traded $4.",
            RejectionCode.RATE_LIMITED,
        ),
        (
            "Only post-only orders allowed immediately after a network upgrade",
            RejectionCode.POST_ONLY_WINDOW,
        ),
        ("A nonzero cloid is required for each order", RejectionCode.UNCLASSIFIED),
        ("Something entirely new", RejectionCode.UNCLASSIFIED),
    ],
)
def test_rejections(text: str, code: RejectionCode) -> None:
    assert rejection_code(text) is code


# --- reports --------------------------------------------------------------------------------------


def meta(*rows: Any, tables: Any = ()) -> bytes:
    return json.dumps({"universe": rows, "marginTables": tables}).encode()


def asset(**changes: Any) -> dict[str, Any]:
    return {"name": "BTC", "szDecimals": 5, "maxLeverage": 40, "marginTableId": 40, **changes}


@pytest.mark.parametrize(
    ("row", "match"),
    [
        (asset(name=""), "name"),
        (asset(szDecimals=7), "szDecimals of BTC"),
        (asset(maxLeverage=0), "maxLeverage of BTC"),
        (asset(marginTableId=99), "margin table 99"),
        ({"name": "BTC"}, "szDecimals"),
        (asset(szDecimals="5"), "Expected `int`"),
        (5, "Expected `object`"),
        (asset(name="ETH"), "listed once"),
    ],
)
def test_a_bad_instrument_is_set_aside_and_moves_no_other(row: Any, match: str) -> None:
    raw = meta(asset(name="ETH"), row, asset(name="SOL"))
    instruments, quarantined = reports.instruments_from_meta(raw)
    assert [(i.coin, i.asset) for i in instruments] == [("ETH", 0), ("SOL", 2)]
    (report,) = quarantined
    assert "row 1" in report.detail
    assert match in report.detail


@pytest.mark.parametrize(
    ("change", "is_isolated"),
    [
        ({"onlyIsolated": True}, True),
        ({"marginMode": "strictIsolated"}, True),
        ({"marginMode": "noCross"}, True),
        ({"marginMode": "new"}, False),
        ({}, False),
    ],
)
def test_isolated_only(change: dict[str, Any], is_isolated: bool) -> None:
    instruments, _ = reports.instruments_from_meta(meta(asset(**change)))
    assert instruments[0].is_isolated_only is is_isolated


def test_an_account_report_is_whole_or_not_at_all() -> None:
    sums = {"accountValue": "1", "totalRawUsd": "1", "totalMarginUsed": "0", "totalNtlPos": "0"}
    position = {
        "coin": "BTC",
        "szi": "0.000001",
        "leverage": {"type": "cross", "value": 5},
        "entryPx": None,
    }
    state = {"marginSummary": sums, "withdrawable": "1", "time": 1}

    def report(row: dict[str, Any]) -> Any:
        rows = [{"type": "oneWay", "position": row}]
        raw = json.dumps({**state, "assetPositions": rows}).encode()
        return reports.account_from_state(raw, codec())

    with pytest.raises(VenueError, match="should fit the instruments' grid"):
        report(position)
    with pytest.raises(VenueError, match="listed perpetual"):
        report({**position, "coin": "NOPE"})
    (held,) = report({**position, "szi": "-0.01"}).positions
    assert (held.position_lots, held.is_cross, held.liquidation_price) == (-1000, True, None)
    assert report({**position, "szi": "0.0"}).positions == ()


def test_answers_of_another_shape() -> None:
    for read in (
        lambda raw: reports.account_from_state(raw, codec()),
        lambda raw: reports.open_orders_from_rows(raw, codec()),
        lambda raw: reports.fills_from_rows(raw, codec()),
        reports.instruments_from_meta,
    ):
        for raw in (b"null", b"<html>", b'{"a":1}', b"[1]"):
            with pytest.raises(VenueError, match="should be understandable"):
                read(raw)


def test_an_open_order_that_cannot_be_read_fails_the_report() -> None:
    row = {**ORDER["order"], "side": "?"}
    with pytest.raises(VenueError, match="open order"):
        reports.open_orders_from_rows(json.dumps([row]).encode(), codec())


# --- memory of history ----------------------------------------------------------------------------


def parsed(shared: Codec, channel: str, data: Any) -> Frame:
    result = shared.parse_frame(frame(channel, data))
    assert isinstance(result, Frame)
    return result


def test_the_first_snapshot_is_history_a_later_one_brings_what_was_missed() -> None:
    shared, memory = codec(), FeedMemory()

    def news(is_snapshot: bool, *tids: int) -> list[int]:
        fills = [{**FILL, "tid": tid} for tid in tids]
        data = {"user": ADDRESS, "fills": fills, "isSnapshot": is_snapshot}
        typed = parsed(shared, "userFills", data)
        events = memory.news(typed, shared.frame_events(typed))
        return [e.fill.tid for e in events if isinstance(e, OrderFilled)]

    assert news(True, 1, 2) == []
    assert news(False, 3) == [3]
    assert news(False, 3, 4) == [4]
    assert news(True, 1, 2, 3, 4, 5) == [5]
    assert news(False, 5) == []


def test_without_a_snapshot_everything_is_news() -> None:
    shared, memory = codec(), FeedMemory()
    typed = parsed(shared, "userFills", {"user": ADDRESS, "fills": [FILL]})
    assert len(memory.news(typed, shared.frame_events(typed))) == 1
    book = parsed(shared, "bbo", {"coin": "BTC", "time": 1, "bbo": [None, None]})
    for _ in range(2):
        assert len(memory.news(book, shared.frame_events(book))) == 1
