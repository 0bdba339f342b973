"""Auto-deleveraging: who gives up a position so that a bankrupt one owes nobody.

Source: venue documentation, Auto-deleveraging: opposite positions are closed at the previous mark,
ranked by ``(mark / entry) * (notional / account value)``, so by profit and leverage used.
Assumptions: for shorts the profit ratio is turned round (entry / mark), for the rank to mean the
same on both sides; the liquidator's own inventory goes before anybody's. The outside market has no
account and is never deleveraged.
"""

from __future__ import annotations

from fractions import Fraction

from core.simulation.venue.account import Account, Position
from core.simulation.venue.book import CoinBook
from core.simulation.venue.handover import DELEVERAGING, pass_on
from core.simulation.venue.margin import cross_margin, isolated_margin_micro
from core.simulation.venue.outputs import LiquidationMark
from core.simulation.venue.state import VenueState


def deleverage(state: VenueState, book: CoinBook, account: Account, px: int) -> None:
    """Close a bankrupt position against the opposite ones at ``px``, best ranked first.

    What nobody stands against stays open.
    """
    coin = book.instrument.coin
    mark = LiquidationMark(liquidated_user=account.address, mark_px=px, method="backstop")
    for opposite in ranked(state, book, account, px):
        lots = min(abs(account.lots(coin)), abs(opposite.lots(coin)))
        if lots == 0:
            return
        pass_on(state, book, account, opposite, lots=lots, px=px, mark=mark, direction=DELEVERAGING)


def ranked(state: VenueState, book: CoinBook, account: Account, px: int) -> list[Account]:
    """Return the holders against a position in the order in which they give theirs up."""
    coin = book.instrument.coin
    is_long = account.lots(coin) > 0
    opposite = [
        holder
        for holder in book.holders.values()
        if holder is not account and (holder.lots(coin) > 0) is not is_long
    ]
    return sorted(opposite, key=lambda holder: _key(state, book, holder, px))


def _key(
    state: VenueState, book: CoinBook, holder: Account, px: int
) -> tuple[bool, bool, Fraction, str]:
    """Return what sorts the holders: liquidator, worthless accounts, rank, address."""
    position = holder.positions[book.instrument.coin]
    value = (
        cross_margin(holder, state.books).value_micro
        if position.is_cross
        else isolated_margin_micro(position, book.mark_px)
    )
    rank = _rank(position, px, value) if value > 0 else Fraction(0)
    return holder is not state.liquidator, value > 0, -rank, holder.address


def _rank(position: Position, px: int, value_micro: int) -> Fraction:
    """Return the documented index of one position."""
    notional = abs(position.lots) * px
    profit = Fraction(notional, position.cost_micro)
    return (profit if position.lots > 0 else 1 / profit) * Fraction(notional, value_micro)
