"""Trigger orders: which wake at a mark price, and what they become when they do.

Source: venue documentation, Take profit and stop loss orders: the mark price decides; a market
trigger becomes an IOC limited by its price, a limit trigger a GTC order. The order keeps its oid.
"""

from __future__ import annotations

from core.model.codes import Tif
from core.simulation.venue import open_interest, texts
from core.simulation.venue.account import Account
from core.simulation.venue.book import CoinBook
from core.simulation.venue.lifecycle import finish, trim_reduce_only, withdraw
from core.simulation.venue.matching import execute
from core.simulation.venue.orders import Order, Stage
from core.simulation.venue.outputs import VenueStatus
from core.simulation.venue.settlement import Verdict
from core.simulation.venue.state import VenueState


def fire_due(state: VenueState, book: CoinBook) -> None:
    """Wake every trigger of a coin whose condition holds at the current mark."""
    for queue in (book.armed_below, book.armed_above):
        while len(queue):
            order = queue.best
            assert order is not None, "invariant: a queue with orders has a best one"
            if not order.is_due(book.mark_px):
                break
            _fire(state, book, order)


def _fire(state: VenueState, book: CoinBook, order: Order) -> None:
    """Turn one trigger into the order it stands for and send it to the book."""
    state.begin_action()
    withdraw(state, order)
    state.show(order, VenueStatus.TRIGGERED)
    account = state.account(order.owner)
    if order.reduce_only:
        reducible = account.reducible_lots(order.coin, is_buy=order.is_buy)
        if reducible == 0:
            finish(state, order, VenueStatus.REDUCE_ONLY_CANCELED)
            return
        covers_position = order.is_position_tpsl and order.lots_orig == 0
        if covers_position or order.lots_left > reducible:
            order.lots_left = order.lots_orig = reducible
    verdict = _refusal(state, account, book, order)
    if verdict is not None:
        finish(state, order, *verdict)
        return
    execute(state, book, order)
    if order.reduce_only and order.stage is Stage.RESTING:
        trim_reduce_only(state, order)


def _refusal(state: VenueState, account: Account, book: CoinBook, order: Order) -> Verdict | None:
    """Return why a woken order may not go to the book.

    After a network upgrade what would trade at once fails, as an order sent then would.
    """
    if state.is_post_only:
        takes = order.tif is Tif.IOC or book.would_match(is_buy=order.is_buy, px=order.px)
        if takes:
            text = texts.post_only_window(state.settings.post_only_spelling)
            return VenueStatus.REJECTED, text
    verdict = book.settlement.refusal(state, account, book, order)
    return verdict or open_interest.refusal(state, account, book, order)
