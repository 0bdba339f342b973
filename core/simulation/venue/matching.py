"""Matching: how a taker walks the book and how each match becomes money.

Price-time priority over the displayed outside depth and the local orders queued in it; the price
is the resting side's. Source: venue documentation, Order book and Self-trade prevention. What is
allowed to arrive here was decided in ``placement``.
"""

from __future__ import annotations

import msgspec

from core.model.account import Fill
from core.model.codes import Tif
from core.model.time import utc_day
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import finish, prune_reduce_only, rest
from core.simulation.venue.margin import cross_margin, opening_lots, order_margin_micro
from core.simulation.venue.orders import LOTS_AHEAD_UNKNOWN, Order
from core.simulation.venue.outputs import (
    OUTSIDE,
    FillOutput,
    LiquidationMark,
    TradeOutput,
    VenueStatus,
)
from core.simulation.venue.settings import RATE_E8
from core.simulation.venue.state import VenueState


class Execution(msgspec.Struct, frozen=True):
    """What an order executed on arrival."""

    lots: int
    notional_micro: int


def execute(
    state: VenueState, book: CoinBook, order: Order, liquidation: LiquidationMark | None = None
) -> Execution:
    """Match an order on arrival; rest, drop or finish what is left.

    A liquidation takes any price; other orders none beyond their limit.
    """
    lots, notional = take(state, book, order, liquidation)
    if order.lots_left == 0:
        finish(state, order, VenueStatus.FILLED)
    elif order.tif is not Tif.IOC:
        rest(state, order)
    elif lots:
        finish(state, order, VenueStatus(state.settings.ioc_partial_status))
    elif order.is_market:
        text = texts.market_no_liquidity(book.instrument)
        finish(state, order, VenueStatus.MARKET_ORDER_NO_LIQUIDITY_REJECTED, text)
    else:
        finish(state, order, VenueStatus.IOC_CANCEL_REJECTED, texts.ioc_no_match(book.instrument))
    prune_reduce_only(state)
    return Execution(lots, notional)


def take(
    state: VenueState, book: CoinBook, order: Order, liquidation: LiquidationMark | None
) -> tuple[int, int]:
    """Walk the opposite side and return (lots, notional) executed.

    A local order of the same owner in the way is cancelled without a fill and the walk goes on.
    """
    lots_done, notional = 0, 0
    while order.lots_left:
        found = _next_quote(book, is_buy=order.is_buy)
        if found is None:
            break
        px, outside_lots, maker = found
        if liquidation is None and (px > order.px if order.is_buy else px < order.px):
            break
        lots = min(order.lots_left, outside_lots)
        if maker is None:
            _pass_queue(book, px, lots, is_buy=order.is_buy)
        elif maker.owner == order.owner:
            finish(state, maker, VenueStatus.SELF_TRADE_CANCELED)
            continue
        else:
            lots = fillable_lots(state, book, maker, order.lots_left)
            if lots == 0:
                continue
        trade(state, book, px=px, lots=lots, taker=order, maker=maker, liquidation=liquidation)
        lots_done += lots
        notional += px * lots
    return lots_done, notional


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
    elif not _can_carry(state, account, maker, lots):
        finish(state, maker, VenueStatus.MARGIN_CANCELED)
        return 0
    return lots


def _can_carry(state: VenueState, account: Account, maker: Order, lots: int) -> bool:
    """Tell whether a resting order's owner has the initial margin for what it would open."""
    opening = opening_lots(account.lots(maker.coin), lots, is_buy=maker.is_buy)
    if opening == 0:
        return True
    cross = cross_margin(account, state.books)
    free = cross.value_micro - cross.initial_micro - order_margin_micro(account, skipped=maker)
    return free >= maker.px * opening // account.leverage[maker.coin].leverage


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
    if taker is not None:
        _book_fill(state, book, taker, px, lots, tid, is_maker=False, liquidation=liquidation)
    if maker is not None:
        _book_fill(state, book, maker, px, lots, tid, is_maker=True, liquidation=liquidation)
    if taker is None or maker is None:
        outside_lots = -lots if known.is_buy else lots
        book.outside_lots += outside_lots
        state.outside_cash_micro -= outside_lots * px
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


def fee_micro(notional_micro: int, rate_e8: int) -> int:
    """Return the fee of a fill, truncated towards 0 to micro-USDC; a rebate is negative.

    Source: venue documentation, Fees; 4307.4 * 0.0025 at 0.045 % costs 0.004845.
    """
    size = notional_micro * abs(rate_e8) // RATE_E8
    return size if rate_e8 >= 0 else -size


def _book_fill(
    state: VenueState,
    book: CoinBook,
    order: Order,
    px: int,
    lots: int,
    tid: int,
    *,
    is_maker: bool,
    liquidation: LiquidationMark | None,
) -> None:
    """Book one side of a match on its owner's account and tell him."""
    account = state.account(order.owner)
    rate = account.maker_rate_e8 if is_maker else account.taker_rate_e8
    fee = fee_micro(px * lots, rate)
    order.lots_left -= lots
    assert order.lots_left >= 0, f"invariant: order {order.oid} should not overfill"
    account.add_volume(utc_day(state.now_ns), px * lots, is_maker=is_maker)
    book_position(
        state,
        book,
        account,
        order,
        px=px,
        lots=lots,
        fee=fee,
        tid=tid,
        is_maker=is_maker,
        liquidation=liquidation,
    )


def book_position(
    state: VenueState,
    book: CoinBook,
    account: Account,
    order: Order,
    *,
    px: int,
    lots: int,
    fee: int,
    tid: int,
    is_maker: bool,
    liquidation: LiquidationMark | None,
) -> None:
    """Change a position and its money, keep the list of holders, emit the fill."""
    coin = book.instrument.coin
    start = account.lots(coin)
    signed = lots if order.is_buy else -lots
    closed_pnl = account.apply_fill(coin, lots_signed=signed, px=px, fee_micro=fee)
    state.fees_micro += fee
    if start + signed == 0:
        del book.holders[account.address]
    elif start == 0:
        book.holders[account.address] = account
    state.unpruned[(account.address, coin)] = None
    fill = Fill(
        coin=coin,
        oid=order.oid,
        cloid=order.cloid,
        tid=tid,
        is_buy=order.is_buy,
        px=px,
        lots=lots,
        fee_micro=fee,
        is_maker=is_maker,
        closed_pnl_micro=closed_pnl,
        start_position_lots=start,
        ts_exch_ns=state.now_ns,
        is_liquidation=liquidation is not None and liquidation.liquidated_user == account.address,
    )
    output = FillOutput(
        owner=account.address,
        fill=fill,
        direction=direction_text(start, signed),
        hash=state.action_hash,
        liquidation=liquidation,
    )
    account.fills.append(output)
    state.outputs.append(output)


def direction_text(start_lots: int, signed_lots: int) -> str:
    """Return the venue's display text of what a fill did to a position."""
    end = start_lots + signed_lots
    if start_lots * end < 0:
        return "Long > Short" if start_lots > 0 else "Short > Long"
    if start_lots == 0 or start_lots * signed_lots > 0:
        return "Open Long" if signed_lots > 0 else "Open Short"
    return "Close Long" if start_lots > 0 else "Close Short"
