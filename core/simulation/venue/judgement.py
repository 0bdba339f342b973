"""What the venue refuses: pre-validation of a whole batch, then each order against the state.

Order of checks: reference section 18 (it satisfies every recorded answer). Functions here answer
and change nothing but a reduce-only order's size, which the venue caps.
"""

from __future__ import annotations

from collections.abc import Sequence

from core.model.codes import Grouping, Tif
from core.simulation.venue import open_interest, texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import PPM, CoinBook
from core.simulation.venue.orders import Order, Stage
from core.simulation.venue.outputs import OrderRequest, VenueStatus
from core.simulation.venue.settlement import Verdict
from core.simulation.venue.state import VenueState


def prevalidate(
    state: VenueState, requests: Sequence[OrderRequest], grouping: Grouping
) -> str | None:
    """Return the one error text that refuses a whole batch, if any."""
    if not requests:
        return texts.ORDERS_EMPTY
    for request in requests:
        text = _prevalidate_one(state, request, grouping)
        if text is not None:
            return text
    if len({state.books[request.coin].instrument.is_spot for request in requests}) > 1:
        return texts.ASSET_CLASSES_MIXED
    if grouping is Grouping.NORMAL_TPSL:
        return _prevalidate_children(requests[0], requests[1:])
    if grouping is Grouping.POSITION_TPSL:
        if len(requests) > 2:
            return texts.TRIGGER_COUNT
        if any(r.trigger is None or not r.reduce_only for r in requests):
            return texts.TPSL_NOT_REDUCING
    return None


def _prevalidate_one(state: VenueState, request: OrderRequest, grouping: Grouping) -> str | None:
    """Check the shape of one order: coin, size, price, distance from the reference."""
    assert (request.tif is None) is not (request.trigger is None), (
        "invariant: an order is either limit or trigger"
    )
    book = state.books.get(request.coin)
    if book is None:
        return texts.ASSET_UNKNOWN
    text = book.settlement.malformed_text(request)
    if text is not None:
        return text
    if request.lots < 0:
        return texts.SIZE_INVALID
    if request.lots == 0 and grouping is not Grouping.POSITION_TPSL:
        return texts.SIZE_ZERO
    reference = book.mark_px
    if request.trigger is not None:
        if request.trigger.trigger_px <= 0:
            return texts.PRICE_INVALID
        reference = request.trigger.trigger_px
    if request.px <= 0:
        return texts.PRICE_INVALID
    low, high = sorted((request.px, reference))
    is_below = request.px < reference
    too_far = (
        low * PPM <= state.band_floor_ppm * high
        if is_below
        else (low * PPM < state.band_floor_ppm * high)
    )
    return texts.PRICE_TOO_FAR if reference and too_far else None


def _prevalidate_children(parent: OrderRequest, children: Sequence[OrderRequest]) -> str | None:
    """Check the shape of a parent with TP/SL children."""
    if parent.trigger is not None:
        return texts.MAIN_IS_TRIGGER
    if not 1 <= len(children) <= 2 or any(c.trigger is None for c in children):
        return texts.TRIGGER_COUNT
    for child in children:
        fits = child.reduce_only and child.is_buy is not parent.is_buy
        if not fits or child.coin != parent.coin:
            return texts.TPSL_NOT_REDUCING
    return None


def judge(
    state: VenueState, account: Account, book: CoinBook, order: Order, *, is_post_only: bool
) -> Verdict | None:
    """Return why an order is rejected in-band, or None.

    A TP/SL child that waits for its parent is judged by its prices only: its position does not
    exist yet.
    """
    instrument = book.instrument
    if instrument.is_delisted or book.is_halted or book.mark_px == 0:
        return VenueStatus.REJECTED, texts.TRADING_HALTED
    if state.is_post_only and not is_post_only and (order.trigger is None or order.is_market):
        return VenueStatus.REJECTED, texts.post_only_window(state.settings.post_only_spelling)
    trigger_px = order.trigger.trigger_px if order.trigger is not None else order.px
    if not (instrument.is_px_on_grid(order.px) and instrument.is_px_on_grid(trigger_px)):
        return VenueStatus.TICK_REJECTED, texts.tick_invalid(instrument)
    if _has_too_many(state, account, order):
        return VenueStatus.TOO_MANY_OPEN_ORDERS_REJECTED, texts.OPEN_ORDERS_TOO_MANY
    if _is_too_small(state, account, book, order):
        text = book.settlement.minimum_text(instrument, state.settings.notional_min_micro)
        return VenueStatus.MIN_TRADE_NTL_REJECTED, text
    if order.stage is Stage.WAITING:
        return None
    if order.reduce_only and not _fit_reduce_only(state, account, order):
        return VenueStatus.REDUCE_ONLY_REJECTED, texts.reduce_only_increases(instrument)
    if order.trigger is not None:
        if order.is_due(book.mark_px):
            return VenueStatus.BAD_TRIGGER_PX_REJECTED, texts.trigger_invalid(instrument)
        return None
    verdict = book.settlement.refusal(state, account, book, order)
    if verdict is not None:
        return verdict
    verdict = open_interest.refusal(state, account, book, order)
    if verdict is not None:
        return verdict
    if is_post_only and book.would_match(is_buy=order.is_buy, px=order.px):
        bid, ask = book.best_px(is_buy=True), book.best_px(is_buy=False)
        return VenueStatus.BAD_ALO_PX_REJECTED, texts.post_only_matches(instrument, bid, ask)
    return None


def _has_too_many(state: VenueState, account: Account, order: Order) -> bool:
    """Check the limit on open orders (reference section 12.2); the order counts itself."""
    settings = state.settings
    earned = account.volume_micro // settings.open_orders_volume_micro
    cap = min(settings.open_orders_base + earned, settings.open_orders_max)
    if order.reduce_only or order.trigger is not None:
        cap = settings.open_orders_base
    return len(account.orders) > cap


def _is_too_small(state: VenueState, account: Account, book: CoinBook, order: Order) -> bool:
    """Check the least notional: at the limit price, for a matching IOC at the best price."""
    if order.is_position_tpsl and order.lots_orig == 0:
        return False
    px = order.px
    is_taking = order.trigger is None and order.tif is Tif.IOC
    if is_taking and book.would_match(is_buy=order.is_buy, px=px):
        px = book.best_px(is_buy=not order.is_buy)
    minimum = state.settings.notional_min_micro * book.settlement.units_per_micro
    if px * order.lots_left >= minimum:
        return False
    reducible = account.reducible_lots(order.coin, is_buy=order.is_buy)
    return not (order.reduce_only and 0 < reducible <= order.lots_left)


def _fit_reduce_only(state: VenueState, account: Account, order: Order) -> bool:
    """Tell whether a reduce-only order reduces; cap its size where the settings say so.

    Triggers keep their size until they fire.
    """
    reducible = account.reducible_lots(order.coin, is_buy=order.is_buy)
    if reducible == 0:
        return False
    if order.trigger is None and order.lots_left > reducible:
        if state.settings.reduce_only_oversize == "reject":
            return False
        order.lots_orig = order.lots_left = reducible
    return True
