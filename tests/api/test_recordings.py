"""What the venue really sent, decoded; every recorded file is read by one of these tests."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from core.api import reports
from core.api.answers import Accepted, Refused, parse_answer
from core.api.codec import Codec
from core.api.venue_words import rejection_code
from core.api.wire import (
    RestingStatus,
    StatusRow,
    WireBook,
    WireFundingRow,
    WireLedgerRow,
    WireOrderUpdate,
)
from core.model.codes import OrderStatus, RejectionCode
from core.model.events import (
    CandleChanged,
    FundingPaid,
    LedgerMoved,
    OrderMissing,
    OrderUpdated,
    TradesPrinted,
)
from core.model.instrument import Instrument, MarginTier
from core.model.time import NS_PER_MS, interval_ns
from tests.api import recordings
from tests.api.instruments import HYPE
from tests.api.recordings import raw


def codec_2023() -> Codec:
    """Knows the markets of 2023, whose recordings need the grids of that time."""
    return Codec(reports.instruments_from_meta(raw("pysdk-meta-2023"))[0])


def codec_2025() -> Codec:
    return Codec(reports.instruments_from_meta(raw("gohl-meta-2025-08"))[0])


def frames(name: str, codec: Codec) -> list[object]:
    events: list[object] = []
    for frame in recordings.response(name):
        events += codec.decode_frame(msgspec.json.encode(frame))
    return events


def test_metadata() -> None:
    instruments, quarantined = reports.instruments_from_meta(raw("gohl-meta-2025-08"))
    by_coin = {i.coin: i for i in instruments}
    assert quarantined == []
    assert by_coin["BTC"] == Instrument(
        "BTC",
        0,
        5,
        40,
        margin_tiers=(MarginTier(0, 40), MarginTier(150_000_000_000_000, 20)),
    )
    # Positions are asset ids, delisted markets keep theirs.
    assert [i.asset for i in instruments] == list(range(len(instruments)))
    assert any(i.is_delisted for i in instruments)
    assert {i.coin for i in instruments if i.is_isolated_only}
    assert all(i.margin_tiers[0].leverage_max == i.leverage_max for i in instruments)


def test_metadata_of_2023_without_margin_tables() -> None:
    instruments, quarantined = reports.instruments_from_meta(raw("pysdk-meta-2023"))
    assert quarantined == []
    assert instruments[0].margin_tiers == (MarginTier(0, instruments[0].leverage_max),)


def test_contexts_carry_the_metadata() -> None:
    meta, contexts = msgspec.json.decode(raw("gohl-metaAndAssetCtxs-2026-02"))
    instruments, quarantined = reports.instruments_from_meta(msgspec.json.encode(meta))
    assert (len(instruments), quarantined) == (len(contexts), [])
    codec = Codec(instruments)
    for instrument, context in zip(instruments, contexts, strict=True):
        frame = {"channel": "activeAssetCtx", "data": {"coin": instrument.coin, "ctx": context}}
        (event,) = codec.decode_frame(msgspec.json.encode(frame))
        expected = float(context["markPx"])
        shown = event.mark_px / instrument.px_scale  # type: ignore[attr-defined]
        assert shown == pytest.approx(expected, abs=0.51 / instrument.px_scale)
    assert not codec.counts


def test_clearinghouse_state_of_a_flat_account() -> None:
    report = reports.account_from_state(raw("gohl-clearinghouseState-empty"), Codec())
    assert report.positions == ()
    assert report.account_value_micro == report.cash_micro == report.margin_used_micro == 0


def test_clearinghouse_state_with_an_isolated_position() -> None:
    report = reports.account_from_state(
        raw("jkorf-clearinghouseState-isolated-HYPE"), Codec([HYPE])
    )
    assert report.account_value_micro == 83_307_638
    assert report.cash_micro == 7_655_638
    assert report.ts_exch_ns == 1_754_467_216_357 * NS_PER_MS
    (position,) = report.positions
    assert (position.coin, position.position_lots, position.leverage) == ("HYPE", 200, 10)
    assert not position.is_cross
    assert position.margin_used_micro == 7_525_754
    assert position.liquidation_price == 35.8559189474


def test_clearinghouse_state_with_many_positions() -> None:
    report = reports.account_from_state(
        raw("pysdk-clearinghouseState-2023-many-positions"), codec_2023()
    )
    assert len(report.positions) > 5
    assert {p.position_lots > 0 for p in report.positions} == {True, False}
    assert all(p.position_lots for p in report.positions)


def test_fills_of_today() -> None:
    codec = codec_2025()
    fills, row_count, last_ms = reports.fills_from_rows(raw("gohl-userFillsByTime-two"), codec)
    assert row_count == len(fills) == 2
    first = fills[0].fill
    assert (first.coin, first.is_buy, first.is_maker) == ("ETH", True, False)
    assert first.px == codec.instrument("ETH").px_from_text("4307.4")  # type: ignore[union-attr]
    assert (first.lots, first.fee_micro, first.start_position_lots) == (25, 4845, 0)
    assert first.tid == 1070455675927460
    # Positions follow from one fill to the next.
    assert fills[1].fill.start_position_lots == first.start_position_lots + first.signed_lots
    assert last_ms * NS_PER_MS == fills[-1].ts_exch_ns


def test_fills_of_2023_newest_first_come_out_oldest_first() -> None:
    codec = codec_2023()
    fills, row_count, _ = reports.fills_from_rows(raw("pysdk-userFills-500"), codec)
    assert row_count == len(fills)
    times = [f.ts_exch_ns for f in fills]
    assert times == sorted(times)
    assert not codec.counts


def test_open_orders() -> None:
    report = reports.open_orders_from_rows(raw("jkorf-frontendOpenOrders-limit"), Codec([HYPE]))
    (order,) = report.orders
    assert (order.coin, order.oid, order.is_buy, order.lots_orig) == ("HYPE", 123, True, 100)
    assert order.px == HYPE.px_from_text("21")
    assert (order.trigger_px, order.reduce_only, order.cloid) == (0, False, None)
    many = reports.open_orders_from_rows(raw("pysdk-openOrders-many"), codec_2023())
    assert len(many.orders) > 20
    assert all(o.lots_orig == o.lots_left for o in many.orders)


def test_open_orders_with_triggers() -> None:
    codec = codec_2025()
    rows = msgspec.json.decode(raw("pysdk-frontendOpenOrders-tpsl"))
    report = reports.open_orders_from_rows(msgspec.json.encode(rows), codec)
    triggers = [o for o in report.orders if o.trigger_px]
    assert len(triggers) == sum(row["isTrigger"] for row in rows) > 0
    assert len(report.orders) + sum(codec.counts.values()) == len(rows)


def test_look_ups() -> None:
    codec = codec_2025()
    found = reports.order_from_look_up(
        raw("gohl-orderStatus-filled-FrontendMarket"), codec, cloid="0x1", coin="ETH"
    )
    assert isinstance(found, OrderUpdated)
    assert (found.status, found.lots_left, found.venue_status) == (OrderStatus.FILLED, 0, "filled")
    missing = reports.order_from_look_up(
        raw("gohl-orderStatus-unknownOid"), codec, cloid="0x2", coin="ETH"
    )
    assert missing == OrderMissing(coin="ETH", cloid="0x2")


def test_a_rejected_order_has_an_oid() -> None:
    codec = codec_2025()
    rows = msgspec.json.decode(
        raw("pysdk-historicalOrders-iocCancelRejected"), type=list[WireOrderUpdate]
    )
    known = [r for r in rows if codec.instrument(r.order.coin)]
    updates = [e for row in known for e in codec.order_update(row)]
    rejected = [u for u in updates if isinstance(u, OrderUpdated) and u.venue_status != "canceled"]
    assert {u.venue_status for u in rejected} == {"iocCancelRejected"}
    assert {u.status for u in rejected} == {OrderStatus.REJECTED}
    assert all(u.oid > 0 for u in rejected)


def test_books() -> None:
    book = msgspec.json.decode(raw("pysdk-l2Book-DYDX"), type=WireBook)
    codec = codec_2023()
    frame = b'{"channel":"l2Book","data":' + raw("pysdk-l2Book-DYDX") + b"}"
    (event,) = codec.decode_frame(frame)
    dydx = codec.instrument("DYDX")
    assert dydx is not None
    assert [dydx.px_from_text(x.px) for x in book.levels[0]] == [x[0] for x in event.bids]  # type: ignore[attr-defined]
    assert event.bids[0][0] < event.asks[0][0]  # type: ignore[attr-defined]
    # A spot pair is not ours: said once, then only counted.
    spot = b'{"channel":"l2Book","data":' + raw("jkorf-l2Book-spot-107") + b"}"
    assert len(codec.decode_frame(spot)) == 1
    assert codec.decode_frame(spot) == []
    assert codec.counts["unknown_coin:l2Book"] == 2


def test_candles() -> None:
    codec = codec_2023()
    loaded = reports.candles_from_rows(
        raw("pysdk-candleSnapshot-kPEPE-1h"), codec, coin="kPEPE", interval_ns=interval_ns("1h")
    )
    opens = [c.open_ns for c in loaded.candles]
    assert opens == sorted(set(opens))
    assert all(c.low_px <= min(c.open_px, c.close_px) for c in loaded.candles)
    assert all(c.high_px >= max(c.open_px, c.close_px) for c in loaded.candles)
    spot = reports.candles_from_rows(
        raw("jkorf-candleSnapshot-spot-107"), codec, coin="@107", interval_ns=interval_ns("1h")
    )
    assert spot.candles == ()


def test_funding() -> None:
    payments, row_count, _ = reports.funding_from_rows(
        raw("pysdk-userFunding-with-end"), codec_2023()
    )
    rows = msgspec.json.decode(raw("pysdk-userFunding-with-end"), type=list[WireFundingRow])
    assert row_count == len(rows)
    assert sum(p.funding_micro for p in payments) == sum(
        round(float(r.delta.usdc) * 1e6) for r in rows
    )
    # Longs pay a positive rate, shorts receive it.
    for payment in payments:
        if payment.rate_1h and payment.funding_micro and payment.position_lots:
            is_paying = (payment.position_lots > 0) == (payment.rate_1h > 0)
            assert (payment.funding_micro < 0) == is_paying
    assert isinstance(payments[0], FundingPaid)


def test_funding_rates_of_a_market_are_read_as_floats() -> None:
    rows = msgspec.json.decode(raw("pysdk-fundingHistory-BTC-with-end"))
    assert all(abs(float(row["fundingRate"])) < 0.01 for row in rows)
    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)


def test_ledger() -> None:
    account = "0x2ba553d9f990a3b66b03b2dc0d030dfc1c061036"
    codec = Codec(account=account)
    for name in (
        "pysdk-userNonFundingLedgerUpdates",
        "jkorf-userNonFundingLedgerUpdates-classTransfer",
    ):
        rows = msgspec.json.decode(raw(name), type=list[WireLedgerRow])
        for event, row in zip(
            codec.ledger(r for r in rows if r.delta["type"] != "spotTransfer"),
            (r for r in rows if r.delta["type"] != "spotTransfer"),
            strict=False,
        ):
            assert isinstance(event, LedgerMoved)
            amount = round(float(row.delta["usdc"]) * 1e6)
            is_in = row.delta["type"] == "deposit" or bool(row.delta.get("toPerp"))
            assert event.amount_micro == (amount if is_in else -amount)
            assert event.ts_exch_ns == row.time * NS_PER_MS


def test_rate_budget_and_mids() -> None:
    budget = reports.rate_budget_from_answer(
        raw("pysdk-userRateLimit"), ip_weight_used=7, ip_weight_cap=1200
    )
    assert (budget.requests_used, budget.requests_cap) == (36589831368, 170043731737)
    assert (budget.ip_weight_used, budget.ip_weight_cap) == (7, 1200)
    mids = msgspec.json.decode(raw("pysdk-allMids-2023"), type=dict[str, str])
    assert float(mids["BTC"]) > 0


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("gohl-cancel-success", "success"),
        ("gohl-cancelByCloid-success", "success"),
        (
            "gohl-cancel-unknown-error",
            StatusRow(error="Order was never placed, already canceled, or filled. asset=173"),
        ),
        (
            "gohl-order-min-value-error",
            StatusRow(error="Order must have minimum value of $10. asset=173"),
        ),
    ],
)
def test_accepted_actions(name: str, row: object) -> None:
    answer = parse_answer(raw(name))
    assert isinstance(answer, Accepted)
    if isinstance(row, StatusRow) and isinstance(answer.rows[0], StatusRow):
        shown = re.sub(r"asset=\d+", "", str(answer.rows[0].error))
        assert shown == re.sub(r"asset=\d+", "", str(row.error))
    else:
        assert answer.rows == (row,)


def test_resting_orders() -> None:
    plain = parse_answer(raw("gohl-order-resting"))
    named = parse_answer(raw("gohl-order-resting-cloid"))
    assert isinstance(plain, Accepted)
    assert isinstance(named, Accepted)
    for answer, has_cloid in ((plain, False), (named, True)):
        (row,) = answer.rows
        assert isinstance(row, StatusRow)
        assert isinstance(row.resting, RestingStatus)
        assert (row.resting.cloid is not None) is has_cloid


def test_whole_actions() -> None:
    assert parse_answer(raw("jkorf-updateLeverage-ok")) == Accepted("default")
    refused = parse_answer(raw("gohl-order-unknown-signer"))
    assert isinstance(refused, Refused)
    assert rejection_code(refused.text) is RejectionCode.SIGNER_UNKNOWN


def test_market_frames() -> None:
    codec = Codec([HYPE])
    (candle,) = frames("jkorf-ws-candle", codec)
    assert isinstance(candle, CandleChanged)
    assert candle.candle.volume_lots == 349_567_084
    (trades,) = frames("jkorf-ws-trades", codec)
    assert isinstance(trades, TradesPrinted)
    assert (trades.trades[0].lots, trades.trades[0].is_buy) == (578, True)
    (book,) = frames("jkorf-ws-l2Book", codec)
    assert book.coin == "HYPE"  # type: ignore[attr-defined]
    assert frames("jkorf-ws-allMids", codec) == []
    assert not codec.counts


def test_a_spot_fill_in_the_user_stream_is_set_aside() -> None:
    codec = Codec([HYPE])
    (report,) = frames("jkorf-ws-userEvents-fill", codec)
    assert "@107" in report.detail  # type: ignore[attr-defined]
    assert codec.counts == {"unknown_coin:fills": 1}


NOT_ASKED = {
    *("gohl-perpDexs-2025-12", "gohl-spotMeta-2025-08", "gohl-spotMetaAndAssetCtxs-2025-08"),
    "pysdk-portfolio-vault",
}
"""Answers to what our client never asks; they hold the local exchange to its shapes elsewhere."""


def test_every_recording_is_read_by_a_test_here() -> None:
    # Names in these files, so that it holds whichever tests ran before.
    text = "".join(path.read_text() for path in Path(__file__).parent.glob("*.py"))
    assert set(recordings.NAMES) >= NOT_ASKED
    assert [name for name in recordings.NAMES if f'"{name}"' not in text] == []
