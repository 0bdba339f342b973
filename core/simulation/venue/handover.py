"""Fills that no order asked for: positions that change hands, or end, by the venue's own rule.

Backstop, deleveraging and settlement of a delisted coin book through here: without fee, without
public print, at a price the rule gives. Whose turn it is, and why, is decided elsewhere.
"""

from __future__ import annotations

from core.model.codes import Tif
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.orders import Order, Stage
from core.simulation.venue.outputs import LiquidationMark
from core.simulation.venue.perp import book_position
from core.simulation.venue.settlement import Match
from core.simulation.venue.state import VenueState

DELEVERAGING = "Auto-Deleveraging"
SETTLEMENT = "Settlement"
"""The venue's display texts of such fills."""


def pass_on(
    state: VenueState,
    book: CoinBook,
    giver: Account,
    taker: Account,
    *,
    lots: int,
    px: int,
    mark: LiquidationMark,
    direction: str = "",
) -> None:
    """Move ``lots`` (above 0) of the giver's position to the taker at ``px``."""
    is_long = giver.lots(book.instrument.coin) > 0
    tid = state.new_tid()
    for party, is_buy in ((giver, not is_long), (taker, is_long)):
        match = Match(
            px=px,
            lots=lots,
            tid=tid,
            is_maker=party is taker,
            liquidation=mark,
            direction=direction,
        )
        _fill(state, book, party, match, is_buy=is_buy)


def settle(state: VenueState, book: CoinBook, holder: Account, px: int) -> None:
    """End a position at ``px``; its counterparts are ended at the same price."""
    lots = holder.lots(book.instrument.coin)
    match = Match(px=px, lots=abs(lots), tid=state.new_tid(), is_maker=False, direction=SETTLEMENT)
    _fill(state, book, holder, match, is_buy=lots < 0)


def _fill(state: VenueState, book: CoinBook, party: Account, match: Match, *, is_buy: bool) -> None:
    """Book one side under an order id of its own, which nobody can look up."""
    order = Order(
        owner=party.address,
        coin=book.instrument.coin,
        oid=state.new_oid(),
        cloid=None,
        is_buy=is_buy,
        px=match.px,
        lots_orig=match.lots,
        lots_left=0,
        reduce_only=not match.is_maker,
        tif=Tif.IOC,
        tif_text="LiquidationMarket",
        trigger=None,
        is_position_tpsl=False,
        placed_ns=state.now_ns,
        stage=Stage.DEAD,
    )
    book_position(state, book, party, order, match, fee=0)
