"""Matching: how a taker walks the book and who meets whom at which price.

Price-time priority over the displayed outside depth and the local orders queued in it; the price
is the resting side's. Source: venue documentation, Order book and Self-trade prevention. What is
allowed to arrive here was decided in ``placement``; what a match moves is the settlement's.
"""

from __future__ import annotations

import msgspec

from core.model.codes import Tif
from core.simulation.venue import texts
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import finish, prune_reduce_only, rest
from core.simulation.venue.open_interest import increases, is_at_cap
from core.simulation.venue.orders import LOTS_AHEAD_UNKNOWN, Order
from core.simulation.venue.outputs import OUTSIDE, LiquidationMark, TradeOutput, VenueStatus
from core.simulation.venue.settlement import Match, Verdict
from core.simulation.venue.state import VenueState


class Execution(msgspec.Struct, frozen=True):
    """What an order executed on arrival.

    ``notional`` is the sum of ``px * lots``; ``text`` is the error text of an order that could not
    execute anything and was rejected for it.
    """

    lots: int
    notional: int
    text: str = ""


def execute(
    state: VenueState, book: CoinBook, order: Order, liquidation: LiquidationMark | None = None
) -> Execution:
    """Match an order on arrival; rest, drop or finish what is left.

    A liquidation takes any price; other orders none beyond their limit.
    """
    lots, notional, is_unpayable = take(state, book, order, liquidation)
    text = ""
    if order.lots_left == 0:
        finish(state, order, VenueStatus.FILLED)
    elif order.tif is not Tif.IOC:
        rest(state, order)
    elif lots:
        finish(state, order, VenueStatus(state.settings.ioc_partial_status))
    else:
        status, text = _unmatched(book, order, is_unpayable=is_unpayable)
        finish(state, order, status, text)
    prune_reduce_only(state)
    return Execution(lots, notional, text)


def _unmatched(book: CoinBook, order: Order, *, is_unpayable: bool) -> Verdict:
    """Return why an order that had to trade at once did not."""
    instrument = book.instrument
    if is_unpayable:
        return book.settlement.unpayable(instrument)
    if order.is_market:
        text = texts.market_no_liquidity(instrument)
        return VenueStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED, text
    return VenueStatus.IOC_CANCEL_REJECTED, texts.ioc_no_match(instrument)


def take(
    state: VenueState, book: CoinBook, order: Order, liquidation: LiquidationMark | None
) -> tuple[int, int, bool]:
    """Walk the opposite side; return (lots, notional, whether the owner's money ended it).

    A local order of the same owner in the way is cancelled without a fill and the walk goes on.
    """
    account, settlement = state.account(order.owner), book.settlement
    lots_done, notional = 0, 0
    while order.lots_left:
        found = _next_quote(book, is_buy=order.is_buy)
        if found is None:
            break
        px, outside_lots, maker = found
        if liquidation is None and (px > order.px if order.is_buy else px < order.px):
            break
        if maker is not None and maker.owner == order.owner:
            finish(state, maker, VenueStatus.SELF_TRADE_CANCELED)
            continue
        wanted = order.lots_left if maker is not None else min(order.lots_left, outside_lots)
        lots = settlement.payable_lots(state, account, order, px=px, lots=wanted)
        if lots == 0:
            return lots_done, notional, True
        if maker is None:
            _pass_queue(book, px, lots, is_buy=order.is_buy)
        else:
            lots = fillable_lots(state, book, maker, lots)
            if lots == 0:
                continue
        trade(state, book, px=px, lots=lots, taker=order, maker=maker, liquidation=liquidation)
        lots_done += lots
        notional += px * lots
    return lots_done, notional, False


def _next_quote(book: CoinBook, *, is_buy: bool) -> tuple[int, int, Order | None] | None:
    """Return whose turn it is opposite a taker: (price, outside lots, local order or None).

    At equal price the outside lots that stand before the local order come first.
    """
    levels = book.asks if is_buy else book.bids
    maker = book.local_side(is_buy=not is_buy).best
    if maker is None:
        return (*levels[0], None) if levels else None
    if not levels:
        return maker.px, 0, maker
    px, shown = levels[0]
    if px == maker.px:
        ahead = shown if maker.lots_ahead == LOTS_AHEAD_UNKNOWN else min(maker.lots_ahead, shown)
        return (px, ahead, None) if ahead else (px, 0, maker)
    outside_is_better = px < maker.px if is_buy else px > maker.px
    return (px, shown, None) if outside_is_better else (maker.px, 0, maker)


def _pass_queue(book: CoinBook, px: int, lots: int, *, is_buy: bool) -> None:
    """Take outside lots off the front level; local orders there move up by as much."""
    book.consume(is_bid=not is_buy, lots=lots)
    for order in book.local_side(is_buy=not is_buy).at_px(px):
        if order.lots_ahead > 0:
            order.lots_ahead = max(0, order.lots_ahead - lots)


def fillable_lots(state: VenueState, book: CoinBook, maker: Order, lots_wanted: int) -> int:
    """Return how much of a resting order may fill now; 0 means that it was cancelled instead.

    Source: venue documentation: margin is checked again for the resting side at each match, and
    resting reduce-only orders never increase a position.
    """
    account = state.account(maker.owner)
    lots = min(lots_wanted, maker.lots_left)
    if maker.reduce_only:
        lots = min(lots, account.reducible_lots(maker.coin, is_buy=maker.is_buy))
        if lots == 0:
            finish(state, maker, VenueStatus.REDUCE_ONLY_CANCELED)
    elif increases(account, maker, lots) and is_at_cap(state, book):
        finish(state, maker, VenueStatus.OPEN_INTEREST_CAP_CANCELED)
        return 0
    elif not book.settlement.can_fill(state, account, maker, lots):
        finish(state, maker, VenueStatus.MARGIN_CANCELED)
        return 0
    return lots


def trade(
    state: VenueState,
    book: CoinBook,
    *,
    px: int,
    lots: int,
    taker: Order | None,
    maker: Order | None,
    liquidation: LiquidationMark | None = None,
    is_print: bool = False,
) -> None:
    """Book one match between two parties, ``None`` being the outside market.

    ``is_print`` marks a match that the tick's own prints already show, which is not printed twice.
    A maker that is filled completely is finished here; the taker's end is up to the caller.
    """
    known = taker if taker is not None else maker
    assert known is not None, "invariant: one party of a match is local"
    is_buy = known.is_buy if known is taker else not known.is_buy
    assert px > 0 and lots > 0, f"invariant: match above 0, was {lots} at {px}"
    tid = state.new_tid()
    for order in (taker, maker):
        if order is not None and not order.is_shown:
            state.show(order, VenueStatus.OPEN)
    for order in (taker, maker):
        if order is None:
            outside_lots = -lots if known.is_buy else lots
            book.settlement.book_outside(state, book, lots_signed=outside_lots, px=px)
            continue
        order.lots_left -= lots
        assert order.lots_left >= 0, f"invariant: order {order.oid} should not overfill"
        if order is maker:
            state.account(order.owner).count_resting(order)
        match = Match(px=px, lots=lots, tid=tid, is_maker=order is maker, liquidation=liquidation)
        book.settlement.book_fill(state, book, order, match)
    book.last_px = px
    if not is_print:
        _print_trade(state, book, px=px, lots=lots, is_buy=is_buy, tid=tid, users=(taker, maker))
    if maker is not None and maker.lots_left == 0:
        finish(state, maker, VenueStatus.FILLED)


def _print_trade(
    state: VenueState,
    book: CoinBook,
    *,
    px: int,
    lots: int,
    is_buy: bool,
    tid: int,
    users: tuple[Order | None, Order | None],
) -> None:
    """Tell the public about a match; ``users`` is (taker, maker)."""
    taker, maker = (OUTSIDE if order is None else order.owner for order in users)
    state.outputs.append(
        TradeOutput(
            coin=book.instrument.coin,
            px=px,
            lots=lots,
            is_buy=is_buy,
            ts_ns=state.now_ns,
            tid=tid,
            hash=state.action_hash,
            users=(taker, maker) if is_buy else (maker, taker),
        )
    )
