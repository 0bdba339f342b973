"""Answers of the info endpoint, decoded into events and instruments.

Reads that ask for everything (account state, open orders) must not come back with a part missing,
so a row that cannot be read makes the whole report fail with `VenueError`, except rows of coins
that this client does not trade, which are counted and left out.
"""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec

from core.api.codec import Codec, is_buy_side
from core.api.number_text import float_number, units, units_rounded
from core.api.wire import (
    WireAccountState,
    WireAsset,
    WireCandle,
    WireFill,
    WireFundingRow,
    WireLedgerRow,
    WireMarginTable,
    WireMeta,
    WireOrder,
    WireOrderLookUp,
    WirePosition,
    WireRateLimit,
)
from core.model.account import OrderReport, PositionReport
from core.model.errors import GridError, VenueError
from core.model.events import (
    AccountReported,
    CandlesLoaded,
    DataQuarantined,
    FundingPaid,
    LedgerMoved,
    OpenOrdersReported,
    OrderFilled,
    OrderMissing,
    OrderUpdated,
    RateBudgetReported,
)
from core.model.instrument import PX_DECIMALS_PERP, Instrument, MarginTier
from core.model.time import NS_PER_MS

MARGIN_TABLE_PLAIN_BELOW = 50
"""A margin table id under this is itself the only tier's leverage. Source: docs, margin tiers."""

_ISOLATED_MODES = frozenset({"strictIsolated", "noCross"})
_USDC_DECIMALS = 6

_T = TypeVar("_T")


def read(raw: bytes, kind: type[_T], what: str) -> _T:
    """Decode an answer into typed words.

    Raises
    ------
    VenueError
        If the answer has another shape.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        shown = raw[:120].decode(errors="replace")
        raise VenueError(
            f"answer of {what} should be understandable, was {shown!r}: {error}"
        ) from None


def instruments_from_meta(raw: bytes) -> tuple[tuple[Instrument, ...], list[DataQuarantined]]:
    """Decode ``meta`` into instruments; rows that cannot be used are reported, not guessed.

    The asset id of a perpetual is its position in the list, so a bad row moves no other.
    """
    meta = read(raw, WireMeta, "meta")
    tables = dict(meta.margin_tables)
    instruments: dict[str, Instrument] = {}
    quarantined: list[DataQuarantined] = []
    for asset, row in enumerate(meta.universe):
        try:
            instrument = _instrument(asset, msgspec.json.decode(row, type=WireAsset), tables)
            if instrument.coin in instruments:
                raise GridError(f"coin {instrument.coin} should be listed once, was listed again")
            instruments[instrument.coin] = instrument
        except (msgspec.DecodeError, UnicodeDecodeError, GridError) as error:
            quarantined.append(DataQuarantined(source="meta", detail=f"row {asset}: {error}"))
    return tuple(instruments.values()), quarantined


def _instrument(asset: int, row: WireAsset, tables: dict[int, WireMarginTable]) -> Instrument:
    if not row.name:
        raise GridError("name of a perpetual should not be empty")
    if not 0 <= row.sz_decimals <= PX_DECIMALS_PERP:
        raise GridError(
            f"szDecimals of {row.name} should be 0 to {PX_DECIMALS_PERP}, was {row.sz_decimals}"
        )
    if row.max_leverage < 1:
        raise GridError(f"maxLeverage of {row.name} should be 1 or more, was {row.max_leverage}")
    return Instrument(
        coin=row.name,
        asset=asset,
        sz_decimals=row.sz_decimals,
        leverage_max=row.max_leverage,
        is_delisted=row.is_delisted,
        is_isolated_only=row.only_isolated or row.margin_mode in _ISOLATED_MODES,
        margin_tiers=_tiers(row, tables),
    )


def _tiers(row: WireAsset, tables: dict[int, WireMarginTable]) -> tuple[MarginTier, ...]:
    table_id = row.margin_table_id
    if table_id is None:
        return (MarginTier(0, row.max_leverage),)
    table = tables.get(table_id)
    if table is not None:
        return tuple(
            MarginTier(units_rounded(tier.lower_bound, _USDC_DECIMALS), tier.max_leverage)
            for tier in table.margin_tiers
        )
    if 0 < table_id < MARGIN_TABLE_PLAIN_BELOW:
        return (MarginTier(0, table_id),)
    raise GridError(f"margin table {table_id} of {row.name} should be listed, is missing")


def account_from_state(raw: bytes, codec: Codec) -> AccountReported:
    """Decode ``clearinghouseState``; `VenueError` if any held position cannot be read."""
    state = read(raw, WireAccountState, "clearinghouseState")
    sums = state.margin_summary
    try:
        positions = [_position(row.position, codec) for row in state.asset_positions]
        return AccountReported(
            ts_exch_ns=state.time * NS_PER_MS,
            account_value_micro=units_rounded(sums.account_value, _USDC_DECIMALS),
            cash_micro=units_rounded(sums.total_raw_usd, _USDC_DECIMALS),
            margin_used_micro=units_rounded(sums.total_margin_used, _USDC_DECIMALS),
            withdrawable_micro=units_rounded(state.withdrawable, _USDC_DECIMALS),
            positions=tuple(p for p in positions if p.position_lots),
        )
    except GridError as error:
        raise VenueError(f"account state should fit the instruments' grid: {error}") from None


def _position(row: WirePosition, codec: Codec) -> PositionReport:
    instrument = codec.instrument(row.coin)
    if instrument is None:
        raise GridError(f"position in {row.coin!r} should be in a listed perpetual")
    return PositionReport(
        coin=row.coin,
        position_lots=units(row.szi, instrument.sz_decimals, f"position of {row.coin}"),
        entry_price=float_number(row.entry_px) if row.entry_px is not None else math.nan,
        leverage=row.leverage.value,
        is_cross=row.leverage.type == "cross",
        margin_used_micro=units_rounded(row.margin_used, _USDC_DECIMALS),
        liquidation_price=float_number(row.liquidation_px)
        if row.liquidation_px is not None
        else None,
    )


def open_orders_from_rows(raw: bytes, codec: Codec) -> OpenOrdersReported:
    """Decode ``openOrders`` or ``frontendOpenOrders``; `VenueError` if an order cannot be read."""
    rows = read(raw, list[WireOrder], "openOrders")
    orders: list[OrderReport] = []
    for row in rows:
        instrument = codec.instrument(row.coin)
        if instrument is None:
            codec.quarantine(f"unknown_coin:{row.coin}", "openOrders", f"oid {row.oid}")
            continue
        try:
            orders.append(_open_order(row, instrument))
        except GridError as error:
            raise VenueError(f"open order {row.oid} should fit the grid: {error}") from None
    return OpenOrdersReported(orders=tuple(orders))


def _open_order(row: WireOrder, instrument: Instrument) -> OrderReport:
    lots_left = units(row.sz, instrument.sz_decimals)
    original = row.orig_sz
    return OrderReport(
        coin=row.coin,
        oid=row.oid,
        cloid=row.cloid,
        is_buy=is_buy_side(row.side),
        px=units(row.limit_px, instrument.px_decimals),
        lots_orig=lots_left if original is None else units(original, instrument.sz_decimals),
        lots_left=lots_left,
        reduce_only=row.reduce_only,
        trigger_px=units(row.trigger_px, instrument.px_decimals) if row.is_trigger else 0,
        ts_exch_ns=row.timestamp * NS_PER_MS,
    )


def fills_from_rows(raw: bytes, codec: Codec) -> tuple[list[OrderFilled], int, int]:
    """Decode ``userFills`` or ``userFillsByTime``, oldest first.

    Returns
    -------
    fills : list of OrderFilled
    row_count : int
        Rows of the answer, also those left out.
    time_ms_max : int
        Latest time of any row, 0 without rows.
    """
    rows = read(raw, list[WireFill], "userFills")
    events = [event for event in codec.fills(rows) if isinstance(event, OrderFilled)]
    # Today's answers ascend, those of 2023 descended.
    events.sort(key=lambda event: event.ts_exch_ns)
    return events, len(rows), max((row.time for row in rows), default=0)


def funding_from_rows(raw: bytes, codec: Codec) -> tuple[list[FundingPaid], int, int]:
    """Decode ``userFunding``, oldest first; same returns as `fills_from_rows`."""
    rows = read(raw, list[WireFundingRow], "userFunding")
    deltas = [msgspec.structs.replace(row.delta, time=row.time) for row in rows]
    events = [event for event in codec.fundings(deltas) if isinstance(event, FundingPaid)]
    events.sort(key=lambda event: event.ts_exch_ns)
    return events, len(rows), max((row.time for row in rows), default=0)


def ledger_from_rows(raw: bytes, codec: Codec) -> tuple[list[LedgerMoved], int, int]:
    """Decode ``userNonFundingLedgerUpdates``; same returns as `fills_from_rows`."""
    rows = read(raw, list[WireLedgerRow], "userNonFundingLedgerUpdates")
    events = [event for event in codec.ledger(rows) if isinstance(event, LedgerMoved)]
    events.sort(key=lambda event: event.ts_exch_ns)
    return events, len(rows), max((row.time for row in rows), default=0)


def candles_from_rows(raw: bytes, codec: Codec, *, coin: str, interval_ns: int) -> CandlesLoaded:
    """Decode ``candleSnapshot``; `VenueError` if a candle cannot be read."""
    rows = read(raw, list[WireCandle], "candleSnapshot")
    try:
        candles = [candle for row in rows if (candle := codec.candle(row)) is not None]
    except GridError as error:
        raise VenueError(f"candles of {coin} should fit the price grid: {error}") from None
    candles.sort(key=lambda candle: candle.open_ns)
    return CandlesLoaded(coin=coin, interval_ns=interval_ns, candles=tuple(candles))


def order_from_look_up(
    raw: bytes, codec: Codec, *, cloid: str, coin: str
) -> OrderUpdated | OrderMissing:
    """Decode ``orderStatus``; `VenueError` if the order is known but cannot be read."""
    answer = read(raw, WireOrderLookUp, "orderStatus")
    if answer.order is None:
        return OrderMissing(coin=coin, cloid=cloid)
    try:
        events = codec.order_update(answer.order)
    except GridError as error:
        raise VenueError(f"order {cloid} should fit the grid: {error}") from None
    update = next((event for event in events if isinstance(event, OrderUpdated)), None)
    if update is None:
        raise VenueError(
            f"order {cloid} should have a status this client knows, was {answer.order.status!r}"
        )
    return msgspec.structs.replace(update, cloid=update.cloid or cloid)


def rate_budget_from_answer(
    raw: bytes, *, ip_weight_used: int, ip_weight_cap: int
) -> RateBudgetReported:
    """Decode ``userRateLimit`` and add what this machine has used of its own."""
    answer = read(raw, WireRateLimit, "userRateLimit")
    return RateBudgetReported(
        requests_used=answer.nRequestsUsed,
        requests_cap=answer.nRequestsCap,
        ip_weight_used=ip_weight_used,
        ip_weight_cap=ip_weight_cap,
    )
