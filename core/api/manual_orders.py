"""Orders and market pictures in everyday words, for people and scripts at the client.

The trading path does not come through here: it brings complete commands. Pure functions.
"""

from __future__ import annotations

import math
from typing import Any

from core.api.reports import read
from core.api.wire import WireContext, WireMeta
from core.model.codes import Purpose, Tif
from core.model.commands import PlaceOrder
from core.model.errors import GridError, VenueError
from core.model.events import BookChanged
from core.model.ids import STRATEGY_MANUAL, order_cloid
from core.model.instrument import Instrument


def order_from_words(
    instrument: Instrument,
    *,
    account: str,
    seq: int,
    is_buy: bool,
    size: float,
    price: float,
    tif: Tif,
    reduce_only: bool,
) -> PlaceOrder:
    """Make an order of coins and USDC; sizes round down to lots, prices to the cautious side.

    Parameters
    ----------
    seq : int
        Never used before for this account; the cloid follows from it.

    Raises
    ------
    GridError
        If the size is less than one lot or the price is not above 0.
    """
    lots = instrument.lots_floor(size)
    if lots <= 0:
        raise GridError(
            f"size of {instrument.coin} should be at least one lot of "
            f"{instrument.lots_text(1)}, was {size!r}"
        )
    return PlaceOrder(
        cloid=order_cloid(account, STRATEGY_MANUAL, seq, 0),
        coin=instrument.coin,
        asset=instrument.asset,
        is_buy=is_buy,
        px=instrument.px_units_on_grid(price, is_buy=is_buy),
        lots=lots,
        tif=tif,
        reduce_only=reduce_only,
        trigger=None,
        purpose=Purpose.EXIT if reduce_only else Purpose.ENTRY,
        strategy=STRATEGY_MANUAL,
        arrival_mid_x2=0,
    )


def market_order(
    instrument: Instrument,
    book: BookChanged,
    *,
    account: str,
    seq: int,
    is_buy: bool,
    size: float,
    reduce_only: bool,
    slippage: float,
) -> PlaceOrder:
    """Make an IOC order limited to ``slippage`` (a fraction) beyond the touch.

    Raises
    ------
    GridError
        If the size is less than one lot or the slippage is not from 0 to below 1.
    VenueError
        If nothing rests on the other side.
    """
    if not 0.0 <= slippage < 1.0:
        raise GridError(f"slippage should be a fraction from 0 to below 1, was {slippage!r}")
    side = book.asks if is_buy else book.bids
    if not side:
        raise VenueError(f"{instrument.coin} should have a touch to trade at, its book is empty")
    touch = instrument.px_float(side[0][0])
    return order_from_words(
        instrument,
        account=account,
        seq=seq,
        is_buy=is_buy,
        size=size,
        price=touch * (1.0 + slippage if is_buy else 1.0 - slippage),
        tif=Tif.IOC,
        reduce_only=reduce_only,
    )


def market_summary(instrument: Instrument, book: BookChanged, contexts: bytes) -> dict[str, Any]:
    """Put a book and the answer of ``metaAndAssetCtxs`` into plain numbers.

    Raises
    ------
    VenueError
        If the contexts cannot be read or lack the coin.
    """
    rows = read(contexts, tuple[WireMeta, list[WireContext]], "metaAndAssetCtxs")[1]
    if instrument.asset >= len(rows):
        raise VenueError(f"contexts should include {instrument.coin}, there are {len(rows)}")
    context = rows[instrument.asset]
    bid, bid_size = _touch(instrument, book.bids)
    ask, ask_size = _touch(instrument, book.asks)
    return {
        "coin": instrument.coin,
        "price": (bid + ask) / 2.0,
        "bid": bid,
        "ask": ask,
        "bid_size": bid_size,
        "ask_size": ask_size,
        "mark_price": float(context.mark_px),
        "oracle_price": float(context.oracle_px),
        "funding_rate_1h": float(context.funding),
        "open_interest": float(context.open_interest),
        "time_ns": book.ts_exch_ns,
    }


def _touch(instrument: Instrument, side: tuple[tuple[int, int], ...]) -> tuple[float, float]:
    if not side:
        return math.nan, 0.0
    px, lots = side[0]
    return instrument.px_float(px), instrument.coins(lots)
