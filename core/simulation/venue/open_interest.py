"""Open interest: how much of it there is, and what its caps refuse.

Source: the venue's error texts and statuses (reference sections 7.7 and 9); how exactly it counts
is not documented. Assumptions: a coin is at its cap once open lots times mark reach it, so the
order that reaches it may overshoot; at the cap nobody's position grows, and an order that may not
be reduce-only must not be priced beyond the oracle; the pace is counted by the minute.
"""

from __future__ import annotations

from core.model.time import NS_PER_MIN
from core.simulation.venue import texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.orders import Order
from core.simulation.venue.outputs import VenueStatus
from core.simulation.venue.settlement import Verdict
from core.simulation.venue.state import VenueState


def open_interest_lots(book: CoinBook) -> int:
    """Return the sum of all long positions, which is that of the short ones.

    The outside market counts as one holder: what it holds against the local accounts.
    """
    coin = book.instrument.coin
    longs = sum(max(0, account.lots(coin)) for account in book.holders.values())
    return longs + max(0, book.outside_lots)


def is_at_cap(state: VenueState, book: CoinBook) -> bool:
    """Tell whether a coin's open interest has reached its cap."""
    cap = state.settings.open_interest_caps_micro.get(book.instrument.coin)
    return cap is not None and open_interest_lots(book) * book.mark_px >= cap


def increases(account: Account, order: Order, lots: int) -> bool:
    """Tell whether ``lots`` of an order would make its owner's position larger."""
    start = account.lots(order.coin)
    return abs(start + (lots if order.is_buy else -lots)) > abs(start)


def refusal(state: VenueState, account: Account, book: CoinBook, order: Order) -> Verdict | None:
    """Return why open interest does not allow an order."""
    if order.reduce_only:
        return None
    if is_at_cap(state, book):
        verdict = _refusal_at_cap(account, book, order)
        if verdict is not None:
            return verdict
    if _rises_too_fast(state, account, book, order):
        return VenueStatus.OPEN_INTEREST_INCREASE_REJECTED, texts.OPEN_INTEREST_FAST
    return None


def _refusal_at_cap(account: Account, book: CoinBook, order: Order) -> Verdict | None:
    """Return what the cap refuses: flips, increases, prices beyond the oracle."""
    start = account.lots(order.coin)
    end = start + (order.lots_left if order.is_buy else -order.lots_left)
    if start * end < 0:
        return VenueStatus.POSITION_FLIP_AT_CAP_REJECTED, texts.OPEN_INTEREST_CAPPED
    if abs(end) > abs(start):
        return VenueStatus.POSITION_INCREASE_AT_CAP_REJECTED, texts.OPEN_INTEREST_CAPPED
    beyond = order.px > book.oracle_px if order.is_buy else order.px < book.oracle_px
    if beyond:
        return VenueStatus.TOO_AGGRESSIVE_AT_CAP_REJECTED, texts.OPEN_INTEREST_AGGRESSIVE
    return None


def _rises_too_fast(state: VenueState, account: Account, book: CoinBook, order: Order) -> bool:
    """Tell whether an order could push open interest beyond the minute's allowance."""
    coin = book.instrument.coin
    allowance = state.settings.open_interest_rises_micro.get(coin)
    if allowance is None or not increases(account, order, order.lots_left):
        return False
    start = account.lots(coin)
    end = start + (order.lots_left if order.is_buy else -order.lots_left)
    opened = abs(end) if start * end < 0 else abs(end) - abs(start)
    minute = state.now_ns // NS_PER_MIN
    now_lots = open_interest_lots(book)
    known = state.open_interest_starts.get(coin)
    if known is None or known[0] != minute:
        known = (minute, now_lots)
        state.open_interest_starts[coin] = known
    return (now_lots + opened - known[1]) * book.mark_px > allowance
