"""How resting local orders meet a new picture of the outside market.

The order of work inside a tick: its prints first, then the new quotes, then queue places. A print
through a local price fills at that price up to what traded; a print at the price fills what is
left after the outside lots that stood before; a quote that reaches a local price fills the order
completely. Assumption: the outside market does not react to local orders.
"""

from __future__ import annotations

from core.simulation.market.ticks import MarketTick
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import prune_reduce_only
from core.simulation.venue.matching import fillable_lots, trade
from core.simulation.venue.orders import LOTS_AHEAD_UNKNOWN, Order, OrderQueue, Stage
from core.simulation.venue.state import VenueState


def meet(state: VenueState, book: CoinBook, tick: MarketTick) -> None:
    """Let the local orders of one coin meet a tick; the displayed depth is replaced by it."""
    has_orders = len(book.local_bids) > 0 or len(book.local_asks) > 0
    if has_orders:
        for px, lots, is_buy in tick.trades:
            _meet_print(state, book, px=px, lots=lots, is_buy=is_buy)
    if tick.trades:
        book.last_px = tick.trades[-1][0]
    book.bids = tick.bids
    book.asks = tick.asks
    if has_orders:
        _meet_quotes(state, book, is_bid=True)
        _meet_quotes(state, book, is_bid=False)
        book.refresh_queues(state.queue_share_ppm)
        prune_reduce_only(state)


def look_only(state: VenueState, book: CoinBook, tick: MarketTick) -> None:
    """Show a tick's depth without letting anybody trade, as while a coin is halted."""
    book.bids = tick.bids
    book.asks = tick.asks
    book.refresh_queues(state.queue_share_ppm)


def _meet_print(state: VenueState, book: CoinBook, *, px: int, lots: int, is_buy: bool) -> None:
    """Fill local orders from one outside print; its lots are given away once."""
    left = lots
    for is_bid in (True, False):
        queue = book.local_side(is_buy=is_bid)
        while left and len(queue) and (queue.best_px > px if is_bid else queue.best_px < px):
            best = queue.best
            assert best is not None, "invariant: a queue with orders has a best one"
            left -= _fill(state, book, best, left, is_print=True)
        if len(queue) and is_buy is not is_bid and queue.best_px == px:
            left = _meet_at_price(state, book, queue, px=px, traded=lots, left=left)


def _meet_at_price(
    state: VenueState, book: CoinBook, queue: OrderQueue, *, px: int, traded: int, left: int
) -> int:
    """Fill the orders at a print's own price behind their queue; return the lots left over.

    An order whose level was never seen does not know its place and fills only when its price is
    traded through.
    """
    for order in queue.at_px(px):
        order.level_traded += traded
        if order.lots_ahead == LOTS_AHEAD_UNKNOWN or order.stage is not Stage.RESTING:
            continue
        reached = left - order.lots_ahead
        order.lots_ahead = max(0, order.lots_ahead - traded)
        if reached > 0:
            left -= _fill(state, book, order, reached, is_print=True)
    return left


def _meet_quotes(state: VenueState, book: CoinBook, *, is_bid: bool) -> None:
    """Fill local orders that the new opposite quotes reach, and take those quotes."""
    queue = book.local_side(is_buy=is_bid)
    while len(queue):
        levels = book.asks if is_bid else book.bids
        best = queue.best
        assert best is not None, "invariant: a queue with orders has a best one"
        if not levels or (levels[0][0] > best.px if is_bid else levels[0][0] < best.px):
            return
        px = best.px
        lots = _fill(state, book, best, best.lots_left, is_print=False)
        _take_crossing(book, px=px, lots=lots, is_bid=is_bid)


def _take_crossing(book: CoinBook, *, px: int, lots: int, is_bid: bool) -> None:
    """Remove from the displayed opposite side what a filled local order met there."""
    while lots:
        levels = book.asks if is_bid else book.bids
        if not levels or (levels[0][0] > px if is_bid else levels[0][0] < px):
            return
        part = min(lots, levels[0][1])
        book.consume(is_bid=not is_bid, lots=part)
        lots -= part


def _fill(
    state: VenueState, book: CoinBook, order: Order, lots_wanted: int, *, is_print: bool
) -> int:
    """Fill a resting order at its own price against the outside; 0 if it was cancelled instead."""
    lots = fillable_lots(state, book, order, lots_wanted)
    if lots:
        trade(state, book, px=order.px, lots=lots, taker=None, maker=order, is_print=is_print)
    return lots
