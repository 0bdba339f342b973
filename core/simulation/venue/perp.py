"""Settlement of perpetuals: margin before a trade, position, cash and fee after it.

Sources: venue documentation, Fees, Margining, Order book. What a margin is worth is computed in
``margin``; what a position does to cash in ``account``.
"""

from __future__ import annotations

from core.model.account import Fill
from core.model.instrument import Instrument
from core.model.time import utc_day
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.margin import cross_margin, opening_lots, order_margin_micro
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import FillOutput, OrderRequest, VenueStatus
from core.simulation.venue.settlement import Match, Verdict, fee_of
from core.simulation.venue.state import VenueState


class PerpSettlement:
    """Settlement of every perpetual; it holds no state."""

    units_per_micro = 1

    def minimum_text(self, instrument: Instrument, minimum_micro: int) -> str:
        """Return the text that refuses an order below the least notional."""
        return texts.notional_too_small(instrument, minimum_micro)

    def malformed_text(self, request: OrderRequest) -> str | None:
        """Return None: perpetuals take every shape of order."""
        return None

    def refusal(
        self, state: VenueState, account: Account, book: CoinBook, order: Order
    ) -> Verdict | None:
        """Return why the margin does not allow an order; one that only reduces needs none."""
        if order.reduce_only:
            return None
        if _exceeds_tier(account, book, order):
            return VenueStatus.PERP_MAX_POSITION_REJECTED, texts.TIER_EXCEEDED
        if not has_margin(state, account, book, order):
            text = texts.margin_insufficient(book.instrument)
            return VenueStatus.PERP_MARGIN_REJECTED, text
        return None

    def payable_lots(
        self, state: VenueState, account: Account, order: Order, *, px: int, lots: int
    ) -> int:
        """Return all lots: a taker's margin was checked when its order was placed."""
        return lots

    def unpayable(self, instrument: Instrument) -> Verdict:
        """Return the rejection for lack of margin."""
        return VenueStatus.PERP_MARGIN_REJECTED, texts.margin_insufficient(instrument)

    def can_fill(self, state: VenueState, account: Account, maker: Order, lots: int) -> bool:
        """Tell whether a resting order's owner has the initial margin for what it would open."""
        opening = opening_lots(account.lots(maker.coin), lots, is_buy=maker.is_buy)
        if opening == 0:
            return True
        cross = cross_margin(account, state.books)
        free = cross.value_micro - cross.initial_micro - order_margin_micro(account, skipped=maker)
        return free >= maker.px * opening // account.leverage[maker.coin].leverage

    def held_wei(self, order: Order, token: int) -> int:
        """Return 0: orders on perpetuals lock margin, not tokens."""
        return 0

    def book_fill(self, state: VenueState, book: CoinBook, order: Order, match: Match) -> None:
        """Book one side of a match on its owner's account and tell him."""
        account = state.account(order.owner)
        rate = account.maker_rate_e8 if match.is_maker else account.taker_rate_e8
        notional = match.px * match.lots
        fee = fee_of(notional, account.discounted(rate))
        account.add_volume(utc_day(state.now_ns), notional, is_maker=match.is_maker)
        book_position(state, book, account, order, match, fee)

    def book_outside(self, state: VenueState, book: CoinBook, *, lots_signed: int, px: int) -> None:
        """Book the outside market's side, above 0 where it bought."""
        book.outside_lots += lots_signed
        state.outside_cash_micro -= lots_signed * px


PERP = PerpSettlement()


def has_margin(state: VenueState, account: Account, book: CoinBook, order: Order) -> bool:
    """Tell whether the account can carry an order's initial margin.

    An order that would match at once is valued at mark, as the position it makes will be; one
    that rests at its limit. What only closes needs no margin.
    """
    start = account.lots(order.coin)
    leverage = account.leverage[order.coin].leverage
    if book.would_match(is_buy=order.is_buy, px=order.px):
        end = start + (order.lots_left if order.is_buy else -order.lots_left)
        margin_after = abs(end) * book.mark_px // leverage
        required = margin_after - abs(start) * book.mark_px // leverage
    else:
        before = account.resting.lots(order.coin, is_buy=order.is_buy)
        opening = opening_lots(start, order.lots_left, is_buy=order.is_buy, closing_before=before)
        required = order.px * opening // leverage
    if required <= 0:
        return True
    cross = cross_margin(account, state.books)
    free = cross.value_micro - cross.initial_micro - order_margin_micro(account)
    return free >= required


def _exceeds_tier(account: Account, book: CoinBook, order: Order) -> bool:
    """Check that the set leverage is allowed at the position's size after a full fill."""
    limit = book.table.notional_micro_max(account.leverage[order.coin].leverage)
    if limit is None:
        return False
    start = account.lots(order.coin)
    end = start + (order.lots_left if order.is_buy else -order.lots_left)
    return abs(end) > abs(start) and abs(end) * book.mark_px >= limit


def book_position(
    state: VenueState, book: CoinBook, account: Account, order: Order, match: Match, fee: int
) -> None:
    """Change a position and its money, keep the list of holders, emit the fill.

    A builder's fee comes on top and is part of the fill's fee, as recorded.
    """
    coin = book.instrument.coin
    start = account.lots(coin)
    signed = match.lots if order.is_buy else -match.lots
    builder_fee = order.builder_fee(match.px * match.lots)
    if order.builder is not None:
        state.earn(order.builder.builder, builder_fee)
    state.fees_micro += fee
    fee += builder_fee
    closed_pnl = account.apply_fill(coin, lots_signed=signed, px=match.px, fee_micro=fee)
    if start + signed == 0:
        del book.holders[account.address]
    elif start == 0:
        book.holders[account.address] = account
    state.unpruned[(account.address, coin)] = None
    liquidation = match.liquidation
    fill = Fill(
        coin=coin,
        oid=order.oid,
        cloid=order.cloid,
        tid=match.tid,
        is_buy=order.is_buy,
        px=match.px,
        lots=match.lots,
        fee_micro=fee,
        is_maker=match.is_maker,
        closed_pnl_micro=closed_pnl,
        start_position_lots=start,
        ts_exch_ns=state.now_ns,
        is_liquidation=liquidation is not None and liquidation.liquidated_user == account.address,
    )
    output = FillOutput(
        owner=account.address,
        fill=fill,
        direction=match.direction or direction_text(start, signed),
        hash=state.action_hash,
        liquidation=liquidation,
        builder_fee_micro=builder_fee,
        twap_id=order.twap_id,
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
